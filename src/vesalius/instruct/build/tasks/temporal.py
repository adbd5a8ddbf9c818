"""What became of a finding from one film to the next: improving, stable or worsening. Both films are shown, and each pair also in the opposite order.

In: neighbouring studies of a patient. Out: choices. Where two mined labels are all that is known, a finding that one film has and the other lacks is new or has
gone, if it is one that comes and goes; one that both have counts as stable, which is weak, for it may have grown: such are marked, and can be left out. Where
there is a report, a sentence counts that names one finding and one change.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from vesalius.domain.finding import Certainty
from vesalius.instruct.build import balance, wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.names import FLEETING, WORDS
from vesalius.instruct.build.study import Pair, Study
from vesalius.instruct.record import Instruction
from vesalius.metrics.label_words import FINDINGS, NO_FINDING
from vesalius.metrics.labels import Status, label_report
from vesalius.metrics.temporal import Change, read_change

WEAK = "weak: both reports name it, and neither says whether it has changed"
# "the heart is enlarged" and "increased markings" describe; these compare
_COMPARED = re.compile(
    r"\b(?:compar\w+|prior|previous\w*|interval|since|earlier|unchanged|stable|no (?:\w+ )?change|improv\w+|wors\w+|resolv\w+|(?:has|have) \w*creased)\b",
    re.IGNORECASE,
)
_ORDERS = (
    (Change.IMPROVING, Change.STABLE, Change.WORSENING),
    (Change.WORSENING, Change.IMPROVING, Change.STABLE),
    (Change.STABLE, Change.WORSENING, Change.IMPROVING),
)


@dataclasses.dataclass(frozen=True)
class _Shown:
    """Two studies in the order shown, and what became of a finding."""

    id: str
    study: Study
    images: tuple[str, ...]
    change: Change
    fact: str
    origin: str


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    known: dict[str, dict[str, list[_Shown]]] = defaultdict(lambda: {str(change): [] for change in Change})
    for pair in desk.material.pairs:
        for finding, (change, fact, origin) in _changes(desk, pair).items():
            there = f"{pair.prior.id}>{pair.current.id.rpartition(':')[2]}"
            back = f"{pair.current.id}>{pair.prior.id.rpartition(':')[2]}"
            films, turned = (pair.prior.images + pair.current.images), (pair.current.images + pair.prior.images)
            known[finding][str(change)].append(_Shown(there, pair.current, films, change, fact, origin))
            if change is not Change.STABLE:
                known[finding][str(change.reversed())].append(_Shown(back, pair.prior, turned, change.reversed(), f"{fact}, films exchanged", origin))
    for finding in (name for name in FINDINGS if name in known):
        yield from _one(desk, finding, known[finding])


def _one(desk: Desk, finding: str, groups: Mapping[str, list[_Shown]]) -> Iterator[Instruction]:
    """As many of each change; where no film is known to be stable, of the two others."""
    groups = groups if groups[str(Change.STABLE)] else {name: rows for name, rows in groups.items() if name != str(Change.STABLE)}
    tuples, spare = balance.matched(groups, lambda s: s.id, lambda _: (), salt=desk.salt(finding))
    desk.spare(spare, finding)
    equivalence = f"change:{finding}"
    texts = (
        "Compare the second study with the first: is the {} {}, {} or {}?",
        "From the first study to the second, has the {} been {}, {} or {}?",
    )
    pool = wordings.plain(equivalence, *(text.format(WORDS[finding], *order) for text in texts for order in _ORDERS))
    for each, chosen in zip(desk.limit(tuples), desk.deal(equivalence, pool), strict=False):
        for shown in each:
            for wording in chosen:
                order = _ORDERS[int(wording.id.rpartition("/")[2]) % len(_ORDERS)]
                choices = tuple(map(str, order))
                yield desk.put(
                    shown.study, equivalence, wording, str(shown.change), shown.fact, images=shown.images, choices=choices, about=shown.id, origin=shown.origin
                )


def _changes(desk: Desk, pair: Pair) -> dict[str, tuple[Change, str, str]]:
    """Change, fact and origin by finding."""
    return _stated(desk, pair) if pair.basis == "report" else _labelled(desk, pair)


def _labelled(desk: Desk, pair: Pair) -> dict[str, tuple[Change, str, str]]:
    found = {}
    for name in FINDINGS:
        before, after = pair.prior.states.get(name), pair.current.states.get(name)
        if name == NO_FINDING or Certainty.PRESENT not in (before, after):
            continue
        fact = f"{name}: {before} before, {after} after"
        if name not in FLEETING:
            desk.leave("a lasting finding: not named is not gone")
        elif not {before, after} <= {Certainty.PRESENT, Certainty.ABSENT}:
            desk.leave("one of the two films is not settled")
        elif before is not after:
            found[name] = (Change.WORSENING if after is Certainty.PRESENT else Change.IMPROVING, fact, pair.current.origin)
        elif desk.how.weak:
            found[name] = (Change.STABLE, fact, WEAK)
        else:
            desk.leave("both films have it: change unknown")
    return found


def _stated(desk: Desk, pair: Pair) -> dict[str, tuple[Change, str, str]]:
    if pair.current.sections is None:
        return {}
    said = pair.current.sections()
    found: dict[str, tuple[Change, str, str]] = {}
    mixed: set[str] = set()
    for sentence in re.split(r"(?<=[.!?])\s+", f"{said.get('findings', '')} {said.get('impression', '')}"):
        change = read_change(sentence) if _COMPARED.search(sentence) else None
        present = [name for name, status in label_report(sentence).items() if status is Status.POSITIVE and name != NO_FINDING]
        if change is None or len(present) != 1:
            continue
        name = present[0]
        if name in found and found[name][0] is not change:
            mixed.add(name)
        found[name] = (change, f"the report: {sentence.strip()[:200]}", "stated by the report, read by rules")
    desk.leave("the report says two things of its change", len(mixed))
    return {name: told for name, told in found.items() if name not in mixed}
