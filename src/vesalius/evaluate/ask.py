"""The plain pass: each image is encoded once and asked all its questions, its wordings and its controls in one batch, greedily.

In: a model and a `Visit`. Out: `Item`s. Only questions and pixels reach the model: `_asks` is given no gold answer.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vesalius.data.base import image_path
from vesalius.data.phantoms import blank_like
from vesalius.domain.exchange import Answer, Question, Rewording
from vesalius.domain.study import Patient, Sex, Study, single
from vesalius.errors import InvalidValue
from vesalius.evaluate.plan import Asking, Visit
from vesalius.evaluate.record import Item, Partner
from vesalius.formats import read
from vesalius.models.base import GREEDY, GenerativeModel, Sampling

_KEPT = 6  # encodings held at a time: the image, its stand-in and their blanks, with room for partners

Ask = tuple[Any, Question, Sampling]


@runtime_checkable
class AsksWithoutImage(Protocol):
    """A model that can be asked with no image at all."""

    def encode_nothing(self) -> Any:  # noqa: ANN401 - each family has its own Encoded
        """What an image would be encoded to, had there been none."""
        ...


def blank(study: Study) -> Study:
    """The study with its key image blank: size, modality and brightness stay, and there is nothing to see."""
    return single(blank_like(study.image), patient=study.patient, deidentified=study.deidentified)


def open_study(root: Path, image: str, facts: Mapping[str, str]) -> Study:
    """The study of one image of a data set, with the facts that the set states of it (never its view, which is asked for).

    Raises:
        DataMissing, UnreadableStudy: the file is absent or broken.
    """
    study = read(image_path(root, image), modality=facts.get("modality"), body_part=facts.get("body_part"))
    if "sex" in facts or "age" in facts:
        age = float(facts["age"]) if "age" in facts else None
        patient = Patient(Sex(facts["sex"]) if "sex" in facts else None, age if age is not None and 0 <= age <= 130 else None)
        study = dataclasses.replace(study, patient=patient)
    return study


class Asker:
    """Asks a model about images of a data root, and keeps the last few encodings.

    Args:
        model: what is asked.
        root: the data root.
    """

    def __init__(self, model: GenerativeModel, root: Path) -> None:
        self.model, self.root = model, root
        self._kept: OrderedDict[tuple[str, bool], Any] = OrderedDict()
        self._nothing = model.encode_nothing() if isinstance(model, AsksWithoutImage) else None

    def visit(self, visit: Visit) -> list[Item]:
        """Ask everything of one image.

        Raises:
            InvalidValue: the model gives another number of answers than it was asked for.
        """
        own, empty = self._encoded(visit.image, visit.facts), self._encoded(visit.image, visit.facts, without=True)
        other = None if visit.swap is None else self._encoded(visit.swap, visit.swap_facts)
        bundles = []
        for asking in visit.askings:
            images = [self._encoded(partner.image, partner.tags) for partner in asking.partners]
            bundles.append(_asks(asking.exchange.question, (own, empty, other, self._nothing), images, asking.rewordings or ()))
        answers = self.model.ask([ask for bundle in bundles for ask in bundle])
        if len(answers) != sum(map(len, bundles)):
            raise InvalidValue(f"the model gave {len(answers)} answers to {sum(map(len, bundles))} questions", remedy="`ask` must answer each, in order")
        items, start = [], 0
        for asking, bundle in zip(visit.askings, bundles, strict=True):
            items.append(_item(asking, visit, answers[start : start + len(bundle)], with_nothing=self._nothing is not None))
            start += len(bundle)
        return items

    def _encoded(self, image: str, facts: Mapping[str, str], *, without: bool = False) -> Any:  # noqa: ANN401
        key = (image, without)
        if key not in self._kept:
            study = open_study(self.root, image, facts)
            self._kept[key] = self.model.encode(blank(study) if without else study)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _asks(question: Question, controls: Sequence[Any], partners: Sequence[Any], wordings: Sequence[Rewording]) -> list[Ask]:
    """Everything asked for one item, in the order in which `_item` reads it back."""
    own = controls[0]
    shown = [encoded for encoded in (*controls, *partners) if encoded is not None]
    return [(encoded, question, GREEDY) for encoded in shown] + [(own, Question(wording.text, question.options), GREEDY) for wording in wordings]


def _item(asking: Asking, visit: Visit, answers: Sequence[Answer], *, with_nothing: bool) -> Item:
    left = iter(answers)
    answer, empty = next(left), next(left)
    swap = next(left) if visit.swap is not None else None
    nothing = next(left) if with_nothing else None
    partners = tuple(Partner(p.image, p.cluster, p.gold, str(p.split), next(left)) for p in asking.partners)
    wordings = None if asking.rewordings is None else tuple((wording, next(left)) for wording in asking.rewordings)
    return Item(asking.exchange, asking.parts, answer, empty, swap, visit.swap, visit.swap_rule, nothing, partners, wordings)
