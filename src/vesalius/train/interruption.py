"""A polite stop: Ctrl-C or a scheduler's SIGTERM lets the step in hand finish; a second one stops at once.

In: signals while the context is open. Out: `requested`, which the loop asks after each step.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While open, the first SIGINT or SIGTERM only sets `requested`; outside the main thread it does nothing, as python allows no more."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._hear) for s in _SIGNALS}
        return self

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # None: a handler that C code installed, which python cannot put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()
