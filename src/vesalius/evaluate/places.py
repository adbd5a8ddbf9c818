"""Places that are known: what is asked about which box of which picture, from every data set with boxes that is below a data root.

In: a data root. Out: `Place`s by data set: a name, a yes/no question in the data set's own words, the boxes. What is in a box is there: the right answer is
yes, always. Boxes of one name on one picture belong together; MS-CXR's belong to a phrase.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from vesalius.data import ms_cxr, nih_cxr, slake, vindr_cxr
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Question, Split
from vesalius.domain.finding import Region
from vesalius.errors import DataMissing

ORGAN, LESION = "organ", "lesion"
_LESIONS = ("edema", "tumor", "cancer", "mass", "nodule", "pneumonia", "effusion", "atelectasis", "cardiomegaly", "infiltrate", "pneumothorax")  # of SLAKE's
_IN_QUESTIONS = MappingProxyType({"infiltrate": "infiltration"})  # SLAKE's boxes and questions spell it differently
_FILM = MappingProxyType({"modality": "DX", "body_part": "CHEST"})


@dataclasses.dataclass(frozen=True)
class Place:
    """Something that is to be seen in a picture, and where.

    Args:
        source: name of the data set. image: relative to the data root. cluster: patient, else image. facts: stated of the picture.
        name: what is there; kind: organ or lesion. phrase: the words to look for, for a model that names boxes.
        regions: in pixels of a picture of `size` (columns, rows); None: of the picture as it is.
    """

    source: str
    image: str
    cluster: str
    facts: Mapping[str, str]
    name: str
    kind: str
    question: Question
    phrase: str
    regions: tuple[Region, ...]
    size: tuple[float, float] | None = None

    @property
    def id(self) -> str:
        """Unique among all."""
        return f"{self.source}:{self.image}:{self.name}" + ("" if self.phrase == self.name.lower() else f":{self.phrase}")


def of_root(root: Path, limit: int | None = None) -> tuple[list[Place], dict[str, str]]:
    """All places of test parts, data set by data set, and why a data set has none.

    Args:
        limit: at most so many pictures of each data set, by a fixed hash; None: all.

    Raises:
        DataFormatError: a data set is there and cannot be read.
    """
    found: list[Place] = []
    absent: dict[str, str] = {}
    for name, read in _READERS.items():
        try:
            places = list(read(root))
        except DataMissing as error:
            absent[name] = str(error)
            continue
        there = [place for place in places if (root / place.image).is_file()]
        if len(there) < len(places):
            absent[f"{name}: pictures"] = f"{len(places) - len(there)} of {len(places)} places lie on pictures that are not below the data root"
        found += chosen(there, limit)
    return found, absent


def chosen(places: Sequence[Place], limit: int | None) -> list[Place]:
    """Those on the first `limit` pictures by a fixed hash, picture by picture."""
    by_image: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_image[place.image].append(place)
    images = sorted(by_image, key=lambda image: unit_hash(image, salt="places"))[:limit]
    return [place for image in images for place in by_image[image]]


def slake_question(name: str) -> tuple[str, str]:
    """Question and kind of one of SLAKE's names, in the words of its own questions ("Can pneumonia be observed in this picture?")."""
    lower = name.lower()
    if lower.split()[-1] in _LESIONS:
        return f"Can {_IN_QUESTIONS.get(lower, lower)} be observed in this picture?", LESION
    return f"Does the picture contain {lower}?", ORGAN


def _slake(root: Path) -> Iterable[Place]:
    for known in slake.DATASET.attributes(root, Split.TEST):
        facts = {"modality": known.modality, "body_part": known.body_part}
        for name, regions in _together(known.regions).items():
            text, kind = slake_question(name)
            yield Place("slake", known.image, known.cluster, facts, name, kind, Question(text), name.lower(), regions)


def _nih(root: Path) -> Iterable[Place]:
    for film in nih_cxr.DATASET.films(root):
        if film.split == Split.TEST:
            facts = {"modality": "CR", "body_part": "CHEST", "sex": str(film.sex), "age": str(film.age_years)}
            for name, regions in _together(film.regions).items():
                question = Question(nih_cxr.FINDING_QUESTIONS[name])
                yield Place("nih-cxr", film.image, film.patient, facts, name, LESION, question, name.lower(), regions)


def _ms_cxr(root: Path) -> Iterable[Place]:
    for phrase in ms_cxr.DATASET.phrases(root):
        question = Question(ms_cxr.presence_question(phrase.category))
        yield Place("ms-cxr", phrase.image, phrase.patient, _FILM, phrase.category, LESION, question, phrase.text, phrase.regions, phrase.size)


def _vindr(root: Path) -> Iterable[Place]:
    for film in vindr_cxr.DATASET.films(root):
        for name, regions in _together(film.regions).items():
            if not name.startswith("Other"):
                question = Question(vindr_cxr.presence_question(name))
                yield Place("vindr-cxr", film.image, f"vindr-cxr:{film.id}", _FILM, name, LESION, question, name.lower(), regions)


def _together(regions: Sequence[tuple[str, Region]]) -> dict[str, tuple[Region, ...]]:
    found: dict[str, list[Region]] = defaultdict(list)
    for name, region in regions:
        found[name].append(region)
    return {name: tuple(found[name]) for name in sorted(found)}


_READERS: Mapping[str, Callable[[Path], Iterable[Place]]] = MappingProxyType({"slake": _slake, "nih-cxr": _nih, "ms-cxr": _ms_cxr, "vindr-cxr": _vindr})
