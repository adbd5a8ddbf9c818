"""`vesalius augment`: how far pictures may be varied for training, and what that looks like on a picture of one's own.

In: an image file. Out: a picture sheet (PNG), or a table of operations with ranges and reasons. Nothing is trained and no torch imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vesalius.cli.table import columns
from vesalius.errors import UserError

if TYPE_CHECKING:
    from vesalius.data.augment.sample import Box


@click.group("augment", short_help="Show how far pictures may be varied for training.")
def augment() -> None:
    """Show how far pictures may be varied for training."""


@augment.command("sheet", short_help="Draw each variation of an image at low, mid and high.")
@click.argument("image", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Write the sheet here (PNG).")
@click.option("--modality", metavar="TERM", help="What a picture's header would say: CR, CT, MR, US, ...")
@click.option("--body-part", metavar="TERM", help="HEAD, CHEST, ABDOMEN, ...")
@click.option("--box", "boxes", multiple=True, metavar="X0,Y0,X1,Y1", help="Draw a box, in pixels, and move it along; may be repeated.")
@click.option("--cell", type=click.IntRange(64, 1024), default=240, show_default=True, metavar="N", help="Pixels of a cell's longer side.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="The same seed gives the same sheet.")
def sheet(image: Path, out: Path, modality: str | None, body_part: str | None, boxes: tuple[str, ...], cell: int, seed: int) -> None:
    """Draw IMAGE as it is and after each operation that its kind admits, at the low end, the middle and the high end of the admissible range."""
    from vesalius.data.augment.sheet import draw
    from vesalius.formats import read

    if out.suffix.lower() != ".png":
        raise UserError(f"{out} is no PNG file", remedy="give --out a name that ends in .png")
    marked = [_box(text) for text in boxes]
    drawn = draw(read(image, modality=modality, body_part=body_part).image, marked, cell=cell, seed=seed)
    try:
        drawn.save(out, "PNG")
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror})", remedy="give --out a file in a folder that exists and may be written") from error
    click.echo(str(out))


def _box(text: str) -> Box:
    from vesalius.data.augment.sample import Box
    from vesalius.domain.finding import Region

    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"--box {text!r} is not four numbers", remedy="write --box X0,Y0,X1,Y1 in pixels") from error
    return Box("box", Region(x0, y0, x1, y1))


@augment.command("ranges", short_help="List the operations with their ranges and reasons.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ranges(as_json: bool) -> None:
    """The admissible range of each operation for each kind of image, and why not further."""
    from vesalius.data.augment.ranges import OPERATIONS

    rows = []
    for name, each in OPERATIONS.items():
        found: dict[tuple[float, float, str, str], list[str]] = {}
        for kinds, spaced in ((each.ranges, ""), (each.bare, " without spacing")):
            for kind, r in kinds.items():
                found.setdefault((r.low, r.high, r.unit, r.reason), []).append(kind + spaced)
        rows += [(name, kinds, *r) for r, kinds in found.items()]
    if as_json:
        keys = ("operation", "kinds", "low", "high", "unit", "reason")
        told = [dict(zip(keys, row, strict=True)) for row in rows]
        click.echo(json.dumps([{k: "infinite" if v == float("inf") else v for k, v in row.items()} for row in told], indent=1, allow_nan=False))
        return
    click.echo(columns(("OPERATION", "RANGE", "FOR", "WHY NOT FURTHER"), [(n, f"{a:g} to {b:g} {u}", ", ".join(k), why) for n, k, a, b, u, why in rows]))
