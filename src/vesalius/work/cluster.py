"""Units of work on the machines of a Ray cluster: as `crew`, with actors of Ray instead of processes of this machine.

In: the same hands and units, an address. Out: what each unit came to. Ray schedules, restarts nothing and carries only names and outcomes: every actor
writes the files of its unit itself, so data root and run folder must lie on a disk that all machines see under the same path, and all must have this package.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.errors import UserError
from vesalius.registry import missing_extra
from vesalius.work.crew import Outcome, Progress, Unit, Worker, lost_worker, one_mind, outcome, result

HERE = "local"  # a cluster of this machine alone, for as long as the run takes
_PATIENCE = 10.0  # seconds for an address to answer


class _Actor:
    """What lives on another machine."""

    def __init__(self, maker: str, order: object) -> None:
        self._maker, self._order = maker, order
        self._worker: Worker | None = None

    def begin(self) -> Outcome:
        """Make the worker; what it says of itself."""
        return outcome(self._begin)

    def _begin(self) -> dict[str, Any]:
        module, _, attribute = self._maker.partition(":")
        worker: Worker = getattr(importlib.import_module(module), attribute)(self._order)
        self._worker = worker
        return dict(worker.about)

    def do(self, unit: Unit) -> Outcome:
        """One unit."""
        return outcome(lambda: self._worker.do(unit, lambda *_: None))  # type: ignore[union-attr]


class Cluster:
    """Actors of a Ray cluster.

    Args:
        maker, order, count: as `crew.Crew`. device: as `cards.load`: with a GPU for each worker unless it is "cpu" or the cluster has none.
        address: of the cluster that this machine belongs to ("HOST:6379", or "auto" for whichever it is); "local" one of this machine alone.

    Raises:
        MissingExtra: Ray is not installed. UserError: no such cluster, or it has too few processors; from a worker's beginning.
        WorkerLost: a worker died while it began. RuntimeError: a bug, with the traceback.
    """

    def __init__(self, maker: str, order: object, count: int, address: str, *, device: str = "auto") -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise missing_extra(error.name or "ray", "sharing work among machines") from error
        self._ray = ray
        _require_answer(address)
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False if address == HERE else None, logging_level="error")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise _nobody_there(address, error) from error
        try:
            self._actors = self._started(maker, order, count, device)
            self.about: Mapping[str, Any] = one_mind([result(self._had(a.begin.remote(), "its beginning"), "its beginning") for a in self._actors])
        except BaseException:
            ray.shutdown()
            raise

    def _started(self, maker: str, order: object, count: int, device: str) -> list[Any]:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = int(sum(node.get("GPU", 0) for node in nodes)) if device != "cpu" else 0
        if 0 < gpus < count or (device.startswith("cuda") and not gpus):
            remedy = f"give --workers {gpus}, or --device cpu" if gpus else "give --device cpu"
            raise UserError(f"the cluster has {gpus} GPUs for {count} workers", remedy=remedy)
        cores = cores_each([int(node.get("CPU", 0)) for node in nodes], count)
        actor = self._ray.remote(num_cpus=cores, num_gpus=1 if gpus else 0, max_restarts=0)(_Actor)
        return [actor.remote(maker, order) for _ in range(count)]

    def _had(self, reference: Any, where: str) -> Any:  # noqa: ANN401 - Ray's own
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise lost_worker({where: _first_line(error)}) from error

    def do_all(self, units: Sequence[Unit], tell: Progress) -> dict[Unit, dict[str, str]]:
        """All units; who is free takes the next.

        Raises:
            As `crew.Crew.do_all`.
        """
        left, free, busy = deque(units), list(self._actors), dict[Any, tuple[Unit, Any]]()
        found: dict[Unit, dict[str, str]] = {}
        lost: dict[str, str] = {}
        while busy or (left and free):
            while left and free:
                unit, actor = left.popleft(), free.pop()
                busy[actor.do.remote(unit)] = unit, actor
            tell(len(found), len(units), ", ".join(unit[1] for unit, _ in busy.values()))
            [ready], _ = self._ray.wait(list(busy), num_returns=1)
            unit, actor = busy.pop(ready)
            try:
                word = self._ray.get(ready)
            except self._ray.exceptions.RayError as error:
                lost[unit[1]] = _first_line(error)
                self._actors.remove(actor)
                continue
            found[unit] = result(word, unit[1])
            free.append(actor)
        if len(found) < len(units):
            raise lost_worker(lost)
        return found

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self._actors:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)
        self._ray.shutdown()


def cores_each(nodes: Sequence[int], count: int) -> int:
    """The most cores that each of `count` workers can have when none may spread over two machines.

    Args:
        nodes: cores of each machine.

    Raises:
        UserError: there are fewer cores than workers.
    """
    for cores in range(max(nodes, default=0), 0, -1):
        if sum(node // cores for node in nodes) >= count:
            return cores
    raise UserError(f"the cluster has {sum(nodes)} cores for {count} workers", remedy=f"give --workers {max(1, sum(nodes))}, or add machines")


def _require_answer(address: str) -> None:
    """Ray itself tries for minutes before it gives up."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise _nobody_there(address, error) from error


def _nobody_there(address: str, error: BaseException) -> UserError:
    return UserError(f"no Ray cluster answers at {address!r} ({_first_line(error)})", remedy="start one with 'ray start --head', or give --ray local")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
