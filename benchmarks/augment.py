"""How many images a second one core augments at 512 x 512, operation by operation, beside albumentations where it is installed.

    OMP_NUM_THREADS=1 python benchmarks/augment.py [--side 512] [--runs 15]

Ours changes float32 values in modality units, with marks, spacing and a record; albumentations changes 8-bit grey. For each pair the runs take turns in one
process; medians of the processor's seconds. albumentations (MIT, with OpenCV) is a peer to measure beside, never a dependency.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image as Picture

from vesalius.data.augment import OPERATIONS, Box, MedicalAugmentation, Sample, Use, read
from vesalius.data.phantoms import phantom
from vesalius.domain.finding import Region
from vesalius.domain.study import Image

EVERYDAY = "policy that ships"


def picture(kind: tuple[str, str], side: int) -> Image:
    drawn = phantom(*kind)
    plane = Picture.fromarray(drawn.pixels[0]).resize((side, side), Picture.Resampling.BICUBIC)
    return dataclasses.replace(drawn, pixels=np.asarray(plane)[None].copy())


def ours(side: int) -> dict[str, Callable[[int], object]]:
    """Operation to what does it on one image; a kind of image that has it is taken."""
    images = [picture(kind, side) for kind in (("CR", "CHEST"), ("CT", "ABDOMEN"), ("MR", "HEAD"))]
    made: dict[str, Callable[[int], object]] = {}
    for name, each in OPERATIONS.items():
        image = next(i for i in images if each.admitted(i))
        policy = MedicalAugmentation((Use(name, 1.0),))
        sample = Sample(image, boxes=(Box("a", Region(side * 0.4, side * 0.4, side * 0.6, side * 0.6)),))
        made[name] = lambda seed, p=policy, s=sample: p.apply(s, item="x", epoch=0, seed=seed)  # type: ignore[misc]
    everyday, sample = read(), Sample(images[0], "Is there pneumonia?", "yes")
    made[EVERYDAY] = lambda seed: everyday.apply(sample, item="x", epoch=0, seed=seed)
    return made


def peers(side: int) -> tuple[str, dict[str, Callable[[int], object]]]:
    """The nearest transforms of albumentations on 8-bit grey."""
    try:
        import albumentations as peer
        import cv2
    except ImportError:
        return "albumentations is not installed", {}
    cv2.setNumThreads(1)
    grey = np.clip(picture(("CR", "CHEST"), side).pixels[0], 0, 255).astype(np.uint8)
    cubic: Any = {"interpolation": cv2.INTER_CUBIC, "p": 1.0}
    moved = [peer.Affine(rotate=(-5, 5), scale=(0.93, 1.07), translate_percent=(-0.035, 0.035), p=0.5, interpolation=cv2.INTER_CUBIC)]
    looks = [peer.GaussianBlur(sigma_limit=(0.1, 0.7), p=0.2), peer.Downscale(scale_range=(0.6, 1.0), p=0.2), peer.RandomBrightnessContrast(p=0.5)]
    stored = [peer.ShotNoise(scale_range=(0.01, 0.05), p=0.2), peer.ImageCompression(quality_range=(65, 95), p=0.2)]
    named = {
        "rotation": peer.Affine(rotate=(-7, 7), **cubic),
        "scale": peer.Affine(scale=(0.9, 1.1), **cubic),
        "shift": peer.Affine(translate_percent=(-0.05, 0.05), **cubic),
        "crop": peer.RandomResizedCrop(size=(side, side), scale=(0.64, 1.0), ratio=(1.0, 1.0), **cubic),
        "blur": peer.GaussianBlur(sigma_limit=(0.1, 1.0), p=1.0),
        "resolution": peer.Downscale(scale_range=(0.5, 1.0), p=1.0),
        "exposure": peer.RandomBrightnessContrast(p=1.0),
        "quantum_noise": peer.ShotNoise(scale_range=(0.01, 0.05), p=1.0),
        "ct_noise": peer.GaussNoise(std_range=(0.01, 0.04), p=1.0),
        "window_level": peer.RandomBrightnessContrast(contrast_limit=0, p=1.0),
        "window_width": peer.RandomBrightnessContrast(brightness_limit=0, p=1.0),
        "compression": peer.ImageCompression(quality_range=(50, 95), p=1.0),
        EVERYDAY: peer.Compose([*moved, *looks, *stored]),
    }
    return f"albumentations {peer.__version__}", {name: lambda _, t=t: t(image=grey) for name, t in named.items()}  # type: ignore[misc]


def seconds(task: Callable[[int], object], seed: int) -> float:
    began = time.process_time()
    task(seed)
    return time.process_time() - began


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--side", type=int, default=512)
    words.add_argument("--runs", type=int, default=15)
    given = words.parse_args()
    mine, (peer, theirs) = ours(given.side), peers(given.side)
    print(f"{given.side} x {given.side}, medians of {given.runs} runs in turns; load {os.getloadavg()[0]:.1f}; {peer}")
    print(f"{'operation':<20}{'images/s a core':>16}{'peer':>10}{'ratio':>8}")
    for name, task in mine.items():
        runs: tuple[list[float], list[float]] = ([], [])
        for seed in range(given.runs + 1):
            for taken, what in zip(runs, (task, theirs.get(name)), strict=True):
                if what is not None:
                    taken.append(seconds(what, seed))
        rate = [1 / max(1e-9, statistics.median(r[1:])) if r else None for r in runs]  # the first run warms up
        told = f"{rate[1]:>10.0f}{rate[0] / rate[1]:>8.2f}" if rate[0] and rate[1] else f"{'-':>10}{'-':>8}"
        print(f"{name:<20}{rate[0]:>16.0f}{told}")


if __name__ == "__main__":
    main()
