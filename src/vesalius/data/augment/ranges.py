"""How far each operation may go, for each kind of image: a frozen table in physical units, each range with its source or reason.

In: an `Image`. Out: the `Range` of an operation, or None where it makes no sense. Beyond these ranges a picture is no longer what a working department would
accept or repeat; such faults belong to `vesalius.data.corruptions`, which test a model and do not teach it.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from types import MappingProxyType

from vesalius.data.phantoms import region_of
from vesalius.domain.study import Image, Intensity, Modality


class Scale(enum.StrEnum):
    """On what a value is drawn evenly."""

    LINEAR = "linear"
    LOG = "log"
    INVERSE = "inverse"  # 1 / value, which for photons is the variance of the noise

    def to(self, value: float) -> float:
        """A value on this scale."""
        return math.log(value) if self is Scale.LOG else 1 / value if self is Scale.INVERSE else value

    def back(self, place: float) -> float:
        """The value at a place."""
        if self is Scale.INVERSE:
            return 1 / place if place else math.inf
        return math.exp(place) if self is Scale.LOG else place


@dataclasses.dataclass(frozen=True)
class Range:
    """Admissible values. `reason`: the source, or why not further."""

    low: float
    high: float
    unit: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Operation:
    """One kind of change.

    Args:
        title: for people. neutral: the value that changes nothing. scale: on what values are drawn evenly. geometry: whether it moves what is shown.
        ranges: kind of image (`kind_of`) to its range; a kind that is absent does not have this operation.
        bare: the same in pixels, for images without spacing.
    """

    title: str
    neutral: float
    scale: Scale
    ranges: Mapping[str, Range]
    bare: Mapping[str, Range] = dataclasses.field(default_factory=dict)
    geometry: bool = False

    def admitted(self, image: Image) -> Range | None:
        """The range for an image."""
        kind = kind_of(image)
        found = self.ranges.get(kind or "")
        return self.bare[kind or ""] if found is not None and found.unit == "mm" and image.spacing is None else found

    @property
    def units(self) -> frozenset[str]:
        """Units that its ranges have."""
        return frozenset(r.unit for r in (*self.ranges.values(), *self.bare.values()))


FILM, CT, HEAD, MR, US, NUCLEAR, TISSUE, PHOTO, OTHER = "film", "CT", "head CT", "MR", "US", "nuclear", "tissue", "photo", "other"
KINDS: Mapping[Modality, str] = MappingProxyType(
    {
        **dict.fromkeys((Modality.CR, Modality.DX, Modality.MG, Modality.XA, Modality.RF), FILM),
        **dict.fromkeys((Modality.PT, Modality.NM), NUCLEAR),
        **dict.fromkeys((Modality.SM, Modality.GM), TISSUE),
        **dict.fromkeys((Modality.XC, Modality.OP, Modality.ES), PHOTO),
        Modality.CT: CT,
        Modality.MR: MR,
        Modality.US: US,
        Modality.OT: OTHER,
    }
)
_SLICES = (CT, HEAD, MR)
_ALL = (FILM, CT, HEAD, MR, US, NUCLEAR, TISSUE, PHOTO, OTHER)
_MILLIMETRES = (FILM, CT, HEAD, MR, US, NUCLEAR)


def kind_of(image: Image) -> str | None:
    """Which ranges hold for an image; None for what is no picture of a body (ECG, segmentations)."""
    kind = KINDS.get(image.modality)
    return HEAD if kind == CT and region_of(image.body_part) == "HEAD" else kind


def _same(kinds: tuple[str, ...], low: float, high: float, unit: str, reason: str) -> dict[str, Range]:
    return dict.fromkeys(kinds, Range(low, high, unit, reason))


_TURN = "positioning: a tilt that a technologist lets pass"
_CUT = "findings lie at borders (apices, angles): 0.05 at most where nothing is marked, see `UNMARKED_CROP`"
_PIXEL = "the spread of a pixel of its own size is 0.3 pixels; three times that"
_WINDOW = "a reader's own setting; a tenth of the usual width"
OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "rotation": Operation(
            "Rotation",
            0.0,
            Scale.LINEAR,
            {
                **_same((FILM,), -7, 7, "degrees", _TURN),
                **_same((*_SLICES, NUCLEAR), -10, 10, "degrees", "a head or body that lies tilted in the gantry"),
                **_same((US,), -10, 10, "degrees", "the sector's opening stays above"),
                **_same((TISSUE,), -180, 180, "degrees", "a section has no up"),
                **_same((PHOTO,), -15, 15, "degrees", "a camera in the hand"),
                **_same((OTHER,), -5, 5, "degrees", "unknown kind: the least of all"),
            },
            geometry=True,
        ),
        "scale": Operation(
            "Scale",
            1.0,
            Scale.LOG,
            {
                **_same(_MILLIMETRES, 0.9, 1.1, "factor", "adults differ by more; spacing follows, so measured sizes stay"),
                **_same((TISSUE, PHOTO), 0.9, 1.1, "factor", "distance of the camera"),
                **_same((OTHER,), 0.95, 1.05, "factor", "unknown kind: the least of all"),
            },
            geometry=True,
        ),
        "shift": Operation(
            "Shift",
            0.0,
            Scale.LINEAR,
            {
                **_same((FILM, *_SLICES, NUCLEAR), -15, 15, "mm", "centring; never more than 5 % of the picture's side"),
                **_same((US,), -5, 5, "mm", "placing of the probe; never more than 5 % of the picture's side"),
                **_same((TISSUE, PHOTO, OTHER), -25, 25, "pixels", "5 % of 512; never more than 5 % of the picture's side"),
            },
            _same(_MILLIMETRES, -25, 25, "pixels", "5 % of 512; never more than 5 % of the picture's side"),
            geometry=True,
        ),
        "crop": Operation("Crop", 0.0, Scale.LINEAR, _same(_ALL, 0, 0.2, "share of a side", _CUT), geometry=True),
        "blur": Operation(
            "Blur",
            0.0,
            Scale.LINEAR,
            {
                **_same((FILM,), 0, 0.3, "mm", "a 1.2 mm focal spot at magnification 1.2 has a penumbra of 0.24 mm"),
                **_same((CT, HEAD), 0, 0.6, "mm", "contrast halved at 3.1 line pairs/cm, about a soft kernel's"),
                **_same((MR, US), 0, 0.6, "mm", "a voxel of 1.5 mm instead of 1 mm"),
                **_same((NUCLEAR,), 0, 2.5, "mm", "a point spread of 6 mm full width"),
                **_same((TISSUE, PHOTO, OTHER), 0, 1.0, "pixels", _PIXEL),
            },
            _same(_MILLIMETRES, 0, 1.0, "pixels", _PIXEL),
        ),
        "resolution": Operation(
            "Resolution", 1.0, Scale.LOG, _same(_ALL, 0.5, 1, "share of pixels", "a matrix of half the side, as between 512 and 256 or a scan of a print")
        ),
        "exposure": Operation(
            "Exposure",
            0.0,
            Scale.LINEAR,
            {
                **_same((FILM,), -1, 1, "EV", "mAs halved or doubled = deviation index -3 or +3, where IEC 62494-1 and AAPM report 116 call for action"),
                **_same((TISSUE, PHOTO), -0.7, 0.7, "EV", "auto exposure of a camera; beyond it white clips"),
            },
        ),
        "quantum_noise": Operation(
            "Quantum noise",
            math.inf,
            Scale.INVERSE,
            _same((FILM,), 250, math.inf, "photons", "1,000 a pixel at middle grey; half at deviation index -3, half again for smaller pixels"),
        ),
        "ct_noise": Operation(
            "CT noise",
            0.0,
            Scale.LINEAR,
            {
                **_same((CT,), 0, 15, "HU", "a body scan has about 10 to 15; as much again is added"),
                **_same((HEAD,), 0, 4, "HU", "a head scan has about 3 to 5; grey and white matter differ by 8"),
            },
        ),
        "bias_field": Operation(
            "Bias field", 0.0, Scale.LINEAR, _same((MR,), 0, 0.2, "deviation from 1", "BrainWeb's 40 % non-uniformity, a field from 0.8 to 1.2")
        ),
        "rician_noise": Operation(
            "MR noise", 0.0, Scale.LINEAR, _same((MR,), 0, 0.04, "share of white", "BrainWeb offers up to 9 % of the brightest tissue; less than half of it")
        ),
        "window_level": Operation(
            "Window level",
            0.0,
            Scale.LINEAR,
            {
                **_same((CT,), -40, 40, "HU", _WINDOW + ", 400 HU"),
                **_same((HEAD,), -8, 8, "HU", _WINDOW + ", 80 HU"),
                **_same((FILM, MR, US, NUCLEAR, OTHER), -0.1, 0.1, "share of the width", _WINDOW),
            },
        ),
        "window_width": Operation(
            "Window width", 1.0, Scale.LOG, _same((FILM, *_SLICES, US, NUCLEAR, OTHER), 0.8, 1.25, "factor", "a reader's own setting: 320 or 500 for 400 HU")
        ),
        "compression": Operation(
            "Compression",
            100.0,
            Scale.LINEAR,
            {
                **_same(
                    (FILM, TISSUE, PHOTO), 50, 95, "JPEG quality", "films at 50 are 21:1 (median of 40); the Canadian radiologists' guide of 2008 has 30:1"
                ),
                **_same(
                    (CT, HEAD, MR, US, NUCLEAR, OTHER),
                    60,
                    95,
                    "JPEG quality",
                    "CT slices at 60 are 10:1, MR 15:1 (medians of 40); the Canadian radiologists' guide of 2008 has 12:1 for the head and 24:1",
                ),
            },
        ),
    }
)
UNMARKED_CROP = 0.05  # share of a side, where nothing is marked
SHIFT_LIMIT = 0.05  # share of the picture's side
BLUR_LIMIT = 4.0  # pixels, so that an absurd spacing costs no minutes
# What a number means is lost by these: they change what a pixel says, not how well it was measured.
_MEANING: Mapping[Intensity, frozenset[str]] = MappingProxyType(
    {
        Intensity.HOUNSFIELD: frozenset({"exposure", "bias_field", "compression"}),
        Intensity.QUANTITATIVE: frozenset({"exposure", "bias_field", "compression", "quantum_noise"}),
        Intensity.BINARY: frozenset(name for name, each in OPERATIONS.items() if not each.geometry),
    }
)


def against_meaning(image: Image) -> frozenset[str]:
    """Operations that would make the pixels' unit untrue."""
    return _MEANING.get(image.intensity, frozenset())
