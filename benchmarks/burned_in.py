"""How much burned-in text is found and covered, and how much clean picture is spared.

    python benchmarks/burned_in.py find [FILMS] [SEED]      strings of known contrast, size and angle drawn on real pictures; share covered, by each
    python benchmarks/burned_in.py clean [PICTURES] [SEED]  real pictures that a person saw to be free of text: how many are touched

A string counts as covered when at least 70 % of its area is in a filled box. Contrast-to-noise is the step of the letters over the standard deviation of the
ground around the string, noise included. The data root is VESALIUS_DATA.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from vesalius.formats.deidentify.burned.reading import Reader
from vesalius.formats.deidentify.burned.redact import Redaction, cover, redact

Grey = NDArray[np.uint8]
CONTRASTS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
WRITTEN_ON = frozenset((*range(2, 11), 22, *range(25, 31), 62, 108, 112, 160, 161))  # by eye, at 250 pixels: films with markers, parts of markers, two not seen
SIDES = (512, 768, 1024, 1024, 1536)
ANGLES = (0, 90, 180, 270, 12, -12)
SIZES = (10, 12, 14, 18, 24, 32, 48)
FONTS = ("", "DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf")
FIRST = ("ANNA", "Peter", "MARIA", "John", "LEILA", "Viktor", "CHEN", "Ingrid", "OMAR", "Susan")
LAST = ("MUELLER", "Davidson", "OKAFOR", "Nguyen", "SMITH", "Garcia", "YAMADA", "Brandt", "ROSSI", "Kowalski")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A string on a film: its corners [4, 2] (x, y), and how it was drawn."""

    corners: NDArray[np.float64]
    text: str
    contrast: float
    angle: int
    size: int


def words(rng: np.random.Generator) -> str:
    day = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1930, 2015)}"
    name = f"{rng.choice(LAST)}, {rng.choice(FIRST)}"
    kinds = (
        name,
        f"{name} {day}",
        f"DOB: {day}",
        f"ID {rng.integers(10**5, 10**7)}",
        f"MRN{rng.integers(10**6, 10**8)}",
        f"{rng.choice(LAST)} HOSPITAL",
        day,
        str(rng.choice(LAST)),
    )
    return str(rng.choice(kinds))


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size) if name else ImageFont.load_default(size)


def stamp(text: str, name: str, size: int, angle: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The letters as a mask from 0 to 1, and the corners of their box in it."""
    letters = font(name, size)
    left, top, right, bottom = letters.getbbox(text)
    w, h = int(right - left) + 2, int(bottom - top) + 2
    sheet = Image.new("L", (w, h))
    ImageDraw.Draw(sheet).text((1 - left, 1 - top), text, fill=255, font=letters)
    turned = sheet.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
    a = np.deg2rad(-angle)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    corners = (np.array([[0, 0], [w, 0], [w, h], [0, h]], float) - (w / 2, h / 2)) @ turn.T + (turned.width / 2, turned.height / 2)
    return np.asarray(turned, float) / 255, corners


def draw(ground: NDArray[np.float64], rng: np.random.Generator, *, strings: int, contrasts: tuple[float, ...]) -> tuple[Grey, list[Drawn]]:
    """A film with strings that do not overlap; ground [rows, cols] from 0 to 255."""
    film, taken, found = ground.copy(), np.zeros(ground.shape, bool), []
    for _ in range(strings * 8):
        if len(found) == strings:
            break
        angle, size, wanted, text = int(rng.choice(ANGLES)), int(rng.choice(SIZES)), float(rng.choice(contrasts)), words(rng)
        mask, corners = stamp(text, str(rng.choice(FONTS)), size, angle)
        if mask.shape[0] + 8 >= film.shape[0] or mask.shape[1] + 8 >= film.shape[1]:
            continue
        r, c = (int(rng.integers(4, film.shape[i] - mask.shape[i] - 4)) for i in (0, 1))
        place = np.s_[r : r + mask.shape[0], c : c + mask.shape[1]]
        if taken[place].any():
            continue
        around = ground[place]
        step = wanted * max(float(around.std()), 1.0)
        mean = float(around.mean())
        step = step if mean + step <= 250 else -step
        if not 2 <= mean + step <= 253:
            continue
        film[place] = around + step * mask
        taken[max(0, r - 8) : r + mask.shape[0] + 8, max(0, c - 8) : c + mask.shape[1] + 8] = True
        found.append(Drawn(np.add(corners, (c, r)), text, wanted, angle, size))
    return np.clip(np.rint(film), 0, 255).astype(np.uint8), found


def middle(picture: Image.Image) -> Image.Image:
    """The inner part of a chest film: its markers stand at the border."""
    w, h = picture.size
    return picture.crop((int(w * 0.2), int(h * 0.25), int(w * 0.8), int(h * 0.8)))


def pictures(root: Path) -> list[tuple[Path, bool]]:
    """Every ninth SLAKE picture and every seventh NIH film, and whether only its middle is used; `burned_in_fit.py` never sees these."""
    slices = sorted((root / "slake" / "imgs").rglob("source.jpg"))[4::9]
    return [*((p, False) for p in slices), *((p, True) for p in sorted((root / "nih_cxr").rglob("*.jpg"))[3::7])]


def clean(root: Path) -> list[Grey]:
    """Those of them on which a person saw no letter: CT and MR slices, and the middle of chest films."""
    found = [p for k, p in enumerate(pictures(root)) if k not in WRITTEN_ON]
    return [np.asarray(middle(Image.open(p).convert("L")) if inner else Image.open(p).convert("L")) for p, inner in found]


def grounds(root: Path, number: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Real pictures at 512 to 1,536 pixels, with noise of 2 to 6 grey levels; every sixth is a black sheet."""
    paths = pictures(root)
    for k in range(number):
        side = int(rng.choice(SIDES))
        if k % 6 == 5:
            base = np.full((side, side), float(rng.integers(4, 40)))
        else:
            picture = Image.open(paths[int(rng.integers(len(paths)))][0]).convert("L")
            scale = side / max(picture.size)
            base = np.asarray(picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC), float)
        yield np.clip(base * 0.85 + 10 + rng.normal(0, float(rng.choice((2.0, 4.0, 6.0))), base.shape), 0, 255)


