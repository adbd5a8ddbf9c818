"""Pixels of an archive's files: what is still written in a cleaned one, and crops of doubtful boxes for a person.

In: datasets, a reader. Out: words; PNG files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import UserError
from vesalius.formats import header
from vesalius.formats.deidentify.burned import views
from vesalius.formats.isolated import Isolated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from vesalius.formats.deidentify.burned.redact import Redacted

_MARGIN = 24


def require_whole(dataset: Dataset) -> None:
    """Refuse pixels that are shorter than the header says, without decoding them.

    Raises:
        UserError: they are.
    """
    from pydicom.pixels.utils import get_expected_length

    with header.quiet():
        try:
            packed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
            short = "PixelData" in dataset and not packed and len(dataset.PixelData) < get_expected_length(dataset)
        except header.parser_failures():
            return  # whoever reads the pixels says what is wrong with them
    if short:
        raise UserError("its pixels are cut off", remedy="export it again")


def left(dataset: Dataset, reader: Any, frames: Iterable[int]) -> tuple[str, ...]:  # noqa: ANN401 - whatever reads
    """The words that are still read in frames of a dataset."""
    found: dict[str, None] = {}
    with header.quiet(), Isolated() as gdcm:
        claim = views.claim_of(dataset)
        for index in sorted(frames):
            for sheet in views.sheets(dataset, claim, views.stored_frame(dataset, claim, index, gdcm)):
                found |= dict.fromkeys(box.text for box in reader.read(sheet))
    return tuple(found)


def crop(dataset: Dataset, box: Redacted, path: Path) -> None:
    """A box of the source with what is around it."""
    from PIL import Image

    with header.quiet(), Isolated() as gdcm:
        claim = views.claim_of(dataset)
        sheet = views.sheets(dataset, claim, views.stored_frame(dataset, claim, box.frame, gdcm))[0]
    low, high = box.polygon.min(0) - _MARGIN, box.polygon.max(0) + _MARGIN
    left_, top = (max(0, int(v)) for v in low)
    Image.fromarray(sheet[top : int(high[1]) + 1, left_ : int(high[0]) + 1]).save(path)
