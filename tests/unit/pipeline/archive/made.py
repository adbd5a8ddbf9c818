"""Small archives for the tests: real DICOM of pydicom's with names, and reports beside it."""

import shutil
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

from vesalius.formats.deidentify import Key

NAMES = {"CT_small.dcm": ("Ludlow^Margaret^A", "MRN-55102-7"), "MR_small.dcm": ("Okonkwo^Chidi", "MRN-90233-1")}
KEPT = "RP-77-KEEP"


def key_file(folder: Path) -> Path:
    """The same key in every test, so that the same patients are held out."""
    path = folder / "site.key"
    path.write_text(f"vesalius-pseudonym-key-1 {bytes(range(32)).hex()}\n", encoding="ascii")
    path.chmod(0o600)
    Key.read(path)
    return path


def real(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


def planted(name: str, out: Path, **changes: object) -> pydicom.Dataset:
    """A real file under another name, with identifiers planted; returns what was written."""
    dataset = pydicom.dcmread(real(name))
    person, number = NAMES.get(name, ("Ludlow^Margaret^A", "MRN-55102-7"))
    dataset.PatientName, dataset.PatientID, dataset.AccessionNumber = person, number, f"ACC{number[4:9]}X"
    dataset.StudyDescription = f"FOLLOW UP OF {person.split('^')[0]}"
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    out.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(out)
    return dataset


def archive(folder: Path) -> Path:
    """Two studies, one with a report that belongs to it by its folder."""
    source = folder / "source"
    planted("CT_small.dcm", source / "a" / "one.dcm")
    planted("MR_small.dcm", source / "b" / "two.dcm")
    text = "CT. Margaret Ludlow, MRN-55102-7. Seen by Dr. Osric Blythe. Kerley B lines. No effusion.\n"
    (source / "a" / "report.txt").write_text(text, encoding="utf-8")
    return source


def everything(folder: Path) -> bytes:
    """All bytes of all files below a folder, and their names."""
    return b"\n".join([*(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()), *(str(p).encode() for p in sorted(folder.rglob("*")))])


def copied(name: str, out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(real(name), out)
    return out
