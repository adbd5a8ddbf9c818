"""Several processes share units of work, each with a hand of its own that was made once (a model that takes memory and time to load).

In: who makes a hand ("module:attribute") and from what, a number of processes; later units by name. Out: what each unit came to, by unit, whoever did it.
Nothing is shared between the processes but the disk. One that dies is told of, and what it had written stays; one that finds its parent gone ends itself.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Protocol

from vesalius.errors import UserError

Unit = tuple[str, str]  # kind, name
Progress = Callable[[int, int, str], None]
Outcome = tuple[str, Any]  # DONE and a result, REFUSED and what and remedy, BUG and a traceback

DONE, REFUSED, BUG = "done", "refused", "bug"
_READY, _TOLD, _LOGGED = "ready", "told", "logged"
_PATIENCE = 10.0  # seconds that a process is given to end by itself


class WorkerLost(UserError):
    """A process that shared the work was killed."""


class Worker(Protocol):
    """What is made in each process; all must say the same of themselves."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What it is made of."""
        ...

    def do(self, unit: Unit, tell: Progress) -> dict[str, str]:
        """One unit."""
        ...


class Hands(Protocol):
    """Who does units: `Alone`, `Crew` or `cluster.Cluster`."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What each of them is made of."""
        ...

    def do_all(self, units: Sequence[Unit], tell: Progress) -> dict[Unit, dict[str, str]]:
        """All units, in any order; what each came to."""
        ...

    def __enter__(self) -> Hands: ...

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None: ...


class Alone:
    """This process does everything, in order."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self.about = worker, worker.about

    def do_all(self, units: Sequence[Unit], tell: Progress) -> dict[Unit, dict[str, str]]:
        """All units, one after the other."""
        return {unit: self._worker.do(unit, tell) for unit in units}

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Mate:
    """One process, seen from its parent."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit threads of torch that are not there
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_serve, args=(far, threads), daemon=True)
        self.process.start()
        far.close()  # else its end would not be seen
        self.unit: Unit | None = None
        self.share = (0, 0)

    def ended(self) -> str:
        """How it ended, in words."""
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"


