"""The stored pixels of a dataset, opened for filling parts of them, and written back with every other value as it was.

In: a dataset. Out: the same pixels in a new dataset. Uncompressed pixels are changed in their own bytes, in any layout. Compressed ones are decoded; what was
encoded without loss goes back into its own transfer syntax where an encoder is installed and gives back every value, else, as everything that lost once,
uncompressed (Explicit VR Little Endian).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import UnreadableStudy
from vesalius.formats import codecs, header, palette
from vesalius.formats.decode import Claim
from vesalius.formats.deidentify.burned import views
from vesalius.formats.isolated import Isolated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Values = NDArray[Any]
Mask = NDArray[np.bool_]

_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_LOSSLESS = ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90")  # that can be written: RLE, JPEG-LS, JPEG 2000
_METHODS = {"1.2.840.10008.1.2.4.50": "ISO_10918_1", codecs.JPEG_EXTENDED: "ISO_10918_1", "1.2.840.10008.1.2.4.81": "ISO_14495_1"}
_CENTRE = 128  # of a colour difference without colour


class Canvas:
    """Pixels that can be filled.

    Args:
        dataset: the source; it is not changed.
        claim: within bounds.
        gdcm: the process to decode with where only GDCM can.

    Attributes:
        values: [frames, rows, cols, samples], a view of the stored values; of uncompressed 4:2:2 colour [frames, rows, cols / 2, 4].

    Raises:
        UnreadableStudy: the pixels are damaged, or in a layout that is not known.
    """

    def __init__(self, dataset: Dataset, claim: Claim, gdcm: Isolated) -> None:
        self._dataset, self._claim = dataset, claim
        self._native = not codecs.decoder_for(claim.syntax, views.NOWHERE)
        self._photometric, self._subsampled = claim.photometric, False
        self._bytes = np.zeros(0, np.uint8)
        self.values: Values = self._open_native() if self._native else self._decode(gdcm)

    def _open_native(self) -> Values:
        claim = self._claim
        shape = (claim.frames, claim.rows, claim.cols, claim.samples)
        if claim.photometric == "YBR_FULL_422":
            if claim.samples != 3 or claim.allocated != 8 or claim.cols % 2:
                raise UnreadableStudy(views.NOWHERE, "has 4:2:2 colour in a layout that is not known", remedy="convert it to RGB")
            shape, self._subsampled = (claim.frames, claim.rows, claim.cols // 2, 4), True
        count = int(np.prod(shape, dtype=np.int64))
        stored = np.frombuffer(self._dataset[claim.keyword].value, np.uint8)
        needed = -(-count * claim.allocated // 8)
        if stored.size < needed:
            raise UnreadableStudy(views.NOWHERE, f"is truncated, it holds {stored.size:,} of {needed:,} bytes of pixels", remedy="copy or export it again")
        if claim.allocated == 1:
            return np.unpackbits(stored[:needed], count=count, bitorder="little").reshape(shape)
        self._bytes = np.zeros(needed + needed % 2, np.uint8)  # what stands behind the pixels is not kept
        self._bytes[:needed] = stored[:needed] if not self._swapped else _swapped(stored[: needed + needed % 2])[:needed]
        kind = {"FloatPixelData": "f4", "DoubleFloatPixelData": "f8"}.get(claim.keyword, ("i" if self._signed else "u") + str(claim.allocated // 8))
        flat = self._bytes[:needed].view(np.dtype(kind).newbyteorder(">" if claim.syntax == _BIG_ENDIAN else "<"))
        if claim.samples > 1 and not self._subsampled and header.number(self._dataset, "PlanarConfiguration") == 1:
            return np.moveaxis(flat.reshape(claim.frames, claim.samples, claim.rows, claim.cols), 1, 3)
        return flat.reshape(shape)

    @property
    def _signed(self) -> bool:
        return header.number(self._dataset, "PixelRepresentation") == 1

    @property
    def _swapped(self) -> bool:
        """Bytes in words of the big-endian encoding stand in the wrong order."""
        return self._claim.syntax == _BIG_ENDIAN and self._claim.allocated == 8 and self._dataset[self._claim.keyword].VR == "OW"

    def _decode(self, gdcm: Isolated) -> Values:
        """All frames as they were encoded where pydicom can give them without converting colour, else as RGB."""
        from pydicom.pixels.decoders.base import get_decoder
        from pydicom.uid import UID

        claim, frames = self._claim, []
        plugin = codecs.decoder_for(claim.syntax, views.NOWHERE)
        for index in range(claim.frames):
            stored = views.stored_frame(self._dataset, claim, index, gdcm)  # it holds the frame to the header before anything is allocated
            if plugin == "gdcm" or claim.samples == 1:
                frame, self._photometric = stored.values[0], stored.photometric
            else:
                with header.quiet(), codecs.silent_stderr():
                    try:
                        frame, facts = get_decoder(UID(claim.syntax)).as_array(self._dataset, index=index, raw=True, decoding_plugin=plugin)
                    except header.parser_failures() as error:
                        raise UnreadableStudy(views.NOWHERE, f"its pixels cannot be decoded ({header.short(error)})", remedy="export it again") from error
                self._photometric = str(facts["photometric_interpretation"])
            frames.append(frame.reshape(claim.rows, claim.cols, claim.samples))
        if self._photometric == "YBR_FULL_422":
            self._photometric = "YBR_FULL"  # the decoder has restored the missing values
        return np.stack(frames)

    @property
    def changed_behind(self) -> bool:
        """Whether the source holds more bytes than its pixels need; they are not kept."""
        return self._native and len(self._dataset[self._claim.keyword].value) > self._bytes.size > 0

    def clear_unused_bits(self) -> bool:
        """Make the bits beyond Bits Stored what they should be, zeros or copies of the sign; True when something else was there (a retired overlay)."""
        claim = self._claim
        if not self._native or self._subsampled or claim.allocated == 1 or claim.stored == claim.allocated or self.values.dtype.kind == "f":
            return False
        high = int(header.number(self._dataset, "HighBit") or claim.stored - 1)
        low = high - claim.stored + 1
        if not 0 <= low <= high < claim.allocated:
            return False
        held = self.values.astype(np.int64)
        clean = held & (((1 << claim.stored) - 1) << low)
        if self._signed:
            clean -= (held >> high & 1) << (high + 1)
        if np.array_equal(clean, held):
            return False
        self.values[...] = clean
        return True

    def fill(self, mask: Mask) -> None:
        """Give every pixel of a mask [rows, cols], in all frames, one value: what looks darkest in this image, so that no letter and no edge is left."""
        if self._subsampled:
            pairs = mask.reshape(mask.shape[0], -1, 2).any(axis=2)  # two pixels share their colour: both go
            self.values[:, pairs] = (0, 0, _CENTRE, _CENTRE)
        else:
            self.values[:, mask] = self._darkest()

    def _darkest(self) -> Any:  # noqa: ANN401 - one value or one for each sample
        if self._photometric == "PALETTE COLOR":
            return self._darkest_index()
        if self._photometric.startswith("YBR") and self._photometric not in ("YBR_RCT", "YBR_ICT"):  # those two are decoded as RGB
            middle = _CENTRE << max(0, self._claim.stored - 8)
            return (0, middle, middle)
        if self._claim.samples > 1:
            return 0
        if self.values.dtype.kind == "f":
            good = self.values[np.isfinite(self.values)]
            return good.min(initial=np.inf) if good.size else 0
        return self.values.max() if self._photometric == "MONOCHROME1" else self.values.min()

    def _darkest_index(self) -> int:
        first = int((header.numbers(self._dataset, "RedPaletteColorLookupTableDescriptor", 3) or (0, 0, 8))[1])
        indices = np.arange(first, min(first + 65_536, 2**self._claim.stored)).reshape(1, 1, -1)
        colours = palette.palette_to_rgb(indices, self._dataset, views.NOWHERE, self._claim.syntax != _BIG_ENDIAN)
        return int(indices.ravel()[int(colours[0, 0].astype(np.int64).sum(axis=1).argmin())])

    def write(self, clean: Dataset) -> None:
        """Put the pixels into a dataset of its own, with the facts that changed: the transfer syntax, and what was lost once."""
        if self._native:
            data = np.packbits(self.values.ravel(), bitorder="little") if self._claim.allocated == 1 else self._bytes
            raw = (_swapped(data) if self._swapped else data).tobytes()
            replace(clean, self._claim.keyword, raw + b"\0" * (len(raw) % 2), vr=self._dataset[self._claim.keyword].VR)
            return
        if self._claim.syntax not in _LOSSLESS or not self._encode(clean):
            self._write_plain(clean)
        if codecs.is_lossy(self._claim.syntax) and header.text(clean, "LossyImageCompression") != "01":
            replace(clean, "LossyImageCompression", "01")
            replace(clean, "LossyImageCompressionMethod", _METHODS[self._claim.syntax])

    def _write_plain(self, clean: Dataset) -> None:
        from pydicom.uid import ExplicitVRLittleEndian

        raw = np.ascontiguousarray(self.values).astype(self.values.dtype.newbyteorder("<"), copy=False).tobytes()
        replace(clean, "PixelData", raw + b"\0" * (len(raw) % 2), vr="OW" if self._claim.allocated > 8 else "OB")
        replace(clean, "PhotometricInterpretation", "RGB" if self._photometric in ("YBR_RCT", "YBR_ICT") else self._photometric)
        if self._claim.samples > 1:
            replace(clean, "PlanarConfiguration", 0)
        for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            clean.pop(keyword, None)
        clean.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian

    def _encode(self, clean: Dataset) -> bool:
        """Encode again as the source was; False when no encoder is installed or its result is not what was put in."""
        from pydicom.pixels.decoders.base import get_decoder
        from pydicom.pixels.encoders.base import get_encoder
        from pydicom.uid import UID

        syntax = UID(self._claim.syntax)
        if not get_encoder(syntax).is_available:
            return False
        before = {k: clean[k] for k in ("PhotometricInterpretation", "PlanarConfiguration") if k in clean}
        try:
            with header.quiet(), codecs.silent_stderr():
                self._write_plain(clean)
                if "PhotometricInterpretation" in before and self._photometric in ("YBR_RCT", "RGB"):
                    replace(clean, "PhotometricInterpretation", before["PhotometricInterpretation"].value)
                clean.compress(syntax, encoding_plugin="pydicom" if self._claim.syntax == _LOSSLESS[0] else "", generate_instance_uid=False)
                decoded = get_decoder(syntax).as_array(clean, raw=True, decoding_plugin=codecs.decoder_for(self._claim.syntax, views.NOWHERE))[0]
        except header.parser_failures() as error:
            header.LOG.debug("the pixels cannot be encoded as %s, they stay uncompressed: %s", syntax.name, header.short(error))
            return False
        return np.array_equal(decoded.reshape(self.values.shape), self.values)


def replace(dataset: Dataset, keyword: str, value: object, *, vr: str | None = None) -> None:
    """Set an element anew: the old one may be shared with the source and is not touched."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import DataElement

    tag = tag_for_keyword(keyword)
    if tag is not None:
        dataset[tag] = DataElement(tag, vr or dictionary_VR(tag), value)


def _swapped(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each pair of bytes the other way round."""
    return np.ascontiguousarray(data[: data.size // 2 * 2].reshape(-1, 2)[:, ::-1]).ravel()
