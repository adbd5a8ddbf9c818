"""What the three stages learn from: `Example`s about images, made of the data sets' training parts, their attributes and rewordings.

In: a data root. Out: examples with source, group and polarity. Test parts are never opened here; development parts only through `development`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from vesalius.data import base
from vesalius.data.nih_cxr import NihCxr
from vesalius.data.slake import Slake
from vesalius.data.splits import unit_hash
from vesalius.data.vqa_rad import VqaRad
from vesalius.domain.exchange import Exchange, Split
from vesalius.instruct import phrasing, templates
from vesalius.instruct.pressure import pressed
from vesalius.metrics.text import is_yes_no_question
from vesalius.train import permission

BLANK = "blank:"  # images of one grey level, "blank:0.5"
_ORGANS = {"HEAD": "head", "CHEST": "chest", "ABD": "abdomen"}


@dataclasses.dataclass(frozen=True)
class Example:
    """One thing to learn.

    Args:
        image: path relative to the data root, or a blank one ("blank:0.5").
        source: name of the recipe's source it belongs to.
        closed: yes or no is the answer.
        group: wordings of one question about one image share it; "" when alone.
        polarity: of this wording to the group's. reworded: by us; the group's first is not.
        modality, body_part: of the image, as its set states them; "" where it does not.
        boxes: name, and x0, y0, x1, y1 as shares of the image's width and height.
    """

    image: str
    question: str
    answer: str
    source: str
    closed: bool
    group: str = ""
    polarity: int = 1
    reworded: bool = False
    # what the image is, not what is asked: neither tells examples apart, and the order of a run does not depend on it
    modality: str = dataclasses.field(default="", compare=False, repr=False)
    body_part: str = dataclasses.field(default="", compare=False, repr=False)
    boxes: tuple[tuple[str, tuple[float, float, float, float]], ...] = dataclasses.field(default=(), compare=False, repr=False)


def questions(
    dataset: str,
    root: Path,
    split: Split,
    *,
    source: str,
    rewordings: int = 0,
    seed: int = 0,
    protocol: str | None = None,
    families: Sequence[str] = phrasing.FAMILIES,
    pairs: bool = False,
    pressures: Sequence[str] = (),
    rights: Collection[str] = (),
) -> list[Example]:
    """Examples of a data set's own questions, each yes/no question with so many rewordings.

    Args:
        dataset: name in the table of data sets. split: training or development.
        families: of rewordings that may occur; others are left out after the draw, so that a question may get fewer.
        pairs: whether VQA-RAD's human pairs of the relation "strict" with one answer are one group.
        pressures: of `instruct.pressure`; each yes/no question with rewordings is also asked pushed towards yes and towards no, and its answer stays.
        rights: sets that may be trained on against their card.

    Raises:
        NotForTraining: the set's card forbids it.
        ValueError: the test part was asked for: our bug, since nothing may learn from it.
    """
    if split is Split.TEST:
        raise ValueError("a test part is never training material")
    permission.check_sets([dataset], rights)
    linked = _linked(root) if pairs and dataset == "vqa-rad" else {}
    found = []
    for exchange in base.dataset(dataset).exchanges(root, split, protocol):
        made = _reworded(_example(exchange, source), linked.get(exchange.id, exchange.id), rewordings, seed, families)
        found += made + (_pressed(made[0], pressures) if made[0].group else [])
    return found


def _pressed(first: Example, pressures: Sequence[str]) -> list[Example]:
    """The question pushed both ways by each pressure: what somebody wishes to hear says nothing of the image."""
    return [dataclasses.replace(first, question=pressed(name, said, first.question), reworded=True) for name in pressures for said in ("yes", "no")]


def _linked(root: Path) -> dict[str, str]:
    """Exchange to the human pair that it belongs to; both ends of a pair are of one file, so no pair joins training to test."""
    yes_no = ("yes", "no")
    same = (p for p in VqaRad().pairs(root, relation="strict") if p.golds[0].lower() == p.golds[1].lower() and p.golds[0].lower() in yes_no)
    return {end: f"pair:{pair.id}" for pair in same for end in (pair.first, pair.second)}


def _example(exchange: Exchange, source: str) -> Example:
    answer = " ".join(exchange.gold.lower().split())
    modality, body_part = (exchange.tags.get(name, "") for name in ("modality", "body_part"))
    question = exchange.question.text.strip()
    return Example(exchange.image, question, answer, source, answer in ("yes", "no"), modality=modality, body_part=body_part)


def _reworded(example: Example, identity: str, rewordings: int, seed: int, families: Sequence[str] = phrasing.FAMILIES) -> list[Example]:
    if not (rewordings and example.closed and is_yes_no_question(example.question)):
        return [example]
    first = dataclasses.replace(example, group=identity)
    opposite = {"yes": "no", "no": "yes"}[example.answer]
    return [first] + [
        dataclasses.replace(first, question=r.text, answer=example.answer if r.polarity == 1 else opposite, polarity=r.polarity, reworded=True)
        for r in phrasing.reword(example.question, most=rewordings, seed=seed)
        if r.family in families
    ]


def findings(root: Path, split: Split, *, source: str, wordings: Sequence[int] = (0, 1, 2, 5, 7), pressures: Sequence[str] = ()) -> list[Example]:
    """NIH films' finding questions in several wordings; negated ones ask for the opposite answer. `pressures` as in `questions`."""
    permission.check_sets(["nih-cxr"])
    found = []
    for exchange in NihCxr().exchanges(root, split):
        finding, answer = exchange.tags["finding"], exchange.gold.lower()
        first = dataclasses.replace(_example(exchange, source), group=exchange.id)
        found.append(first)
        if finding in ("normal", "view"):
            continue
        pairs = templates.finding_questions(finding, answer == "yes")
        for number in wordings:
            text, reply = pairs[number]
            if text != first.question:
                found.append(dataclasses.replace(first, question=text, answer=reply, polarity=1 if reply == answer else -1, reworded=True))
        found += _pressed(first, pressures)
    return found


