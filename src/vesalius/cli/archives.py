"""What the commands that work on an archive of studies share: their plan, their key, and the exit code for what was set apart.

In: the words of the command line. Out: a `Plan`, and a key file where one was asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vesalius.cli.console import say

if TYPE_CHECKING:
    from vesalius.pipeline.archive import Plan

SOME_APART = 3


def begin(source: Path, key_file: Path, *, new_key: bool, profile: Path | None, settings: tuple[str, ...]) -> Plan:
    """The plan; and the new key, made only when plan and source are there: a mistyped word must not leave a key behind.

    Raises:
        UserError: no such source, a profile or setting that is wrong, a key file that cannot be made.
    """
    from vesalius import config
    from vesalius.pipeline.archive import Plan, require

    plan = config.parse("", Plan, where="--set", overrides=settings) if profile is None else Plan.read(profile, overrides=settings)
    require(source)
    if new_key:
        make_key(key_file)
    return plan


def make_key(key_file: Path) -> None:
    """A new key file. Raises: UserError: it exists, or cannot be made."""
    from vesalius.formats.deidentify import Key

    Key.create(key_file)
    say(f"made the key {key_file}: keep it apart from the data")
