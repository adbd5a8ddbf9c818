"""A DICOM image without the text that is burned into it.

In: a dataset and a reader. Out: a new dataset, every box that was filled, and those that a person should look at. Each box but the allow-list is filled in all
frames with one value; every value outside of the boxes stays.

```python
done = redact(pydicom.dcmread("us.dcm"), Reader())
done.dataset.save_as("clean.dcm", enforce_file_format=True)
```
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from vesalius.formats import header
from vesalius.formats.decode import Claim, pixel_keyword
from vesalius.formats.deidentify.burned import marks, shapes, views
from vesalius.formats.deidentify.burned.allow import allowed
from vesalius.formats.deidentify.burned.canvas import Canvas
from vesalius.formats.deidentify.burned.frames import Watch
from vesalius.formats.deidentify.burned.reading import Box
from vesalius.formats.deidentify.burned.triage import LIMIT, face
from vesalius.formats.deidentify.pseudonyms import Key
from vesalius.formats.isolated import Isolated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SURE = 0.5
"""Score from which a box is text without doubt; below, it is filled and also listed for a person."""

FLOOR = 0.4
"""Score below which a box is taken for anatomy: hardly read, or a single letter apart from any text."""

_ROUNDS = 3  # a picture is read again after filling, until nothing is found
_PIXEL_DATA = 0x7FE00010


class Reads(Protocol):
    """What reads: `reading.Reader`, or anything with its one method."""

    def read(self, grey: Grey) -> tuple[Box, ...]:
        """Everything that looks written in a grey picture [rows, cols] uint8."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Redacted:
    """One text of the image.

    Attributes:
        polygon: corners [4, 2] as (x, y) in pixels.
        text: as it was read; not in `repr`, and not to be stored.
        score: of the reader, from 0 to 1.
        frame: the frame in which it was found first, from 0.
        filled: False when it was left for a person (`keep_unsure`).
        digest: 32 hexadecimal digits of HMAC-SHA-256 of the text; None without a key.
    """

    polygon: NDArray[np.float64]
    text: str = dataclasses.field(repr=False)
    score: float
    frame: int
    filled: bool
    digest: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class Redaction:
    """The result.

    Attributes:
        dataset: the new dataset, with meta information; the source when nothing had to change is copied, its pixels byte by byte.
        boxes: what was filled.
        frames_read: frames that went through the reader.
        unsure: what a person should look at: low scores, filled or left.
        reasons: what else was done or seen, in words.
    """

    dataset: Dataset
    boxes: tuple[Redacted, ...]
    frames_read: int
    unsure: tuple[Redacted, ...]
    reasons: tuple[str, ...] = ()


def redact(
    dataset: Dataset,
    reader: Reads,
    *,
    key: Key | None = None,
    keep_unsure: bool = False,
    outside_regions: bool = False,
    every_frame: bool = False,
    limit: float = LIMIT,
) -> Redaction:
    """Read an image and fill what is written in it.

    Args:
        dataset: as `pydicom.dcmread` gives it; it is not changed.
        reader: finds text.
        key: for the digests of the record.
        keep_unsure: leave boxes with a low score in the pixels and list them; Burned In Annotation is YES then.
        outside_regions: fill also everything outside of the ultrasound regions, when the header names some.
        every_frame: read all frames; else those that show something new that looks like letters.
        limit: likelihood from which something new looks like letters; 0: every frame that differs is read.

    Returns:
        The new dataset and the record. An object without pixels comes back as it is.

    Raises:
        UnreadableStudy: damaged, truncated, absurd dimensions. MissingExtra: no decoder, or no reader.
    """
    clean = marks.copy_of(dataset)
    if pixel_keyword(dataset) is None:
        return Redaction(clean, (), 0, ())
    with header.quiet(), Isolated() as gdcm:
        claim = views.claim_of(dataset)
        search = _Search(reader, claim, key, keep_unsure)
        read = search.all_frames(dataset, gdcm, Watch(limit), every_frame=every_frame)
        reasons = []
        mask = search.mask
        if outside_regions and (outside := marks.outside_regions(dataset, claim)) is not None:
            mask = mask | outside
            reasons.append("filled outside of the ultrasound regions")
        canvas = _canvas(dataset, claim, gdcm, needed=bool(mask.any()))
        if canvas is not None:
            if canvas.clear_unused_bits():
                marks.drop_embedded_overlays(clean)
                reasons.append("cleared unused bits of the pixels that held something")
            if canvas.changed_behind:
                reasons.append("removed bytes behind the pixels")
            if mask.any():
                canvas.fill(mask)
            if reasons or mask.any():
                canvas.write(clean)
        elif marks.blank_comments(clean):
            reasons.append("blanked comments inside the compressed pixels")
        if face(dataset):
            reasons.append("shows a head: a face may be recognised in it")
        marks.state(clean, left=any(not found.filled for found in search.unsure), face=face(dataset))
        return Redaction(clean, tuple(search.filled), read, tuple(search.unsure), tuple(reasons))


