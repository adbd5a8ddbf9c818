"""VinDr-CXR, its test part: 3,000 chest films with boxes and labels that five radiologists agreed on. Credentialed: never downloaded here.

In: `annotations/annotations_test.csv`, `annotations/image_labels_test.csv` and `test/*.dicom` below `vindr_cxr/`, as published. Out: `Film`s with boxes in
pixels of the DICOM film, and yes/no questions, one for each label and one on normality. The training part (three readers who need not agree) is not read.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.domain.finding import Region
from vesalius.errors import UserError

NO_FINDING = "No finding"
NORMAL_QUESTION = "Is this chest X-ray normal?"
_BOXES, _LABELS = "annotations/annotations_test.csv", "annotations/image_labels_test.csv"
_NEEDS = ("image_id", "class_name", "x_min", "y_min", "x_max", "y_max")
_HOW = (
    "become a credentialed user of physionet.org, sign the agreement of VinDr-CXR 1.0.0, and put annotations/ and test/ into ROOT/vindr_cxr/ "
    "(films as published, NAME.dicom, or as NAME.png or NAME.jpg of the same size)"
)

CARD = base.DataCard(
    name="vindr-cxr",
    summary="3,000 frontal chest films with 22 findings in boxes and 6 labels of the film, agreed on by five radiologists; credentialed",
    folder="vindr_cxr",
    licence="PhysioNet Credentialed Health Data License 1.5.0: only for those who signed it, and not to be passed on",
    attribution="VinDr-CXR 1.0.0 (Nguyen et al. 2022), PhysioNet, doi:10.13026/3akn-b287",
    train_allowed=False,
    images=3000,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 0, Split.DEVELOPMENT: 0, Split.TEST: 78_000},
            "the published test part alone: 25 labels of 27 (not 'Other lesion' and 'Other disease') and normality for each film",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Nguyen et al., VinDr-CXR: an open dataset of chest X-rays with radiologist's annotations, Sci Data 9:429, 2022, arXiv 2012.15029",
    url="https://physionet.org/content/vindr-cxr/1.0.0/",
    caveats=(
        "The counts follow from the published ones and were not measured here: the set is credentialed.",
        "No patient is named: two films of one patient count as two.",
        "A film without a box of a finding has been read and found without it.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Film:
    """One film.

    Args:
        labels: whether each label holds, "No finding" included; empty when the table of labels has no row of the film.
        regions: (finding, box in pixels of the film).
    """

    id: str
    image: str
    labels: Mapping[str, bool]
    regions: tuple[tuple[str, Region], ...]


class VindrCxr(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """One question for each label of each test film, and one on normality; `tags["finding"]` selects.

        Raises:
            DataMissing: files are absent. DataFormatError: a table does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(exchange for film in self.films(root) if split == Split.TEST for exchange in _questions(film))

    def films(self, root: Path) -> tuple[Film, ...]:
        """All test films by name.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        home = base.folder(root, CARD)
        boxes, labels = home / _BOXES, home / _LABELS
        return _films(home, tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in (boxes, labels)))

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The tables and the films, which a check cannot decode as pictures where they are DICOM: those stand among the tables."""
        home = root / CARD.folder
        tables = (home / _BOXES, home / _LABELS)
        try:
            films = tuple(root / film.image for film in self.films(root))
        except UserError:  # the check goes on to say what is wrong with the tables
            films = ()
        pictures = tuple(path for path in films if path.suffix != ".dicom")
        return (*tables, *(path for path in films if path.suffix == ".dicom")), pictures


@functools.lru_cache(maxsize=2)
def _films(home: Path, stamp: tuple[int, ...]) -> tuple[Film, ...]:  # noqa: ARG001 - a changed file is a new key
    boxes: dict[str, list[tuple[str, Region]]] = defaultdict(list)
    labels: dict[str, Mapping[str, bool]] = {}
    try:
        for row in base.read_csv(home / _BOXES, CARD, needs=_NEEDS):
            found = boxes[row["image_id"]]
            if row["class_name"] != NO_FINDING and row["x_min"]:  # a film without finding has a row without box
                found.append((row["class_name"], Region(*(float(row[name]) for name in ("x_min", "y_min", "x_max", "y_max")))))
        for row in base.read_csv(home / _LABELS, CARD, needs=("image_id", NO_FINDING)):
            labels[row["image_id"]] = {name: float(value) > 0 for name, value in row.items() if name not in ("image_id", "rad_id")}
        names = sorted({*boxes, *labels})
        return tuple(Film(name, _image(home, name), MappingProxyType(dict(labels.get(name, {}))), tuple(boxes.get(name, ()))) for name in names)
    except (KeyError, TypeError, ValueError) as error:
        raise base.DataFormatError(f"{home}: the tables do not hold this set ({type(error).__name__}: {error})", remedy=_HOW) from error


def _image(home: Path, name: str) -> str:
    there = next((kind for kind in ("dicom", "png", "jpg") if (home / "test" / f"{name}.{kind}").is_file()), "dicom")
    return f"{CARD.folder}/test/{name}.{there}"


def presence_question(name: str) -> str:
    """The words in which presence is asked for."""
    spelt = {"ILD": "interstitial lung disease", "COPD": "chronic obstructive pulmonary disease", "Nodule/Mass": "a nodule or mass"}
    return f"Is there evidence of {spelt.get(name, name.lower())}?"


def _questions(film: Film) -> list[Exchange]:
    asked = [(name, presence_question(name), there) for name, there in film.labels.items() if name != NO_FINDING and not name.startswith("Other")]
    if NO_FINDING in film.labels:
        asked.append(("normal", NORMAL_QUESTION, film.labels[NO_FINDING]))
    return [
        Exchange(
            id=f"vindr-cxr:{film.id}:{name}",
            image=film.image,
            question=Question(text),
            gold="yes" if there else "no",
            closed=True,
            cluster=f"vindr-cxr:{film.id}",
            split=Split.TEST,
            phrase="template",
            tags=MappingProxyType({"modality": "DX", "body_part": "CHEST", "finding": name}),
        )
        for name, text, there in asked
    ]


DATASET = VindrCxr()
