"""Rows as aligned columns of text.

In: rows of cells. Out: lines; in a terminal the last column is cut to its width, in a pipe nothing is lost.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as text, heads first; numbers are the caller's to format."""
    widths = [max(len(line[i]) for line in (heads, *rows)) for i in range(len(heads))]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = []
    for line in (heads, *rows):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        lines.append(text[: room - 1] + "…" if room and len(text) > room else text)
    return "\n".join(lines)


def facts(pairs: Sequence[tuple[str, str | Sequence[str]]]) -> str:
    """Names and values, one below another; a list takes a line for each of its entries."""
    width = max(len(name) for name, _ in pairs)
    lines = []
    for name, value in pairs:
        entries = [value] if isinstance(value, str) else list(value)
        for i, entry in enumerate(entries or ["-"]):
            lines.append(f"{name if i == 0 else '':<{width}}  {entry}")
    return "\n".join(lines)
