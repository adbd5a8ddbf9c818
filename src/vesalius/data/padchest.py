"""PadChest: 160,000 chest films of San Juan Hospital (Alicante) with Spanish reports and 174 findings, 19 diagnoses and 104 places. By agreement only.

In: `PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv` (or `.csv.gz`) and the films, in `images/` or in the archives' numbered folders, below `padchest/`.
Out: `Film`s with English labels and Spanish report, and yes/no questions. Which labels a physician gave and which a network is kept.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base, records
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.domain.study import Sex
from vesalius.errors import UserError

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
NORMAL = "normal"
NORMAL_QUESTION = "Is this chest X-ray normal?"
# labels of the report or of the film as such, which say nothing of what is to be seen
UNASKED = frozenset({"exclude", "unchanged", "suboptimal study"})
_NEEDS = ("ImageID", "ImageDir", "StudyID", "PatientID", "Projection", "MethodLabel", "Labels", "Report")
_SEXES = MappingProxyType({"M": Sex.MALE, "F": Sex.FEMALE, "O": Sex.OTHER})
_LONGEST_LIST = 20_000  # characters
_HOW = (
    f"ask BIMCV for PadChest (bimcv.cipf.es/bimcv-projects/padchest), accept its terms, and put {TABLE} (or its .gz) into ROOT/padchest/ and the films into "
    "ROOT/padchest/images/, or leave them in their numbered folders"
)

CARD = base.DataCard(
    name="padchest",
    summary="160,868 chest films of 67,625 patients in six views with Spanish reports, 174 findings and 19 diagnoses; 27 % labelled by physicians",
    folder="padchest",
    licence="PadChest Research Use Agreement: research only, not to be passed on",
    attribution="PadChest (Bustos, Pertusa, Salinas, de la Iglesia-Vaya 2020), BIMCV and San Juan Hospital, Alicante",
    train_allowed=False,
    states_modality=False,
    images=160_868,
    protocols=(
        base.SplitProtocol(
            "all",
            "cluster",
            {Split.TRAIN: 0, Split.DEVELOPMENT: 0, Split.TEST: 160_868},
            "no parts are published and everything is for testing; `Film.patient` and `splits.part` make parts by patient where training is allowed",
            counted="films",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Bustos et al., PadChest: a large chest x-ray image dataset with multi-label annotated reports, Med Image Anal 66:101797, 2020, arXiv 1901.07441",
    url="https://bimcv.cipf.es/bimcv-projects/padchest/",
    caveats=(
        "The number of films is the published one; the table is said to have a few rows less. It was not measured here.",
        "Labels come from reports: by physicians for 27 % of them ('Physician'), by a network for the others ('RNN_model'); `tags` says which.",
        "A label that is absent was not mentioned; only what a report names is asked about, so that 'no' occurs in questions on normality alone.",
        "The reports are Spanish, in lower case, reduced to stems and without punctuation: nobody should generate text in their style.",
        "Some films of the release cannot be decoded; a check names them.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Film:
    """One film.

    Args:
        id: name of the file. image: path relative to the data root. patient, study: keys.
        projection: "PA", "L", "AP", "AP_horizontal", "COSTAL", "EXCLUDE"; None where the table is silent.
        labels: findings and diagnoses, in English. places: "loc right", ... as the table writes them.
        by_physician: whether a physician read the report for them. report: Spanish, as stored.
        sex, birth_year: None where the table is silent.
    """

    id: str
    image: str
    patient: str
    study: str
    projection: str | None
    labels: tuple[str, ...]
    places: tuple[str, ...]
    by_physician: bool
    report: str
    sex: Sex | None
    birth_year: int | None


class PadChest(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """A question on each label of each film, and one on normality; `tags["finding"]` selects.

        Raises:
            DataMissing: files are absent. DataFormatError: the table does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(exchange for film in self.films(root) if split == Split.TEST for exchange in _questions(film))

    def films(self, root: Path) -> tuple[Film, ...]:
        """All films that can be named, in the order of the table. Raises: DataMissing, DataFormatError."""
        return _read(*self._source(root))[0]

    def left_out(self, root: Path) -> Mapping[str, int]:
        """How many rows were not used, by reason. Raises: as `films`."""
        return dict(_read(*self._source(root))[1])

    def size(self, root: Path, split: Split, protocol: str | None = None) -> int:
        """How many films a part has. Raises: as `exchanges`."""
        CARD.protocol(protocol)
        films = len(self.films(root))
        return films if split == Split.TEST else 0

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The table; the films that it names."""
        try:
            return (_table(root / CARD.folder),), tuple(sorted(root / film.image for film in self.films(root)))
        except UserError:  # the check goes on to say what is wrong with the table
            return (_table(root / CARD.folder),), ()

    def _source(self, root: Path) -> tuple[Path, bool, tuple[tuple[int, int], ...]]:
        home = base.folder(root, CARD)
        return _table(home), (home / "images").is_dir(), records.stamp(_table(home))


def _table(home: Path) -> Path:
    return next((home / name for name in (TABLE, f"{TABLE}.gz") if (home / name).is_file()), home / TABLE)


@functools.lru_cache(maxsize=2)
def _read(path: Path, flat: bool, stamp: tuple[tuple[int, int], ...]) -> tuple[tuple[Film, ...], Counter[str]]:  # noqa: ARG001 - a changed file is a new key
    found: dict[str, Film] = {}
    left_out: Counter[str] = Counter()
    with records.reading(path, CARD):
        for row in records.csv_rows(path, CARD, needs=_NEEDS):
            name = row["ImageID"].strip()
            if not name or name in found:
                left_out["the film is there twice" if name else "no name of a film"] += 1
                continue
            found[name] = _film(row, name, flat)
        if not found:
            raise ValueError("it names no film")
    return tuple(found.values()), left_out


def _film(row: Mapping[str, str], name: str, flat: bool) -> Film:
    if "/" in records.below(name):
        raise ValueError(f"the film {name!r} has a name with a slash")
    folder = "images" if flat else str(int(row["ImageDir"]))
    born = row.get("PatientBirth", "").strip()
    return Film(
        id=name,
        image=f"{CARD.folder}/{folder}/{name}",
        patient=f"{CARD.name}:{row['PatientID'].strip()}",
        study=f"{CARD.name}:{row['StudyID'].strip()}",
        projection=row["Projection"].strip() or None,
        labels=_listed(row["Labels"]),
        places=_listed(row.get("Localizations", "")),
        by_physician=row["MethodLabel"].strip() == "Physician",
        report=row["Report"].strip(),
        sex=_SEXES.get(row.get("PatientSex_DICOM", "").strip()),
        birth_year=int(float(born)) if born else None,
    )


def _listed(cell: str) -> tuple[str, ...]:
    """A list that Python printed: "['pneumonia', ' loc right']" -> ("pneumonia", "loc right"); each once, none empty."""
    text = cell.strip()
    if not text or text.lower() == "nan":
        return ()
    if len(text) > _LONGEST_LIST:
        raise ValueError(f"a list of {len(text):,} characters")
    try:
        held = ast.literal_eval(text)  # literals only: it runs nothing
    except (SyntaxError, MemoryError) as error:
        raise ValueError(f"{text[:60]!r} is no list") from error
    if not isinstance(held, list) or not all(isinstance(each, str) for each in held):
        raise ValueError(f"{text[:60]!r} is no list of words")
    return tuple(dict.fromkeys(word for word in (records.tidy(each) for each in held) if word))


def presence_question(label: str) -> str:
    """The words in which presence is asked for."""
    return f"Is there evidence of {label}?"


def _questions(film: Film) -> Iterator[Exchange]:
    seen = [label for label in film.labels if label not in UNASKED]
    asked = [(label, presence_question(label), "yes") for label in seen if label != NORMAL]
    if seen:
        asked.append((NORMAL, NORMAL_QUESTION, "yes" if seen == [NORMAL] else "no"))
    facts = {"body_part": "CHEST", "labelled_by": "physician" if film.by_physician else "network"}
    facts |= {"view": film.projection} if film.projection else {}
    facts |= {"sex": str(film.sex)} if film.sex else {}
    for label, text, gold in asked:
        yield Exchange(
            id=f"{CARD.name}:{film.id}:{label}",
            image=film.image,
            question=Question(text),
            gold=gold,
            closed=True,
            cluster=film.patient,
            split=Split.TEST,
            phrase="template",
            tags=MappingProxyType({**facts, "finding": label}),
        )


DATASET = PadChest()
