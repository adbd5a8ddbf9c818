"""Stored pixel values of a DICOM dataset: claims checked first, then decoded by the permitted decoder.

In: a parsed dataset and the frames wanted. Out: `Stored`, integers (or floats) as they were written, colour already in RGB.
Native, RLE, JPEG, JPEG-LS, JPEG 2000 and HTJ2K by pydicom's plug-ins; lossless and 12-bit JPEG by GDCM in a process of its own (`isolated`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue, UnreadableStudy
from vesalius.formats import bounds, codecs, header
from vesalius.formats.isolated import Isolated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Frames = Literal["choose", "all"] | int

_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclasses.dataclass(frozen=True)
class Claim:
    """What the header says about the pixels, within bounds."""

    rows: int
    cols: int
    frames: int
    samples: int
    allocated: int
    stored: int
    photometric: str
    keyword: str
    syntax: str


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """Decoded values, (frames, rows, cols) or (frames, rows, cols, 3), and the photometric interpretation they are in now."""

    values: NDArray[Any]
    photometric: str


def pixel_keyword(dataset: Dataset) -> str | None:
    """Which element holds the pixels; None when there is none."""
    return next((k for k in _PIXEL_KEYWORDS if k in dataset), None)


def read_claim(dataset: Dataset, path: Path) -> Claim:
    """The image pixel module (PS3.3 C.7.6.3) as whole numbers.

    Raises:
        UnreadableStudy: a needed element is missing or malformed, or the transfer syntax is unknown.
    """
    keyword = pixel_keyword(dataset) or "PixelData"
    floating = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword)
    allocated = header.whole(dataset, "BitsAllocated", path, default=floating)
    syntax = header.text(dataset.file_meta, "TransferSyntaxUID")
    if syntax is None:
        raise UnreadableStudy(path, "does not say in which transfer syntax its pixels are encoded", remedy="export it again with its meta information")
    stored = header.whole(dataset, "BitsStored", path, default=allocated)
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= allocated:
        raise UnreadableStudy(path, f"claims {stored} bits stored in {allocated} allocated", remedy="export it again, the header is damaged")
    return Claim(
        rows=header.whole(dataset, "Rows", path),
        cols=header.whole(dataset, "Columns", path),
        frames=header.whole(dataset, "NumberOfFrames", path, default=1) or 1,
        samples=header.whole(dataset, "SamplesPerPixel", path, default=1),
        allocated=allocated,
        stored=stored,
        photometric=header.text(dataset, "PhotometricInterpretation") or "",
        keyword=keyword,
        syntax=syntax,
    )


def choose_frames(frames: Frames, total: int, where: str | Path) -> range:
    """Indices of the frames to keep: the middle one ("choose"), all of them, or one by number.

    Raises:
        InvalidValue: no such frame, or another word.
    """
    if frames == "all":
        return range(total)  # not a tuple: a header may claim billions, and nobody has checked yet
    if frames == "choose":
        return range(total // 2, total // 2 + 1)
    if isinstance(frames, bool) or not isinstance(frames, int):
        raise InvalidValue(f"frames must be 'choose', 'all' or a number (got {frames!r})", remedy="give one of them")
    if not 0 <= frames < total:
        raise InvalidValue(f"{where}: frame {frames} does not exist, there are frames 0 to {total - 1}", remedy="choose one of them")
    return range(frames, frames + 1)


def decode(dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int], gdcm: Isolated) -> Stored:
    """Decode the frames to keep.

    Args:
        dataset: with pixel data.
        path: the file, for messages.
        claim: from `read_claim`.
        keep: frame indices, ascending.
        gdcm: the process to decode with where only GDCM can.

    Returns:
        Values with the frames on the first axis; YBR is converted to RGB.

    Raises:
        UnreadableStudy: absurd dimensions, truncated, damaged, or an encoding that no permitted decoder reads.
        MissingExtra: the decoder is not installed.
    """
    bounds.check_image(path, rows=claim.rows, cols=claim.cols, frames=claim.frames, samples=claim.samples, kept=len(keep))
    plugin = codecs.decoder_for(claim.syntax, path)
    if not plugin:
        _check_native_length(dataset, path, claim)
    else:
        deep = _check_frames(dataset, path, claim, keep)
        if claim.syntax == codecs.JPEG_EXTENDED and deep:
            plugin = codecs.decoder_for(codecs.JPEG_LOSSLESS, path)  # pydicom's plug-ins decline 12 bits, GDCM itself does not
        if plugin == "gdcm":
            dataset = _decoded_by_gdcm(dataset, path, claim, keep, gdcm)
            plugin, claim, keep = "", dataclasses.replace(claim, syntax=codecs.EXPLICIT_LITTLE, frames=len(keep)), range(len(keep))
    values, photometric = _as_array(dataset, path, claim, keep, plugin)
    return Stored(values.reshape(len(keep), claim.rows, claim.cols, *values.shape[values.ndim - (claim.samples > 1) :]), photometric)


def _as_array(dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int], plugin: str) -> tuple[NDArray[Any], str]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    decoder = get_decoder(UID(claim.syntax))
    try:
        with header.quiet(), codecs.silent_stderr():
            if len(keep) == claim.frames:
                values, properties = decoder.as_array(dataset, decoding_plugin=plugin)
            else:
                several = [decoder.as_array(dataset, index=k, decoding_plugin=plugin) for k in keep]
                values, properties = np.stack([v for v, _ in several]), several[0][1]
    except header.parser_failures() as error:
        reason = str(error).splitlines()[-1].strip().removeprefix(f"{plugin}: ") if str(error) else type(error).__name__
        raise UnreadableStudy(path, f"its pixels cannot be decoded ({header.short(ValueError(reason))})", remedy="export it again") from error
    wanted = len(keep) * claim.rows * claim.cols * claim.samples
    if values.size != wanted:
        raise UnreadableStudy(path, f"decoded to {values.size:,} values instead of {wanted:,}", remedy="export it again")
    return values, str(properties["photometric_interpretation"])


def _decoded_by_gdcm(dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int], gdcm: Isolated) -> Dataset:
    """The frames to keep as an uncompressed dataset, so that pydicom treats signs, unused bits and colour as ever."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    if claim.allocated not in (8, 16):
        raise UnreadableStudy(path, f"claims a JPEG of {claim.allocated} bits", remedy="export it again, the header is damaged")
    signed = header.whole(dataset, "PixelRepresentation", path, default=0) == 1
    frames = []
    for frame in _frames(dataset, path, claim, keep):
        values = gdcm.decode(frame, claim, signed=signed, photometric=claim.photometric)
        if values is None:
            raise UnreadableStudy(path, "its pixels cannot be decoded (damaged JPEG)", remedy="export it again")
        frames.append(values)
    plain = Dataset()
    plain.file_meta = FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain.Rows, plain.Columns, plain.NumberOfFrames, plain.SamplesPerPixel = claim.rows, claim.cols, len(frames), claim.samples
    plain.BitsAllocated, plain.BitsStored, plain.HighBit, plain.PixelRepresentation = claim.allocated, claim.stored, claim.stored - 1, int(signed)
    plain.PhotometricInterpretation = "YBR_FULL" if claim.photometric == "YBR_FULL_422" else claim.photometric
    if claim.samples > 1:
        plain.PlanarConfiguration = 0
    data = b"".join(frames)
    plain.add_new("PixelData", "OW", data + b"\0" * (len(data) % 2))
    return plain


