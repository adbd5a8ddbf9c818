"""From what a writer said to one JSON object: strict first, then repairs that change no word, each of them named.

In: text. Out: the object and the repairs that were needed; `Unusable` otherwise. What is cut off is never completed, and of two objects none is chosen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from vesalius.instruct.generate.schema import Unusable

REPAIRS = ("surroundings", "trailing comma", "line break in a text")
_LONGEST = 200_000  # characters: nothing that was asked for is a tenth of it
_DEEPEST = 20


def read(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The JSON object in a text.

    Returns:
        The object, and which of `REPAIRS` were needed.

    Raises:
        Unusable: there is none, more than one, one that is not whole, a repeated key, or a number that is not finite.
    """
    if len(text) > _LONGEST:
        raise Unusable(f"the reply has {len(text):,} characters")
    stripped = text.strip()
    if not stripped:
        raise Unusable("the reply is empty")
    value = _strict(stripped)
    if value is not None:
        return value, ()
    found = list(_objects(stripped))
    whole = [body for body, closed in found if closed]
    if len(whole) != 1:
        raise Unusable(_why(found, whole))
    body = whole[0]
    repairs = ["surroundings"] if body != stripped else []
    value = _strict(body)
    if value is None:
        shorter = _without_trailing_commas(body)
        repairs += ["trailing comma"] if shorter != body else []
        value = _strict(shorter)
        if value is None:
            value = _strict(shorter, loose=True)
            repairs.append("line break in a text")
    if value is None:
        raise Unusable("the reply is not valid JSON")
    return value, tuple(repairs)


def _strict(text: str, *, loose: bool = False) -> dict[str, Any] | None:
    """The object, None if it is not JSON; `loose` allows line breaks and tabs inside texts."""
    try:
        value = json.loads(text, strict=not loose, parse_constant=_refuse, object_pairs_hook=_once)
    except RecursionError as error:
        raise Unusable("the reply is nested too deep") from error
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Unusable("the reply gives a field twice")
    return made


def _refuse(constant: str) -> float:
    raise Unusable(f"the reply holds {constant}, which is not JSON")


def _objects(text: str) -> Iterator[tuple[str, bool]]:
    """Outermost {...} of a text, and whether each is closed; braces inside texts do not count."""
    start, depth, quoted, escaped = -1, 0, False, False
    for at, sign in enumerate(text):
        if depth and quoted:
            if escaped:
                escaped = False
            elif sign == "\\":
                escaped = True
            elif sign == '"':
                quoted = False
        elif depth and sign == '"':
            quoted = True
        elif sign == "{":
            depth += 1
            if depth > _DEEPEST:
                raise Unusable("the reply is nested too deep")
            if depth == 1:
                start = at
        elif sign == "}" and depth:
            depth -= 1
            if not depth:
                yield text[start : at + 1], True
    if depth:
        yield text[start:], False


def _without_trailing_commas(text: str) -> str:
    """A comma before a closing bracket, outside texts, is taken out."""
    return re.sub(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', lambda match: match.group(1) or "", text)


def _why(found: list[tuple[str, bool]], whole: list[str]) -> str:
    if len(whole) > 1:
        return "the reply holds several JSON objects"
    return "the JSON object in the reply is not whole" if found else "the reply holds no JSON object"
