"""Paths become one study: files are found, told apart by their first bytes, read, and put in order.

In: a file, a directory, or a list of files. Out: `Gathered`: the study, and every file that was left out with the reason.
Files of several people, or several studies of one, are refused: which of them the question is about cannot be guessed.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vesalius.domain.study import Image, Modality, Patient, Series, Study
from vesalius.errors import InvalidValue, MixedPatients, UnreadableStudy
from vesalius.formats import bounds, header
from vesalius.formats.isolated import Isolated

if TYPE_CHECKING:
    from vesalius.formats.decode import Frames
    from vesalius.formats.dicom import Loaded, Place
    from vesalius.formats.picture import Declared

LOG = logging.getLogger("vesalius.formats")

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF87a", b"GIF89a")
_OTHERS = {
    b"\x1f\x8b": ("is a gzip archive", "unpack it first"),
    b"PK\x03\x04": ("is a zip archive", "unpack it first"),
    b"BZh": ("is a bzip2 archive", "unpack it first"),
    b"\xfd7zXZ": ("is an xz archive", "unpack it first"),
    b"7z\xbc\xaf": ("is a 7z archive", "unpack it first"),
    b"%PDF": ("is a PDF document", "export its images as DICOM or PNG"),
}
_KNOWN = "give DICOM, PNG, JPEG, TIFF, BMP or GIF"


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file of a directory that is not part of the study, and why. `damaged` is True when it should have been."""

    path: Path
    reason: str
    damaged: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Gathered:
    """A study and what was left out of it."""

    study: Study
    skipped: tuple[Skipped, ...] = ()


