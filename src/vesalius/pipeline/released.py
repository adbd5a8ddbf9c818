"""What a release holds, study by study: images rendered once, the report cut and labelled, everything held against itself.

In: a folder that `vesalius deidentify` released. Out: `Released` studies with remarks; pictures as PNG below the training folder. What the validator calls an
error, or what cannot be shown, stays out of training and is counted.
"""

from __future__ import annotations

import dataclasses
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.data.report_sections import sections
from vesalius.data.validate import Case, Checked, ClinicalValidator, Severity
from vesalius.domain.finding import Certainty
from vesalius.errors import UserError
from vesalius.formats import dicom, header
from vesalius.formats.pixels import render
from vesalius.metrics.labels import Status, label_report
from vesalius.pipeline.archive import manifest

if TYPE_CHECKING:
    from vesalius.domain.study import Image

_STATES = {Status.POSITIVE: Certainty.PRESENT, Status.NEGATIVE: Certainty.ABSENT, Status.UNCERTAIN: Certainty.UNCERTAIN}
_PROJECTION = frozenset({"CR", "DX", "DR"})
_VIEWS = {"PA": "PA", "AP": "AP", "LL": "LATERAL", "RL": "LATERAL", "LATERAL": "LATERAL", "LAT": "LATERAL"}


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image of a study. name: below the training folder. size: (width, height)."""

    name: str
    modality: str
    body_part: str
    view: str | None
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Released:
    """One study.

    Args:
        patient, study: pseudonyms, the names of its folders. pictures: those that may be trained on.
        sections: of the report; empty without one. states: what the report says of the chest, by our labeler. remarks: of the validator.
        left_out: reason -> images.
    """

    patient: str
    study: str
    pictures: tuple[Picture, ...]
    report: str
    sections: Mapping[str, str]
    states: Mapping[str, Certainty]
    sex: str
    remarks: tuple[Checked, ...]
    left_out: Counter[str]


def studies(release: Path) -> Iterator[Path]:
    """The folders of the studies of a release, in order."""
    yield from sorted(path.parent for path in release.rglob(manifest.NAME))


def read(folder: Path, images: Path, validator: ClinicalValidator) -> Released:
    """One study of a release.

    Args:
        images: where its pictures are written, as `PATIENT/STUDY/NAME.png`.
    """
    report = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((folder / "reports").glob("*.txt")))
    left: Counter[str] = Counter()
    found: list[tuple[Path, Image]] = []
    for path in sorted(folder.rglob("*.dcm")):
        try:
            found.append((path, dicom.load(path).image))
        except header.NotAnImage:
            left["no image"] += 1
        except UserError as error:
            left[type(error).__name__] += 1
    views = tuple(str(image.view or "") for _, image in found)
    checked: list[Checked] = []
    pictures: list[Picture] = []
    sex = ""
    for number, (path, image) in enumerate(found):
        dataset = header.open_dataset(path)
        told = report if number == 0 and report else None
        case = Case(str(path.relative_to(folder)), dataset, image, told, views=views if all(views) else None, images=len(found))
        said = validator(case)
        checked.append(said)
        sex = sex or (header.text(dataset, "PatientSex") or "")
        if any(remark.severity is Severity.ERROR for remark in said.remarks):
            left["the validator found an error"] += 1
            continue
        pictures.append(_shown(path, folder, image, images))
    chest = any(_is_chest(picture) for picture in pictures)
    return Released(
        folder.parent.name,
        folder.name,
        tuple(pictures),
        report,
        sections(report).sections if report else {},
        _states(report) if report and chest else {},
        sex if sex in ("F", "M") else "",
        tuple(checked),
        left,
    )


def _shown(path: Path, folder: Path, image: Image, images: Path) -> Picture:
    from PIL import Image as Raster

    shown = Raster.fromarray(render(image, image.frames // 2))
    name = Path(folder.parent.name) / folder.name / f"{path.stem}.png"
    (images / name).parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    (images / name).write_bytes(buffer.getvalue())
    view = _VIEWS.get(str(image.view or "").upper())
    return Picture(str(Path(images.name) / name), str(image.modality), str(image.body_part or ""), view, shown.size)


def _is_chest(picture: Picture) -> bool:
    return picture.modality in _PROJECTION and "CHEST" in picture.body_part.upper()


def _states(report: str) -> dict[str, Certainty]:
    """What the labeler reads, as certainties; what a report does not mention is not known."""
    return {name: _STATES[status] for name, status in label_report(report).items() if status in _STATES}


def facts(one: Released) -> dict[str, Any]:
    """What a shard says of a study beside its picture."""
    states = {name: str(state) for name, state in one.states.items()}
    return {"patient": one.patient, "study": one.study, "report": one.report, "sections": dict(one.sections), "labels": states, "sex": one.sex}
