"""MIMIC-CXR and MIMIC-CXR-JPG: 377,110 chest films of 227,835 studies, their reports, and 14 labels mined from them. Credentialed: never downloaded here.

In: `mimic-cxr-2.0.0-{metadata,split,chexpert,negbio}.csv` (or `.csv.gz`) and the reports as `files/p10/p10000032/s50414267.txt` below `mimic_cxr/`; films as
`files/p10/p10000032/s50414267/<dicom>.jpg` below `mimic_cxr_jpg/`, where the tables may lie too. Out: `Film`s one at a time, reports by section, and yes/no
questions on the labels that are settled. Patient, study and film are the set's own surrogate numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base, chest_labels, records
from vesalius.data.ms_cxr import FILMS
from vesalius.data.report_sections import sections
from vesalius.domain.exchange import Exchange, Split
from vesalius.domain.finding import Certainty, Report
from vesalius.errors import UserError

LABELERS = ("chexpert", "negbio")
_TABLE = "mimic-cxr-2.0.0-{}.csv"
_NEEDED = ("metadata", "split", "chexpert")
_SPLITS = MappingProxyType({"train": Split.TRAIN, "validate": Split.DEVELOPMENT, "test": Split.TEST})
_UNLABELLED: Mapping[str, Certainty] = MappingProxyType(dict.fromkeys(chest_labels.LABELS, Certainty.UNMENTIONED))
_LONGEST_REPORT = 1_000_000  # bytes
_HOW = (
    "become a credentialed user of physionet.org, sign the agreements of MIMIC-CXR 2.1.0 and MIMIC-CXR-JPG 2.1.0, and put mimic-cxr-2.0.0-*.csv.gz and "
    "the unpacked mimic-cxr-reports.zip (files/) into ROOT/mimic_cxr/ and the films (files/) into ROOT/mimic_cxr_jpg/"
)

CARD = base.DataCard(
    name="mimic-cxr",
    summary="377,110 chest films of 65,379 patients with view and report, and 14 labels that two programs mined from the reports; credentialed",
    folder="mimic_cxr",
    licence="PhysioNet Credentialed Health Data License 1.5.0: only for those who signed it, and not to be passed on",
    attribution="MIMIC-CXR 2.1.0 and MIMIC-CXR-JPG 2.1.0 (Johnson et al. 2019, 2024), PhysioNet, doi:10.13026/4jqj-jw95 and doi:10.13026/jsn5-t979",
    train_allowed=False,
    states_modality=False,
    images=377_110,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 368_960, Split.DEVELOPMENT: 2991, Split.TEST: 5159},
            "the published split, by patient; test has the studies with labels by a radiologist among them",
            counted="films",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Johnson et al., MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs, arXiv 1901.07042 (2019)",
    url="https://physionet.org/content/mimic-cxr-jpg/2.1.0/",
    caveats=(
        "Counts are the published ones (their parts from memory; they add up to the whole) and were not measured here: the set is credentialed.",
        "Labels are mined from the report of the study and hold for all of its films, also for those that do not show what is said.",
        "A label in doubt (-1) is not one that nobody mentioned (empty), and neither is asked about; CheXpert's and NegBio's labels differ.",
        "Studies without findings and impression have no labels; sex, age and race are in MIMIC-IV and not here.",
        "Most models for chest films have seen its training part.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Film:
    """One film.

    Args:
        id: the DICOM identity. image: path relative to the data root. patient, study: keys.
        view: "PA", "AP", "LATERAL", "LL", ...; None where the table is silent.
        labels: of the study, all 14, each with its certainty.
        report: name of the report's file below the set's folder.
        date: of the study, "YYYYMMDD", shifted by the set and good for order alone; None where the table is silent.
    """

    id: str
    image: str
    patient: str
    study: str
    view: str | None
    labels: Mapping[str, Certainty]
    report: str
    split: Split
    date: str | None = None


class MimicCxr(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """A question for each settled CheXpert label of each film of a part; `tags["finding"]` selects. Training is best read film by film: `films`.

        Raises:
            DataMissing: files are absent. DataFormatError: a table does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(exchange for film in self.films(root, split) for exchange in _questions(film))

    def films(self, root: Path, split: Split | None = None, *, labeler: str = "chexpert") -> Iterator[Film]:
        """Films in the order of the table of films, one in memory at a time beside the labels of all studies.

        Args:
            split: the part; None gives all. labeler: one of `LABELERS`.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        home = base.folder(root, CARD)
        path = _table(root, "metadata")
        parts, labels = _parts(_table(root, "split")), _labels(_table(root, labeler))
        seen: set[str] = set()
        with records.reading(path, CARD):
            for row in records.csv_rows(path, CARD, needs=("dicom_id", "subject_id", "study_id", "ViewPosition")):
                if row["dicom_id"] in seen or row["dicom_id"] not in parts:
                    raise ValueError(f"the film {row['dicom_id']!r} is there twice or in no part")
                seen.add(row["dicom_id"])
                if split is None or parts[row["dicom_id"]] == split:
                    yield _film(row, parts[row["dicom_id"]], labels)
        if not seen:
            raise base.DataFormatError(f"{home}: the tables name no film", remedy=_HOW)

    def report(self, root: Path, film: Film) -> Report:
        """The report of a film's study, by section. Raises: DataMissing, DataFormatError."""
        path = base.folder(root, CARD) / records.below(film.report)
        with records.reading(path, CARD):
            if path.stat().st_size > _LONGEST_REPORT:
                raise ValueError(f"a report of {path.stat().st_size:,} bytes")
            found = sections(path.read_text(encoding="utf-8-sig"))
            if not found.sections:
                raise ValueError("an empty report")
            return found

    def size(self, root: Path, split: Split, protocol: str | None = None) -> int:
        """How many films a part has. Raises: as `exchanges`."""
        CARD.protocol(protocol)
        return sum(1 for _ in self.films(root, split))

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Three tables, a fourth where it is there, and the reports where any is; the films that the tables name."""
        tables = [_table(root, kind) for kind in _NEEDED]
        tables += [path for path in (_table(root, "negbio"),) if path.is_file()]
        try:
            films = list(self.films(root))
        except UserError:  # the check goes on to say what is wrong with the tables
            films = []
        reports = sorted({root / CARD.folder / film.report for film in films}) if (root / CARD.folder / "files").is_dir() else []
        return (*tables, *reports), tuple(sorted(root / film.image for film in films))


def _table(root: Path, kind: str) -> Path:
    """The table that is there, packed or not; where there is none the name that it should have."""
    if kind not in (*_NEEDED, *LABELERS):
        raise base.DataFormatError(f"MIMIC-CXR has no labels by {kind!r}", remedy=f"ask for one of {', '.join(LABELERS)}")
    name = _TABLE.format(kind)
    places = [root / folder / f"{name}{packed}" for folder in (CARD.folder, FILMS) for packed in ("", ".gz")]
    return next((path for path in places if path.is_file()), places[0])


def _parts(path: Path) -> dict[str, Split]:
    with records.reading(path, CARD):
        return {row["dicom_id"]: _SPLITS[row["split"].strip()] for row in records.csv_rows(path, CARD, needs=("dicom_id", "split"))}


def _labels(path: Path) -> dict[str, Mapping[str, Certainty]]:
    """Labels by study; most studies have the labels of many others, so that equal ones are kept once."""
    kept: dict[tuple[Certainty, ...], Mapping[str, Certainty]] = {}
    found = {}
    with records.reading(path, CARD):
        for row in records.csv_rows(path, CARD, needs=("subject_id", "study_id", *chest_labels.LABELS)):
            labels = chest_labels.certainties(row)
            found[row["study_id"].strip()] = kept.setdefault(tuple(labels.values()), labels)
    return found


def _film(row: Mapping[str, str], split: Split, labels: Mapping[str, Mapping[str, Certainty]]) -> Film:
    subject, study = int(row["subject_id"]), int(row["study_id"])
    place = f"files/p{str(subject)[:2]}/p{subject}/s{study}"
    return Film(
        id=row["dicom_id"],
        image=f"{FILMS}/{place}/{_plain(row['dicom_id'])}.jpg",
        patient=f"{CARD.name}:p{subject}",
        study=f"{CARD.name}:s{study}",
        view=row["ViewPosition"].strip() or None,
        labels=labels.get(str(study), _UNLABELLED),
        report=f"{place}.txt",
        split=split,
        date=(row.get("StudyDate") or "").strip() or None,
    )


def _plain(name: str) -> str:
    if "/" in records.below(name):
        raise ValueError(f"the film {name!r} has a name with a slash")
    return name


def _questions(film: Film) -> Iterator[Exchange]:
    facts = {"body_part": "CHEST", "study": film.study, **({"view": film.view} if film.view else {})}
    for name, question, gold in chest_labels.settled(film.labels):
        yield Exchange(
            id=f"{CARD.name}:{film.id}:{name}",
            image=film.image,
            question=question,
            gold=gold,
            closed=True,
            cluster=film.patient,
            split=film.split,
            phrase="template",
            tags=MappingProxyType({**facts, "finding": name}),
        )


DATASET = MimicCxr()
