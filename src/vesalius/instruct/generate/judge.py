"""From a reply to a usable value, or the reason why not: parsing, the fields, the wording, in this order.

In: a task, an item, a reply. Out: `Verdict`. Kinds of failure are few and fixed, so that they can be counted.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from vesalius.instruct.generate import parse, schema, wording
from vesalius.instruct.generate.sources import Item
from vesalius.instruct.generate.tasks import Task
from vesalius.instruct.generate.writers import Wrote

REFUSED, CUT, UNPARSED, FIELDS, HINT = "refused", "cut off", "not JSON", "wrong fields", "reveals the text"
KINDS = (REFUSED, CUT, UNPARSED, FIELDS, HINT)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a reply is worth.

    Args:
        value: the checked object; None when it cannot be used. repairs: what parsing needed.
        kind: of `KINDS`, "" when it can be used. why: in words.
    """

    value: dict[str, Any] | None
    repairs: tuple[str, ...] = ()
    kind: str = ""
    why: str = ""


def judge(task: Task, item: Item, wrote: Wrote) -> Verdict:
    """The verdict on one reply."""
    if wrote.refused is not None:
        return Verdict(None, (), REFUSED, wrote.refused)
    try:
        parsed, repairs = parse.read(wrote.text)
    except schema.Unusable as reason:
        if not wrote.whole:
            return Verdict(None, (), CUT, f"the reply was cut off after {wrote.output_tokens} tokens; be shorter")
        return Verdict(None, (), UNPARSED, str(reason))
    try:
        value = task.read(parsed, item)
    except schema.Unusable as reason:
        return Verdict(None, repairs, FIELDS, str(reason))
    found = wording.first_hint(schema.texts(value))
    if found is not None:
        return Verdict(None, repairs, HINT, f"it says {found!r}, but the student sees only the image")
    return Verdict(value, repairs)