def sniff(path: Path) -> str:
    """What a file is by its first bytes, "dicom" or "picture"; the name does not count.

    Raises:
        UnreadableStudy: missing, unreadable, not a regular file, or empty. NotAnImage: anything else.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for without end
            raise header.NotAnImage(path, "is not a regular file", remedy="give a file or a folder")
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise header.cannot_open(path, error) from error
    if not head:
        raise UnreadableStudy(path, "is empty", remedy="copy or export it again")
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(_PICTURES):
        return "picture"
    if _looks_like_dicom(head):
        return "dicom"
    for magic, (what, remedy) in _OTHERS.items():
        if head.startswith(magic):
            raise header.NotAnImage(path, what, remedy=remedy)
    raise header.NotAnImage(path, "is not an image", remedy=_KNOWN)


def _looks_like_dicom(head: bytes) -> bool:
    """DICOM without preamble begins with an element of group 2 or 8, in either byte order, of a believable length."""
    for order in ("little", "big"):
        group, element = int.from_bytes(head[0:2], order), int.from_bytes(head[2:4], order)
        if group not in (2, 8) or element > 0x2000 or len(head) < 8:
            continue
        explicit = re.fullmatch(rb"[A-Z]{2}", head[4:6]) is not None
        if explicit or int.from_bytes(head[4:8], order) <= 1024:
            return True
    return False


def find_files(root: Path) -> Iterator[Path]:
    """Regular files below a directory, sorted by name as people count; hidden ones are left out, linked folders entered once.

    Raises:
        UnreadableStudy: the directory cannot be listed, or holds more than `bounds.MAX_FILES`.
    """
    seen: set[tuple[int, int]] = set()
    count = 0

    def refuse(error: OSError) -> None:
        raise header.cannot_open(error.filename or root, error) from error

    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link back to a folder above
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted((f for f in folders if not f.startswith(".")), key=natural)
        for name in sorted((n for n in names if not n.startswith(".")), key=natural):
            count += 1
            if count > bounds.MAX_FILES:
                raise UnreadableStudy(root, f"holds more than {bounds.MAX_FILES:,} files", remedy="give the folder of one study")
            yield Path(folder, name)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key by which slice10 follows slice9."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", name) if part]


def collect(paths: str | Path | Sequence[str | Path], *, declared: Declared, frames: Frames, study: str | None) -> Gathered:
    """See `vesalius.formats.read`."""
    if isinstance(paths, str | Path):
        path = Path(paths)
        if not _is_directory(path):
            return _from_list([path], path, declared, frames, study, strict=True)
        return _from_list(list(find_files(path)), path, declared, frames, study, strict=False)
    files: list[Path] = []
    for entry in map(Path, paths):
        files.extend(find_files(entry) if _is_directory(entry) else [entry])
    if not files:
        raise InvalidValue("no file was given", remedy="give at least one image")
    return _from_list(files, files[0].parent, declared, frames, study, strict=True)


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        raise header.cannot_open(path, error) from error
    except ValueError as error:  # a null character in the name
        raise UnreadableStudy(str(path).replace("\0", "?"), "is not a path", remedy="check the path") from error


def _from_list(files: list[Path], where: Path, declared: Declared, frames: Frames, study: str | None, *, strict: bool) -> Gathered:
    """Strict: every file was named by the user, so every one must be read. Otherwise what is no image is skipped and counted."""
    from vesalius.formats import dicom

    skipped: list[Skipped] = []
    places, pictures = [], []
    if strict and len(files) == 1 and study is None and sniff(files[0]) == "dicom":  # the usual case: the header is parsed once
        one = dicom.load(files[0], frames=frames)
        return Gathered(_assemble([dataclasses.replace(one, image=_declare(one.image, declared, files[0]))], where))
    for path in files:
        try:
            if sniff(path) == "picture":
                pictures.append(path)
            else:
                places.append(dicom.read_place(path))
        except UnreadableStudy as error:
            if strict:
                raise
            skipped.append(Skipped(path, error.what, damaged=not isinstance(error, header.NotAnImage)))
    if strict and places and pictures:
        raise UnreadableStudy(pictures[0], "is a picture among DICOM files", remedy="ask about one or the other")
    if places:
        skipped += [Skipped(p, "is a picture beside DICOM") for p in pictures]
        result = _dicom_study(places, where, declared, frames, study, skipped, strict=strict)
    else:
        result = _picture_study(pictures, where, declared, frames, skipped, strict=strict)
    _log(result.skipped, len(files), where)
    return result


def _log(skipped: Sequence[Skipped], total: int, where: Path) -> None:
    damaged = [s for s in skipped if s.damaged]
    if damaged:
        LOG.warning("%s: %d of %d files are damaged and were left out, the first: %s", where, len(damaged), total, damaged[0].reason)
    if skipped:
        LOG.info("%s: left out %d of %d files that are no images", where, len(skipped) - len(damaged), total)


def _nothing(where: Path, skipped: Sequence[Skipped]) -> UnreadableStudy:
    """One sentence for a directory without any readable image."""
    if not skipped:
        return UnreadableStudy(where, "holds no files", remedy="give a folder with images")
    reasons = Counter(re.sub(r"^.*?: ", "", s.reason) for s in skipped)
    common = "; ".join(f"{n} x {reason}" for reason, n in reasons.most_common(2))
    return UnreadableStudy(where, f"none of its {len(skipped)} files is a readable image ({common})", remedy=_KNOWN)


def _dicom_study(places: list[Place], where: Path, declared: Declared, frames: Frames, study: str | None, skipped: list[Skipped], *, strict: bool) -> Gathered:
    from vesalius.formats import dicom

    places = _one_study(_one_patient(places, where), where, study)
    loaded: list[Loaded] = []
    held = 0
    with Isolated() as gdcm:
        for place in places:
            try:
                one = dicom.load(place.path, frames=frames, gdcm=gdcm)
            except UnreadableStudy as error:
                if strict:
                    raise
                skipped.append(Skipped(place.path, error.what, damaged=not isinstance(error, header.NotAnImage)))
                continue
            held = bounds.check_volume(place.path, one.image.pixels.shape, held)
            loaded.append(dataclasses.replace(one, image=_declare(one.image, declared, place.path)))
    if not loaded:
        raise _nothing(where, skipped)
    return Gathered(_assemble(loaded, where), tuple(skipped))


def _one_patient(places: list[Place], where: Path) -> list[Place]:
    people = {p.identity for p in places if p.identity is not None}
    if len(people) > 1:
        raise MixedPatients(f"{where}: holds images of {len(people)} patients", remedy="give the files of one patient")
    return places


def _one_study(places: list[Place], where: Path, study: str | None) -> list[Place]:
    counts = Counter(p.study or "" for p in places)
    if study is not None:
        chosen = [p for p in places if p.study == study]
        if not chosen:
            known = ", ".join(sorted(uid or "(without UID)" for uid in counts)[:5])
            raise UnreadableStudy(where, f"holds no study {study!r}", remedy=f"choose one of: {known}")
        return chosen
    if len(counts) > 1:
        known = ", ".join(f"{uid or '(without UID)'} ({n} files)" for uid, n in counts.most_common(4))
        remedy = f"give the files of one study, or choose it by its UID with study=UID (--study UID): {known}"
        raise UnreadableStudy(where, f"holds {len(counts)} studies of one patient", remedy=remedy)
    return places


def _declare(image: Image, declared: Declared, path: Path) -> Image:
    """Declared facts over a header: body part and view replace it, a modality only fills a gap, for it decides what the values mean."""
    if declared.modality not in (None, image.modality) and image.modality is not Modality.OT:
        raise InvalidValue(
            f"{path}: the header says {image.modality}, you declare {declared.modality}", remedy="leave the modality out, or give the right file"
        )
    return dataclasses.replace(
        image,
        modality=declared.modality or image.modality,
        body_part=declared.body_part or image.body_part,
        view=declared.view or image.view,
    )


def _assemble(loaded: list[Loaded], where: Path) -> Study:
    """Series by number, images by position along the slice normal, else by instance number, else by name."""
    groups: dict[str, list[Loaded]] = {}
    for one in loaded:
        groups.setdefault(one.place.series or f"without series: {one.place.modality}", []).append(one)
    ordered = sorted(groups.values(), key=lambda g: (g[0].place.series_number is None, g[0].place.series_number or 0, natural(str(g[0].place.path))))
    series = tuple(Series(tuple(one.image for one in in_order(group)), uid=group[0].place.series, number=group[0].place.series_number) for group in ordered)
    first = loaded[0]
    people = [one.patient for one in loaded]
    patient = Patient(
        sex=next((p.sex for p in people if p.sex), None),
        age_years=next((p.age_years for p in people if p.age_years is not None), None),
        key=next((p.key for p in people if p.key), None),
    )
    return Study(series, patient, uid=first.place.study, deidentified=all(one.deidentified for one in loaded), source=str(where))


def in_order(group: Sequence[Loaded]) -> list[Loaded]:
    """Slices along their common normal when all are parallel and lie apart; otherwise instance numbers; otherwise names."""
    planes = [one.image.orientation for one in group]
    positions = [one.image.position for one in group]
    known = [np.array(p) for p in planes if p is not None]
    if len(known) == len(group) and all(p is not None for p in positions) and all(np.allclose(p, known[0], atol=0.01) for p in known):
        normal = np.cross(known[0][:3], known[0][3:])
        along = [round(float(normal @ np.array(p)), 3) for p in positions]
        if len(set(along)) == len(group):
            return [one for _, one in sorted(zip(along, group, strict=True), key=lambda pair: pair[0])]
    return sorted(group, key=lambda one: (one.place.instance is None, one.place.instance or 0, natural(str(one.place.path))))


def _picture_study(pictures: list[Path], where: Path, declared: Declared, frames: Frames, skipped: list[Skipped], *, strict: bool) -> Gathered:
    from vesalius.formats import picture

    images: list[Image] = []
    held = 0
    for path in pictures:
        try:
            image = picture.load(path, declared=declared, frames=frames)
        except UnreadableStudy as error:
            if strict:
                raise
            skipped.append(Skipped(path, error.what, damaged=True))
            continue
        held = bounds.check_volume(path, image.pixels.shape, held)
        images.append(image)
    if not images:
        raise _nothing(where, skipped)
    return Gathered(Study((Series(tuple(images)),), source=str(where)), tuple(skipped))
