"""Ask real DICOM studies real questions, through the gate, and write a picture of the evidence for each.

The studies come with pydicom: nothing is downloaded but packages. Run by `make demo`; pictures land in demo-out/.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydicom.data import get_testdata_file

OUT = Path("demo-out")
ASKS = (
    ("liver", "examples_overlay.dcm", "Is there a lesion in the liver?", ("--body-part", "ABDOMEN")),
    ("head", "J2K_pixelrep_mismatch.dcm", "Which part of the body does this image show?", ()),
    ("modality", "J2K_pixelrep_mismatch.dcm", "Is this a CT scan?", ()),
    ("urgent", "J2K_pixelrep_mismatch.dcm", "Is there an intracranial haemorrhage?", ()),
    ("not-diagnostic", "examples_palette.dcm", "Is there a pneumothorax?", ()),
)


def main() -> int:
    """Run every ask as a person would, on the command line."""
    failed = 0
    for name, file, question, options in ASKS:
        path = get_testdata_file(file, download=False)
        command = [sys.executable, "-m", "vesalius", "ask", str(path), question, "--out", str(OUT / name), *options]
        print(f"\n$ vesalius ask {file} {question!r} --out {OUT / name}", flush=True)  # noqa: T201
        code = subprocess.run(command, check=False).returncode
        if code not in (0, 3):  # 3: referred to a physician, which is an answer too
            failed = 1
    print(f"\nThe pictures: {', '.join(str(OUT / name / 'evidence.png') for name, *_ in ASKS)}")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(main())
