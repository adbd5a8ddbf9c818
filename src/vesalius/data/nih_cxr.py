"""NIH ChestX-ray14, a part of 704 films: labels mined from reports, patient, view, sex, age, a few boxes; split by patient.

In: `metadata.csv`, `bbox_1024px.csv`, `images/` below `nih_cxr/`. Out: `Film`s, and exchanges that ask for each finding, for normality and for the view.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base, splits
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.domain.finding import Region
from vesalius.domain.study import Sex
from vesalius.errors import UserError

DEVELOPMENT_SHARE = 0.11  # of the patients
TEST_SHARE = 0.20
_SALT = "nih-cxr"
NO_FINDING = "No Finding"

# one canonical wording for each of the 14 labels; rewordings are made elsewhere
FINDING_QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "Atelectasis": "Is there evidence of atelectasis?",
        "Cardiomegaly": "Is there evidence of cardiomegaly?",
        "Consolidation": "Is there evidence of consolidation?",
        "Edema": "Is there evidence of pulmonary edema?",
        "Effusion": "Is there evidence of a pleural effusion?",
        "Emphysema": "Is there evidence of emphysema?",
        "Fibrosis": "Is there evidence of pulmonary fibrosis?",
        "Hernia": "Is there evidence of a hiatal hernia?",
        "Infiltration": "Is there evidence of a pulmonary infiltrate?",
        "Mass": "Is there evidence of a lung mass?",
        "Nodule": "Is there evidence of a pulmonary nodule?",
        "Pleural_Thickening": "Is there evidence of pleural thickening?",
        "Pneumonia": "Is there evidence of pneumonia?",
        "Pneumothorax": "Is there evidence of a pneumothorax?",
    }
)
NORMAL_QUESTION = "Is this chest X-ray normal?"
VIEW_QUESTION = "Is this a PA or an AP film?"
_BOX_LABELS = MappingProxyType({"Infiltrate": "Infiltration"})  # the box file's own spelling
_EXPERT = "google2019_"
_HOW = (
    "download images and Data_Entry_2017 from nihcc.app.box.com/v/ChestXray-NIHCC, put 512 px JPEGs into ROOT/nih_cxr/images/ "
    "and metadata.csv and bbox_1024px.csv into ROOT/nih_cxr/"
)

CARD = base.DataCard(
    name="nih-cxr",
    summary="704 frontal chest films of 475 patients with 14 report-mined labels, view, sex, age and 39 boxes",
    folder="nih_cxr",
    licence="NIH Clinical Center: unrestricted use with link, citation and acknowledgement",
    attribution="ChestX-ray14, provided by the NIH Clinical Center (nihcc.app.box.com/v/ChestXray-NIHCC)",
    train_allowed=True,
    images=704,
    protocols=(
        base.SplitProtocol(
            "by_patient",
            "cluster",
            {Split.TRAIN: 7360, Split.DEVELOPMENT: 1280, Split.TEST: 2624},
            "our own split by patient; 14 finding questions, one on normality and one on the view for each film",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Wang et al., ChestX-ray8: hospital-scale chest X-ray database and benchmarks, CVPR 2017",
    url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    caveats=(
        "Labels are mined from reports: a label that is absent was not mentioned; the questions count it as 'no', as the literature does.",
        "About half pneumonia and half no finding is how this part was put together, not a prevalence.",
        "View, sex and label are confounded; check before any claim about fairness.",
        "Nine films are also in slake, two of them in training of one set and in the test part of the other.",
        "Experts have read 20 of the films again; one of them has no mined finding and an expert's pneumothorax.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Film:
    """One film and what is known of it.

    Args:
        id: name of the published image without extension; image: path relative to the data root.
        patient: key of the patient; follow_up: order of the films of one patient.
        view: "PA" or "AP".
        labels: mined labels; empty for "No Finding".
        regions: (label, box in pixels of the 512 px film).
        expert: readings of radiologists where they exist, by finding; unread findings are absent.
        spacing: millimetres between rows, between columns, of the 512 px film.
    """

    id: str
    image: str
    patient: str
    follow_up: int
    view: str
    sex: Sex
    age_years: int
    labels: tuple[str, ...]
    regions: tuple[tuple[str, Region], ...]
    expert: Mapping[str, bool]
    spacing: tuple[float, float]
    split: Split

    @property
    def normal(self) -> bool:
        """True when the reports mention none of the 14 findings."""
        return not self.labels


class NihCxr(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """Sixteen questions for each film of one part; `tags["finding"]` selects ("Pneumonia", ..., "normal", "view").

        Raises:
            DataMissing: files are absent. DataFormatError: a file does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(exchange for film in self.films(root) if film.split == split for exchange in _questions(film))

    def films(self, root: Path) -> tuple[Film, ...]:
        """All films, by patient and follow-up.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        home = base.folder(root, CARD)
        paths = (home / "metadata.csv", home / "bbox_1024px.csv")
        return _films(*paths, tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths))

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Two tables; the films that the first names."""
        home = root / CARD.folder
        tables = (home / "metadata.csv", home / "bbox_1024px.csv")
        try:
            return tables, tuple(sorted(root / film.image for film in self.films(root)))
        except UserError:  # the check goes on to say what is wrong with the tables
            return tables, tuple(sorted((home / "images").glob("*.jpg")))


