"""The readers of the sets as `Material`: which sets instructions are made from, which are refused and why.

In: a data root and a name. Out: training studies with their states; names of everything in the other parts. A set whose licence forbids training is refused,
unless the user says that their agreement allows it; one whose reader has no training part, or whose licence forbids derived work, is always refused.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base, chexpert, hannover, mimic_cxr, nih_cxr, slake, vqa_rad
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Certainty
from vesalius.errors import DataMissing, UserError
from vesalius.instruct.build import names
from vesalius.instruct.build.study import MINED, SILENT, Material, Pair, Study
from vesalius.metrics.label_words import NO_FINDING
from vesalius.registry import unknown

_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "iu-reports": "its licence (CC BY-NC-ND 4.0) forbids derived work",
        "ms-cxr": "all of it is for testing",
        "ms-cxr-t": "all of it is for testing",
        "vindr-cxr": "its reader has the test part alone",
        "padchest": "all of it is for testing",
    }
)
_VIEWS: Mapping[str, str] = MappingProxyType({"PA": "PA", "AP": "AP", "LATERAL": "LATERAL", "LL": "LATERAL", "L": "LATERAL"})
_CHEST = MappingProxyType({"modality": "CR", "body_part": "CHEST"})
_NO_PICTURE = "a picture is missing"


class Refused(UserError):
    """Nothing may be made from this set."""


def check(name: str, licensed: Collection[str] = ()) -> None:
    """Whether instructions may be made from a set.

    Args:
        licensed: sets whose agreement, so the user says, allows training.

    Raises:
        UnknownName: no such set. Refused: with the reason and what would help.
    """
    if name not in base.TABLE:
        raise unknown("data set", name, sorted(READERS))
    if name in _REFUSED:
        raise Refused(f"nothing is made from {name}: {_REFUSED[name]}", remedy="leave it out")
    if name not in READERS:
        raise unknown("data set of instruct build", name, sorted(READERS))
    card = base.dataset(name).card
    if not card.train_allowed and name not in licensed:
        raise Refused(f"{name} may not be trained on ({card.licence})", remedy=f"leave it out, or say --licensed {name} if your agreement allows it")


def read(name: str, root: Path, licensed: Collection[str] = ()) -> Material:
    """A set's training part.

    Raises:
        UnknownName, Refused: as `check`. DataMissing, DataFormatError: it is not below the root, or damaged.
    """
    check(name, licensed)
    return READERS[name](root)


def _nih(root: Path) -> Material:
    films = nih_cxr.DATASET.films(root)
    every = frozenset(found for label in nih_cxr.FINDING_QUESTIONS if (found := names.named(label)))
    studies, left = _present(root, (_nih_film(film, every) for film in films if film.split == Split.TRAIN))
    held = {held for film in films if film.split != Split.TRAIN for held in (film.image, film.patient)}
    pairs = tuple(Pair(a, b, "labels") for a, b in _neighbours(studies))
    return Material(nih_cxr.CARD.licence, studies, pairs, held=frozenset(held), left_out=left)


def _nih_film(film: nih_cxr.Film, every: frozenset[str]) -> Study:
    given = {name: Certainty.PRESENT for label in film.labels if (name := names.named(label))}
    read = _expert(film.expert, given)
    if film.normal:
        given[NO_FINDING] = Certainty.UNCERTAIN if Certainty.PRESENT in read.values() else Certainty.PRESENT
    given |= read
    marks = tuple((names.WORDS[name], box) for label, box in film.regions if (name := names.named(label)))
    origin = f"{SILENT}; read again by experts" if film.expert else SILENT
    states = names.settled(given, silence=every)
    return Study(f"nih-cxr:{film.id}", "nih-cxr", film.patient, (film.image,), (_VIEWS.get(film.view),), states, origin, str(film.sex), _CHEST, marks)


def _expert(read: Mapping[str, bool], mined: Mapping[str, Certainty]) -> dict[str, Certainty]:
    """What experts saw; where they deny what the report states, neither is believed. A nodule or a mass is no answer to which of them."""
    found: dict[str, Certainty] = {}
    for title, listed in (("Pneumothorax", ("pneumothorax",)), ("Fracture", ("fracture",)), ("Airspace opacity", ("lung_opacity",))):
        if title in read:
            found[listed[0]] = Certainty.PRESENT if read[title] else Certainty.ABSENT
    if "Nodule or mass" in read:
        there = Certainty.UNCERTAIN if read["Nodule or mass"] else Certainty.ABSENT
        found |= {"nodule": there, "mass": there}
    return {name: Certainty.UNCERTAIN if mined.get(name) is Certainty.PRESENT and state is Certainty.ABSENT else state for name, state in found.items()}


def _hannover(root: Path) -> Material:
    films = hannover.DATASET.films(root)
    made = (
        Study(
            f"hannover:{f.id}",
            "hannover",
            f.patient,
            (f.image,),
            (_VIEWS.get(f.view),),
            origin="the set's table",
            sex=str(f.sex or ""),
            facts={"modality": f.modality, "body_part": "CHEST"},
        )
        for f in films
        if f.split == Split.TRAIN
    )
    studies, left = _present(root, made)
    held = {held for film in films if film.split != Split.TRAIN for held in (film.image, film.patient)}
    return Material(hannover.CARD.licence, studies, held=frozenset(held), left_out=left)


def _slake(root: Path) -> Material:
    made = (
        Study(
            a.cluster,
            "slake",
            a.cluster,
            (a.image,),
            (None,),
            origin="the set's boxes and table",
            facts={"modality": a.modality, "body_part": a.body_part},
            marks=tuple((name.lower(), box) for name, box in a.regions),
        )
        for a in slake.DATASET.attributes(root, Split.TRAIN)
    )
    studies, left = _present(root, made)
    others = [x for part in (Split.DEVELOPMENT, Split.TEST) for x in slake.DATASET.exchanges(root, part)]
    asked = slake.DATASET.exchanges(root, Split.TRAIN)
    return Material(slake.CARD.licence, studies, asked=asked, held=frozenset(h for x in others for h in (x.image, x.cluster)), left_out=left)


def _vqa_rad(root: Path) -> Material:
    protocol = "image_disjoint"  # under the published split every test image occurs in training
    others = [x for part in (Split.DEVELOPMENT, Split.TEST) for x in vqa_rad.DATASET.exchanges(root, part, protocol)]
    asked = vqa_rad.DATASET.exchanges(root, Split.TRAIN, protocol)
    tested = {x.id for x in vqa_rad.DATASET.exchanges(root, Split.TEST, "official")}
    held = {held for x in others for held in (x.image, x.cluster)} | tested
    return Material(vqa_rad.CARD.licence, asked=asked, held=frozenset(held))


def _chexpert(root: Path) -> Material:
    grouped: dict[str, list[chexpert.Film]] = defaultdict(list)
    for film in chexpert.DATASET.films(root, Split.TRAIN):
        grouped[film.id.rpartition("/")[0]].append(film)
    studies, left = _present(root, (_chexpert_study(name, films) for name, films in grouped.items()))
    pairs = tuple(Pair(a, b, "labels") for a, b in _neighbours(studies))
    held = {held for part in (Split.DEVELOPMENT, Split.TEST) for f in _other_part(root, part) for held in (f.image, f.patient)}
    return Material(chexpert.CARD.licence, studies, pairs, held=frozenset(held), left_out=left)


def _other_part(root: Path, part: Split) -> tuple[chexpert.Film, ...]:
    """The parts lie in tables of their own, of which a copy may have some."""
    try:
        return chexpert.DATASET.films(root, part)
    except DataMissing:
        return ()


def _chexpert_study(name: str, films: list[chexpert.Film]) -> Study:
    first = films[0]
    views = tuple("LATERAL" if film.frontal is False else _VIEWS.get(film.view or "") for film in films)
    images, states = tuple(film.image for film in films), names.settled(_ours(first.labels))
    return Study(f"chexpert:{name}", "chexpert", first.patient, images, views, states, MINED, str(first.sex or ""), _CHEST)


def _mimic(root: Path) -> Material:
    held: set[str] = set()
    learned: list[mimic_cxr.Film] = []
    for film in mimic_cxr.DATASET.films(root):
        if film.split == Split.TRAIN:
            learned.append(film)
        else:
            held |= {film.image, film.patient}
    grouped: dict[str, list[mimic_cxr.Film]] = defaultdict(list)
    for film in learned:
        grouped[film.study].append(film)
    order = sorted(grouped.values(), key=lambda films: (films[0].patient, films[0].date or "", films[0].study))
    studies, left = _present(root, (_mimic_study(root, films) for films in order))
    dated = {films[0].study for films in order if films[0].date}
    pairs = tuple(Pair(a, b, "report") for a, b in _neighbours(studies) if a.id in dated and b.id in dated)
    return Material(mimic_cxr.CARD.licence, studies, pairs, held=frozenset(held), left_out=left)


def _mimic_study(root: Path, films: list[mimic_cxr.Film]) -> Study:
    first = films[0]
    views = tuple(_VIEWS.get(film.view or "") for film in films)

    def sections() -> Mapping[str, str]:
        return mimic_cxr.DATASET.report(root, first).sections

    images, states = tuple(film.image for film in films), names.settled(_ours(first.labels))
    return Study(first.study, "mimic-cxr", first.patient, images, views, states, MINED, facts=_CHEST, sections=sections)


def _ours(labels: Mapping[str, Certainty]) -> dict[str, Certainty]:
    return {name: state for label, state in labels.items() if (name := names.named(label))}


def _present(root: Path, studies: Iterable[Study]) -> tuple[tuple[Study, ...], Counter[str]]:
    """Studies whose pictures are all there."""
    kept, left = [], Counter[str]()
    for study in studies:
        if all((root / image).is_file() for image in study.images):
            kept.append(study)
        else:
            left[_NO_PICTURE] += 1
    return tuple(kept), left


def _neighbours(studies: Iterable[Study]) -> list[tuple[Study, Study]]:
    """Of one patient, in the order given."""
    return [(a, b) for a, b in itertools.pairwise(studies) if a.cluster == b.cluster]


READERS: Mapping[str, Callable[[Path], Material]] = MappingProxyType(
    {"nih-cxr": _nih, "hannover": _hannover, "slake": _slake, "vqa-rad": _vqa_rad, "chexpert": _chexpert, "mimic-cxr": _mimic}
)
