"""From sets and task families to a file of instructions, and the count of what was made and what was not.

In: a data root, names, `How`. Out: instructions one by one, each held against the other parts of its set; a `Tally`. Equal input and seed give equal bytes.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue
from vesalius.instruct.build import sources
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.study import How, Material
from vesalius.instruct.build.tasks import FAMILIES
from vesalius.instruct.phrasing import FAMILIES as PHRASING
from vesalius.instruct.record import Instruction
from vesalius.registry import unknown

_SHOWN = 12  # different answers that are counted by name
OTHERS = "(others)"


@dataclasses.dataclass
class Count:
    """Of one set and task."""

    made: int = 0
    groups: set[int] = dataclasses.field(default_factory=set)
    images: set[str] = dataclasses.field(default_factory=set)
    templates: Counter[str] = dataclasses.field(default_factory=Counter)
    classes: set[str] = dataclasses.field(default_factory=set)
    answers: Counter[str] = dataclasses.field(default_factory=Counter)
    families: Counter[str] = dataclasses.field(default_factory=Counter)
    negated: int = 0
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, row: Instruction) -> None:
        """Count one instruction."""
        self.made += 1
        self.groups.add(hash(row.group))
        self.images.update(row.images)
        self.templates[row.template] += 1
        self.classes.add(row.equivalence)
        self.answers[row.answer if row.answer in self.answers or len(self.answers) < 1000 else OTHERS] += 1
        self.families[row.provenance.get("family", "")] += 1
        self.negated += row.polarity == -1

    def to_json(self) -> dict[str, Any]:
        """Numbers alone; the most frequent answers by name."""
        common = dict(self.answers.most_common(_SHOWN))
        rest = self.answers.total() - sum(common.values())
        return {
            "made": self.made,
            "questions": len(self.groups),
            "images": len(self.images),
            "classes": len(self.classes),
            "templates": len(self.templates),
            "negated": self.negated,
            "families": dict(self.families.most_common()),
            "answers": {**common, **({OTHERS: rest} if rest else {})},
            "left_out": dict(self.left_out.most_common()),
        }


class Build:
    """A run over sets and tasks.

    Args:
        sets, tasks: names, in the order in which they are written. licensed: as `sources.check`.

    Raises:
        UnknownName: of a set, task or family. Refused: a set that nothing may be made from. InvalidValue: no wording, or a negative limit.
    """

    def __init__(self, root: Path, sets: Sequence[str], tasks: Sequence[str] = tuple(FAMILIES), how: How | None = None, licensed: Collection[str] = ()) -> None:
        self._how = how or How()
        for name in sets:
            sources.check(name, licensed)
        for kind, names, known in (("task", tasks, FAMILIES), ("family of wordings", self._how.families or (), PHRASING)):
            for name in names:
                if name not in known:
                    raise unknown(kind, name, list(known))
        if not sets or self._how.wordings < 1 or (self._how.most is not None and self._how.most < 1):
            raise InvalidValue("a build needs a set, at least one wording, and a limit above 0 if it has one")
        self._root, self._sets, self._tasks, self._licensed = root, tuple(dict.fromkeys(sets)), tuple(dict.fromkeys(tasks)), licensed
        self.counts: dict[tuple[str, str], Count] = {}
        self.unused: dict[str, Mapping[str, int]] = {}  # set -> reason -> studies that no task saw

    def __iter__(self) -> Iterator[Instruction]:
        """The instructions, set by set and task by task, counted as they go.

        Raises:
            DataMissing, DataFormatError: a set is not below the root, or damaged.
        """
        self.counts, self.unused = {}, {}
        seen: set[str] = set()
        for source in self._sets:
            material = sources.read(source, self._root, self._licensed)
            self.unused[source] = dict(material.left_out)
            for task in self._tasks:
                count = self.counts[source, task] = Count()
                made = FAMILIES[task](Desk(self._root, source, task, material, self._how, count.left_out))
                for row in made:
                    _sound(row, material, seen)
                    count.add(row)
                    yield row

    def to_json(self) -> dict[str, Any]:
        """Counts of what was written so far."""
        return {
            "seed": self._how.seed,
            "made": sum(count.made for count in self.counts.values()),
            "counts": [{"set": source, "task": task, **count.to_json()} for (source, task), count in self.counts.items() if count.made or count.left_out],
            "unused": self.unused,
        }


def _sound(row: Instruction, material: Material, seen: set[str]) -> None:
    """Raises: ValueError for what must never be written, which would be our bug."""
    if row.split is not Split.TRAIN or material.held & {row.cluster, row.id, row.group.partition(":own:")[0], *row.images}:
        raise ValueError(f"{row.id!r} is of a part that is not for training")
    if row.id in seen:
        raise ValueError(f"the id {row.id!r} is there twice")
    seen.add(row.id)
