"""One TOML file to frozen dataclasses: unknown key = error with the nearest name; wrong type = error with the place; nothing evaluates.

In: a path, text or mapping, and a dataclass type. Out: an instance. `override` applies `section.key=value` from the command line.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vesalius.errors import ConfigError, nearest

T = TypeVar("T")


def read(path: str | Path, kind: type[T], *, overrides: Sequence[str] = ()) -> T:
    """Read a TOML file as `kind`.

    Args:
        path: the file.
        kind: a dataclass; nested dataclasses are tables, tuples of dataclasses are arrays of tables.
        overrides: texts `section.key=value`; the value is TOML, or a bare string.

    Raises:
        ConfigError: missing file, not TOML, unknown key, wrong type.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", remedy="give the path of an existing TOML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text", remedy="give a TOML file") from error
    return parse(text, kind, where=str(path), overrides=overrides)


def parse(text: str, kind: type[T], *, where: str = "<text>", overrides: Sequence[str] = ()) -> T:
    """Like `read`, from TOML text."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: is not valid TOML ({error})", remedy="correct the line named") from error
    for item in overrides:
        _override(table, item)
    return build(table, kind, where=where)


def build(table: Mapping[str, Any], kind: type[T], *, where: str = "<mapping>") -> T:
    """A dataclass from a mapping, strictly."""
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            guess = nearest(key, list(fields))
            remedy = f"did you mean {guess!r}?" if guess else f"known keys: {', '.join(fields)}"
            raise ConfigError(f"{where}: unknown key {key!r}", remedy=remedy)
    values = {k: _value(v, hints[k], f"{where}: {k}") for k, v in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        missing = [n for n, f in fields.items() if n not in values and f.default is f.default_factory is dataclasses.MISSING]
        if missing:
            raise ConfigError(f"{where}: missing key {missing[0]!r}", remedy="add it") from error
        raise


def _value(value: Any, hint: Any, where: str) -> Any:  # noqa: ANN401
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(value, typing.get_args(hint), where)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise _wrong(where, "a table", value)
        return build(value, hint, where=where)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(where, "an array", value)
        args = typing.get_args(hint)
        inner = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
        if len(inner) != len(value):
            raise _wrong(where, f"an array of {len(inner)}", value)
        return tuple(_value(v, h, f"{where}[{i}]") for i, (v, h) in enumerate(zip(value, inner, strict=True)))
    if origin in (dict, Mapping) or hint is dict or getattr(origin, "__name__", "") == "Mapping":
        if not isinstance(value, Mapping):
            raise _wrong(where, "a table", value)
        args = typing.get_args(hint)
        return {k: _value(v, args[1], f"{where}.{k}") for k, v in value.items()} if args else dict(value)
    return _scalar(value, hint, where)


def _union(value: Any, hints: tuple[Any, ...], where: str) -> Any:  # noqa: ANN401
    if value is None:
        return None
    error: ConfigError | None = None
    for hint in hints:
        if hint is type(None):
            continue
        try:
            return _value(value, hint, where)
        except ConfigError as problem:
            error = problem
    raise error or _wrong(where, "a known type", value)


def _scalar(value: Any, hint: Any, where: str) -> Any:  # noqa: ANN401
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and issubclass(hint, str) and hint is not str and isinstance(value, str):
        try:
            return hint(value)
        except ValueError:
            choices = [str(m) for m in hint]  # type: ignore[attr-defined]
            raise _wrong(where, "one of " + ", ".join(choices), value) from None
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise _wrong(where, getattr(hint, "__name__", str(hint)), value)
    return value


def _wrong(where: str, wanted: str, value: Any) -> ConfigError:  # noqa: ANN401
    return ConfigError(f"{where}: {value!r} is not {wanted}", remedy=f"give {wanted}")


def _override(table: dict[str, Any], item: str) -> None:
    key, sign, raw = item.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {item!r} has no '='", remedy="write --set section.key=value")
    *path, last = key.strip().split(".")
    here: Any = table
    for part in path:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise ConfigError(f"--set {item!r}: {part!r} is not a table", remedy="name a key that the file has")
    try:
        here[last] = tomllib.loads(f"v = {raw}")["v"]
    except tomllib.TOMLDecodeError:
        here[last] = raw.strip()
