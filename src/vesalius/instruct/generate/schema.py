"""What a writer must give back for a task: fields with their kinds, as a JSON schema, in words, and as a strict check.

In: fields of a task's prompt file; a parsed JSON value. Out: a schema; the value, unchanged, or `Unusable` with the place and the reason. Nothing is mended.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.errors import InvalidValue

KINDS = ("text", "turns", "placed", "diagnoses", "choice")
_ITEM = {"turns": ("question", "answer"), "placed": ("question", "answer", "regions"), "diagnoses": ("name", "reason")}
_LONGEST = 2500  # characters of a text inside a list
_MARK = re.compile(r"<image>|<\|[^<>]{0,40}\|>|\[/?INST\]|</?s>|[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", re.IGNORECASE)


class Unusable(Exception):
    """What a writer gave cannot be used; the text says where and why, without quoting what the input said."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a task's output.

    Args:
        kind: "text"; "turns" (question and answer), "placed" (those with names of regions), "diagnoses" (name and reason): lists; "choice".
        about: what it holds, in words, for the writer.
        least, most: characters of a text, entries of a list. choices: of a choice.
    """

    kind: str
    about: str
    least: int = 1
    most: int = 1000
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidValue(f"a field's kind cannot be {self.kind!r}", remedy=f"give one of: {', '.join(KINDS)}")
        if not 0 < self.least <= self.most or (self.kind == "choice") != bool(self.choices):
            raise InvalidValue(f"a field of kind {self.kind!r} with least {self.least}, most {self.most} and {len(self.choices)} choices makes no sense")


def json_schema(fields: Mapping[str, Field]) -> dict[str, Any]:
    """The JSON schema of an object with exactly these fields."""
    return _object({name: _schema(field) for name, field in fields.items()})


def in_words(fields: Mapping[str, Field]) -> str:
    """The same for endpoints that take no schema."""
    lines = []
    for name, field in fields.items():
        if field.kind == "text":
            shape = f"text, at most {field.most} characters"
        elif field.kind == "choice":
            shape = "one of " + ", ".join(json.dumps(choice) for choice in field.choices)
        else:
            shape = f"list of {field.least} to {field.most} objects with {', '.join(json.dumps(key) for key in _ITEM[field.kind])}"
        lines.append(f"- {json.dumps(name)}: {shape}; {field.about}")
    return "Fields of the JSON object:\n" + "\n".join(lines)


def check(value: Any, fields: Mapping[str, Field], regions: Sequence[str] = ()) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON came
    """The value, if it is an object with exactly these fields.

    Args:
        regions: names of regions that a "placed" field may use.

    Raises:
        Unusable: anything else.
    """
    _keys(value, tuple(fields), "the reply")
    for name, field in fields.items():
        given = value[name]
        if field.kind == "text":
            _text(given, name, field.least, field.most)
        elif field.kind == "choice":
            if given not in field.choices:
                raise Unusable(f"{name} is not one of {', '.join(field.choices)}")
        else:
            _list(given, name, field, regions)
    return dict(value)


def texts(value: Any) -> list[str]:  # noqa: ANN401
    """All words of a checked value, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for key, entry in value.items() if key not in ("regions", "change") for text in texts(entry)]
    return [text for entry in value for text in texts(entry)] if isinstance(value, list) else []


def _list(given: Any, name: str, field: Field, regions: Sequence[str]) -> None:  # noqa: ANN401
    if not isinstance(given, list):
        raise Unusable(f"{name} is not a list")
    if not field.least <= len(given) <= field.most:
        raise Unusable(f"{name} has {len(given)} entries, not {field.least} to {field.most}")
    for number, entry in enumerate(given, start=1):
        place = f"entry {number} of {name}"
        _keys(entry, _ITEM[field.kind], place)
        for key in ("question", "answer") if "question" in entry else ("name", "reason"):
            _text(entry[key], f"{key} in {place}", 1, _LONGEST)
        if field.kind == "placed":
            _named(entry["regions"], place, regions)
            if any(re.search(rf"\b{re.escape(region)}\b", entry["question"] + "\n" + entry["answer"]) for region in regions):
                raise Unusable(f"{place} writes the name of a region into its words")
    if field.kind != "diagnoses" and len({" ".join(entry["question"].lower().split()) for entry in given}) < len(given):
        raise Unusable(f"{name} asks the same question twice")


def _named(given: Any, place: str, regions: Sequence[str]) -> None:  # noqa: ANN401
    if not isinstance(given, list) or not given or len(given) > len(regions):
        raise Unusable(f"{place} names no region, or more than there are")
    if any(name not in regions for name in given if isinstance(name, str)) or not all(isinstance(name, str) for name in given) or len(set(given)) < len(given):
        raise Unusable(f"{place} names a region that is not there, or one twice")


def _keys(value: Any, names: Sequence[str], place: str) -> None:  # noqa: ANN401
    if not isinstance(value, Mapping):
        raise Unusable(f"{place} is not an object")
    missing = [name for name in names if name not in value]
    if missing:
        raise Unusable(f"{place} has no {missing[0]}")
    if len(value) > len(names):
        raise Unusable(f"{place} has fields that were not asked for")


def _text(given: Any, place: str, least: int, most: int) -> None:  # noqa: ANN401
    if not isinstance(given, str):
        raise Unusable(f"{place} is not a text")
    if not least <= len(given.strip()) <= most:
        raise Unusable(f"{place} has {len(given.strip())} characters, not {least} to {most}")
    if _MARK.search(given):
        raise Unusable(f"{place} holds a control mark")
    if not any(sign.isalpha() for sign in given):
        raise Unusable(f"{place} holds no word")


def _schema(field: Field) -> dict[str, Any]:
    if field.kind == "text":
        return {"type": "string", "description": field.about}
    if field.kind == "choice":
        return {"type": "string", "enum": list(field.choices), "description": field.about}
    inner = {key: {"type": "array", "items": {"type": "string"}} if key == "regions" else {"type": "string"} for key in _ITEM[field.kind]}
    return {"type": "array", "items": _object(inner), "minItems": field.least, "maxItems": field.most, "description": field.about}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}
