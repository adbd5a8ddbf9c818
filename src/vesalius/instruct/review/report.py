"""What a review found: how far readers agree, what is right once disagreements are settled, and which lots may be accepted.

In: a queue with its answers, and those of its adjudication. Out: `ReviewReport`; the queue of disagreements for a third reader. An item that readers judge
differently and nobody has settled counts as wrong.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from vesalius.data.splits import unit_hash
from vesalius.errors import InvalidValue
from vesalius.instruct.review import acceptance, agreement
from vesalius.instruct.review import queue as queues
from vesalius.instruct.review.acceptance import Decision
from vesalius.instruct.review.answers import Answer
from vesalius.instruct.review.queue import ADJUDICATION, VERDICTS, Queue, ReviewError
from vesalius.metrics.statistics import Interval

OPEN = "open"  # judged differently, not settled


@dataclasses.dataclass(frozen=True)
class Tally:
    """A lot or a stratum: its size, items drawn, verdicts (with "open"), the share that is right, and the decision where one was asked for."""

    name: str
    size: int
    drawn: int
    verdicts: dict[str, int]
    right: Interval
    decision: Decision | None = None


@dataclasses.dataclass(frozen=True)
class ReviewReport:
    """A review.

    Args:
        readers: name -> items judged. agreement: of `agreement.intervals`; empty with one reader. disagreed, settled, unread: ids.
        whole: over all items that were read. parts: by stratum. lots: which of them are lots.
    """

    queue: str
    items: int
    readers: dict[str, int]
    agreement: dict[str, Interval]
    disagreed: tuple[str, ...]
    settled: tuple[str, ...]
    unread: tuple[str, ...]
    whole: Tally
    parts: tuple[Tally, ...]
    lots: bool

    def to_json(self) -> dict[str, Any]:
        """A plain mapping."""
        told = dataclasses.asdict(self)
        for tally, row in zip((self.whole, *self.parts), (told["whole"], *told["parts"]), strict=True):
            row["decision"] = tally.decision.to_json() if tally.decision else None
        return told


def report(
    queue: Queue,
    answers: Sequence[Answer],
    settled: Sequence[Answer] = (),
    *,
    target: float | None = None,
    confidence: float = 0.95,
    partly: bool = False,
    replicates: int = 2000,
    seed: int = 0,
) -> ReviewReport:
    """Work out what a review found.

    Args:
        answers: of the readers. settled: of the adjudication. target: largest share of wrong items that is accepted; None: nothing is decided.
        partly: "partly" counts as wrong; else as right where something is decided. "wrong", "unsafe" and "open" always count as wrong.

    Raises:
        ReviewError: nobody has answered yet, or who settled was a reader before. InvalidValue: a target out of range.
    """
    if not answers:
        raise ReviewError("nobody has answered yet", remedy="import answers first: vesalius instruct review import")
    readers = sorted({one.reader for one in answers})
    judged = {one.reader for one in settled} & set(readers)
    if judged:
        raise ReviewError(f"{min(judged)} judged the items before, and settles them", remedy="let somebody else adjudicate")
    said = {(one.id, one.reader): one.verdict for one in answers}
    table = [[said.get((entry.id, reader)) for reader in readers] for entry in queue.entries]
    final = _final(queue, table, settled)
    disagreed = tuple(e.id for e, row in zip(queue.entries, table, strict=True) if _differ(row))
    names = {entry.id for entry in queue.entries if final[entry.id] is not None}
    how = (target, confidence, partly)
    whole_size = sum(size for size, _ in queue.strata.values())
    whole = _tally("all", whole_size, queue, final, None, how if not queue.lots else (None, confidence, partly))
    parts = tuple(_tally(name, size, queue, final, name, how if queue.lots else (None, confidence, partly)) for name, (size, _) in queue.strata.items())
    return ReviewReport(
        queue.id,
        len(queue.entries),
        {reader: sum(one.reader == reader for one in answers) for reader in readers},
        agreement.intervals(table, readers, replicates=replicates, seed=seed) if len(readers) > 1 else {},
        disagreed,
        tuple(name for name in disagreed if final[name] != OPEN),
        tuple(entry.id for entry in queue.entries if entry.id not in names),
        whole,
        parts,
        queue.lots,
    )


def disagreements(queue: Queue, answers: Sequence[Answer], *, seed: int = 0) -> Queue:
    """The items that readers judged differently, as a queue for somebody else; earlier verdicts are shown without names, in an order that hides who was who.

    Raises:
        ReviewError: there are none.
    """
    by_item: dict[str, list[Answer]] = {}
    for one in answers:
        by_item.setdefault(one.id, []).append(one)
    open_items = [entry for entry in queue.entries if _differ([one.verdict for one in by_item.get(entry.id, [])])]
    if not open_items:
        raise ReviewError("readers do not disagree on any item", remedy="there is nothing to settle")
    entries = []
    for entry in open_items:
        shown = sorted(by_item[entry.id], key=lambda one: unit_hash(f"{one.id} {one.reader}", salt=f"hide {seed}"))
        entries.append(dataclasses.replace(entry, earlier=tuple((one.verdict, one.comment) for one in shown)))
    counts = Counter(entry.stratum for entry in entries)
    strata = {name: (size, counts[name]) for name, (size, _) in queue.strata.items() if counts[name]}
    return queues.made(ADJUDICATION, queue.id, seed, queue.by, queue.lots, strata, queue.input_sha256, entries)


def _final(queue: Queue, table: list[list[str | None]], settled: Sequence[Answer]) -> dict[str, str | None]:
    """Id -> verdict: the readers' where they agree, else the third reader's, else "open"; None where nobody judged."""
    last: dict[str, set[str]] = {}
    for one in settled:
        last.setdefault(one.id, set()).add(one.verdict)
    found: dict[str, str | None] = {}
    for entry, row in zip(queue.entries, table, strict=True):
        given = {verdict for verdict in row if verdict is not None}
        decided = last.get(entry.id, set())
        found[entry.id] = None if not given else next(iter(given)) if len(given) == 1 else next(iter(decided)) if len(decided) == 1 else OPEN
    return found


def _differ(row: Sequence[str | None]) -> bool:
    return len({verdict for verdict in row if verdict is not None}) > 1


def _tally(name: str, size: int, queue: Queue, final: dict[str, str | None], stratum: str | None, how: tuple[float | None, float, bool]) -> Tally:
    target, confidence, partly = how
    mine = [final[entry.id] for entry in queue.entries if stratum is None or entry.stratum == stratum]
    counts = Counter(verdict for verdict in mine if verdict is not None)
    read = counts.total()
    bad = counts["wrong"] + counts["unsafe"] + counts[OPEN] + (counts["partly"] if partly else 0)
    if not 0 <= read <= size:
        raise InvalidValue(f"{read} items were read of a lot of {size}")
    decision = None if target is None else acceptance.decide(bad, read, size, target=target, confidence=confidence, unsafe=counts["unsafe"])
    right = acceptance.interval(counts["right"], read, size, confidence=confidence)
    return Tally(name, size, len(mine), {verdict: counts[verdict] for verdict in (*VERDICTS, OPEN)}, right, decision)
