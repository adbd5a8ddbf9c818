"""Which of some findings are there: several right choices, one, or none.

In: states of studies. Out: choices of which those present are the answer, in the order shown, or "none". What is right most often is
offered as wrong first, what is never right is never offered, and as many studies have none of their choices as have one.
"""

from __future__ import annotations

from collections.abc import Iterator

from vesalius.data.splits import unit_hash
from vesalius.domain.finding import Certainty
from vesalius.instruct.build import balance, wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.names import WORDS
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Instruction
from vesalius.metrics.label_words import NO_FINDING

NONE = "none"
_Known = tuple[Study, list[str], list[str]]  # with what is present, and what is absent
_MOST_RIGHT, _LEAST_OFFERED = 3, 4


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    pool = wordings.plain(
        "findings", "Which of these findings does this study show?", "Name those of these findings that can be seen.", "Which of the following are present?"
    )
    offers = balance.Offers(desk.salt("offers"))
    with_some: list[_Known] = []
    with_none: list[_Known] = []
    known = {name for study in desk.material.studies for name in study.named(Certainty.PRESENT)}
    for study in sorted(desk.material.studies, key=lambda s: unit_hash(s.id, salt=desk.salt("order"))):
        right = [name for name in study.named(Certainty.PRESENT) if name != NO_FINDING]
        wrong = [name for name in study.named(Certainty.ABSENT) if name in known - {NO_FINDING}]
        if len(wrong) < _LEAST_OFFERED - min(len(right), _MOST_RIGHT):
            desk.leave("too few findings are settled")
        else:
            (with_some if right else with_none).append((study, right, wrong))
    few = min(len(with_some), len(with_none) or len(with_some))
    desk.leave("more studies with a finding than without, or the other way round", len(with_some) + len(with_none) - few * (2 if with_none else 1))
    pairs: list[tuple[_Known, ...]] = list(zip(with_some, with_none, strict=False)) if with_none else [(row,) for row in with_some]
    for pair, chosen in zip(desk.limit(pairs), desk.deal("findings", pool), strict=False):
        for study, right, wrong in pair:
            yield from _asked(desk, offers, chosen, study, right, wrong)


def _asked(desk: Desk, offers: balance.Offers, chosen: tuple[wordings.Wording, ...], study: Study, right: list[str], wrong: list[str]) -> Iterator[Instruction]:
    shown = sorted(right, key=lambda name: unit_hash(f"{study.id}/{name}", salt=desk.salt("right")))[:_MOST_RIGHT]
    taken = offers.take(shown, wrong, max(len(shown), _LEAST_OFFERED - len(shown)), study.id)
    offered = offers.shuffled((*shown, *taken), study.id)
    answer = ", ".join(WORDS[name] for name in offered if name in shown) or NONE
    fact = f"present: {', '.join(right) or NONE}; absent: {', '.join(taken)}"
    for wording in chosen:
        question = f"{wording.text} If none is, say none."
        yield desk.put(study, "findings", wording, answer, fact, question=question, choices=tuple(WORDS[name] for name in offered))
