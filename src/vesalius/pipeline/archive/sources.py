"""What lies in a source: every file once, members of archives too, nothing outside of it.

In: a folder, a file, or a ZIP or TAR archive. Out: `Entry`s, each a regular file to read or the reason why it is left out. The source is only read: members of
archives are unpacked into a folder of ours, under numbers, since their names may be hostile; links are not followed.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from vesalius.errors import UserError
from vesalius.formats import bounds

MAX_MEMBERS = 1_000_000
MAX_UNPACKED = 2**40
"""Bytes that one archive may unpack to."""
_MOST_SHRUNK, _SMALL = 1_000, 2**26
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError, LookupError)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file of the source.

    Args:
        source: path below the source, with `!` and the member's name behind an archive; it may hold names, so it goes to private records only.
        path: the regular file to read; None where there is none to read, for the `reason`.
        size, stamp: bytes and time of change (ns), by which a file that changed is known.
    """

    source: str
    path: Path | None
    size: int = 0
    stamp: int = 0
    reason: str = ""


def require(source: Path) -> None:
    """Raises: UserError: no such source."""
    if not source.exists():
        raise UserError(f"{source}: does not exist", remedy="give a folder, a DICOM file or an archive")


def entries(source: Path, unpacked: Path) -> Iterator[Entry]:
    """Every file, in the order of names.

    Args:
        unpacked: where members of archives are put; below it each archive has a folder.

    Raises:
        UserError: no such source, or one that cannot be listed.
    """
    require(source)
    for count, path in enumerate([source] if not source.is_dir() else _walk(source)):
        name = str(path.relative_to(source)) if path != source else path.name
        yield from _one(path, name, unpacked / f"{count:06d}")


def _walk(source: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be listed ({error.strerror})", remedy="give a folder that you may read")

    for folder, folders, names in os.walk(source, followlinks=False, onerror=refuse):
        folders.sort()
        for link in [f for f in folders if (Path(folder) / f).is_symlink()]:
            folders.remove(link)
            yield Path(folder) / link
        yield from (Path(folder) / name for name in sorted(names))


def _one(path: Path, name: str, unpacked: Path) -> Iterator[Entry]:
    if path.is_symlink():
        yield Entry(name, None, reason="a link: what it leads to is taken where it lies, if it lies in the source")
        return
    try:
        status = path.stat()
    except OSError as error:
        yield Entry(name, None, reason=f"cannot be read ({error.strerror})")
        return
    if not stat.S_ISREG(status.st_mode):
        yield Entry(name, None, reason="not a regular file")
        return
    kind = archive_kind(path)
    if kind is None:
        yield Entry(name, path, status.st_size, status.st_mtime_ns)
    else:
        yield from _members(path, name, kind, unpacked, status.st_mtime_ns)


def archive_kind(path: Path) -> str | None:
    """`zip` or `tar` by the first bytes, whatever the name says; a document that happens to be a ZIP is one too."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError:
        return None
    if head[128:132] == b"DICM":
        return None
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    packed = head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))
    if head[257:262] == b"ustar" or packed:
        try:
            with tarfile.open(path) as archive:
                archive.next()
        except _DAMAGED:
            return None
        return "tar"
    return None


def _members(path: Path, name: str, kind: str, unpacked: Path, stamp: int) -> Iterator[Entry]:
    """The members, unpacked; what was unpacked before stays in place when the archive did not change."""
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    taken, number = 0, 0
    try:
        for number, (member, size, stream) in enumerate(_streams(path, kind)):
            if number >= MAX_MEMBERS or taken > MAX_UNPACKED:
                yield Entry(name, None, reason="the archive unpacks to more than is believable: the rest of it is left out")
                return
            where = f"{name}!{member}"
            if stream is None:
                yield Entry(where, None, reason="not a regular member")
                continue
            out = unpacked / f"{number:07d}"
            reason = _copy(stream, out, size, packed=path.stat().st_size)
            if not reason and archive_kind(out):
                reason = "an archive within an archive: unpack it first"
            if reason:
                out.unlink(missing_ok=True)
                yield Entry(where, None, reason=reason)
            else:
                taken += out.stat().st_size
                yield Entry(where, out, out.stat().st_size, stamp)
    except _DAMAGED as error:
        why = "needs a password" if "password" in str(error) or "encrypted" in str(error) else "is damaged"
        yield Entry(name, None, reason=f"the archive {why} after {number} members")


def _streams(path: Path, kind: str) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                link = stat.S_ISLNK(info.external_attr >> 16)
                if link:
                    yield info.filename, 0, None
                    continue
                with archive.open(info) as stream:
                    yield info.filename, info.file_size, stream
        return
    with tarfile.open(path) as tar:
        member: Any
        for member in tar:
            if not member.isdir():
                yield member.name, member.size, tar.extractfile(member) if member.isreg() else None


def _copy(stream: IO[bytes], out: Path, size: int, packed: int) -> str:
    """Copy a member in pieces; the reason when it is refused."""
    if size > bounds.MAX_FILE_BYTES:
        return f"claims {size:,} bytes"
    done = 0
    with out.open("wb") as target:
        while piece := stream.read(1 << 20):
            done += len(piece)
            if done > bounds.MAX_FILE_BYTES or (done > _SMALL and done > _MOST_SHRUNK * packed):
                return "unpacks to more than is believable"
            target.write(piece)
    return ""
