"""What a task family works with: a set's material, the options, the count of what is left out; and how an instruction is put together.

In: a study, a wording, an answer. Out: `Instruction`s with group, equivalence class and provenance.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from vesalius.instruct.build import balance
from vesalius.instruct.build.study import How, Left, Material, Study
from vesalius.instruct.build.wordings import Wording
from vesalius.instruct.record import Box, Instruction

OVER = "more than were asked for"
FLIPPED = {"yes": "no", "no": "yes"}
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Desk:
    """See the module. left_out: reason -> items, which families add to."""

    root: Path
    source: str
    task: str
    material: Material
    how: How
    left_out: Left = dataclasses.field(default_factory=Counter)

    def salt(self, key: str) -> str:
        """Makes the chance of one question independent of that of others."""
        return f"build/{self.how.seed}/{self.task}/{key}"

    def leave(self, reason: str, number: int = 1) -> None:
        """Count what is left out."""
        if number:
            self.left_out[reason] += number

    def spare(self, spare: Mapping[str, int], of: str) -> None:
        """Count what found no partner of the other answer."""
        for answer, number in spare.items():
            self.leave(f"no partner for the answer {answer!r} ({of})", number)

    def limit(self, rows: list[Item]) -> list[Item]:
        """The first `most` rows of a class; the others are counted."""
        kept = rows if self.how.most is None else rows[: self.how.most]
        self.leave(OVER, len(rows) - len(kept))
        return kept

    def deal(self, equivalence: str, pool: Sequence[Wording]) -> Iterator[tuple[Wording, ...]]:
        """Wordings for one tuple after another."""
        return balance.dealt(pool, self.how.wordings, salt=self.salt(equivalence), name=lambda wording: wording.id)

    def put(
        self,
        study: Study,
        equivalence: str,
        wording: Wording,
        answer: str,
        fact: str,
        *,
        question: str | None = None,
        images: tuple[str, ...] | None = None,
        choices: tuple[str, ...] = (),
        boxes: tuple[Box, ...] = (),
        about: str = "",
        origin: str = "",
    ) -> Instruction:
        """One instruction.

        Args:
            answer: to the class; a wording of polarity -1 gets the opposite. fact: what the answer follows from. question: where it is not the wording itself.
            about: tells apart questions of one class about one study. origin: where it is not the study's.
        """
        group = ":".join(filter(None, (study.id, equivalence, about)))
        licence = self.material.licence
        return Instruction(
            id=f"{group}:{wording.id.rpartition('/')[2]}",
            source=self.source,
            images=study.images if images is None else images,
            task=self.task,
            question=wording.text if question is None else question,
            answer=answer if wording.polarity == 1 else FLIPPED[answer],
            group=group,
            cluster=study.cluster,
            template=wording.id,
            equivalence=equivalence,
            polarity=wording.polarity,
            choices=choices,
            boxes=boxes,
            provenance=MappingProxyType({"fact": fact, "origin": origin or study.origin, "family": wording.family, "licence": licence}),
        )
