"""The worst answers of a run: wrong, said with confidence, and the same without the picture: what nothing else would catch. As text; pictures on demand.

In: recorded items; for pictures a data root. Out: `Worst`s, in an order that never changes. Pictures are of patients: they are only put in when asked for.
"""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from vesalius.errors import UserError
from vesalius.evaluate.accuracy import is_right
from vesalius.evaluate.ask import open_study
from vesalius.evaluate.behaviour import changed, generated_pairs
from vesalius.evaluate.confidence import confidence_of
from vesalius.evaluate.record import Item
from vesalius.formats.pixels import render
from vesalius.metrics.phrasing import Flip

RULE = "Wrong answers: those that stay the same on a blank image first, then by confidence."
_SIDE = 240


@dataclasses.dataclass(frozen=True)
class Worst:
    """One answer. stays: the same on a blank image; None when that was not asked. flips: (other wordings that changed it, asked). picture: a data URI."""

    suite: str
    id: str
    question: str
    gold: str
    answer: str
    confidence: float | None
    stays: bool | None
    flips: tuple[int, int] | None
    picture: str | None = None
    why_none: str = ""


def worst(items: Mapping[str, Sequence[Item]], *, most: int = 8, root: Path | None = None) -> list[Worst]:
    """The worst answers over all suites.

    Args:
        root: of the data; when given, each answer carries its picture, or the reason why there is none.
    """
    rows = [(suite, item) for suite, group in items.items() for item in group if not is_right(item.answer, item.exchange)]
    rows.sort(key=lambda row: (-(_stays(row[1]) or 0), -(confidence_of(row[1].answer) or 0.0), row[0], row[1].id))
    return [_worst(suite, item, root) for suite, item in rows[:most]]


def _stays(item: Item) -> bool | None:
    now = None if item.blank is None else changed(item.answer, item.blank)
    return None if now is None else not now


def _worst(suite: str, item: Item, root: Path | None) -> Worst:
    states = [pair.state for pairs in generated_pairs([item]).values() for pair in pairs]
    picture, why = (None, "") if root is None else _picture(root, item)
    return Worst(
        suite,
        item.id,
        item.exchange.question.text,
        item.exchange.gold,
        item.answer.text,
        confidence_of(item.answer),
        _stays(item),
        (sum(state != Flip.SAME for state in states), len(states)) if states else None,
        picture,
        why,
    )


def _picture(root: Path, item: Item) -> tuple[str | None, str]:
    """A small PNG as a data URI; without a date or name, so that the same picture gives the same bytes."""
    from PIL import Image as Picture

    try:
        shown = Picture.fromarray(render(open_study(root, item.exchange.image, item.exchange.tags).image))
    except UserError as error:
        return None, error.what
    shown.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    shown.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii"), ""
