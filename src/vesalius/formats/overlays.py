"""Graphics that a header draws over its pixels: overlay planes 60xx (PS3.3 C.9.2), in their own element or in unused bits of the pixels.

In: a dataset with its claim and the frames kept. Out: boolean masks of the image's size. A plane that is malformed is left out and logged: it is not the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.study import Overlay
from vesalius.formats import codecs, header
from vesalius.formats.decode import Claim

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GROUPS = range(0x6000, 0x6020, 2)


def read_overlays(dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int]) -> tuple[Overlay, ...]:
    """The overlay planes of the frames to keep; masks are (rows, cols), or (frames, rows, cols) when they differ by frame."""
    found = []
    for group in _GROUPS:
        if (group, 0x0010) not in dataset and (group, 0x0100) not in dataset:
            continue
        try:
            with header.quiet():
                mask = _plane(dataset, claim, group, keep) if (group, 0x3000) in dataset else _embedded(dataset, claim, group, keep)
                if mask is not None:
                    label, kind = _word(dataset, group, 0x1500), _word(dataset, group, 0x0040)
                    found.append(Overlay(mask, label=label, kind=kind or "G"))
        except header.parser_failures() as error:
            header.LOG.debug("%s: overlay %04X is malformed and left out: %s", path.name, group, header.short(error))
    return tuple(found)


def _word(dataset: Dataset, group: int, element: int) -> str | None:
    found = dataset.get((group, element))
    return " ".join(str(found.value).split()) or None if found is not None and found.value else None


def _whole(dataset: Dataset, group: int, element: int, default: int) -> int:
    found = dataset.get((group, element))
    return default if found is None or found.value in (None, "") else int(found.value)


def _plane(dataset: Dataset, claim: Claim, group: int, keep: Sequence[int]) -> NDArray[np.bool_] | None:
    rows, cols = _whole(dataset, group, 0x0010, 0), _whole(dataset, group, 0x0011, 0)
    frames, first = max(1, _whole(dataset, group, 0x0015, 1)), _whole(dataset, group, 0x0051, 1) - 1
    if rows < 1 or cols < 1 or rows * cols * frames > 8 * len(dataset[group, 0x3000].value):
        message = f"claims {rows} x {cols} x {frames} bits"
        raise ValueError(message)
    drawn = np.asarray(dataset.overlay_array(group)).reshape(frames, rows, cols).astype(bool)
    origin = dataset.get((group, 0x0050))
    top, left = (int(x) - 1 for x in origin.value) if origin is not None and origin.value else (0, 0)
    if frames == 1:
        return _placed(drawn[0], claim, top, left)
    blank = np.zeros((claim.rows, claim.cols), bool)
    masks = [_placed(drawn[k - first], claim, top, left) if 0 <= k - first < frames else blank for k in keep]
    return np.stack(masks)


def _placed(drawn: NDArray[np.bool_], claim: Claim, top: int, left: int) -> NDArray[np.bool_]:
    """The plane on the image's own grid; what lies outside is cut off."""
    mask = np.zeros((claim.rows, claim.cols), bool)
    r0, c0 = max(top, 0), max(left, 0)
    r1, c1 = min(top + drawn.shape[0], claim.rows), min(left + drawn.shape[1], claim.cols)
    if r1 > r0 and c1 > c0:
        mask[r0:r1, c0:c1] = drawn[r0 - top : r1 - top, c0 - left : c1 - left]
    return mask


def _embedded(dataset: Dataset, claim: Claim, group: int, keep: Sequence[int]) -> NDArray[np.bool_] | None:
    """A retired way: the plane is one bit of each stored pixel above Bits Stored (PS3.5 8.1.2, up to 2004); native encodings only."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    position = _whole(dataset, group, 0x0102, 0)
    low = header.whole(dataset, "HighBit", Path(), default=claim.stored - 1) - claim.stored + 1
    if codecs.DECODERS.get(claim.syntax) or claim.samples != 1 or claim.allocated not in (8, 16, 32) or low <= position < low + claim.stored:
        return None
    if not 0 <= position < claim.allocated:
        return None
    decoder = get_decoder(UID(claim.syntax))
    planes = []
    for index in keep:
        raw, _ = decoder.as_array(dataset, index=index, correct_unused_bits=False)  # type: ignore[arg-type]  # stub of pydicom: it is a bool
        planes.append(raw.astype(np.int64) >> position & 1)
    masks = np.stack(planes).astype(bool)
    return masks[0] if len(keep) == 1 else masks