@functools.lru_cache(maxsize=2)
def _films(metadata: Path, boxes: Path, stamp: tuple[int, ...]) -> tuple[Film, ...]:  # noqa: ARG001 - a changed file is a new key
    needs = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender", "View Position")
    rows = base.read_csv(metadata, CARD, needs=needs)
    try:
        regions = _regions(boxes)
        films = [_film(row, regions.get(row["Image Index"], ())) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise base.DataFormatError(f"{metadata.parent}: the tables do not hold this set ({type(error).__name__}: {error})", remedy=_HOW) from error
    return tuple(sorted(films, key=lambda film: (film.patient, film.follow_up)))


def _film(row: Mapping[str, str], regions: tuple[tuple[str, Region], ...]) -> Film:
    name = row["Image Index"].removesuffix(".png")
    labels = tuple(label for label in row["Finding Labels"].split("|") if label != NO_FINDING)
    for label in labels:
        _ = FINDING_QUESTIONS[label]  # an unknown label must not vanish silently
    patient = f"nih-cxr:{int(row['Patient ID'])}"
    # the published 1,024 px films, and these 512 px ones, squeeze both sides of the detector into a square
    columns, lines = float(row["OriginalImage[Width"]), float(row["Height]"])
    return Film(
        id=name,
        image=f"{CARD.folder}/images/{name}.jpg",
        patient=patient,
        follow_up=int(row["Follow-up #"]),
        view=row["View Position"],
        sex=Sex(row["Patient Gender"]),
        age_years=int(row["Patient Age"]),
        labels=labels,
        regions=regions,
        expert=MappingProxyType({key.removeprefix(_EXPERT): value == "YES" for key, value in row.items() if key.startswith(_EXPERT) and value}),
        spacing=(float(row["y]"]) * lines / 512, float(row["OriginalImagePixelSpacing[x"]) * columns / 512),
        split=splits.part(patient, development=DEVELOPMENT_SHARE, test=TEST_SHARE, salt=_SALT),
    )


def _regions(path: Path) -> dict[str, tuple[tuple[str, Region], ...]]:
    found: dict[str, list[tuple[str, Region]]] = defaultdict(list)
    for row in base.read_csv(path, CARD, needs=("Image Index", "Finding Label", "x", "y", "w", "h")):
        x, y, width, height = (float(row[key]) for key in ("x", "y", "w", "h"))
        label = _BOX_LABELS.get(row["Finding Label"], row["Finding Label"])
        found[row["Image Index"]].append((label, Region(x, y, x + width, y + height).scaled(0.5, 0.5)))  # 1,024 px coordinates, 512 px films
    return {name: tuple(boxes) for name, boxes in found.items()}


def _questions(film: Film) -> list[Exchange]:
    asked = [(finding, text, "yes" if finding in film.labels else "no") for finding, text in FINDING_QUESTIONS.items()]
    asked.append(("normal", NORMAL_QUESTION, "yes" if film.normal else "no"))
    facts = {"modality": "CR", "body_part": "CHEST", "view": film.view, "sex": str(film.sex), "age": str(film.age_years)}
    questions = [(finding, Question(text), gold) for finding, text, gold in asked]
    questions.append(("view", Question(VIEW_QUESTION, options=("PA", "AP")), film.view))
    return [
        Exchange(
            id=f"nih-cxr:{film.id}:{finding}",
            image=film.image,
            question=question,
            gold=gold,
            closed=True,
            cluster=film.patient,
            split=film.split,
            phrase="template",
            tags=MappingProxyType({**facts, "finding": finding}),
        )
        for finding, question, gold in questions
    ]


DATASET = NihCxr()
