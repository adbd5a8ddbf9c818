"""Copies of one picture under several names.

In: names with their files. Out: pairs of names with their likeness, and groups of names that are one picture. Hashes propose, correlation decides.
Found: other sizes, recompression, brightness and contrast, crops of about 2 %, and neighbouring slices of one volume, which leak like copies.
Not found: mirrored, turned or inverted copies, and crops of much more.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vesalius.data.leaks import likeness, nearest, prints
from vesalius.errors import UserError

RADIUS = 10  # bits; what a cropped copy needs at most with the second hash
_KEPT = 4096  # grey copies in memory, 36 kB each


@dataclasses.dataclass(frozen=True)
class Alike:
    """Two names of one picture, or of neighbouring slices."""

    first: str
    second: str
    likeness: float


@dataclasses.dataclass(frozen=True)
class Compared:
    """What `compare` found; `unreadable` maps a name to the reason why it was not compared."""

    pairs: tuple[Alike, ...]
    images: int
    proposed: int
    unreadable: Mapping[str, str]

    def groups(self) -> dict[str, str]:
        """Name -> the first name of its group, for names that are in a pair."""
        parent: dict[str, str] = {}

        def top(name: str) -> str:
            while parent.setdefault(name, name) != name:
                name = parent[name]
            return name

        for pair in self.pairs:
            one, other = sorted((top(pair.first), top(pair.second)))
            parent[other] = one
        return {name: top(name) for name in sorted(parent)}


def compare(files: Mapping[str, Path], *, same: float = likeness.SAME, progress: Callable[[int, int, str], None] | None = None) -> Compared:
    """Find the copies among pictures.

    Args:
        files: name -> file.
        same: the likeness from which two pictures are one.
        progress: called with (done, total, what).

    Returns:
        Pairs in the order of names; files that cannot be read are named, not dropped.
    """
    copies = functools.lru_cache(maxsize=_KEPT)(prints.grey)
    names, hashes, pairs = [], [], []
    unreadable: dict[str, str] = {}
    first_of: dict[bytes, str] = {}  # many equal pictures, such as blank ones, are one for the search
    for i, (name, path) in enumerate(sorted(files.items())):
        if progress is not None:
            progress(i, len(files), "pictures looked at")
        try:
            copy = copies(path)
        except UserError as error:
            unreadable[name] = str(error)
            continue
        first = first_of.setdefault(hashlib.sha256(copy.tobytes()).digest(), name)
        if first != name:
            pairs.append(Alike(first, name, 1.0))
            continue
        hashes.append(prints.fingerprints(copy))
        names.append(name)
    proposed = _propose(np.asarray(hashes, np.uint64).reshape(-1, 2))
    for i, (a, b) in enumerate(proposed):
        if progress is not None:
            progress(i, len(proposed), "likely copies compared")
        measured = likeness.likeness(copies(files[names[a]]), copies(files[names[b]]))
        if measured >= same:
            pairs.append(Alike(names[a], names[b], round(measured, 4)))
    return Compared(tuple(sorted(pairs, key=lambda p: (p.first, p.second))), len(files) - len(unreadable), len(proposed), unreadable)


def _propose(hashes: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of pictures of which any two hashes are near, in order."""
    count = len(hashes)
    near = nearest.within(hashes.T.ravel(), RADIUS) % max(count, 1)  # the whole ones first, then the rimless ones
    near = np.sort(near, axis=1)
    near = np.unique(near[near[:, 0] != near[:, 1]], axis=0)
    return [(int(a), int(b)) for a, b in near]
