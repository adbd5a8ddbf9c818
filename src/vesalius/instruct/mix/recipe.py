"""A mixture on one page of TOML: which sources, how much of each, what is left out, and the seed.

In: a file, or the name of a recipe that ships. Out: a frozen `Mixture` that cannot be wrong in itself. Nothing here reads data.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Sequence
from pathlib import Path

from vesalius import config
from vesalius.errors import ConfigError
from vesalius.instruct.filters.table import DUPLICATE, FILTERS
from vesalius.registry import unknown

_SHIPPED = Path(__file__).parent / "recipes"


class Unit(enum.StrEnum):
    """What a part's `count` and `cap` count."""

    ROWS = "rows"  # questions with their answers
    GROUPS = "groups"  # conversations, or questions with all their wordings: taken whole


class Layout(enum.StrEnum):
    """What the lines of a file are."""

    INSTRUCTIONS = "instructions"  # of `instruct build` and of this package's mixtures
    GENERATED = "generated"  # of `instruct generate`
    ALPACA = "alpaca"  # {"instruction", "input", "output"}, about no picture


class Pictures(enum.StrEnum):
    """Which pictures are one."""

    COPIES = "copies"  # also in another size, recompressed or cropped (`data.leaks.images`)
    BYTES = "bytes"  # equal files


@dataclasses.dataclass(frozen=True)
class Built:
    """Make the instructions of the set's labels, boxes and reports, as `instruct build` does. Fields as `instruct.build.study.How`; no tasks: all."""

    tasks: tuple[str, ...] = ()
    wordings: int = 1
    families: tuple[str, ...] | None = None
    most: int | None = None
    weak: bool = True


@dataclasses.dataclass(frozen=True)
class Keep:
    """What a row must be to be used.

    Args:
        tasks: task families; none: all. images: "any", "with" or "without".
        question, answer: characters at most. filters: names of `instruct.filters` that must not object.
    """

    tasks: tuple[str, ...] = ()
    images: str = "any"
    question: int = 2000
    answer: int = 4000
    filters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images not in ("any", "with", "without"):
            raise ConfigError(f"keep.images = {self.images!r} is not any, with or without", remedy="give one of the three")
        if self.question < 1 or self.answer < 1:
            raise ConfigError("keep.question and keep.answer must be at least 1", remedy="give numbers of characters")
        known = [one.name for one in FILTERS if one.name != DUPLICATE]
        for name in self.filters:
            if name not in known:
                raise unknown("filter", name, known)


@dataclasses.dataclass(frozen=True)
class Part:
    """One source.

    Args:
        name: unique in the mixture.
        set: data set whose training part is used: its own questions under `protocol`, or, with `build`, instructions made of what it states.
        path: a file instead of a set, relative to the working directory, in `layout`.
        licence, may_train, how_to_obtain: of a file, whose card nobody has. A file may name data sets in its rows; their cards count too.
        count: so many, exactly; None: a share of what remains of the mixture's total, or all. cap: at most so many count as there. unit: what both count.
        weight: factor of the share. keep: what is used of it.
    """

    name: str
    set: str = ""
    path: str = ""
    protocol: str | None = None
    build: Built | None = None
    layout: Layout = Layout.INSTRUCTIONS
    licence: str = ""
    may_train: bool = True
    how_to_obtain: str = ""
    count: int | None = None
    cap: int | None = None
    unit: Unit = Unit.ROWS
    weight: float = 1.0
    keep: Keep = dataclasses.field(default_factory=Keep)

    def __post_init__(self) -> None:
        if not self.name.strip() or bool(self.set) == bool(self.path):
            raise self._wrong("needs a name, and a set or a path, not both")
        if self.path and (self.build or self.protocol):
            raise self._wrong("reads a file, which has no protocol and is not built")
        if self.build and self.protocol:
            raise self._wrong("is built, under the protocol that instruct build takes")
        for key in ("count", "cap"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise self._wrong(f"has {key} = {value}, below 1")
        if self.count is not None and self.cap is not None and self.cap < self.count:
            raise self._wrong(f"has cap = {self.cap:,} below count = {self.count:,}")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise self._wrong(f"has weight = {self.weight}, not above 0")

    def _wrong(self, what: str) -> ConfigError:
        return ConfigError(f"source {self.name!r} {what}", remedy="correct it in the recipe")


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A recipe.

    Args:
        name, about: for people. seed: of every choice.
        total: rows in all, shared among parts without `count` in proportion to weight x n^(1/temperature); None takes all of them.
        temperature: 1: as large sets are larger; the higher, the more alike the shares.
        development: share of patients or pictures whose rows are marked as development, in [0, 1).
        pictures: which pictures are one.
    """

    name: str
    sources: tuple[Part, ...]
    about: str = ""
    seed: int = 0
    total: int | None = None
    temperature: float = 1.0
    development: float = 0.0
    pictures: Pictures = Pictures.COPIES

    def __post_init__(self) -> None:
        names = [part.name for part in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise self._wrong(f"two sources are called {twice[0]!r}" if twice else "there is no source", "give each source its own name")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise self._wrong(f"temperature = {self.temperature} is not above 0", "give 1 for shares by size, more for shares that are more alike")
        if not 0 <= self.development < 1:
            raise self._wrong(f"development = {self.development} is outside [0, 1)", "give the share that is held out, such as 0.05")
        fixed = sum(part.count or 0 for part in self.sources)
        open_ = [part for part in self.sources if part.count is None]
        if self.total is not None:
            if any(part.unit is not Unit.ROWS for part in self.sources):
                raise self._wrong("a total counts rows, and a source counts groups", "leave out total, or unit")
            if self.total < fixed or (not open_ and self.total != fixed) or self.total < 1:
                raise self._wrong(f"total = {self.total:,} does not fit the counts of its sources, {fixed:,}", "correct one of them")

    def _wrong(self, what: str, remedy: str) -> ConfigError:
        return ConfigError(f"mixture {self.name!r}: {what}", remedy=remedy)


def named() -> tuple[str, ...]:
    """Names of the recipes that ship."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def read(recipe: str | Path, *, overrides: Sequence[str] = ()) -> Mixture:
    """A recipe by its name, or from a file.

    Args:
        overrides: texts `key=value`, such as `total=1000`.

    Raises:
        UnknownName: no recipe of that name ships, and it is no path of a TOML file. ConfigError: the recipe.
    """
    text = str(recipe)
    if text in named():
        return config.read(_SHIPPED / f"{text}.toml", Mixture, overrides=overrides)
    if not text.endswith(".toml"):
        raise unknown("mixture", text, list(named()))
    return config.read(text, Mixture, overrides=overrides)
