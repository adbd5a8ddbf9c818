"""CheXpert: 224,316 chest films of Stanford with 14 labels; mined from reports for training, by radiologists for the two other parts. By agreement only.

In: `train.csv`, `valid.csv` and the labels of the test part (`test.csv`, `test_labels.csv` or `groundtruth.csv`), films below `train/`, `valid/`, `test/`, all
below `chexpert/`. Out: `Film`s, whose uncertain labels stay apart from those that were not mentioned, and yes/no questions on the labels that are settled.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base, chest_labels, records
from vesalius.domain.exchange import Exchange, Split
from vesalius.domain.finding import Certainty
from vesalius.domain.study import Sex
from vesalius.errors import UserError

_TABLES = MappingProxyType({Split.TRAIN: ("train.csv",), Split.DEVELOPMENT: ("valid.csv",), Split.TEST: ("test.csv", "test_labels.csv", "groundtruth.csv")})
_FOLDERS = MappingProxyType({Split.TRAIN: "train", Split.DEVELOPMENT: "valid", Split.TEST: "test"})
_ROOTED = re.compile(r"(?:.*/)?((?:train|valid|test)/patient\d+/study\d+/[^/]+)")
_SEXES = MappingProxyType({"male": Sex.MALE, "female": Sex.FEMALE})
_HOW = (
    "register for CheXpert at stanfordaimi.azurewebsites.net, accept its research use agreement, and put train.csv, valid.csv, test.csv (or groundtruth.csv "
    "of CheXlocalize) and the folders train/, valid/, test/ into ROOT/chexpert/"
)

CARD = base.DataCard(
    name="chexpert",
    summary="224,316 chest films of 65,240 patients with 14 labels, three-valued where mined from reports, and 234 and 668 films labelled by radiologists",
    folder="chexpert",
    licence="CheXpert Research Use Agreement: of Stanford University School of Medicine; research only, not commercial, not to be passed on",
    attribution="CheXpert (Irvin, Rajpurkar et al. 2019), Stanford ML Group",
    train_allowed=False,
    states_modality=False,
    images=224_316,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 223_414, Split.DEVELOPMENT: 234, Split.TEST: 668},
            "the published parts, by patient; only settled labels are asked about, and nobody has published how many films have each in each part",
            counted="films",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Irvin et al., CheXpert: a large chest radiograph dataset with uncertainty labels and expert comparison, AAAI 2019, arXiv 1901.07031",
    url="https://stanfordmlgroup.github.io/competitions/chexpert/",
    caveats=(
        "Counts are the published ones and were not measured here: the set is given by agreement.",
        "Training labels are mined from reports; a label in doubt (-1) is not one that nobody mentioned (empty), and neither is asked about.",
        "Three radiologists labelled the 234 films, five the 668; training and test labels mean different things.",
        "A film may be 'No Finding' and yet show support devices.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Film:
    """One film.

    Args:
        id: "patient00001/study1/view1_frontal" with its part before it. image: path relative to the data root.
        labels: all 14, each with its certainty.
        frontal: None when the table does not say. view: "AP", "PA", ...; None for laterals and where it is not said.
        sex, age_years: None where the table does not say.
    """

    id: str
    image: str
    patient: str
    labels: Mapping[str, Certainty]
    frontal: bool | None
    view: str | None
    sex: Sex | None
    age_years: int | None
    split: Split


class CheXpert(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """A question for each settled label of each film of a part; `tags["finding"]` selects.

        Raises:
            DataMissing: files are absent. DataFormatError: a table does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(exchange for film in self.films(root, split) for exchange in _questions(film))

    def films(self, root: Path, split: Split) -> tuple[Film, ...]:
        """The films of one part, in the order of the table. Raises: DataMissing, DataFormatError."""
        home = base.folder(root, CARD)
        path = _table(home, Split(split))
        inside = next((name for name in ("", "CheXpert-v1.0", "CheXpert-v1.0-small") if (home / name / _FOLDERS[Split(split)]).is_dir()), "")
        return _films(path, Split(split), inside, records.stamp(path))

    def size(self, root: Path, split: Split, protocol: str | None = None) -> int:
        """How many films a part has. Raises: as `exchanges`."""
        CARD.protocol(protocol)
        return len(self.films(root, split))

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Three tables; the films that they name."""
        tables, images = tuple(_table(root / CARD.folder, split) for split in Split), []
        for split in Split:
            try:
                images += [root / film.image for film in self.films(root, split)]
            except UserError:  # the check goes on to say what is wrong with the table
                continue
        return tables, tuple(sorted(images))


def _table(home: Path, split: Split) -> Path:
    return next((home / name for name in _TABLES[split] if (home / name).is_file()), home / _TABLES[split][0])


@functools.lru_cache(maxsize=3)
def _films(path: Path, split: Split, inside: str, stamp: tuple[tuple[int, int], ...]) -> tuple[Film, ...]:  # noqa: ARG001 - a changed file is a new key
    needs = ("Path", *chest_labels.LABELS)
    with records.reading(path, CARD):
        found = {}
        for row in records.csv_rows(path, CARD, needs=needs):
            film = _film(row, split, inside)
            if film.id in found:
                raise ValueError(f"the film {film.id} is there twice")
            found[film.id] = film
        if not found:
            raise ValueError("it holds no film")
        return tuple(found.values())


def _film(row: Mapping[str, str], split: Split, inside: str) -> Film:
    match = _ROOTED.fullmatch(records.below(row["Path"].strip()))
    if not match:
        raise ValueError(f"{row['Path']!r} is no path of a film")
    place = match.group(1)
    if not place.startswith(f"{_FOLDERS[split]}/"):
        raise ValueError(f"the film {place} is not of the part {_FOLDERS[split]!r}")
    facing, age = row.get("Frontal/Lateral", "").strip().lower(), row.get("Age", "").strip()
    return Film(
        id=place.rpartition(".")[0],
        image="/".join(name for name in (CARD.folder, inside, place) if name),
        patient=f"{CARD.name}:{place.split('/')[1]}",
        labels=chest_labels.certainties(row),
        frontal=facing == "frontal" if facing else None,
        view=row.get("AP/PA", "").strip() or None,
        sex=_SEXES.get(row.get("Sex", "").strip().lower()),
        age_years=int(float(age)) if age else None,
        split=split,
    )


def _questions(film: Film) -> Iterator[Exchange]:
    facts = {"body_part": "CHEST"}
    facts |= {"view": film.view} if film.view else {"view": "LATERAL"} if film.frontal is False else {}
    facts |= {"sex": str(film.sex)} if film.sex else {}
    facts |= {"age": str(film.age_years)} if film.age_years is not None else {}
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


DATASET = CheXpert()
