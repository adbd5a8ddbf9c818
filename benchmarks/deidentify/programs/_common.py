"""What the scripts of other programs share. They run in those programs' own environments: standard library and pydicom only.

Words: source, destination, `default` or `best`, a JSON file with the standard's lists. A file that a program fails on has no output; the reason's kind goes to
standard error.
"""

import json
import sys
import time
import warnings
from pathlib import Path


def run(make):
    """Give each DICOM file of the source to `make(mode, lists)(path, out)`; print seconds and failures as JSON."""
    warnings.simplefilter("ignore")
    source, destination, mode, lists = sys.argv[1:5]
    work = make(mode, json.loads(Path(lists).read_text(encoding="utf-8")))
    failed, files, start = {}, 0, time.perf_counter()
    for path in sorted(Path(source).rglob("*.dcm")):
        out = Path(destination) / path.relative_to(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        files += 1
        try:
            work(path, out)
        except Exception as error:  # noqa: BLE001 - whatever a program raises
            out.unlink(missing_ok=True)
            failed[type(error).__name__] = failed.get(type(error).__name__, 0) + 1
            print(path.name, type(error).__name__, str(error)[:200], file=sys.stderr)
    print(json.dumps({"seconds": time.perf_counter() - start, "files": files, "failed": failed}))
