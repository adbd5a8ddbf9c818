"""What the cheap pass before reading burned-in text misses, spares and costs.

    python benchmarks/burned_in_triage.py strings [FILMS] [SEED]  pictures with one string of known contrast: passed over, and of those what the reader covers
    python benchmarks/burned_in_triage.py spared [SEED]           pictures without text, of 8 bits and as a scanner's 12: how many are read all the same; time
    python benchmarks/burned_in_triage.py archive FOLDER          images of a folder: read for their header, read for their pixels, passed over

The data root is VESALIUS_DATA. Contrast and cover as in `burned_in.py`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image

from burned_in import CONTRASTS, as_object, clean, covered, draw, filled, interval
from vesalius.errors import UserError
from vesalius.formats.deidentify.burned.reading import Reader
from vesalius.formats.deidentify.burned.triage import LIMIT, likelihood, triage

LIMITS = (0.5, 0.4, 0.3, LIMIT, 0.2)
ROOT = Path(os.environ.get("VESALIUS_DATA", ""))


def written(free: list[NDArray[np.uint8]], rng: np.random.Generator) -> tuple[NDArray[np.uint8], list]:
    """A picture without text, enlarged, with noise, and one string on it where there was room."""
    base = free[int(rng.integers(len(free)))]
    scale = float(rng.choice((1.0, 1.5, 2.0)))
    size = int(base.shape[1] * scale), int(base.shape[0] * scale)
    large = np.asarray(Image.fromarray(base).resize(size, Image.Resampling.BICUBIC), float)
    noisy = np.clip(large * 0.85 + 10 + rng.normal(0, float(rng.choice((1.0, 2.0, 4.0, 6.0))), large.shape), 0, 255)
    return draw(noisy, rng, strings=1, contrasts=CONTRASTS[1:])


def strings(films: int = 3000, seed: int = 7) -> None:
    rng, free, reader = np.random.default_rng(seed), clean(ROOT), Reader()
    seen: list[tuple[float, float, bool]] = []  # contrast, likelihood, and whether the reader covers what is passed over
    while len(seen) < films:
        film, drawn = written(free, rng)
        if drawn:
            likely = likelihood(film)
            seen.append((drawn[0].contrast, likely, likely < max(LIMITS) and covered(drawn[0], filled(film, reader)[0]) >= 0.7))
    for contrast in sorted({c for c, _, _ in seen}):
        here = [v for c, v, _ in seen if c == contrast]
        print(f"contrast {contrast:g}: passed over {interval(sum(v < LIMIT for v in here), len(here))}")
    strong = [(v, hit) for c, v, hit in seen if c >= 2]
    for limit in LIMITS:
        over, lost = (interval(sum(v < limit and (hit or not only) for v, hit in strong), len(strong)) for only in (False, True))
        print(f"contrast 2 and more, limit {limit}: passed over {over}; of all, passed over though the reader covers it {lost}")


def as_scanned(film: NDArray[np.uint8], rng: np.random.Generator) -> pydicom.Dataset:
    """A picture as a scanner stores it: 12 bits, with noise of two of 256 levels."""
    ds = as_object(film)
    values = np.rint(np.clip(film * 0.85 + 10 + rng.normal(0, 2, film.shape), 0, 255) * 16).astype("<u2")
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.add_new("PixelData", "OW", values.tobytes())
    return ds


def spared(seed: int = 1) -> None:
    rng, free, reader = np.random.default_rng(seed), clean(ROOT), Reader()
    alarms = [likelihood(film) for film in free]
    for limit in LIMITS:
        print(f"limit {limit}: clean pictures read {interval(sum(v >= limit for v in alarms), len(alarms))}")
    deep = [as_scanned(film, rng) for film in free]
    for limit in LIMITS:
        print(f"limit {limit}: the same with 12 bits and noise {interval(sum(triage(ds, limit=limit).read for ds in deep), len(deep))}")
    some = [free[int(k)] for k in rng.permutation(len(free))[:8]]
    reader.read(some[0])
    times = []
    for work in (likelihood, reader.read):
        started = time.process_time()
        for film in some:
            work(film)
        times.append((time.process_time() - started) / len(some))
    print(f"processor time for a picture: cheap pass {1000 * times[0]:.1f} ms, reading {1000 * times[1]:.0f} ms: {times[1] / times[0]:.0f} times")


def archive(folder: Path) -> None:
    logging.disable(logging.CRITICAL)
    found: Counter[str] = Counter()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            judged = triage(pydicom.dcmread(path))
        except (pydicom.errors.InvalidDicomError, UserError) as error:
            found[f"not judged: {type(error).__name__}"] += 1
            continue
        looked = any("look written on" in reason for reason in judged.reasons)
        found[
            "no pixels" if "has no pixels" in judged.reasons else "read for its pixels" if looked else "read for its header" if judged.read else "passed over"
        ] += 1
    for name, number in sorted(found.items()):
        print(f"{name}: {number}")


if __name__ == "__main__":
    task, rest = sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]
    if task == "archive" and rest and Path(rest[0]).is_dir():
        archive(Path(rest[0]))
    elif task in ("strings", "spared"):
        {"strings": strings, "spared": spared}[task](*map(int, rest))
    else:
        sys.exit(f"give strings, spared, or archive and a folder that is there\n\n{__doc__}")
