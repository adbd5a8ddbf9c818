"""What goes on the evidence page: a reading, the pictures it was asked of, and the limits it was weighed against.

In: facts gathered by the reader. Out: one noun. No Pillow here, so making an exhibit costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from vesalius.domain.decision import Verdict
from vesalius.domain.reading import Reading
from vesalius.domain.study import Image
from vesalius.errors import InvalidValue


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Two limits of one signal: beyond `caveat` the answer gets a caveat, beyond `refer` it is referred; `below` when smaller is worse."""

    caveat: float
    refer: float
    below: bool = False

    def verdict(self, value: float) -> Verdict:
        """What this value alone would lead to."""
        for limit, verdict in ((self.refer, Verdict.REFERRED), (self.caveat, Verdict.CAVEATED)):
            if value < limit if self.below else value > limit:
                return verdict
        return Verdict.RELEASED


@dataclasses.dataclass(frozen=True, eq=False)
class Exhibit:
    """A reading with what its page needs.

    Args:
        image: what the question was asked of.
        controls: name to the wrong picture; names as in `reading.controls`.
        limits: signal name to its bounds.
        flipped: for each rewording whether its answer, in the polarity of the original, differs or cannot be compared.
        moved: control name to whether its answer differs.

    Raises:
        InvalidValue: not one `flipped` for each rewording.
    """

    reading: Reading
    image: Image
    controls: Mapping[str, Image]
    limits: Mapping[str, Bounds]
    flipped: tuple[bool, ...]
    moved: Mapping[str, bool]

    def __post_init__(self) -> None:
        if len(self.flipped) != len(self.reading.rewordings):
            raise InvalidValue(f"{len(self.reading.rewordings)} rewordings need as many marks (got {len(self.flipped)})")


def told_by(model: Mapping[str, Any]) -> str | None:
    """What a model that reads an image in words before it answers was told of it, in one line: "read as CT (0.97) by radiology: ..."; None for others.

    Args:
        model: of a `Reading`; its `read` holds type, type_probability, expert and expert_text.
    """
    read = model.get("read")
    if not isinstance(read, Mapping):
        return None
    probability = read.get("type_probability")
    sure = f" ({probability:.2f})" if isinstance(probability, float) else ""
    by = f" by {read['expert']}" if read.get("expert") not in (None, "none") else ""
    return f"read as {read.get('type', 'unknown')}{sure}{by}: {str(read.get('expert_text') or '').strip() or '(nothing)'}"
