"""Wrong pictures on purpose: drawn phantoms, the blank image, another patient's image. Numbers and numpy only, no files.

In: a modality, a body part and a seed; or the image that a question was asked of. Out: domain `Image`s for the controls and for every test without data.
A phantom is drawn from ellipses and noise: it shows the anatomy that a question needs to be asked of it, and no disease.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vesalius.data.anatomy import SIZE, Canvas, abdomen_ct, abdomen_mr, brain_mr, chest_film, generic, head_ct, ultrasound
from vesalius.domain.study import Image, Intensity, Modality, Window
from vesalius.errors import InvalidValue

_FILM = (Modality.CR, Modality.DX)
_HEAD = frozenset({"HEAD", "BRAIN", "SKULL"})
_ABDOMEN = frozenset({"ABDOMEN", "LIVER", "PELVIS", "KIDNEY", "ABDOMENPELVIS"})
_CHEST = frozenset({"CHEST", "LUNG", "THORAX", "HEART"})
_REGION_OF = MappingProxyType({**dict.fromkeys(_HEAD, "HEAD"), **dict.fromkeys(_ABDOMEN, "ABDOMEN"), **dict.fromkeys(_CHEST, "CHEST")})

_DRAWINGS: Mapping[tuple[Modality, str], Callable[[Canvas], NDArray[np.float32]]] = MappingProxyType(
    {
        (Modality.CR, "CHEST"): chest_film,
        (Modality.CT, "HEAD"): head_ct,
        (Modality.CT, "ABDOMEN"): abdomen_ct,
        (Modality.MR, "HEAD"): brain_mr,
        (Modality.MR, "ABDOMEN"): abdomen_mr,
    }
)
# the display window of CT phantoms, HU
_WINDOWS = MappingProxyType({"HEAD": Window(40, 80), "ABDOMEN": Window(40, 400)})


def phantom(modality: Modality | str, body_part: str | None, seed: int = 0) -> Image:
    """Draw a phantom.

    Args:
        modality: DICOM modality. CR and DX of the chest, CT and MR of head and abdomen and every US have their own drawing; all else is generic.
        body_part: DICOM body part, any case; None draws the generic shape (US: the sector).
        seed: another seed is another patient: sizes, positions and noise vary, anatomy stays.

    Returns:
        One frame of 256 x 256: HU for CT, else arbitrary units in 0..255 as float32.

    Raises:
        InvalidValue: an unknown modality, or a negative seed.
    """
    try:
        kind = Modality(modality)
    except ValueError as error:
        raise InvalidValue(f"{modality!r} is not a DICOM modality known here", remedy="use one of " + ", ".join(Modality)) from error
    if seed < 0:
        raise InvalidValue(f"a seed must not be negative (got {seed})")
    region = region_of(body_part)
    drawn = Modality.CR if kind in _FILM else kind
    draw = ultrasound if kind is Modality.US else _DRAWINGS.get((drawn, region or ""), generic)
    pixels = draw(Canvas(np.random.default_rng([seed, *f"{drawn}/{region}".encode()])))
    # the generic drawing has no Hounsfield units even when a CT was asked for
    hounsfield = kind is Modality.CT and draw is not generic
    return Image(
        pixels=pixels[None].astype(np.float32),
        intensity=Intensity.HOUNSFIELD if hounsfield else Intensity.RELATIVE,
        modality=kind,
        body_part=body_part.upper() if body_part else None,
        voi=(_WINDOWS[region],) if hounsfield and region else (Window(127.5, 256),),
        view="PA" if draw is chest_film else "AXIAL" if kind in (Modality.CT, Modality.MR) else None,
        burned_in=False,
        source=f"phantom-{kind}-{region or 'GENERIC'}-{seed}".lower(),
        lossy=False,
    )


def region_of(body_part: str | None) -> str | None:
    """HEAD, CHEST or ABDOMEN for the body parts that belong to one; other parts stay themselves in upper case; None stays None."""
    if body_part is None or not body_part.strip():
        return None
    part = body_part.strip().upper()
    return _REGION_OF.get(part, part)


def blank_like(image: Image) -> Image:
    """The blank control: every pixel is the mean of the image (of each colour), with its size, frames, windows and header facts.

    The mean is the one image without content that keeps the brightness, hence the window and the normalisation that a model applies see a usual value; pixel
    noise of the same variance was not chosen, because noise is itself a texture that a vision tower answers to. The standard deviation is therefore 0.
    Graphics of the header are dropped (they may hold the answer), padding too.
    """
    axes = (0, 1, 2)
    mean = image.pixels.astype(np.float64).mean(axis=axes)
    filled = np.empty_like(image.pixels)
    filled[:] = np.rint(mean) if image.is_colour else mean
    return dataclasses.replace(image, pixels=filled, overlays=(), pad=None, uid=None, source="blank")


class Bank(Protocol):
    """Images to take another patient's from."""

    def candidates(self, modality: Modality, region: str) -> tuple[str, ...]:
        """Keys of images of one modality and region (`region_of`), in a fixed order."""
        ...

    def image(self, key: str) -> Image:
        """The image behind a key."""
        ...


