"""The page that a reader opens: one HTML file with the pictures inside, that loads nothing, sends nothing and gives a JSON file back.

In: a `Queue`, the folder below which its pictures lie. Out: the page; how many pictures could not be read. Texts go in as data and are shown as text, never
as HTML.
"""

from __future__ import annotations

import base64
import importlib.resources
import io
import json
from pathlib import Path

import PIL.Image

from vesalius.instruct.generate import lines as files
from vesalius.instruct.review.queue import Queue

SIDE = 900  # pixels of a picture's longer side
_MOST_PIXELS = 100_000_000


def write(queue: Queue, path: Path, root: Path | None) -> int:
    """Write the page.

    Args:
        root: where the pictures' names begin; None: a page without pictures.

    Returns:
        Pictures that could not be read, or lie outside the root; the page says so in their place.

    Raises:
        OutputError: it cannot be written.
    """
    rows, lost = [], 0
    for entry in queue.entries:
        pictures = [picture(root, name) for name in entry.images] if root is not None else []
        lost += pictures.count(None)
        rows.append(
            {
                "id": entry.id,
                "sha256": entry.sha256,
                "task": entry.task,
                "turns": entry.turns,
                "made_from": entry.made_from,
                "earlier": entry.earlier,
                "pictures": [one or "" for one in pictures],
            }
        )
    body = json.dumps({"queue": queue.id, "items": rows}, ensure_ascii=True).replace("<", "\\u003c")
    text = importlib.resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    files.write_text(path, text.replace("@DATA@", body, 1))
    return lost


def picture(root: Path, name: str) -> str | None:
    """A picture as a JPEG data address, at most 900 pixels wide and high; None when it cannot be read or does not lie below the root."""
    try:
        place = (root / name).resolve()
        if not place.is_relative_to(root.resolve()):
            return None
        with PIL.Image.open(place) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return None
            opened.draft("RGB", (SIDE, SIDE))
            shown = opened.convert("L" if opened.mode in ("L", "1") else "RGB")
        shown.thumbnail((SIDE, SIDE))
        store = io.BytesIO()
        shown.save(store, "JPEG", quality=88)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return None
    return "data:image/jpeg;base64," + base64.b64encode(store.getvalue()).decode()
