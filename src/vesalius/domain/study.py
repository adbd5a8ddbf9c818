"""What was acquired: `Study` -> `Series` -> `Image`, with everything a reader must know of the pixels.

In: decoded pixels and header facts (from `formats`). Out: immutable nouns that cannot be built wrong.
Unknown facts are None, never guessed. No noun here can hold a name, an address or a medical record number.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue


class Modality(enum.StrEnum):
    """DICOM (0008,0060) defined terms that the package tells apart; everything else is OT."""

    CR = "CR"
    DX = "DX"
    CT = "CT"
    MR = "MR"
    US = "US"
    MG = "MG"
    PT = "PT"
    NM = "NM"
    XA = "XA"
    RF = "RF"
    ECG = "ECG"
    SM = "SM"
    GM = "GM"
    XC = "XC"
    OP = "OP"
    ES = "ES"
    SEG = "SEG"
    OT = "OT"


class Intensity(enum.StrEnum):
    """What a pixel value means."""

    HOUNSFIELD = "hounsfield"  # CT numbers, HU
    RELATIVE = "relative"  # arbitrary units of the acquisition (CR, DX, MR, ...)
    QUANTITATIVE = "quantitative"  # rescaled to a unit that the header names
    COLOUR = "colour"  # RGB, 0..255
    BINARY = "binary"  # 0 or 1


class Laterality(enum.StrEnum):
    """Side of a paired body part, DICOM (0020,0060) / (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"
    BOTH = "B"
    UNPAIRED = "U"


class Sex(enum.StrEnum):
    """DICOM (0010,0040)."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"


@dataclasses.dataclass(frozen=True)
class Window:
    """A VOI window, PS3.3 C.11.2.1.2: `function` is LINEAR, LINEAR_EXACT or SIGMOID."""

    center: float
    width: float
    function: str = "LINEAR"
    explanation: str | None = None

    def __post_init__(self) -> None:
        least = 1.0 if self.function == "LINEAR" else 0.0
        if not self.width >= least or (self.width == 0 and self.function != "LINEAR"):
            raise InvalidValue(f"window width must be at least {least:g} for {self.function} (got {self.width:g})")
        if self.function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            raise InvalidValue(f"window function {self.function!r} is not LINEAR, LINEAR_EXACT or SIGMOID")


@dataclasses.dataclass(frozen=True, eq=False)
class LookupTable:
    """A VOI LUT, PS3.3 C.11.2.1.1: `values[i]` is the output for input `first + i`; `bits` is the output depth."""

    first: int
    values: NDArray[np.uint16]
    bits: int
    explanation: str | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.values.size == 0:
            raise InvalidValue(f"a lookup table must be one-dimensional and not empty (got shape {self.values.shape})")


@dataclasses.dataclass(frozen=True, eq=False)
class Overlay:
    """A graphic burned beside the pixels (60xx,3000): boolean mask (rows, cols), or (frames, rows, cols)."""

    mask: NDArray[np.bool_]
    label: str | None = None
    kind: str = "G"


@dataclasses.dataclass(frozen=True, eq=False)
class Image:
    """Pixels of one acquired object and what they mean.

    Args:
        pixels: (frames, rows, cols) float32 in modality units, or (frames, rows, cols, 3) uint8 RGB.
        intensity: meaning of a value.
        modality: DICOM modality.
        spacing: millimetres between rows, between columns; None when unknown.
        orientation: direction cosines of row and column (6 numbers), PS3.3 C.7.6.2.1.1.
        position: millimetres of the first pixel, patient coordinates.
        slice_thickness: millimetres.
        voi: tables, then windows, each in the order of the header; the first is the default.
        inverted: True when low values are shown bright (MONOCHROME1).
        overlays: graphics of the header.
        view: view position or acquisition direction (PA, AP, LL, AXIAL, ...).
        burned_in: header's claim about identifiers in the pixels; None when silent.
        source: name of the file it came from, without directory.
        uid: SOP Instance UID.
        transfer_syntax: UID of the encoding it was decoded from.
        lossy: True when the header or encoding says the pixels were lossily compressed.
        pad: pixel padding value in modality units; None when the header is silent.
    """

    pixels: NDArray[np.float32] | NDArray[np.uint8]
    intensity: Intensity
    modality: Modality
    body_part: str | None = None
    spacing: tuple[float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    position: tuple[float, float, float] | None = None
    slice_thickness: float | None = None
    voi: tuple[Window | LookupTable, ...] = ()
    inverted: bool = False
    overlays: tuple[Overlay, ...] = ()
    view: str | None = None
    laterality: Laterality | None = None
    burned_in: bool | None = None
    source: str | None = None
    uid: str | None = None
    transfer_syntax: str | None = None
    lossy: bool | None = None
    pad: float | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        grey = self.pixels.ndim == 3 and dtype == np.float32
        colour = self.pixels.ndim == 4 and shape[-1] == 3 and dtype == np.uint8
        if not (grey or colour) or 0 in shape:
            raise InvalidValue(
                f"pixels must be (frames, rows, cols) float32 or (frames, rows, cols, 3) uint8, none of them empty (got {shape} {dtype})",
                remedy="stack frames on the first axis",
            )
        if colour != (self.intensity is Intensity.COLOUR):
            raise InvalidValue(f"intensity {self.intensity} does not fit pixels of shape {shape}", remedy="use COLOUR for RGB only")
        if self.spacing is not None and not (len(self.spacing) == 2 and all(np.isfinite(s) and s > 0 for s in self.spacing)):
            raise InvalidValue(f"spacing must be two positive numbers in millimetres (got {self.spacing})")
        self.pixels.setflags(write=False)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.pixels.shape[0])

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[1])

    @property
    def cols(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[2])

    @property
    def is_colour(self) -> bool:
        """True for RGB pixels."""
        return self.intensity is Intensity.COLOUR

    def frame(self, index: int) -> Image:
        """The same image with one frame only.

        Raises:
            InvalidValue: index outside 0..frames-1.
        """
        if not 0 <= index < self.frames:
            raise InvalidValue(f"frame {index} does not exist: the image has frames 0 to {self.frames - 1}", remedy="choose one of them")
        overlays = tuple(dataclasses.replace(o, mask=o.mask[index]) if o.mask.ndim == 3 else o for o in self.overlays)
        return dataclasses.replace(self, pixels=self.pixels[index : index + 1], overlays=overlays)


@dataclasses.dataclass(frozen=True)
class Patient:
    """The little that a model may know of a person. `key` is a one-way digest, never an identifier."""

    sex: Sex | None = None
    age_years: float | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.age_years is not None and not 0 <= self.age_years <= 130:
            raise InvalidValue(f"age must lie in 0..130 years (got {self.age_years:g})")


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """Images acquired together, ordered."""

    images: tuple[Image, ...]
    uid: str | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        if not self.images:
            raise InvalidValue("a series needs at least one image", remedy="drop the empty series")

    @property
    def modality(self) -> Modality:
        """Modality of the first image."""
        return self.images[0].modality


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """One examination of one patient.

    Args:
        series: ordered by series number.
        patient: sex, age and a digest.
        deidentified: True only when a header or our own de-identification says so; endpoints outside the machine demand it.
        source: where it was read from, for messages; never written to a result that leaves the machine.
    """

    series: tuple[Series, ...]
    patient: Patient = Patient()
    uid: str | None = None
    deidentified: bool = False
    source: str | None = None

    def __post_init__(self) -> None:
        if not self.series:
            raise InvalidValue("a study needs at least one series", remedy="read at least one image")

    @property
    def images(self) -> tuple[Image, ...]:
        """All images, series by series."""
        return tuple(image for series in self.series for image in series.images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)

    @property
    def image(self) -> Image:
        """The image a single-image model sees: the middle one of the largest series (the only one, mostly)."""
        largest = max(self.series, key=lambda s: len(s.images))
        return largest.images[len(largest.images) // 2]

    @property
    def modality(self) -> Modality:
        """Modality of the key image."""
        return self.image.modality

    @property
    def body_part(self) -> str | None:
        """Body part of the key image, upper case, or None."""
        return self.image.body_part


def single(image: Image, *, patient: Patient | None = None, deidentified: bool = False) -> Study:
    """A study of one image."""
    return Study((Series((image,)),), patient or Patient(), deidentified=deidentified, source=image.source)
