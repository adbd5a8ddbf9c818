"""Whether one text follows from another, contradicts it or does neither; text alone.

In: what studies state, written as sentences; or reports. Out: three premises for each hypothesis, one of each relation, so that no hypothesis tells its answer.
The labeler of reports must read every premise as it is meant, or the premise is not used; what it calls uncertain, or what something stated resembles, is
neither.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from vesalius.data.splits import unit_hash
from vesalius.domain.finding import Certainty
from vesalius.instruct import templates
from vesalius.instruct.build import balance, wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.names import WORDS, alike
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Instruction
from vesalius.metrics.label_words import NO_FINDING
from vesalius.metrics.labels import Status, label_report

RELATIONS = ("entailment", "contradiction", "neutral")
_MOST_STATED, _MOST_DENIED = 3, 3
# the labeler reads a denied mass as a denied lesion, and a denied infiltrate as a denied opacity
_BROAD = frozenset({"lung_lesion", "lung_opacity", "pleural_other"})
_LONGEST = 1500  # characters of a premise


@dataclasses.dataclass(frozen=True)
class _Premise:
    """A text of a study and what the labeler reads in it."""

    study: Study
    text: str
    read: Mapping[str, Status]
    denied: frozenset[str]  # in so many words
    written: bool  # by us, from labels


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    premises = list(_premises(desk))
    for finding, words in WORDS.items():
        if finding != NO_FINDING:
            yield from _one(desk, finding, words, premises)


def _one(desk: Desk, finding: str, words: str, premises: list[_Premise]) -> Iterator[Instruction]:
    groups: dict[str, list[_Premise]] = {"stated": [], "denied": [], "silent": []}
    for premise in premises:
        status = premise.read[finding]
        if status is Status.UNCERTAIN:
            desk.leave("uncertain: neither follows nor contradicts")
        elif status is Status.NOT_MENTIONED:
            if _silent(premise, finding):
                groups["silent"].append(premise)
        elif status is Status.POSITIVE:
            groups["stated"].append(premise)
        elif finding in premise.denied:
            groups["denied"].append(premise)
        else:
            desk.leave("something narrower is denied: that follows for it alone")
    if not groups["stated"] or not groups["denied"]:
        return
    tuples, spare = balance.matched(groups, lambda p: p.study.id, lambda p: p.written, salt=desk.salt(finding), kind=_states)
    desk.spare({key: spare[key] for key in ("stated", "denied")}, finding)
    pools = [_hypotheses(finding, words, present) for present in (True, False)]
    deals = [desk.deal(pool[0].id.rpartition("/")[0], pool) if pool else None for pool in pools]
    for number, each in enumerate(desk.limit(tuples)):
        present = number % 2 == 0
        deal = deals[0 if present else 1]
        if deal is None:
            desk.leave("the labeler does not read the hypothesis")
            continue
        equivalence = f"nli:{finding}:{'stated' if present else 'denied'}"
        answers = RELATIONS if present else (RELATIONS[1], RELATIONS[0], RELATIONS[2])
        for wording in next(deal):
            for premise, answer, what in zip(each, answers, ("states it", "denies it", "does not mention it"), strict=True):
                question = f"Premise: {premise.text}\nHypothesis: {wording.text}\nDoes the hypothesis follow, is it contradicted, or neither?"
                yield desk.put(premise.study, equivalence, wording, answer, f"{finding}: premise {what}", question=question, images=(), choices=RELATIONS)


def _states(premise: _Premise) -> bool:
    """Whether a premise states anything: else what denies alone would tell the relation."""
    return any(status is Status.POSITIVE for name, status in premise.read.items() if name != NO_FINDING)


def _hypotheses(finding: str, words: str, present: bool) -> tuple[wordings.Wording, ...]:
    wanted = Status.POSITIVE if present else Status.NEGATIVE
    texts = [text for text in templates.statements(words, present) if label_report(text)[finding] is wanted]
    return wordings.plain(f"nli:{finding}:{'stated' if present else 'denied'}", *texts)


def _silent(premise: _Premise, finding: str) -> bool:
    """Whether nothing that the premise states bears on the finding."""
    if not premise.written and premise.read[NO_FINDING] is Status.POSITIVE:
        return False  # "no acute disease" denies more than it names
    said = [name for name, status in premise.read.items() if status in (Status.POSITIVE, Status.UNCERTAIN, Status.NEGATIVE) and name != NO_FINDING]
    return bool(said) and not any(finding in alike(name) or name in alike(finding) for name in said)


def _premises(desk: Desk) -> Iterator[_Premise]:
    for study in desk.material.studies:
        if study.sections is not None:
            text = study.sections().get("impression", "")
            if not text or len(text) > _LONGEST or "__" in text:
                desk.leave("no impression that can be used")
                continue
            read = label_report(text)
            denied = frozenset(name for name, status in read.items() if status is Status.NEGATIVE and name not in _BROAD)
            yield _Premise(study, text, read, denied, written=False)
        elif study.states:
            made = _written(desk, study)
            if made is None:
                desk.leave("the labeler reads the premise otherwise")
            else:
                yield made
        else:
            desk.leave("neither report nor labels")


def _written(desk: Desk, study: Study) -> _Premise | None:
    """A few of the stated findings as sentences."""

    def some(certainty: Certainty, most: int) -> list[str]:
        names = [name for name in study.named(certainty) if name != NO_FINDING]
        return sorted(names, key=lambda name: unit_hash(f"{study.id}/{name}", salt=desk.salt("stated")))[:most]

    stated, denied = some(Certainty.PRESENT, _MOST_STATED), some(Certainty.ABSENT, _MOST_DENIED)
    rows = [(name, True) for name in stated] + [(name, False) for name in denied]
    texts = []
    for name, present in rows:
        forms = templates.statements(WORDS[name], present)
        texts.append(forms[int(unit_hash(f"{study.id}/{name}", salt=desk.salt("form")) * len(forms))])
    text = " ".join(texts)
    read = label_report(text)
    meant = all(read[name] is (Status.POSITIVE if present else Status.NEGATIVE) for name, present in rows)
    return _Premise(study, text, read, frozenset(denied), written=True) if rows and meant else None