@dataclasses.dataclass(frozen=True)
class PhantomBank:
    """Drawn patients, `size` of each kind that has its own drawing; ships with the package because it is only numbers."""

    size: int = 4

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InvalidValue(f"a bank must hold at least one image of each kind (got {self.size})")

    def candidates(self, modality: Modality, region: str) -> tuple[str, ...]:
        """Keys "modality/region/seed"; empty when there is no drawing of that kind."""
        drawn = Modality.CR if modality in _FILM else modality
        if modality is not Modality.US and (drawn, region) not in _DRAWINGS:
            return ()
        return tuple(f"{modality}/{region}/{seed}" for seed in range(self.size))

    def image(self, key: str) -> Image:
        """Draw it."""
        modality, region, seed = key.split("/")
        return phantom(modality, region, int(seed))


@dataclasses.dataclass(frozen=True)
class FileBank:
    """Real patients of a data root.

    Args:
        root: the data root.
        images: image path relative to it -> (modality, body part), as the tags of exchanges give them; use training images only.
        read: decodes one file into an `Image` of that modality and body part.
    """

    root: Path
    images: Mapping[str, tuple[Modality, str]]
    read: Callable[[Path, Modality, str], Image]

    def candidates(self, modality: Modality, region: str) -> tuple[str, ...]:
        """Paths of that modality and region, sorted; CR and DX count as one."""
        kinds = _FILM if modality in _FILM else (modality,)
        return tuple(sorted(name for name, (kind, part) in self.images.items() if kind in kinds and region_of(part) == region))

    def image(self, key: str) -> Image:
        """Read it."""
        kind, part = self.images[key]
        return self.read(self.root / key, kind, part)


def other_patient(image: Image, bank: Bank, seed: int = 0) -> Image | None:
    """Another patient's image of the same modality and body part, the swap control.

    Args:
        image: the image that the question was asked of; the same pixels are never returned.
        bank: where to look; `PhantomBank()` is always there.
        seed: which of the candidates comes first.

    Returns:
        None when the body part is unknown or the bank has no such image: a swap across body parts would be another question.
    """
    region = region_of(image.body_part)
    if region is None:
        return None
    keys = bank.candidates(image.modality, region)
    if not keys:
        return None
    start = int(np.random.default_rng([abs(seed), *image.modality.encode()]).integers(len(keys)))
    for step in range(len(keys)):
        found = bank.image(keys[(start + step) % len(keys)])
        if found.pixels.shape != image.pixels.shape or not np.array_equal(found.pixels, image.pixels):
            return found
    return None


__all__ = ["SIZE", "Bank", "FileBank", "PhantomBank", "blank_like", "other_patient", "phantom", "region_of"]
