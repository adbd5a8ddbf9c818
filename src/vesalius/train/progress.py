"""How far training is, on standard error: a bar that redraws itself in a terminal, a line now and then in a file.

In: the loop's `Step` and `Evaluation` records. Out: text with stage, step, loss, tokens per second and the time still to go.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from vesalius.train.curve import Evaluation, Step

_BLOCKS = " ▏▎▍▌▋▊▉█"
_RECENT = 50  # steps that the speed is measured over


class Progress:
    """Shows a stage's progress.

    Args:
        stream: where to; None is standard error as it is when the first text is written.
        every: seconds between lines when the stream is not a terminal. redraw: seconds between redraws of the bar when it is.
        clock: seconds, monotonic.
    """

    def __init__(self, stream: TextIO | None = None, *, every: float = 15.0, redraw: float = 0.1, clock: Callable[[], float] = time.monotonic) -> None:
        self._given = stream
        self._every = every
        self._redraw = redraw
        self._clock = clock
        self._shown: float | None = None
        self._width = 0
        self._stage: str | None = None
        self._recent: deque[tuple[float, int]] = deque(maxlen=_RECENT)
        self._loss: float | None = None

    @property
    def _stream(self) -> TextIO:
        return self._given or sys.stderr

    def step(self, step: Step) -> None:
        """Take in a step, and show it when it is time: the first and the last of a stage always."""
        if step.stage != self._stage:
            self._end_line()
            self._stage, self._loss, self._shown = step.stage, None, None
            self._recent.clear()
        self._recent.append((step.seconds, step.tokens))
        self._loss = step.loss if self._loss is None else 0.9 * self._loss + 0.1 * step.loss
        now = self._clock()
        wait = self._redraw if self._stream.isatty() else self._every
        if self._shown is None or now - self._shown >= wait or step.step == step.total:
            self._shown = now
            self._show(step)

    def evaluation(self, look: Evaluation) -> None:
        """Show what the development split says, on a line of its own."""
        values = ", ".join(f"{k} {v:.4g}" for k, v in look.metrics.items())
        self.note(f"{look.stage} {look.step:,}: development {values}" + (f" (best {look.metric} so far)" if look.best else ""))

    def note(self, text: str) -> None:
        """A line of its own."""
        self._clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the cursor on a fresh line."""
        self._end_line()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _show(self, step: Step) -> None:
        seconds = sum(s for s, _ in self._recent)
        speed = sum(t for _, t in self._recent) / seconds if seconds > 0 else 0.0
        left = seconds / len(self._recent) * (step.total - step.step)
        facts = f"{step.step:,}/{step.total:,}  loss {self._loss:.4f}  {speed:,.0f} tokens/s  ETA {clock_text(left)}"
        if not self._stream.isatty():
            self._stream.write(f"{step.stage}  {facts}\n")
            self._stream.flush()
            return
        columns = shutil.get_terminal_size().columns
        room = columns - len(step.stage) - len(facts) - 6
        gauge = bar(step.step / step.total, min(room, 40), plain=not self._draws_blocks()) + "  " if room >= 8 else ""
        line = f"{step.stage}  {gauge}{facts}"[: columns - 1]
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def _draws_blocks(self) -> bool:
        try:
            _BLOCKS.encode(self._stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def _clear(self) -> None:
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._width = 0

    def _end_line(self) -> None:
        if self._width:
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0


def bar(share: float, width: int, *, plain: bool = False) -> str:
    """A bar of `width` characters, filled to `share` in [0, 1]; `plain` uses # and - alone."""
    share = min(1.0, max(0.0, share))
    if plain:
        full = int(share * width)
        return "#" * full + "-" * (width - full)
    eighths = int(share * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[rest] if rest else "")).ljust(width)


def clock_text(seconds: float) -> str:
    """A duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
