"""Each program run on the corpus, in a process of its own.

In: the corpus, a folder for results, the environments of the other programs. Out: `Run`s: where each file went, seconds, what failed. A program
that is not there is told and left out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_PROGRAMS = Path(__file__).resolve().parent / "programs"
OTHERS = {"dicom-anonymizer": "run_dicom_anonymizer.py", "deid": "run_deid.py", "dicognito": "run_dicognito.py", "presidio-image-redactor": "run_presidio.py"}
TAKES = {"deid": frozenset({"headers", "pixels"}), "presidio-image-redactor": frozenset({"pixels"})}
WAYS = ("default", "best")
MARKERS = ("L", "R", "PORTABLE", "AP", "PA")
RESEARCH = """[header]
retain_longitudinal_modified_dates = true
retain_patient_characteristics = true
retain_safe_private = true
clean_descriptors = true
clean_structured_content = true

[pixels]
read = "{read}"
secondary_captures = "read"
"""
"""Our plan for research. Device identity is not retained: serial numbers and station names are planted as identifiers."""
DEFAULT = '[pixels]\nread = "{read}"\n'


@dataclasses.dataclass(frozen=True)
class Run:
    """One program in one way. `given`: output of each source file, None where it gave none. `takes`: what it is for, of headers, pixels and reports."""

    name: str
    way: str
    version: str
    given: dict[str, Path | None]
    seconds: float
    note: str = ""
    takes: frozenset[str] = frozenset({"headers"})


def lists() -> dict[str, list[str]]:
    """Attributes by name, from the standard's table: those whose value the Basic Profile takes away, descriptors, devices, characteristics of the patient."""
    from pydicom.datadict import keyword_for_tag

    from vesalius.formats.deidentify.table import table

    found: dict[str, list[str]] = {"removed": [], "descriptors": [], "devices": [], "characteristics": [], "markers": list(MARKERS)}
    for tag, rule in sorted(table().rows.items()):
        if "x" in tag or tag == "private" or not (name := keyword_for_tag(int(tag, 16))):
            continue
        places = ("removed" if rule.action[0] in "XZD" else "", "descriptors" if rule.options.get("clean_descriptors") else "")
        places += (
            "devices" if rule.options.get("retain_device_identity") else "",
            "characteristics" if rule.options.get("retain_patient_characteristics") == "K" else "",
        )
        for place in filter(None, places):
            found[place].append(name)
    return found


def ours(corpus: Path, out: Path, way: str, *, read: str, workers: int) -> Run:
    """`vesalius deidentify`, by its command line."""
    destination, key, plan = out / f"vesalius-{way}", out / f"{way}.key", out / f"{way}.toml"
    plan.write_text((RESEARCH if way == "best" else DEFAULT).format(read=read), encoding="utf-8")
    words = ["deidentify", str(corpus / "source"), str(destination), "--key-file", str(key), "--profile", str(plan), "--workers", str(workers)]
    seconds, said = _timed([sys.executable, "-m", "vesalius", *words, *([] if key.exists() else ["--new-key"])], ok=(0, 3))
    given: dict[str, Path | None] = {}
    for path in sorted((destination / "private" / "studies").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["folder"]:
            given |= {source: destination / "release" / record["folder"] / name for name, source in record["files"].items()}
    from vesalius import __version__

    takes = frozenset({"headers", "reports"} if read == "nothing" else {"headers", "pixels", "reports"})
    return Run("vesalius", way, __version__, given if said is not None else {}, seconds, f"pixels.read = {read!r}", takes)


def others(corpus: Path, out: Path, homes: Path, wanted: list[str], ways: list[str]) -> Iterator[Run | str]:
    """The other programs; a sentence for one that is not there."""
    (out / "lists.json").write_text(json.dumps(lists()), encoding="utf-8")
    for name in wanted:
        python = homes / name / "bin" / "python"
        if not python.exists():
            yield f"{name}: left out, {python} is not there"
            continue
        version = subprocess.run([python, "-c", f"import importlib.metadata as m; print(m.version({name!r}))"], capture_output=True, text=True, check=False)
        if version.returncode:
            yield f"{name}: left out, it is not installed in {homes / name}"
            continue
        for way in ways:
            yield _other(corpus, out, name, way, python, version.stdout.strip())


def _other(corpus: Path, out: Path, name: str, way: str, python: Path, version: str) -> Run:
    destination = out / f"{name}-{way}"
    words = [str(python), str(_PROGRAMS / OTHERS[name]), str(corpus / "source"), str(destination), way, str(out / "lists.json")]
    _, said = _timed(words, log=out / f"{name}-{way}.log")
    told = json.loads((said or "{}").strip().splitlines()[-1]) if said else {"seconds": 0.0, "failed": {"the program itself": 1}}
    given = {str(p.relative_to(destination)): p for p in destination.rglob("*.dcm")} if destination.exists() else {}
    failed = ", ".join(f"{count} {kind}" for kind, count in sorted(told["failed"].items()))
    return Run(name, way, version, dict(given), told["seconds"], f"failed: {failed}" if failed else "", TAKES.get(name, frozenset({"headers"})))


def _timed(words: list[str], *, ok: tuple[int, ...] = (0,), log: Path | None = None) -> tuple[float, str | None]:
    """Seconds of a command and what it said; None when it failed."""
    import time

    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if log is not None:
        log.write_text(done.stderr, encoding="utf-8")
    elif done.returncode not in ok:
        sys.stderr.write(done.stderr[-4000:])
    return time.perf_counter() - start, done.stdout if done.returncode in ok else None
