"""What a filter has to say against a record: which filter, why, and the words that show it.

In: a match in a question or an answer. Out: `Objection`, as JSON and as a line for people.
"""

from __future__ import annotations

import dataclasses
from typing import Any

_SHOWN = 160


@dataclasses.dataclass(frozen=True)
class Objection:
    """One reason to drop a record.

    Args:
        code: short name of the reason, fixed. message: in words.
        turn: of the record, from 0; None when the record as a whole is meant. field: "question" or "answer"; "" for the record.
        span: first and last character of the evidence in that field. quote: the evidence. against: words of the caption, or the id of another record.
        filter: name of the filter; filled in by the table.
    """

    code: str
    message: str
    turn: int | None = None
    field: str = ""
    span: tuple[int, int] | None = None
    quote: str = ""
    against: str = ""
    filter: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain mapping without what is not known."""
        told = {key: value for key, value in dataclasses.asdict(self).items() if value not in (None, "")}
        return {**told, **({"span": list(self.span)} if self.span else {})}

    def __str__(self) -> str:
        place = "" if self.turn is None else f" [turn {self.turn + 1}, {self.field}{'' if self.span is None else f' {self.span[0]}:{self.span[1]}'}]"
        quote = f": {self.quote!r}" if self.quote else ""
        return f"{self.filter}.{self.code}{place} {self.message}{quote}" + (f" (against {self.against!r})" if self.against else "")


def at(code: str, message: str, turn: int, field: str, text: str, span: tuple[int, int], against: str = "") -> Objection:
    """An objection whose evidence is a stretch of a turn's question or answer."""
    return Objection(code, message, turn, field, span, text[span[0] : span[1]][:_SHOWN], against[:_SHOWN])