def descriptions(root: Path, *, source: str) -> list[Example]:
    """Descriptive pairs for alignment: SLAKE's attributes, NIH labels and views, VQA-RAD's organ and modality."""
    permission.check_sets(["slake", "nih-cxr", "vqa-rad"])
    facts: dict[str, dict[str, str]] = {}
    for a in Slake().attributes(root, Split.TRAIN):
        organs = sorted({name for name, _ in a.regions})
        facts[a.image] = {"modality": a.modality, "body_part": a.location.replace("_", " ").lower(), "organs": "|".join(organs).lower()}
    for film in NihCxr().films(root):
        if film.split is Split.TRAIN:
            facts[film.image] = {"modality": "DX", "body_part": "chest", "findings": "|".join(film.labels).lower() or "No Finding", "view": film.view}
    for exchange in base.dataset("vqa-rad").exchanges(root, Split.TRAIN):
        tags = exchange.tags
        organ = tags.get("body_part", tags.get("organ", ""))
        facts.setdefault(exchange.image, {"modality": tags.get("modality", ""), "body_part": _ORGANS.get(organ, organ.lower())})
    found = []
    for image, known in sorted(facts.items()):
        found += [Example(image, q, " ".join(a.lower().split()), source, a.lower() in ("yes", "no")) for q, a in templates.describe(known)]
    return found


def blanks(examples: Iterable[Example], *, source: str, levels: Sequence[float] = (0.0, 0.1, 0.25, 0.5, 0.75)) -> list[Example]:
    """Questions of other examples put to pictures without content: they cannot be determined."""
    # in the order of their hashes, so that a limit takes questions of all kinds
    texts = sorted({e.question for e in examples}, key=unit_hash)
    answer = templates.blank_answer()
    return [Example(f"{BLANK}{levels[i % len(levels)]:g}", text, answer, source, closed=False) for i, text in enumerate(texts)]
