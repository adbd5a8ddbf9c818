"""Every error a user can meet: what happened, where, and what to do about it.

In: the facts of a failure. Out: a `UserError` whose text is one sentence with the remedy, and whose `exit_code` the command line uses.
Anything that is not a `UserError` is our own bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Something the user gave or set up is not usable; the message says what, where and the remedy."""

    exit_code = 2

    def __init__(self, what: str, *, remedy: str) -> None:
        self.what = what.rstrip(".")
        self.remedy = remedy.rstrip(".")
        super().__init__(f"{self.what}: {self.remedy}.")


class UnreadableStudy(UserError):
    """A file cannot become a `Study` (empty, truncated, not an image, refused syntax, absurd dimensions)."""

    def __init__(self, path: str | Path, what: str, *, remedy: str) -> None:
        self.path = Path(path)
        super().__init__(f"{path}: {what}", remedy=remedy)


class MixedPatients(UserError):
    """Files of more than one patient were offered as one study."""


class InvalidValue(UserError, ValueError):
    """A noun of `domain` would be built wrong; raised at construction, naming the numbers."""

    def __init__(self, what: str, *, remedy: str = "give a value inside the stated range") -> None:
        super().__init__(what, remedy=remedy)


class UnknownName(UserError):
    """A name that no table knows; the message offers the nearest one and the list."""


class MissingExtra(UserError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class ConfigError(UserError):
    """A TOML file has an unknown key, a wrong type or a value out of range."""


class DataMissing(UserError):
    """A data set or data root is not where it should be; the message says how to obtain it."""


class WeightsError(UserError):
    """Model weights cannot be had or do not have the expected SHA-256."""


class InterruptedWork(UserError):
    """Long work was stopped; the message says how to continue it."""

    exit_code = 130


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar known name, or None when nothing is close."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return close[0] if close else None
