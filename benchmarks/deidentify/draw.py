"""Strings drawn into pictures and overlays, letter by letter, so that it can be checked letter by letter whether they went.

In: a picture, strings, contrasts, angles. Out: the picture and, for each string, where its letters are (stored with the corpus as PNG of letter numbers).
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vesalius.data.phantoms import phantom

Picture = NDArray[np.float64]
Labels = NDArray[np.uint8]
CONTRASTS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0)
ANGLES = (0, 0, 0, 90, 180, 12, -12)
SIZES = (12, 14, 16, 20, 24, 32)
_FONTS = ("", "DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf")


@dataclasses.dataclass(frozen=True, eq=False)
class Written:
    """A string in a picture: its letters, numbered from 1, in a rectangle whose first row and column are told."""

    text: str
    letters: Labels
    row: int
    column: int
    contrast: float
    angle: int
    size: int


def font(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size) if name else ImageFont.load_default(size)


def stamp(text: str, name: str, size: int, angle: int) -> tuple[Picture, Labels]:
    """Coverage 0 to 1 and the number of the letter at each pixel, 0 for none; turned by degrees."""
    letters = font(name, size)
    left, top, right, bottom = letters.getbbox(text)
    shape = int(right - left) + 2, int(bottom - top) + 2
    sheet, labels = Image.new("L", shape), np.zeros(shape[::-1], np.uint8)
    ImageDraw.Draw(sheet).text((1 - left, 1 - top), text, fill=255, font=letters)
    ink = np.asarray(sheet)
    for number, letter in enumerate(text, 1):
        if letter.strip():
            low = letters.getlength(text[: number - 1]) + 1 - left
            high = low + letters.getlength(letter)
            labels[:, max(0, round(low)) : round(high)] = min(number, 255)
    labels[ink < 128] = 0
    turned = sheet.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
    numbered = Image.fromarray(labels).rotate(angle, expand=True, resample=Image.Resampling.NEAREST)
    return np.asarray(turned, float) / 255, np.asarray(numbered)


def write(picture: Picture, taken: NDArray[np.bool_], text: str, rng: random.Random, *, contrast: float, angle: int, size: int) -> Written | None:
    """Draw a string where nothing is written yet; None when there is no place for it. Contrast: the step over the deviation of the ground, at least 1."""
    mask, letters = stamp(text, rng.choice(_FONTS), size, angle)
    rows, columns = mask.shape
    if rows + 8 >= picture.shape[0] or columns + 8 >= picture.shape[1]:
        return None
    for _ in range(40):
        r, c = rng.randrange(4, picture.shape[0] - rows - 4), rng.randrange(4, picture.shape[1] - columns - 4)
        place = np.s_[r : r + rows, c : c + columns]
        ground = picture[place]
        step = contrast * max(float(ground.std()), 1.0)
        step = step if float(ground.mean()) + step <= 250 else -step
        if taken[max(0, r - 10) : r + rows + 10, max(0, c - 10) : c + columns + 10].any() or not 2 <= float(ground.mean()) + step <= 253:
            continue
        picture[place] = ground + step * mask
        taken[place] = True
        return Written(text, letters, r, c, contrast, angle, size)
    return None


def ground(modality: str, part: str, rng: random.Random, clean: list[NDArray[np.uint8]], side: int) -> Picture:
    """A picture without text from 0 to 253: a real one at 60 % when there are some (films only), else a drawn phantom; with noise."""
    noise = np.random.default_rng(rng.randrange(2**31))
    if clean and modality in ("CR", "DX") and rng.random() < 0.6:
        base = np.asarray(rng.choice(clean), float)
    else:
        base = np.asarray(phantom(modality, part, rng.randrange(10**6)).pixels[0].squeeze(), float)
        base = (base + 200) * 0.5 if modality == "CT" else base
    scale = side / max(base.shape)
    sheet = Image.fromarray(np.clip(base, 0, 255).astype(np.float32)).resize(
        (round(base.shape[1] * scale), round(base.shape[0] * scale)), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(sheet, float) * 0.85 + 10 + noise.normal(0, rng.choice((2.0, 3.0, 5.0)), (sheet.height, sheet.width)), 0, 253)


def bits(text: str, rows: int, columns: int) -> tuple[bytes, NDArray[np.bool_]]:
    """A text as an overlay plane: packed bits, and the plane."""
    mask, _ = stamp(text, "DejaVuSans-Bold.ttf", max(9, min(24, columns // 12)), 0)
    plane = np.zeros((rows, columns), bool)
    part = mask[: rows - 2, : columns - 2] > 0.5
    plane[1 : 1 + part.shape[0], 1 : 1 + part.shape[1]] = part
    packed = np.packbits(plane.ravel(), bitorder="little").tobytes()
    return packed + b"\0" * (len(packed) % 2), plane


def keep(written: Written, folder: Path, name: str) -> str:
    """Store where the letters are; the name of the file."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(written.letters).save(folder / f"{name}.png")
    return f"{name}.png"
