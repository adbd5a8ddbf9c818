"""Faults of acquisition, processing and storage, in physical terms: a table of them, each with its severities and the modalities for which it makes sense.

In: an `Image` (or the `Study` it is the key image of), a name, a severity and a seed. Out: the same with the fault; shape and dtype stay. The same seed gives
the same fault, and along the severities of one seed it is the same fault that grows: the same noise pattern, direction and place.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from vesalius.data.corruptions import any_picture, film, slices
from vesalius.domain.study import Image, Modality, Study, single
from vesalius.errors import InvalidValue
from vesalius.registry import unknown

Make = Callable[[Image, float, np.random.Generator], Image]

PROJECTION = frozenset({Modality.CR, Modality.DX, Modality.MG, Modality.XA, Modality.RF})
CT, MR = frozenset({Modality.CT}), frozenset({Modality.MR})


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One kind of fault.

    Args:
        title: for people. parameter: what the levels are, with unit.
        levels: the parameter at severities 1 to 5; a fault that is there or not has one, at severity 5.
        modalities: those for which it makes sense; empty: all. geometry: what it does to place and size; empty: nothing.
    """

    title: str
    parameter: str
    levels: tuple[float, ...]
    make: Make
    modalities: frozenset[Modality] = frozenset()
    geometry: str = ""

    @property
    def severities(self) -> tuple[int, ...]:
        """Those that there are."""
        return (5,) if len(self.levels) == 1 else tuple(range(1, len(self.levels) + 1))

    def level(self, severity: int) -> float:
        """The parameter at a severity.

        Raises:
            InvalidValue: there is no such severity.
        """
        if severity not in self.severities:
            raise InvalidValue(f"{self.title} has no severity {severity}", remedy=f"use one of {', '.join(map(str, self.severities))}")
        return self.levels[self.severities.index(severity)]


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "underexposure": Corruption(
            "Underexposure", "detector signal, as a factor, under the same window", (0.8, 0.63, 0.5, 0.4, 0.25), film.exposure, PROJECTION
        ),
        "overexposure": Corruption(
            "Overexposure", "detector signal, as a factor, under the same window", (1.25, 1.6, 2.0, 2.5, 4.0), film.exposure, PROJECTION
        ),
        "quantum_noise": Corruption(
            "Quantum noise", "dose, as a factor of 1,000 photons a pixel at middle grey", (0.5, 0.25, 0.1, 0.04, 0.02), film.quantum_noise, PROJECTION
        ),
        "stripes": Corruption("Column gains", "standard deviation of ln(gain)", (0.03, 0.06, 0.12, 0.2, 0.3), film.stripes, PROJECTION),
        "collimation": Corruption(
            "Collimation", "mean black border, share of each side", (0.02, 0.05, 0.08, 0.12, 0.16), film.collimation, PROJECTION, "hides the borders"
        ),
        "inversion": Corruption("Inverted grey scale", "MONOCHROME1 read as 2: yes", (1.0,), film.inversion, PROJECTION),
        "ct_noise": Corruption("CT noise", "standard deviation added, HU", (10, 20, 35, 55, 80), slices.ct_noise, CT),
        "rings": Corruption("Rings", "standard deviation of a ring's offset, HU", (5, 10, 20, 35, 50), slices.rings, CT),
        "window_level": Corruption("Window level", "error of the level, share of the width", (0.1, 0.2, 0.3, 0.4, 0.5), slices.window_level, CT),
        "window_width": Corruption("Window width", "error of the width, as a factor or its inverse", (1.25, 1.6, 2.0, 2.5, 4.0), slices.window_width, CT),
        "rician_noise": Corruption("MR noise", "standard deviation, share of white", (0.02, 0.04, 0.08, 0.12, 0.18), slices.rician_noise, MR),
        "bias_field": Corruption("Bias field", "largest deviation of the coil's sensitivity from 1", (0.1, 0.2, 0.35, 0.5, 0.7), slices.bias_field, MR),
        "ghosting": Corruption("Ghosting", "strength of each of two ghosts, share of the signal", (0.04, 0.08, 0.15, 0.25, 0.4), slices.ghosting, MR),
        "blur": Corruption("Blur", "standard deviation of the point spread, mm (field of 350 mm where unknown)", (0.5, 1, 1.5, 2.5, 4), any_picture.blur),
        "rotation": Corruption(
            "Rotation", "degrees", (2, 5, 10, 15, 20), any_picture.rotation, geometry="turns about the middle; orientation, position and graphics are dropped"
        ),
        "crop": Corruption(
            "Crop",
            "share of each side cut off",
            (0.05, 0.1, 0.2, 0.3, 0.4),
            any_picture.crop,
            geometry="enlarges a part, which may lack what is asked for; spacing shrinks; orientation, position and graphics are dropped",
        ),
        "resolution": Corruption("Resolution", "pixels kept along each side, share", (0.5, 0.35, 0.25, 0.18, 0.12), any_picture.resolution),
        "jpeg": Corruption("JPEG", "quality, 1 to 95", (80, 50, 25, 10, 7), any_picture.jpeg),
    }
)


def corruption(name: str) -> Corruption:
    """The corruption of that name.

    Raises:
        UnknownName: there is none; the message offers the nearest.
    """
    if name not in CORRUPTIONS:
        raise unknown("corruption", name, list(CORRUPTIONS))
    return CORRUPTIONS[name]


def fitting(modality: Modality) -> tuple[str, ...]:
    """Names of those that make sense for a modality."""
    return tuple(name for name, each in CORRUPTIONS.items() if not each.modalities or modality in each.modalities)


def corrupt(image: Image, name: str, severity: int, seed: int = 0) -> Image:
    """An image with a fault.

    Args:
        severity: 1 to 5 (5 alone for what is there or not). seed: not negative.

    Raises:
        UnknownName: no such corruption. InvalidValue: no such severity, a negative seed, or a modality for which it makes no sense.
    """
    chosen = corruption(name)
    if chosen.modalities and image.modality not in chosen.modalities:
        raise InvalidValue(f"{chosen.title} makes no sense for {image.modality}", remedy="use one of " + ", ".join(fitting(image.modality)))
    if seed < 0:
        raise InvalidValue(f"a seed must not be negative (got {seed})")
    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return chosen.make(image, chosen.level(severity), np.random.default_rng([seed, own]))


def corrupt_study(study: Study, name: str, severity: int, seed: int = 0) -> Study:
    """A study of its key image alone, with a fault. Raises: as `corrupt`."""
    return single(corrupt(study.image, name, severity, seed), patient=study.patient, deidentified=study.deidentified)


def described(name: str, severity: int, seed: int = 0) -> str:
    """What was done, named completely: "quantum_noise severity 3 (0.1) seed 17". Raises: as `corrupt`."""
    return f"{name} severity {severity} ({corruption(name).level(severity):g}) seed {seed}"


__all__ = ["CORRUPTIONS", "Corruption", "corrupt", "corrupt_study", "corruption", "described", "fitting"]
