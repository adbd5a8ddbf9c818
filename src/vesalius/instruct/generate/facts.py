"""Rows from the stated facts of SLAKE and ChestX-ray14, to try the generator without an article: a sentence of `instruct.templates`, boxes, an earlier film.

In: a data root. Out: a file of rows as `sources` reads them, of the training parts alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import PIL.Image

from vesalius.data import nih_cxr, slake
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Region
from vesalius.errors import DataMissing
from vesalius.instruct import templates
from vesalius.instruct.generate import lines
from vesalius.registry import unknown

SETS = ("slake", "nih-cxr")
_SIDE = 512  # of the films' JPEGs


def write(name: str, root: Path, path: Path, *, limit: int | None = None) -> int:
    """Write rows of a data set to a file; returns their number.

    Args:
        limit: at most so many, the same ones every time: by a hash of the image's name.

    Raises:
        UnknownName: no rows are made from a set of this name. DataMissing, DataFormatError: it is not below the root, or damaged.
    """
    if name not in SETS:
        raise unknown("data set of instruct generate", name, list(SETS))
    rows = sorted(_slake(root) if name == "slake" else _films(root), key=lambda row: unit_hash(row["id"], salt="generate"))
    kept = list(islice(rows, limit))
    lines.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    return len(kept)


def _slake(root: Path) -> Iterator[dict[str, Any]]:
    for image in slake.DATASET.attributes(root, Split.TRAIN):
        names = list(dict.fromkeys(name.lower() for name, _ in image.regions))
        caption = _described(modality=image.modality, body_part=image.body_part, organs="")
        shown = f" It shows {_listed(names)}." if names else ""
        width, height = _size(root / image.image)
        yield {
            "id": image.cluster,
            "source": "slake",
            "image": image.image,
            "cluster": image.cluster,
            "caption": caption + shown,
            "regions": [_region(label.lower(), box, width, height) for label, box in image.regions],
            "width": width,
            "height": height,
        }


def _films(root: Path) -> Iterator[dict[str, Any]]:
    films = [film for film in nih_cxr.DATASET.films(root) if film.split == Split.TRAIN]
    for _, group in groupby(films, key=lambda film: film.patient):
        earlier: nih_cxr.Film | None = None
        for film in group:
            row = {
                "id": f"nih-cxr:{film.id}",
                "source": "nih-cxr",
                "image": film.image,
                "cluster": film.patient,
                "caption": _film_caption(film),
                "regions": [_region(label.lower(), box, _SIDE, _SIDE) for label, box in film.regions],
                "width": _SIDE,
                "height": _SIDE,
            }
            yield row if earlier is None else {**row, "prior": _film_caption(earlier), "prior_image": earlier.image}
            earlier = film


def _film_caption(film: nih_cxr.Film) -> str:
    findings = "|".join(film.labels) or nih_cxr.NO_FINDING
    return _described(modality="CR", body_part="chest", findings=findings, view=film.view)


def _described(**facts: str) -> str:
    """The last pair of `describe` is the sentence; the view is told beside it."""
    sentence = templates.describe(facts)[-1][1]
    return f"{sentence} The view is {facts['view']}." if "view" in facts else sentence


def _region(label: str, box: Region, width: int, height: int) -> dict[str, Any]:
    """Boxes of these sets may touch or cross the border by a pixel: cut to the image."""
    return {"label": label, "box": [round(v, 1) for v in (box.x0, box.y0, min(box.x1, width), min(box.y1, height))]}


def _size(path: Path) -> tuple[int, int]:
    try:
        with PIL.Image.open(path) as picture:
            return picture.size
    except OSError as error:
        raise DataMissing(f"{path}: cannot be read as a picture", remedy=slake.CARD.how_to_obtain) from error


def _listed(names: list[str]) -> str:
    told = [name if name.endswith("s") and not name.endswith("ss") else f"the {name}" for name in names]
    return told[0] if len(told) == 1 else ", ".join(told[:-1]) + " and " + told[-1]
