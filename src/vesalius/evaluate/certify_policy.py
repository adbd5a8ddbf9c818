"""A policy as TOML, so that what was certified can be read by people, kept under version control and given to `vesalius ask --policy`.

In: a `Policy`. Out: text that `safety.policy.read_policy` reads back to a policy of the same digest.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius import config
from vesalius.errors import UserError
from vesalius.evaluate.record import write_text
from vesalius.safety.policy import Policy

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(policy: Policy) -> str:
    """The policy as TOML; what is None is left out."""
    return "\n".join(_table(dataclasses.asdict(policy), ())).lstrip("\n") + "\n"


def write(policy: Policy, path: Path) -> None:
    """Write a policy to a new file and prove that it reads back as the same.

    Raises:
        UserError: the file is there already. OutputError: it cannot be written.
    """
    if path.exists():
        raise UserError(f"{path} exists already", remedy="give --out another file, or remove it")
    text = to_toml(policy)
    if config.parse(text, Policy, where=str(path)).digest() != policy.digest():
        raise AssertionError("a written policy must read back as itself")
    write_text(path, text)


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    given = {key: value for key, value in table.items() if value is not None}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in given.items() if not _is_table(value) and not _is_tables(value)]
    for key, value in given.items():
        here = (*path, _key(key))
        if _is_table(value):
            inner = _table(value, here)
            lines += ["", f"[{'.'.join(here)}]", *inner]
        elif _is_tables(value):
            for row in value:
                lines += ["", f"[[{'.'.join(here)}]]", *_table(row, here)]
    return lines


def _is_table(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, Mapping)


def _is_tables(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return repr(value)
