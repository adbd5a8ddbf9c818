"""One repository on the hub: what a commit holds, with sizes and digests, and one file of it, resumed where it broke off and checked in full.

In: a repository, a revision, a place. Out: a `Listing`; files that are what the hub lists. The client is `huggingface_hub`, for addresses, tokens, errors
and the transfer; it keeps no partial file when a process ends, so the partial files are kept here. Obeys HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from vesalius.errors import UserError, WeightsError
from vesalius.models.fetch import offline
from vesalius.registry import missing_extra

Told = Callable[[int], None]
_SHORT = re.compile(r"[0-9a-f]{7,39}")
_KEPT = "give the same command again: what has come is kept"


@dataclasses.dataclass(frozen=True)
class Remote:
    """A file of a commit.

    Args:
        path: in the repository, "/" between its parts. size: bytes. digest: "sha256:..." of a large file, "git:..." (blob id) of a small one.

    Raises:
        ValueError: a path that leaves its folder.
    """

    path: str
    size: int
    digest: str

    def __post_init__(self) -> None:
        if PurePosixPath(self.path).is_absolute() or ".." in PurePosixPath(self.path.replace("\\", "/")).parts or ":" in self.path:
            raise ValueError(self.path)


@dataclasses.dataclass(frozen=True)
class Listing:
    """A commit: its full id and its files by path."""

    repository: str
    commit: str
    files: tuple[Remote, ...]


def listing(repository: str, revision: str) -> Listing:
    """What a revision holds.

    Args:
        revision: a commit, at least seven letters of one, a branch or a tag.

    Raises:
        WeightsError: it cannot be had, and why. MissingExtra: the client is not installed.
    """
    _online(repository)
    with _in_words(repository, revision):
        api = _client().HfApi(endpoint=_endpoint())
        short = _SHORT.fullmatch(revision) is not None
        info = api.model_info(repository, revision=None if short else revision, files_metadata=True)
        if short and not str(info.sha).startswith(revision):
            info = api.model_info(repository, revision=_full(api, repository, revision), files_metadata=True)
        files = tuple(_remote(repository, held) for held in info.siblings or ())
    return Listing(repository, str(info.sha), files)


def _full(api: Any, repository: str, revision: str) -> str:  # noqa: ANN401 - the library's class
    """The commit that begins so: the hub takes whole ids only."""
    found = [commit.commit_id for commit in api.list_repo_commits(repository) if commit.commit_id.startswith(revision)]
    if len(found) != 1:
        what = f"{repository} has {'no commit' if not found else f'{len(found)} commits'} beginning with {revision!r} in its main branch"
        raise WeightsError(what, remedy="name another: --revision COMMIT, or --revision main")
    return str(found[0])


def _remote(repository: str, held: Any) -> Remote:  # noqa: ANN401 - the library's class
    digest = f"sha256:{held.lfs.sha256}" if held.lfs else f"git:{held.blob_id}"
    try:
        return Remote(str(held.rfilename), int((held.lfs.size if held.lfs else held.size) or 0), digest)
    except ValueError as error:
        raise WeightsError(f"{repository} lists a file outside its folder ({held.rfilename!r})", remedy="check HF_ENDPOINT") from error


def download(repository: str, commit: str, file: Remote, target: Path, told: Told) -> None:
    """Put one file at `target`; a partial one is continued, what is not as listed is fetched once more from its beginning.

    Args:
        told: gets the number of bytes that came, or were there already.

    Raises:
        WeightsError: it cannot be had, or what came twice is not what the hub lists.
    """
    _online(repository)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = partial(target, file)
    for _ in range(2):
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        with _in_words(repository, commit, file.path), part.open("ab") as stream:
            _transfer(repository, commit, file, stream, told)
        if matches(part, file):
            part.replace(target)
            return
        told(-part.stat().st_size)
        part.unlink()
    raise WeightsError(f"the hub gave a {file.path} of {repository} that is not what it lists, twice", remedy="check HF_ENDPOINT and any proxy")


def partial(target: Path, file: Remote) -> Path:
    """Where the beginning of a file is kept; another content has another name."""
    return target.with_name(f".{target.name}.{file.digest[-12:]}.part")


def _transfer(repository: str, commit: str, file: Remote, stream: BinaryIO, told: Told) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # its documentation names it

    begun = stream.seek(0, os.SEEK_END)
    told(begun)
    url = hf_hub_url(repository, file.path, revision=commit, endpoint=_endpoint())
    # a compressed answer could not be continued
    headers = {**build_hf_headers(), "accept-encoding": "identity"}
    sink = cast(BinaryIO, _Counting(stream, told))
    http_get(url, sink, resume_size=begun, headers=headers, expected_size=file.size, tqdm_class=cast(Any, _NoBar))


class _Counting:
    """A file that tells how much is written to it; taken back when it is cut."""

    def __init__(self, stream: BinaryIO, told: Told) -> None:
        self._stream, self._told = stream, told

    def write(self, data: bytes) -> int:
        written = self._stream.write(data)
        self._told(written)
        return written

    def truncate(self) -> int:
        before = self._stream.seek(0, os.SEEK_END)
        self._stream.seek(0)
        self._told(-before)
        return self._stream.truncate(0)

    def seek(self, place: int) -> int:
        return self._stream.seek(place)

    def tell(self) -> int:
        return self._stream.tell()


class _NoBar:
    """A progress bar that shows nothing."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, count: float | None = 1) -> None:
        """Show nothing."""


def matches(path: Path, file: Remote) -> bool:
    """Whether a file is there and is what the hub lists, by its size and every byte."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    kind, _, wanted = file.digest.partition(":")
    if kind == "git":
        data = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == wanted
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == wanted


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _client() -> Any:  # noqa: ANN401 - a module
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise missing_extra("transformers", "fetching weights") from None  # the client comes with it
    return huggingface_hub


def _online(repository: str) -> None:
    forbidding = "VESALIUS_OFFLINE" if offline() else None
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if forbidding is None and os.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
            forbidding = name
    if forbidding:
        remedy = f"unset {forbidding}, or fetch it on another machine and bring the folder"
        raise WeightsError(f"{repository} is not complete here, and {forbidding} forbids the network", remedy=remedy)


@contextlib.contextmanager
def _in_words(repository: str, revision: str, path: str = "") -> Iterator[None]:
    """The client's failures, each as a sentence."""
    _client()
    from huggingface_hub import errors

    page = f"{_endpoint() or 'https://huggingface.co'}/{repository}"
    try:
        yield
    except UserError:
        raise
    except errors.GatedRepoError as error:
        remedy = f"accept them at {page} in a browser, then set HF_TOKEN to a token of that account"
        raise WeightsError(f"{repository} is given only to those who accept its terms", remedy=remedy) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(f"{repository} has no revision {revision!r}", remedy="name another: --revision COMMIT, or --revision main") from error
    except errors.EntryNotFoundError as error:
        raise WeightsError(f"{repository} lists {path} and does not give it", remedy="name another revision: --revision main") from error
    except errors.RepositoryNotFoundError as error:
        remedy = "if it is private or gated, set HF_TOKEN to a token of an account that may read it"
        raise WeightsError(f"{page} is not there, or not for everybody", remedy=remedy) from error
    except Exception as error:  # the client's errors are of many libraries
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise WeightsError(f"{path or repository} cannot be written ({error.strerror})", remedy="free space or name another folder") from error
        lines = str(error).strip().splitlines()
        raise WeightsError(f"{path or 'the list of files'} of {repository} could not be had ({(lines or [repr(error)])[0][:160]})", remedy=_KEPT) from error
