"""What is found in a text, how overlapping finds become one list, and how surrogates take their place.

In: `Find`s of several rules. Out: `Span`s, which say where, what and why, and never what stood there.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable, Iterable, Sequence

Zone = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Find:
    """A place in a text that a rule found.

    Attributes:
        start, end: offsets in the text, the end is outside.
        kind: `person`, `date`, `phone` ...
        rule: the rule's name.
        rank: who wins where two finds overlap: the smaller; the other one keeps what sticks out.
        stands_for: the name that this is a variant of; empty: the text itself.
    """

    start: int
    end: int
    kind: str
    rule: str
    rank: int = 50
    stands_for: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True)
class Span:
    """One replacement: offsets in the source and in the result (ends outside), kind and rule. The original value is not part of it."""

    start: int
    end: int
    kind: str
    rule: str
    surrogate_start: int
    surrogate_end: int


@dataclasses.dataclass(frozen=True)
class Cleaned:
    """A cleaned text.

    Attributes:
        text: the result.
        spans: the replacements in order.
        finders: what looked: `rules`, and the name of the second finder when it looked at this text.
    """

    text: str
    spans: tuple[Span, ...]
    finders: tuple[str, ...] = ("rules",)


def settle(finds: Iterable[Find], zones: Sequence[Zone], text: str) -> list[Find]:
    """Finds without overlaps, in order: a better rank wins, longer ones first, nothing that a rule found is left out, and zones are left alone."""
    taken: list[Zone] = sorted(zones)
    kept: list[Find] = []
    for find in sorted(finds, key=lambda one: (one.rank, one.start - one.end, one.start)):
        for start, end in _outside(find.start, find.end, taken):
            while start < end and not text[start].isalnum() and (start, end) != (find.start, find.end):
                start += 1
            if not any(sign.isalnum() for sign in text[start:end]):
                continue
            kept.append(find if (start, end) == (find.start, find.end) else dataclasses.replace(find, start=start, end=end))
            bisect.insort(taken, (start, end))
    return sorted(kept, key=lambda one: one.start)


def _outside(start: int, end: int, taken: Sequence[Zone]) -> list[Zone]:
    """The parts of an interval that no taken one covers; taken ones are sorted and do not overlap one another but for zones."""
    parts, at = [], start
    for low, high in taken[max(0, bisect.bisect_left(taken, (start, start)) - 8) :]:
        if low >= end:
            break
        if high <= at:
            continue
        if low > at:
            parts.append((at, low))
        at = max(at, high)
    if at < end:
        parts.append((at, end))
    return parts


def render(text: str, finds: Sequence[Find], surrogate: Callable[[Find], str]) -> Cleaned:
    """The text with a surrogate in the place of each find; finds are in order and do not overlap."""
    parts: list[str] = []
    spans: list[Span] = []
    at = length = 0
    for find in finds:
        new = surrogate(find)
        before = parts[-1][-1:] if find.start == at and parts else text[find.start - 1 : find.start]
        new = " " * (_joins(before, new[:1])) + new + " " * (_joins(new[-1:], text[find.end : find.end + 1]))
        parts += [text[at : find.start], new]
        length += find.start - at
        spans.append(Span(find.start, find.end, find.kind, find.rule, length, length + len(new)))
        length, at = length + len(new), find.end
    return Cleaned("".join([*parts, text[at:]]), tuple(spans))


def _joins(one: str, other: str) -> bool:
    """Whether a surrogate would run into the letters beside it, where it is no longer recognised."""
    return one.isalnum() and other.isalnum()


def source_offset(spans: Sequence[Span], position: int, *, ending: bool = False) -> int:
    """The offset in the source of a position in the result that lies outside every surrogate; a position at an edge belongs to the text beside it."""
    moved = 0
    for span in spans:
        if span.surrogate_end > position or (ending and span.surrogate_end == position and span.surrogate_start < position):
            break
        moved = span.end - span.surrogate_end
    return position + moved
