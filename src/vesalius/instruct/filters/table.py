"""The filters, in the order in which they are asked.

In: the names that are wanted. Out: `Filter`s. A record that several object to is counted for the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator

from vesalius.instruct.filters import advice, answers, form, invented, questions
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.objection import Objection
from vesalius.registry import unknown


@dataclasses.dataclass(frozen=True)
class Filter:
    """One filter. needs_facts: it is applied only where it is known what a record was made from."""

    name: str
    summary: str
    look: Callable[[Case], Iterator[Objection]] | None
    needs_facts: bool = False

    def __call__(self, case: Case) -> list[Objection]:
        """Its objections to a record; none where it is not applied."""
        if self.look is None or (self.needs_facts and case.record.facts is None):
            return []
        return [dataclasses.replace(found, filter=self.name) for found in self.look(case)]


FORMAT, DUPLICATE = "format", "duplicate"
FILTERS: tuple[Filter, ...] = (
    Filter(FORMAT, "lines that cannot be read, empty texts, refusals, left-overs, loops", form.well_formed),
    Filter("language", "another language or script than English", form.language),
    Filter("length", "too few or too many words", form.length),
    Filter("leak", "tells of the caption, copies it, or gives the answer away in the question", questions.leak),
    Filter("unseen", "asks for what no picture shows, or for general knowledge", questions.unseen),
    Filter("contradiction", "the answer says the opposite of the caption", answers.contradiction, needs_facts=True),
    Filter("invented", "a measurement, number, earlier study, side or fact of the patient that the caption does not have", invented.invented, needs_facts=True),
    Filter("unsupported", "the answer claims what the caption does not say", answers.unsupported, needs_facts=True),
    Filter("unsafe", "doses, orders of treatment, sending away from care, certainty without a basis", advice.unsafe),
    Filter(DUPLICATE, "what an earlier record says already", None),
)


def chosen(only: Collection[str] = (), without: Collection[str] = ()) -> tuple[Filter, ...]:
    """Filters by name, in the order of the table.

    Raises:
        UnknownName: a name is in no row.
    """
    names = [one.name for one in FILTERS]
    for name in (*only, *without):
        if name not in names:
            raise unknown("filter", name, names)
    return tuple(one for one in FILTERS if (not only or one.name in only) and one.name not in without)
