"""The record beside every result: versions, seed, data hash, resolved configuration, hardware, wall time, command.

In: what a run knows of itself. Out: a JSON-ready `Provenance`. Nothing here reads patients' data.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_PACKAGES = ("vesalius", "numpy", "pydicom", "torch", "transformers", "peft", "scikit-learn", "scipy")


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Who made a number, from what, with what."""

    command: str
    created: str
    versions: Mapping[str, str]
    hardware: Mapping[str, str]
    seed: int | None
    data_hash: str | None
    config: Mapping[str, Any]
    wall_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        return dataclasses.asdict(self)

    def finished(self, started: float) -> Provenance:
        """The same record with the wall time since `started` (of `time.monotonic`)."""
        return dataclasses.replace(self, wall_seconds=round(time.monotonic() - started, 3))


def record(*, seed: int | None = None, data_hash: str | None = None, config: Any = None) -> Provenance:  # noqa: ANN401
    """The provenance of the running process.

    Args:
        seed: the seed that all randomness of the run derives from.
        data_hash: SHA-256 over the data the run read (`hash_files`).
        config: a dataclass or mapping; kept as resolved.
    """
    resolved = dataclasses.asdict(config) if dataclasses.is_dataclass(config) and not isinstance(config, type) else dict(config or {})
    return Provenance(
        command=" ".join(["vesalius", *sys.argv[1:]]) if "vesalius" in Path(sys.argv[0]).name else Path(sys.argv[0]).name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions={**_versions(), "python": platform.python_version()},
        hardware=_hardware(),
        seed=seed,
        data_hash=data_hash,
        config=json.loads(json.dumps(resolved, default=str)),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _hardware() -> dict[str, str]:
    return {"machine": platform.machine(), "system": platform.system(), "cores": str(os.cpu_count()), "processor": _processor()}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(paths: Iterable[Path], *, root: Path) -> str:
    """One SHA-256 over the relative names and contents of files, in sorted order: the data hash of a run."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(bytes.fromhex(sha256_file(path)))
    return digest.hexdigest()
