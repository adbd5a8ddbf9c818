"""What is done to an archive, as one TOML file says it.

In: a file with the tables `[header]`, `[pixels]`, `[text]`. Out: a frozen `Plan`; a misspelt key is answered with the nearest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from vesalius import config
from vesalius.errors import ConfigError, nearest
from vesalius.formats.deidentify import Profile
from vesalius.formats.deidentify.burned.letters import LIMIT

_READ = ("triage", "all", "nothing")
_CAPTURES = ("refuse", "read")
_FACES = ("mark", "refuse")
_FINDERS = ("rules", "presidio")


@dataclasses.dataclass(frozen=True)
class Pixels:
    """What is done about text in pixels.

    Attributes:
        read: "triage" reads what may hold text by its header or a quick look; "all" reads every image; "nothing" reads none, and files say so.
        limit: for triage, the likelihood of text from which an image is read, from 0 to 1; lower misses less and reads more.
        secondary_captures: "refuse" sets them apart, "read" treats them as other images.
        faces: "mark" says in header and manifest that a face may be drawn from CT, MR or PET of the head, "refuse" sets such images apart.
    """

    read: str = "triage"
    limit: float = LIMIT
    secondary_captures: str = "refuse"
    faces: str = "mark"

    def __post_init__(self) -> None:
        _one_of("pixels.read", self.read, _READ)
        if not 0 <= self.limit <= 1:
            raise ConfigError(f"pixels.limit = {self.limit:g} is no likelihood", remedy="give a number from 0 to 1")
        _one_of("pixels.secondary_captures", self.secondary_captures, _CAPTURES)
        _one_of("pixels.faces", self.faces, _FACES)


@dataclasses.dataclass(frozen=True)
class Text:
    """What is done about reports and texts in headers.

    Attributes:
        reports: whether text files that belong to a study are cleaned and released with it; else they are left out.
        finder: "rules", or "presidio" for a second finder of names in sentences beside them.
    """

    reports: bool = True
    finder: str = "rules"

    def __post_init__(self) -> None:
        _one_of("text.finder", self.finder, _FINDERS)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All of it. header: the options of PS3.15; our text cleaner cleans what they clean, and the sentences that the standard's table does not name."""

    header: Profile = dataclasses.field(default_factory=Profile)
    pixels: Pixels = dataclasses.field(default_factory=Pixels)
    text: Text = dataclasses.field(default_factory=Text)

    def __post_init__(self) -> None:
        if self.header.clean_graphics:
            raise ConfigError("header.clean_graphics needs a cleaner of overlays, which a plan cannot name", remedy="leave it out: overlays are removed")

    @classmethod
    def read(cls, path: str | Path, *, overrides: Sequence[str] = ()) -> Plan:
        """A plan from a TOML file.

        Raises:
            ConfigError: not readable, an unknown key or value, or options that exclude each other.
        """
        return config.read(path, cls, overrides=overrides)

    def digest(self) -> str:
        """16 hexadecimal digits: another plan has others."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        guess = nearest(value, list(known))
        raise ConfigError(f"{name} = {value!r} is unknown", remedy=f"did you mean {guess!r}?" if guess else f"give one of {', '.join(known)}")
