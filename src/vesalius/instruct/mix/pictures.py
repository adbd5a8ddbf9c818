"""Which pictures of a mixture and of the tests are one, and which cannot be read.

In: names, a data root. Out: name -> name of its group, for those that have copies; names that are absent, outside the root or no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from vesalius.data.leaks import images
from vesalius.instruct.mix.recipe import Pictures
from vesalius.provenance import sha256_file

Progress = Callable[[int, int, str], None]


def groups(names: Iterable[str], tested: Iterable[str], root: Path, how: Pictures, progress: Progress) -> tuple[dict[str, str], list[str]]:
    """Groups of pictures, and pictures of `names` that cannot be read.

    Args:
        names: of the mixture. tested: of tests; those that have no file are compared by their names alone.
    """
    wanted = sorted(set(names))
    files = {name: path for name in wanted if (path := _file(root, name)) is not None}
    unreadable = [name for name in wanted if name not in files]
    every = files | {name: path for name in set(tested) if (path := _file(root, name)) is not None}
    if not files:
        return {}, unreadable
    if how is Pictures.BYTES:
        return _equal(every, progress), unreadable
    compared = images.compare(every, progress=progress)
    return compared.groups(), unreadable + sorted(name for name in compared.unreadable if name in files)


def _file(root: Path, name: str) -> Path | None:
    """The file of a name that stays below the root."""
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root.resolve()) and path.is_file() and path.stat().st_size else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _equal(files: dict[str, Path], progress: Progress) -> dict[str, str]:
    by_hash: dict[str, list[str]] = {}
    for number, name in enumerate(sorted(files)):
        progress(number, len(files), "pictures hashed")
        by_hash.setdefault(sha256_file(files[name]), []).append(name)
    return {name: names[0] for names in by_hash.values() if len(names) > 1 for name in names}
