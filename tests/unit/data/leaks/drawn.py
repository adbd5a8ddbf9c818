"""Pictures of random shadows, and copies of them as they come about."""

import io
from pathlib import Path

import numpy as np
from PIL import Image as Picture


def film(seed: int) -> Picture.Image:
    """Another seed, another patient: shadows coarse and fine."""
    draw = np.random.default_rng(seed)
    layers = [Picture.fromarray(draw.uniform(0, 255, (n, n)).astype(np.uint8)).resize((400, 440), Picture.Resampling.BICUBIC) for n in (6, 14, 40)]
    return Picture.blend(Picture.blend(layers[0], layers[1], 0.5), layers[2], 0.3)


def jpeg(picture: Picture.Image, quality: int = 50) -> Picture.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Picture.open(stream)


def cropped(picture: Picture.Image, share: float = 0.02, *, sides: int = 4) -> Picture.Image:
    x, y = round(picture.width * share), round(picture.height * share)
    return picture.crop((x, y, picture.width - x, picture.height - y) if sides == 4 else (x, y, picture.width, picture.height))


CHANGES = {
    "as it is": lambda p: p,
    "recompressed": jpeg,
    "smaller": lambda p: p.resize((230, 250)),
    "larger": lambda p: p.resize((900, 1000)),
    "brighter": lambda p: p.point(lambda v: min(255, v + 25)),
    "darker": lambda p: p.point(lambda v: max(0, v - 25)),
    "cropped": cropped,
    "cropped at two sides": lambda p: cropped(p, sides=2),
    "colour": lambda p: p.convert("RGB"),
    "all at once": lambda p: jpeg(cropped(p).resize((300, 330)).point(lambda v: min(255, v + 15))),
}


def save(picture: Picture.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path
