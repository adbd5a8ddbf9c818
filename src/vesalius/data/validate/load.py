"""Files become cases: DICOM, pictures, report texts, and tables of cases as JSON lines.

In: paths, folders too, and perhaps the report that belongs to the images. Out: `Case`s, one at a time. A file or a row that cannot be read is a case with its
trouble, so that nothing is left out in silence; only a path that does not exist is the caller's error.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.data.validate.case import Case
from vesalius.data.validate.remark import Evidence, Hit, Severity
from vesalius.domain.finding import Certainty, Finding, Region
from vesalius.domain.study import Laterality, Sex
from vesalius.errors import UnreadableStudy, UserError
from vesalius.formats import header
from vesalius.formats.collect import find_files, sniff
from vesalius.registry import unknown

if TYPE_CHECKING:
    from vesalius.domain.study import Image

MAX_TEXT = 5_000_000  # bytes of a report or of a row; the longest published report of Indiana has 4,000
_TEXTS, _ROWS = (".txt", ".text", ".md"), (".jsonl", ".ndjson")
_CERTAINTIES = {"missing": Certainty.UNMENTIONED, **{str(c): c for c in Certainty}}


def load(paths: Sequence[Path], report: Path | None = None) -> Iterator[Case]:
    """Cases of files and folders, in order.

    Args:
        paths: DICOM files, pictures, report texts (.txt .text .md), rows (.jsonl .ndjson), folders with all below them.
        report: the text that belongs to all the images together; it is checked with the first of them, which then knows how many there are and their views.

    Raises:
        UnreadableStudy: a path that does not exist or cannot be listed, or a report that cannot be read.
    """
    text = None if report is None else _text(report)
    files = [(file, path.is_dir()) for path in paths for file in (find_files(path) if path.is_dir() else [_there(path)])]
    views = _views([file for file, _ in files if file.suffix.lower() not in (*_TEXTS, *_ROWS)]) if text is not None else None
    given = False
    for file, inside in files:
        for case in _cases(file, inside=inside):
            if text is not None and not given and case.image is not None:
                given = True
                case = dataclasses.replace(case, report=text, views=views, images=len(views) if views else None)
            yield case
    if text is not None and not given and report is not None:
        yield Case(str(report), report=text)


def _there(path: Path) -> Path:
    try:
        path.stat()
    except OSError as error:
        raise header.cannot_open(path, error) from error
    except ValueError as error:  # a null character in the name
        raise UnreadableStudy(str(path).replace("\0", "?"), "is not a path", remedy="check the path") from error
    return path


def _cases(file: Path, *, inside: bool) -> Iterator[Case]:
    suffix = file.suffix.lower()
    if suffix in _ROWS:
        yield from rows(file)
        return
    try:
        yield Case(str(file), report=_text(file)) if suffix in _TEXTS else _image(file)
    except header.NotAnImage as error:
        severity = Severity.NOTE if inside else Severity.ERROR
        yield Case(str(file), trouble=_trouble(error, severity))
    except UserError as error:
        yield Case(str(file), trouble=_trouble(error))


def _trouble(error: UserError, severity: Severity = Severity.ERROR) -> Hit:
    return Hit(severity, error.what, (Evidence("case", "file", type(error).__name__),))


def _image(file: Path) -> Case:
    """A DICOM object keeps its header when its pixels cannot be read."""
    from vesalius.formats import dicom, picture

    if sniff(file) == "picture":
        return Case(str(file), image=picture.load(file))
    dataset = header.open_dataset(file)
    image: Image | None = None
    trouble = None
    try:
        image = dicom.load(file).image
    except header.NotAnImage as error:
        trouble = _trouble(error, Severity.NOTE)
    except UserError as error:
        trouble = _trouble(error)
    return Case(str(file), header=dataset, image=image, trouble=trouble)


def _views(files: Sequence[Path]) -> tuple[str, ...] | None:
    """The views that headers state; None when one of the images says nothing, as pictures do. Files that are no images count for nothing."""
    found: list[str | None] = []
    for file in files:
        try:
            if sniff(file) == "picture":
                found.append(None)
            else:
                found.append(header.text(header.open_dataset(file, pixels=False), "ViewPosition"))
        except UserError:
            continue
    return tuple(view or "" for view in found) or None


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_TEXT + 1)
    except OSError as error:
        raise header.cannot_open(file, error) from error
    if len(content) > MAX_TEXT:
        raise UnreadableStudy(file, f"has more than {MAX_TEXT:,} bytes, which no report has", remedy="give one report a file")
    if b"\0" in content:
        raise UnreadableStudy(file, "is no text", remedy="give a report as plain text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # every byte is a letter there; the rules read ASCII words


def rows(file: Path) -> Iterator[Case]:
    """Cases of a table of JSON lines; a row that cannot be used is a case with its trouble."""
    try:
        with file.open("rb") as stream:
            number = 0
            while line := stream.readline(MAX_TEXT + 1):
                number += 1
                if len(line) > MAX_TEXT:
                    yield _bad(file, number, f"has more than {MAX_TEXT:,} bytes; the rows behind it were not read")
                    return
                if line.strip():
                    yield _row(file, number, line)
    except OSError as error:
        yield Case(str(file), trouble=_trouble(header.cannot_open(file, error)))


def _bad(file: Path, number: int, what: str) -> Case:
    return Case(f"{file}:{number}", trouble=Hit(Severity.ERROR, f"the row {what}", (Evidence("case", "row", number),)))


def _row(file: Path, number: int, line: bytes) -> Case:
    try:
        given = json.loads(line)
        if not isinstance(given, dict):
            return _bad(file, number, "is not an object")
        return _of_row(file, number, given)
    except UserError as error:
        return _bad(file, number, f"cannot be used: {error.what}")
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        return _bad(file, number, f"cannot be used ({header.short(error)})")


_KEYS = (
    "id",
    "image",
    "report",
    "labels",
    "findings",
    "prior",
    "views",
    "images",
    "modality",
    "body_part",
    "view",
    "laterality",
    "sex",
    "age_years",
    "study_date",
)


def _of_row(file: Path, number: int, given: Mapping[str, Any]) -> Case:
    for key in given:
        if key not in _KEYS:
            raise unknown("key", str(key)[:80], list(_KEYS))
    found = Case(f"{file}:{number}")
    if given.get("image") is not None:
        found = next(iter(_cases(file.parent / str(given["image"]), inside=False)))
    return dataclasses.replace(
        found,
        id=str(given.get("id") or f"{file}:{number}"),
        report=_kind(given, "report", str),
        labels=None if given.get("labels") is None else {str(name): _CERTAINTIES[str(value)] for name, value in given["labels"].items()},
        findings=tuple(_finding(one) for one in given.get("findings") or ()),
        prior=_kind(given, "prior", bool),
        views=None if given.get("views") is None else tuple(str(v) for v in given["views"]),
        images=_kind(given, "images", int),
        modality=_kind(given, "modality", str),
        body_part=_kind(given, "body_part", str),
        view=_kind(given, "view", str),
        laterality=None if given.get("laterality") is None else Laterality(given["laterality"]),
        sex=None if given.get("sex") is None else Sex(given["sex"]),
        age_years=None if given.get("age_years") is None else float(given["age_years"]),
        study_date=None if given.get("study_date") is None else datetime.date.fromisoformat(given["study_date"]),
    )


def _kind(given: Mapping[str, Any], key: str, kind: type) -> Any:  # noqa: ANN401 - the type is the argument
    value = given.get(key)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise TypeError(f"{key} is no {kind.__name__}")
    return value


def _finding(given: Mapping[str, Any]) -> Finding:
    x0, y0, x1, y1 = (float(v) for v in given["box"])
    return Finding(str(given["name"]), Certainty.PRESENT, (Region(x0, y0, x1, y1),))