def _canvas(dataset: Dataset, claim: Claim, gdcm: Isolated, *, needed: bool) -> Canvas | None:
    """Compressed pixels are opened only when something is to be filled: they have no unused bits."""
    from vesalius.formats import codecs

    return Canvas(dataset, claim, gdcm) if needed or not codecs.decoder_for(claim.syntax, views.NOWHERE) else None


class _Search:
    """Reads frames and collects what to fill."""

    def __init__(self, reader: Reads, claim: Claim, key: Key | None, keep_unsure: bool) -> None:
        self._reader, self._claim, self._key, self._keep_unsure = reader, claim, key, keep_unsure
        self.mask: Mask = np.zeros((claim.rows, claim.cols), bool)
        self.filled: list[Redacted] = []
        self.unsure: list[Redacted] = []
        self._left: Mask = np.zeros((claim.rows, claim.cols), bool)

    def all_frames(self, dataset: Dataset, gdcm: Isolated, watch: Watch, *, every_frame: bool) -> int:
        """Read the frames that need it; how many."""
        read = 0
        for index in range(self._claim.frames):
            stored = views.stored_frame(dataset, self._claim, index, gdcm)
            sheets = views.sheets(dataset, self._claim, stored)
            if every_frame or watch.is_new(sheets, self.mask):
                read += 1
                for sheet in sheets:
                    self._one(sheet, index)
                watch.has_read(sheets)
        return read

    def _one(self, sheet: Grey, index: int) -> None:
        shown = sheet.copy()
        shown[self.mask] = int(sheet.min(initial=0))
        for _ in range(_ROUNDS):
            new = [found for box in self._reader.read(shown) if (found := self._judged(box, index)) is not None]
            for found in new:
                covers = cover(found.polygon, self.mask.shape)
                target = self.mask if found.filled else self._left
                if target[covers].all() and covers.any():
                    continue
                target |= covers
                (self.filled if found.filled else self.unsure).append(found)
                if found.filled and found.score < SURE:
                    self.unsure.append(found)
            if not any(found.filled for found in new):
                return
            shown[self.mask] = int(sheet.min(initial=0))

    def _judged(self, box: Box, index: int) -> Redacted | None:
        if box.score < FLOOR or (box.score >= SURE and allowed(box.text)):
            return None
        digest = None if self._key is None else self._key.record(_PIXEL_DATA, box.text.encode("utf-8", "replace"))
        return Redacted(box.polygon, box.text, box.score, index, box.score >= SURE or not self._keep_unsure, digest)


def cover(polygon: NDArray[np.float64], shape: tuple[int, ...]) -> Mask:
    """The pixels of a box and a margin of an eighth of its height, at least 2 pixels: detectors cut the last letters short.

    Args:
        polygon: corners [4, 2], in order around the box. shape: (rows, cols).
    """
    from PIL import Image, ImageDraw

    margin = max(2.0, shapes.sides(polygon)[1] / 8)
    sheet = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(sheet).polygon([tuple(point) for point in shapes.grown(polygon, margin).tolist()], fill=1, outline=1)
    return np.array(sheet, bool)