def _check_native_length(dataset: Dataset, path: Path, claim: Claim) -> None:
    """Uncompressed pixels must all be there; a subsampled YBR_FULL_422 frame has two thirds of the values."""
    values = claim.rows * claim.cols * claim.frames * claim.samples
    if claim.photometric == "YBR_FULL_422":
        values = values // 3 * 2
    expected = (values * claim.allocated + 7) // 8
    held = len(header.value(dataset, claim.keyword) or b"")
    if held < expected:
        raise UnreadableStudy(path, f"is truncated, it holds {held:,} of {expected:,} bytes of pixels", remedy="copy or export it again")


def _frames(dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int]) -> Iterator[bytes]:
    """The compressed bytes of the frames to keep."""
    from pydicom.encaps import generate_frames, get_frame

    try:
        with header.quiet():
            offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths) if "ExtendedOffsetTable" in dataset else None
            if len(keep) == 1:
                yield bytes(get_frame(dataset.PixelData, keep[0], number_of_frames=claim.frames, extended_offsets=offsets))
                return
            wanted, found = set(keep), 0
            for index, frame in enumerate(generate_frames(dataset.PixelData, number_of_frames=claim.frames, extended_offsets=offsets)):
                if index in wanted:
                    found += 1
                    yield bytes(frame)
    except header.parser_failures() as error:
        raise UnreadableStudy(path, f"its compressed frames cannot be told apart ({header.short(error)})", remedy="export it again") from error
    if found < len(wanted):
        raise UnreadableStudy(path, f"holds fewer frames than the {claim.frames} its header names", remedy="copy or export it again")


def _check_frames(dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int]) -> bool:
    """Hold each compressed frame to the header; True when the frames have more than 8 bits and one sample."""
    deep = False
    for frame in _frames(dataset, path, claim, keep):
        if not frame:
            raise UnreadableStudy(path, "a compressed frame is empty", remedy="copy or export it again")
        found = codecs.check_frame(frame, path, rows=claim.rows, cols=claim.cols, samples=claim.samples, allocated=claim.allocated)
        if found is None and claim.syntax not in codecs.WITHOUT_CODESTREAM:
            raise UnreadableStudy(path, "its compressed pixels do not begin as their encoding demands", remedy="export it again")
        deep = deep or (found is not None and found.bits > 8 and found.samples == 1)
    return deep