def covered(string: Drawn, filled: NDArray[np.bool_]) -> float:
    """The share of a string's area that is filled."""
    sheet = Image.new("1", (filled.shape[1], filled.shape[0]))
    ImageDraw.Draw(sheet).polygon([tuple(p) for p in string.corners.tolist()], fill=1)
    area = np.asarray(sheet, bool)
    return float(filled[area].mean()) if area.any() else 1.0


def interval(hits: int, n: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if n == 0:
        return "-"
    z, share = 1.96, hits / n
    middle_, half = share + z * z / 2 / n, z * float(np.sqrt(share * (1 - share) / n + z * z / 4 / n / n))
    low, high = ((middle_ + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{hits}/{n} = {100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def as_object(film: Grey) -> Dataset:
    """A film as a DICOM object of a plain slice: nothing in its header makes text likely."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.Modality, ds.ImageType = "1.2.840.10008.5.1.4.1.1.2", "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns = film.shape
    ds.SamplesPerPixel, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 1, 8, 8, 7, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.add_new("PixelData", "OB", film.tobytes() + b"\0" * (film.size % 2))
    return ds


def filled(film: Grey, reader: Reader) -> tuple[NDArray[np.bool_], Redaction]:
    done = redact(as_object(film), reader)
    return np.any([cover(box.polygon, film.shape) for box in done.boxes] or [np.zeros(film.shape, bool)], axis=0), done


def find(root: Path, films: int, seed: int = 11) -> None:
    rng, reader = np.random.default_rng(seed), Reader()
    results: list[tuple[Drawn, bool]] = []
    started = time.process_time()
    for k, ground in enumerate(grounds(root, films, rng)):
        film, strings = draw(ground, rng, strings=6, contrasts=CONTRASTS)
        mask, _ = filled(film, reader)
        results += [(s, covered(s, mask) >= 0.7) for s in strings]
        strong = [hit for s, hit in results if s.contrast >= 2]
        print(f"\r{k + 1}/{films} films, contrast >= 2: {sum(strong)}/{len(strong)}", end="", file=sys.stderr, flush=True)
    print(f"\n{films} films, {len(results)} strings, {(time.process_time() - started) / films:.1f} s of processor a film")
    strong = [(s, hit) for s, hit in results if s.contrast >= 2]
    print("contrast-to-noise >= 2: covered", interval(sum(hit for _, hit in strong), len(strong)))
    for name, rows, get in (
        ("contrast", results, lambda s: s.contrast),
        ("angle, contrast >= 2", strong, lambda s: s.angle),
        ("font size, contrast >= 2", strong, lambda s: s.size),
    ):
        for value in sorted({get(s) for s, _ in rows}):
            hits = [hit for s, hit in rows if get(s) == value]
            print(f"  {name} {value:g}: {interval(sum(hits), len(hits))}")
    for s, hit in strong:
        if not hit:
            print(f"  missed: {s.text!r}, contrast {s.contrast:g}, size {s.size}, angle {s.angle}")


def spare(root: Path, number: int, seed: int = 3) -> None:
    films, reader, touched = clean(root), Reader(), 0
    order = np.random.default_rng(seed).permutation(len(films))[:number]
    for k in order:
        _, done = filled(films[k], reader)
        if done.boxes:
            touched += 1
            print(f"  touched: clean picture {k}, " + ", ".join(f"{box.text!r} {box.score:.2f}" for box in done.boxes), flush=True)
    print("clean pictures touched:", interval(touched, len(order)))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("find", "clean"):
        sys.exit(f"give find or clean\n\n{__doc__}")
    task = {"find": find, "clean": spare}[sys.argv[1]]
    number = int(sys.argv[2]) if len(sys.argv) > 2 else {"find": 60, "clean": 141}[sys.argv[1]]
    task(Path(os.environ["VESALIUS_DATA"]), number, *map(int, sys.argv[3:4]))
