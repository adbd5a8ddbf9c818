"""Whether a finding is there: yes or no, each finding of the 28 that the set settles, and normality.

In: states of studies. Out: pairs of a study with the finding and one without it, of equal views and sex, asked in the same words. Half of those without it have
something else where there are such, so that "abnormal" is not the answer. What is uncertain or not stated is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from vesalius.domain.finding import Certainty
from vesalius.instruct.build import balance, wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.names import WORDS
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Instruction
from vesalius.metrics.label_words import NO_FINDING


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    for finding, words in WORDS.items():
        yield from _one(desk, finding, words)


def _one(desk: Desk, finding: str, words: str) -> Iterator[Instruction]:
    by_state = {state: [s for s in desk.material.studies if s.states.get(finding) is state] for state in Certainty}
    desk.leave("uncertain: neither yes nor no", len(by_state[Certainty.UNCERTAIN]))
    groups = {"yes": by_state[Certainty.PRESENT], "no": by_state[Certainty.ABSENT]}
    if not groups["yes"] and not groups["no"]:
        return
    equivalence = f"finding:{finding}"
    kind = None if finding == NO_FINDING else _normal
    tuples, spare = balance.matched(groups, lambda s: s.id, lambda s: s.stratum, salt=desk.salt(finding), kind=kind)
    desk.spare(spare, finding)
    pool = (wordings.normality if finding == NO_FINDING else lambda e, f: wordings.presence(e, words, f))(equivalence, desk.how.families)
    for each, chosen in zip(desk.limit(tuples), desk.deal(equivalence, pool), strict=False):
        for study, answer in zip(each, ("yes", "no"), strict=True):
            for wording in chosen:
                yield desk.put(study, equivalence, wording, answer, f"{finding} {study.states[finding]}")


def _normal(study: Study) -> bool:
    return study.states.get(NO_FINDING) is Certainty.PRESENT
