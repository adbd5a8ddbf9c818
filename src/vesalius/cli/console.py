"""What a command says beside its result: progress and failures, on standard error; and the silence of everybody else.

In: steps as they begin. Out: lines; in a terminal one line that redraws itself. Warnings of libraries reach nobody: they are not the user's to mend.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import click

_EVERY = 10.0  # seconds between lines of one kind when standard error is a file
# Read by the libraries when they are imported; what the user has set stays.
_HUSH: Mapping[str, str] = MappingProxyType(
    {
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
)


def say(text: str) -> None:
    """A line on standard error, in our name."""
    click.echo(f"vesalius: {text}", err=True)


class _Ours(logging.Handler):
    """Warnings of this package, such as files that were left out."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """While a command runs, let only this package speak: its log from warnings upwards, no library's warnings and no library's log."""
    for name, value in _HUSH.items():
        os.environ.setdefault(name, value)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that cannot show a sign shows "?"
    ours, theirs = _Ours(logging.WARNING), logging.NullHandler()
    log, root = logging.getLogger("vesalius"), logging.getLogger()
    log.addHandler(ours)
    root.addHandler(theirs)  # without any handler, Python would print warnings itself
    propagate, log.propagate = log.propagate, False
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            yield
    finally:
        log.removeHandler(ours)
        root.removeHandler(theirs)
        log.propagate = propagate


class Steps:
    """Shows what is being done. In a terminal each step keeps a line with its seconds; elsewhere each is written as it begins."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._step: str | None = None
        self._began = 0.0
        self._shown = -_EVERY

    def __call__(self, step: str) -> None:
        """A step begins."""
        self.close()
        self._step, self._began = step, time.monotonic()
        if not self._silent:
            click.echo(f"  {step} ...", err=True, nl=not _terminal())

    def share(self, done: int, total: int, what: str) -> None:
        """Some of something is done; shown now and then."""
        now = time.monotonic()
        if self._silent or (what == self._step and now - self._shown < (0.1 if _terminal() else _EVERY)):
            return
        if what != self._step:
            self.close()
            self._step, self._began = what, now
        self._shown = now
        left = f", {(now - self._began) / done * (total - done):,.0f} s to go" if 0 < done < total else ""
        line = f"  {what} {done:,} of {total:,}{left}" if total > 1 else f"  {what}"
        click.echo(f"\r{line.ljust(shutil.get_terminal_size().columns - 1)}" if _terminal() else line, err=True, nl=not _terminal())

    def close(self) -> None:
        """The last step is done."""
        if self._step is not None and not self._silent and _terminal():
            click.echo(f"\r  {self._step}  {time.monotonic() - self._began:.1f} s".ljust(shutil.get_terminal_size().columns - 1), err=True)
        self._step = None

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _terminal() -> bool:
    return sys.stderr.isatty()
