"""The COVID-19 Image Repository of Hannover Medical School: 138 chest films of 43 patients over time; no findings, no reports.

In: `data.csv` and `images/` below `hannover_cxr/`. Out: `Film`s in the order of days, and one exchange a film that asks for its view.
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
from vesalius.domain.study import Sex
from vesalius.errors import UserError

DEVELOPMENT_SHARE = 0.11  # of the patients
TEST_SHARE = 0.20
_SALT = "hannover"
VIEW_QUESTION = "Is this a PA or an AP film?"
_HOW = "download doi.org/10.6084/m9.figshare.12275009 (CC BY 3.0) and put data.csv and images/ into ROOT/hannover_cxr/"

CARD = base.DataCard(
    name="hannover",
    summary="138 chest films of 43 patients with COVID-19, several over time, with view, sex and days since admission",
    folder="hannover_cxr",
    licence="CC-BY-3.0",
    attribution="COVID-19 Image Repository (Winther et al. 2020, Hannover Medical School), CC BY 3.0",
    train_allowed=True,
    images=138,
    protocols=(
        base.SplitProtocol(
            "by_patient",
            "cluster",
            {Split.TRAIN: 110, Split.DEVELOPMENT: 7, Split.TEST: 21},
            "our own split by patient; one question on the view for each film",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Winther et al., COVID-19 Image Repository, figshare 2020, doi:10.6084/m9.figshare.12275009",
    url="https://doi.org/10.6084/m9.figshare.12275009",
    caveats=(
        "Every patient has COVID-19: nothing can be learned here about who has it.",
        "No findings and no reports are given; ages are empty in these tables.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Film:
    """One film.

    Args:
        view: "PA" or "AP". modality: "CR" or "DX".
        day: days since admission, negative before it; the order of a patient's films. None when unknown.
        icu_day: days since admission to intensive care; None for patients never there.
    """

    id: str
    image: str
    patient: str
    view: str
    modality: str
    sex: Sex | None
    day: float | None
    icu_day: float | None
    split: Split


class Hannover(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """One question on the view for each film of one part.

        Raises:
            DataMissing: files are absent. DataFormatError: the table does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(_exchange(film) for film in self.films(root) if film.split == split)

    def films(self, root: Path) -> tuple[Film, ...]:
        """All films by patient and day; films without a day come last.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        path = base.folder(root, CARD) / "data.csv"
        return _films(path, path.stat().st_mtime_ns if path.is_file() else 0)

    def sequences(self, root: Path) -> Mapping[str, tuple[Film, ...]]:
        """Patient -> films in the order of days, for patients with at least two dated films."""
        grouped: dict[str, list[Film]] = defaultdict(list)
        for film in self.films(root):
            if film.day is not None:
                grouped[film.patient].append(film)
        return {patient: tuple(films) for patient, films in grouped.items() if len(films) > 1}

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The table; the films that it names."""
        table = root / CARD.folder / "data.csv"
        try:
            return (table,), tuple(sorted(root / film.image for film in self.films(root)))
        except UserError:  # the check goes on to say what is wrong with the table
            return (table,), tuple(sorted((root / CARD.folder / "images").glob("*.jpg")))


@functools.lru_cache(maxsize=2)
def _films(path: Path, stamp: int) -> tuple[Film, ...]:  # noqa: ARG001 - a changed file is a new key
    rows = base.read_csv(path, CARD, needs=("patient_id", "image_id", "sex", "admission_offset", "icu_admission_offset", "modality", "projection"))
    try:
        films = [_film(row) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise base.DataFormatError(f"{path}: does not hold this set ({type(error).__name__}: {error})", remedy=_HOW) from error
    return tuple(sorted(films, key=lambda film: (film.patient, film.day is None, film.day or 0.0, film.id)))


def _film(row: Mapping[str, str]) -> Film:
    patient = f"hannover:{row['patient_id']}"
    return Film(
        id=row["image_id"],
        image=f"{CARD.folder}/images/{row['image_id']}.jpg",
        patient=patient,
        view=row["projection"].upper(),
        modality=row["modality"],
        sex=Sex(row["sex"].upper()) if row["sex"] else None,
        day=float(row["admission_offset"]) if row["admission_offset"] else None,
        icu_day=float(row["icu_admission_offset"]) if row["icu_admission_offset"] else None,
        split=splits.part(patient, development=DEVELOPMENT_SHARE, test=TEST_SHARE, salt=_SALT),
    )


def _exchange(film: Film) -> Exchange:
    facts = {"modality": film.modality, "body_part": "CHEST", "view": film.view, "finding": "view"}
    return Exchange(
        id=f"hannover:{film.id}:view",
        image=film.image,
        question=Question(VIEW_QUESTION, options=("PA", "AP")),
        gold=film.view,
        closed=True,
        cluster=film.patient,
        split=film.split,
        phrase="template",
        tags=MappingProxyType({**facts, "sex": str(film.sex)} if film.sex else facts),
    )


DATASET = Hannover()
