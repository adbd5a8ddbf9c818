"""Checkpoints that survive a kill at any moment, and from which a run continues bit for bit.

In: a `State`: the tensors that move, the optimiser's, the random generators', the position, the best so far. Out: a folder per checkpoint
(`tensors.safetensors`, `state.json` with the tensors' SHA-256), written aside, synced and renamed, so that it is there whole or not at all.
Frozen weights are never stored; their digest is, so that nobody continues over another base.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vesalius.errors import ConfigError, WeightsError

_FORMAT = 1
_TENSORS = "tensors.safetensors"
_JSON = "state.json"


@dataclasses.dataclass
class Randomness:
    """The state of every generator that training may draw from."""

    plain: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def capture(cls, device: torch.device, generators: Mapping[str, torch.Generator] | None = None) -> Randomness:
        """The states of python, numpy, torch, torch on the device (dropout draws there), and the named generators."""
        version, numbers, gauss = random.getstate()
        kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - augmentation code of others draws from it
        plain = {"python": [version, list(numbers), gauss], "numpy": [kind, [int(k) for k in keys], position, has_gauss, cached]}
        tensors = {"torch": torch.get_rng_state()}
        if device.type != "cpu":
            tensors["device"] = torch.get_device_module(device).get_rng_state(device).cpu()
        tensors |= {f"generator.{n}": g.get_state().cpu() for n, g in (generators or {}).items()}
        return cls(plain, tensors)

    def restore(self, device: torch.device, generators: Mapping[str, torch.Generator] | None = None) -> None:
        """Put every generator back where it was."""
        version, numbers, gauss = self.plain["python"]
        random.setstate((version, tuple(numbers), gauss))
        kind, keys, position, has_gauss, cached = self.plain["numpy"]
        np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))  # noqa: NPY002 - see capture
        torch.set_rng_state(self.tensors["torch"])
        if device.type != "cpu" and "device" in self.tensors:
            torch.get_device_module(device).set_rng_state(self.tensors["device"], device)
        for name, generator in (generators or {}).items():
            generator.set_state(self.tensors[f"generator.{name}"])


@dataclasses.dataclass
class State:
    """Everything a stage needs to go on.

    Args:
        stage: its name. step: steps done.
        identity: what must be the same to continue (settings, data, frozen weights); compared, never used.
        weights: the tensors that move, by name. optimiser: its tensors, as "parameter/key".
        randomness: None once the stage is finished.
        best: metric record of the best evaluation; best_weights: the weights it was measured with.
        stale: evaluations since the best. evaluated: the step of the last evaluation.
        finished: why the stage ended ("completed", "stopped early"), or None while it runs.
    """

    stage: str
    step: int
    identity: Mapping[str, Any]
    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    randomness: Randomness | None = None
    best: dict[str, Any] | None = None
    best_weights: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    stale: int = 0
    evaluated: int | None = None
    finished: str | None = None

    def _groups(self) -> dict[str, dict[str, Tensor]]:
        random_tensors = self.randomness.tensors if self.randomness else {}
        return {"weights": self.weights, "optimiser": self.optimiser, "best": self.best_weights, "random": random_tensors}

    def to_bytes(self) -> bytes:
        """All tensors as one safetensors file, named "group:name"."""
        flat = {f"{g}:{n}": t.detach().to("cpu", copy=True).contiguous() for g, ts in self._groups().items() for n, t in ts.items()}
        return safetensors.torch.save(flat)

    def to_json(self) -> dict[str, Any]:
        """Everything that is not a tensor."""
        plain = {k: getattr(self, k) for k in ("stage", "step", "identity", "best", "stale", "evaluated", "finished")}
        return {**plain, "random": self.randomness.plain if self.randomness else None}

    @classmethod
    def of(cls, plain: Mapping[str, Any], data: bytes) -> State:
        """The inverse of `to_json` and `to_bytes`."""
        groups: dict[str, dict[str, Tensor]] = {"weights": {}, "optimiser": {}, "best": {}, "random": {}}
        for key, tensor in safetensors.torch.load(data).items():
            group, _, name = key.partition(":")
            groups[group][name] = tensor
        randomness = Randomness(plain["random"], groups["random"]) if plain["random"] else None
        rest = {k: plain[k] for k in ("stage", "step", "identity", "best", "stale", "evaluated", "finished")}
        return cls(**rest, weights=groups["weights"], optimiser=groups["optimiser"], best_weights=groups["best"], randomness=randomness)


class Checkpoints:
    """The checkpoints of one stage in one folder.

    Args:
        folder: created on the first save.
        keep: how many of the newest stay; 2, so that one broken by the disk leaves another.
    """

    def __init__(self, folder: str | Path, *, keep: int = 2) -> None:
        if keep < 1:
            raise ConfigError(f"keep = {keep} checkpoints is below 1", remedy="keep at least 1")
        self.folder = Path(folder)
        self.keep = keep

    def paths(self) -> list[Path]:
        """Existing checkpoints, newest first; whether they can be read is not asked."""
        return sorted((p for p in self.folder.glob("step-*") if p.is_dir()), reverse=True) if self.folder.is_dir() else []

    def require_empty(self) -> None:
        """Refuse to start a new run over an old one.

        Raises:
            ConfigError: there are checkpoints already.
        """
        if self.paths():
            raise ConfigError(f"{self.folder}: holds the checkpoints of another run", remedy="add --resume to continue it, or name another output folder")

    def save(self, state: State) -> Path:
        """Write a checkpoint whole or not at all, then drop all but the newest.

        Raises:
            ConfigError: the folder cannot be written; earlier checkpoints stay.
        """
        target = self.folder / f"step-{state.step:08d}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            aside = self.folder / f".writing-{state.step:08d}"
            aside.mkdir()
            data = state.to_bytes()
            record = {"format": _FORMAT, "sha256": hashlib.sha256(data).hexdigest(), **state.to_json()}
            _write(aside / _TENSORS, data)
            _write(aside / _JSON, json.dumps(record).encode())
            _sync_folder(aside)
            if target.exists():  # the same step again, now finished: for a moment only the one before stands
                target.rename(self.folder / f".old-{state.step:08d}")
            aside.rename(target)
            _sync_folder(self.folder)
        except OSError as error:
            raise ConfigError(
                f"{target}: cannot be written ({error.strerror})", remedy="free space or name another output; earlier checkpoints are kept"
            ) from error
        self._sweep()
        for old in self.paths()[self.keep :]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def _sweep(self) -> None:
        """Remove what a killed write left."""
        for pattern in (".writing-*", ".old-*"):
            for left in self.folder.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)

    def latest(self) -> State | None:
        """The newest checkpoint that is whole; None when there are none. A broken newer one is passed over with a warning.

        Raises:
            WeightsError: there are checkpoints and none can be read.
        """
        problems = []
        for path in self.paths():
            try:
                state = read(path)
            except WeightsError as error:
                problems.append(error.what)
                continue
            for problem in problems:
                warnings.warn(f"{problem}; going on from {path.name} instead", stacklevel=2)
            return state
        if problems:
            raise WeightsError(f"{self.folder}: no checkpoint can be read ({problems[0]})", remedy="delete the folder and train the stage again")
        return None


def read(path: str | Path) -> State:
    """One checkpoint.

    Raises:
        WeightsError: a file is missing, cut short, altered or of another format.
    """
    path = Path(path)
    remedy = "use an earlier checkpoint"
    try:
        record = json.loads((path / _JSON).read_bytes())
        data = (path / _TENSORS).read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {Path(error.filename or path).name} cannot be read ({error.strerror})", remedy=remedy) from error
    except ValueError as error:
        raise WeightsError(f"{path}: {_JSON} is cut short or altered", remedy=remedy) from error
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise WeightsError(f"{path}: is not a checkpoint of format {_FORMAT}", remedy="train again with this version")
    if hashlib.sha256(data).hexdigest() != record.get("sha256"):
        raise WeightsError(f"{path}: {_TENSORS} is cut short or altered", remedy=remedy)
    try:
        return State.of(record, data)
    except (KeyError, TypeError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path}: is incomplete ({error})", remedy=remedy) from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    # a rename is durable only when the folder is synced; not every system can open one
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