class Crew:
    """Processes of this machine.

    Args:
        maker: "module:attribute" of what makes a `Worker` in each process. order: its only argument; it must be picklable. count: of processes.

    Raises:
        WorkerLost: one was killed while it began. UserError: one could not begin. RuntimeError: a bug, with the traceback.
    """

    def __init__(self, maker: str, order: object, count: int) -> None:
        threads = max(1, (os.cpu_count() or 1) // count)
        self._mates = [_Mate(threads) for _ in range(count)]
        try:
            for mate in self._mates:
                mate.pipe.send((maker, order))
            self.about: Mapping[str, Any] = one_mind([self._first_word(mate) for mate in self._mates])
        except BaseException:
            self._end(gently=False)
            raise

    def do_all(self, units: Sequence[Unit], tell: Progress) -> dict[Unit, dict[str, str]]:
        """All units; who is free takes the next.

        Raises:
            WorkerLost: a process was killed; what the others had in hand and what was left was done first. UserError: from a unit.
            RuntimeError: a bug in a unit, with the traceback.
        """
        left, lost = deque(units), dict[str, str]()
        found: dict[Unit, dict[str, str]] = {}
        while len(found) < len(units):
            for mate in self._mates:
                if left and mate.unit is None:
                    with contextlib.suppress(OSError):  # it has died: its pipe says so in a moment
                        mate.pipe.send(left[0])
                        mate.unit, mate.share = left.popleft(), (0, 0)
            if not any(mate.unit for mate in self._mates):
                break
            busy = [mate for mate in self._mates if mate.unit]
            tell(sum(m.share[0] for m in busy), sum(m.share[1] for m in busy), ", ".join(m.unit[1] for m in busy if m.unit))
            for mate in self._heard():
                try:
                    self._take(mate, mate.pipe.recv(), found)
                except (EOFError, OSError):
                    lost[mate.unit[1] if mate.unit else "rest"] = mate.ended()
                    self._mates.remove(mate)
        if len(found) < len(units):
            raise lost_worker(lost)
        return found

    def _heard(self) -> list[_Mate]:
        ready = wait([mate.pipe for mate in self._mates])
        return [mate for mate in self._mates if mate.pipe in ready]

    def _take(self, mate: _Mate, word: tuple[str, Any], found: dict[Unit, dict[str, str]]) -> None:
        kind, content = word
        if kind == _TOLD:
            mate.share = content
        elif kind == _LOGGED:
            logging.getLogger(content[0]).log(content[1], "%s", content[2])
        elif mate.unit is not None:
            found[mate.unit] = result((kind, content), mate.unit[1])
            mate.unit = None

    def _first_word(self, mate: _Mate) -> Mapping[str, Any]:
        try:
            while True:
                kind, content = mate.pipe.recv()
                if kind == _READY:
                    return dict(content)
                self._take(mate, (kind, content), {})
                if kind in (REFUSED, BUG):
                    result((kind, content), "its beginning")
        except (EOFError, OSError):
            raise lost_worker({"its beginning": mate.ended()}) from None

    def _end(self, *, gently: bool) -> None:
        for mate in self._mates:
            if not gently:
                mate.process.terminate()
            mate.pipe.close()  # whoever waits for a unit finds that there is none
        for mate in self._mates:
            mate.process.join(_PATIENCE)
            if mate.process.is_alive():
                mate.process.kill()
                mate.process.join()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(gently=kind is None)


def one_mind(said: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What all workers say of themselves.

    Raises:
        UserError: they differ, so that which of them did a unit would matter.
    """
    if any(other != said[0] for other in said):
        raise UserError("the workers have different models, or compute in different places", remedy="give --device and --precision, so that all do the same")
    return said[0]


def outcome(do: Callable[[], Any]) -> Outcome:
    """What a call came to, as something that can be sent: errors of this package do not travel whole."""
    try:
        return DONE, do()
    except UserError as error:
        return REFUSED, (error.what, error.remedy)
    except Exception as error:  # noqa: BLE001 - told by the parent, whole
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):  # numpy, a GPU, a CPU
            return REFUSED, ("a worker ran out of memory; what was done is kept", "give the same command again with --resume and fewer --workers")
        return BUG, traceback.format_exc()


def result(word: Outcome, where: str) -> Any:  # noqa: ANN401 - whatever the call gave
    """What `outcome` holds.

    Raises:
        UserError: of the call. RuntimeError: a bug, with the traceback.
    """
    kind, content = word
    if kind == REFUSED:
        raise UserError(content[0], remedy=content[1])
    if kind == BUG:
        raise RuntimeError(f"a worker failed at {where}:\n{content.rstrip()}")
    return content


def lost_worker(lost: Mapping[str, str]) -> WorkerLost:
    """The error for workers that died, by what they had in hand."""
    told = ", ".join(f"at {name} ({how})" for name, how in lost.items())
    return WorkerLost(
        f"a worker died {told}; what was done is kept",
        remedy="give the same command again with --resume, and fewer --workers if memory was short, for which a system kills",
    )


class _Forward(logging.Handler):
    """Sends warnings of this package to the parent, which knows how to show them."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send((_LOGGED, (record.name, record.levelno, record.getMessage())))


def _serve(pipe: Connection, threads: int) -> None:
    """What a process does: make its worker, then units, until there are none, its parent has gone or it is told to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keyboard stops the parent, which ends its processes
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # before torch is imported
    _hush(pipe.send)
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError):
        name, order = pipe.recv()
        module, _, attribute = name.partition(":")
        made: list[Worker] = []
        word = outcome(lambda: made.append(getattr(importlib.import_module(module), attribute)(order)))
        pipe.send((_READY, made[0].about) if made else word)
        while made:
            unit = pipe.recv()
            pipe.send(outcome(lambda unit=unit: made[0].do(unit, lambda now, total, _: pipe.send((_TOLD, (now, total))))))  # type: ignore[misc]


def _hush(send: Callable[[Any], None]) -> None:
    """As the command line does it: warnings of libraries reach nobody, those of this package the parent."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    ours = logging.getLogger("vesalius")
    ours.addHandler(_Forward(send))
    ours.propagate = False


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as a handler is called
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """A parent that was killed cannot end its processes, and whoever goes on with the run must find nobody else at work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
