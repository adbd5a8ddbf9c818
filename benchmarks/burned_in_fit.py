"""Trains the small net of the cheap pass (`formats/deidentify/burned/letters.json`) on letters drawn on real pictures that carry none.

    python benchmarks/burned_in_fit.py [STEPS] [OUT.json]

About eight minutes of one core for 6,000 steps. Grounds: SLAKE CT and MR, the middle of NIH and Hannover films (their borders carry markers); the pictures that
`burned_in.py` measures on are left out. Needs the extras `models` and `evaluate` (torch, matplotlib's fonts) and the data root VESALIUS_DATA.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.nn import functional

import burned_in

SIDE, FRESH, KEPT, BANK, CHANNELS = 128, 12, 20, 1500, 32
SHAPES = ((16, CHANNELS, 3, 1, 1), (CHANNELS, CHANNELS, 3, 2, 1), (CHANNELS, CHANNELS, 3, 1, 1), (CHANNELS, CHANNELS, 3, 1, 2), (CHANNELS, 1, 1, 1, 1))
FONTS = (*burned_in.FONTS, "DejaVuSans-Oblique.ttf", "DejaVuSansMono-Bold.ttf", "STIXGeneral.ttf")
SIGNS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/.- ")


def pictures(root: Path) -> list[np.ndarray]:
    rows = [row for name in ("train.json", "validate.json") for row in json.loads((root / "slake" / name).read_text())]
    kind = {row["img_name"].split("/")[0]: row["modality"] for row in rows}
    slices = [p for i, p in enumerate(sorted((root / "slake" / "imgs").rglob("source.jpg"))) if i % 9 != 4 and kind.get(p.parent.name) in ("CT", "MRI")]
    films = [p for i, p in enumerate(sorted((root / "nih_cxr").rglob("*.jpg"))) if i % 7 != 3][::2]
    films += sorted((root / "hannover_cxr" / "images").glob("*.jpg"))[1::3]
    found = [opened(p, middle=False) for p in slices]
    return [*found, *found, *(opened(p, middle=True) for p in films)]  # slices twice: they are most of an archive, and full of edges


def opened(path: Path, *, middle: bool) -> np.ndarray:
    picture = Image.open(path).convert("L")
    picture.thumbnail((1100, 1100))
    return np.asarray(burned_in.middle(picture) if middle else picture)


def stamps(rng: np.random.Generator, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Drawn words and their corners; half of them upright, some at any angle."""
    found = []
    for _ in range(number):
        text = burned_in.words(rng) if rng.random() < 0.6 else "".join(rng.choice(SIGNS, rng.integers(3, 14)))
        angle = int(rng.choice((0, 0, 90, 180, 270, int(rng.integers(-20, 21)), int(rng.integers(0, 360)))))
        mask, corners = burned_in.stamp(text or "X", str(rng.choice(FONTS)), int(rng.integers(7, 29)), angle)
        if min(mask.shape) > 4:
            found.append((mask.astype(np.float32), corners))
    return found


def ground(rng: np.random.Generator, pictures: list[np.ndarray]) -> np.ndarray:
    picture = pictures[int(rng.integers(len(pictures)))]
    scale = max(float(np.exp(rng.uniform(np.log(0.35), np.log(2.4)))), (SIDE + 4) / min(picture.shape))
    need = int(SIDE / scale) + 2
    if rng.random() < 0.1:
        base = np.full((SIDE, SIDE), float(rng.integers(0, 200)), np.float32)
    else:
        r, c = (int(rng.integers(0, max(1, side - need))) for side in picture.shape)
        base = np.asarray(Image.fromarray(picture[r : r + need, c : c + need]).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
        base = np.rot90(base, int(rng.integers(4)))
        base = base[:, ::-1] if rng.random() < 0.5 else base
    base = base * float(rng.uniform(0.5, 1)) + float(rng.uniform(0, 20))
    base = 255 - base if rng.random() < 0.1 else base
    return base + rng.normal(0, 1, base.shape).astype(np.float32) * float(rng.choice((0, 0, 1, 2, 4, 6, 10)))


def example(rng: np.random.Generator, pictures: list[np.ndarray], words: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Pixels, target and weight of each cell, and a first loss; half of the examples hold no letter."""
    base = ground(rng, pictures)
    film, cells = base.copy(), SIDE // 8
    target, weight = np.zeros((cells, cells), np.float32), np.ones((cells, cells), np.float32)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.5 else 0):
        mask, corners = words[int(rng.integers(len(words)))]
        r, c = (int(rng.integers(-side // 2, SIDE - side // 2)) for side in mask.shape)
        r0, c0, r1, c1 = max(r, 0), max(c, 0), min(r + mask.shape[0], SIDE), min(c + mask.shape[1], SIDE)
        if r1 - r0 < 5 or c1 - c0 < 5:
            continue
        part, letters = base[r0:r1, c0:c1], mask[r0 - r : r1 - r, c0 - c : c1 - c]
        contrast = float(np.exp(rng.uniform(np.log(1.3), np.log(12))))
        step = 255.0 if rng.random() < 0.25 else contrast * max(float(part.std()), 1.0)
        film[r0:r1, c0:c1] = part + step * letters * (1 if part.mean() + step <= 250 or rng.random() < 0.3 else -1)
        sheet = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(sheet).polygon([tuple(p) for p in np.add(corners, (c, r)).tolist()], fill=1)
        share = np.asarray(sheet).reshape(cells, 8, cells, 8).mean((1, 3))
        target = np.maximum(target, share > 0.6)
        weight[(share > 0.02) & (share <= 0.6)] = 0
        if contrast < 2:
            weight[share > 0.6] = 0.3
    return [np.clip(np.rint(film), 0, 255).astype(np.float32), target, weight, np.float32(1)]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(i, o, k, stride=s, dilation=d, padding=d * (k // 2)) for i, o, k, s, d in SHAPES)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = functional.pixel_unshuffle(normalised(pixels), 4)
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)[:, 0]


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    def around(cells: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(functional.pad(cells, (1, 1, 1, 1), mode="replicate"), 3, 1)

    x = pixels[:, None]
    mean = around(functional.avg_pool2d(x, 8))
    spread = (around(functional.avg_pool2d(x * x, 8)) - mean**2).clamp(min=0).sqrt() + 2
    return (x - functional.interpolate(mean, scale_factor=8)) / functional.interpolate(spread, scale_factor=8)


def save(net: Net, path: Path) -> None:
    layers = []
    for layer, (_, _, _, stride, dilation) in zip(net.layers, SHAPES, strict=True):
        kernel = np.round(layer.weight.detach().numpy().transpose(2, 3, 1, 0).astype(float), 4).tolist()
        layers.append({"kernel": kernel, "bias": np.round(layer.bias.detach().numpy().astype(float), 4).tolist(), "stride": stride, "dilation": dilation})
    path.write_text(json.dumps({"layers": layers}, separators=(",", ":")) + "\n")


def main(steps: int, out: Path) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    films = pictures(Path(os.environ["VESALIUS_DATA"]))
    print(f"{len(films)} pictures", flush=True)
    net = Net()
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    bank: list[list[np.ndarray]] = []
    words, running, started = stamps(rng, 500), 0.0, time.process_time()
    for step in range(steps):
        if step % 300 == 299:
            words = stamps(rng, 500)
        chosen = [example(rng, films, words) for _ in range(FRESH)]
        if len(bank) > KEPT:  # what was hard comes again
            hardness = np.array([b[3] for b in bank]) + 1e-3
            chosen += [bank[int(j)] for j in rng.choice(len(bank), size=KEPT, replace=False, p=hardness / hardness.sum())]
        pixels, target, weight = (torch.as_tensor(np.stack([e[k] for e in chosen])) for k in range(3))
        losses = functional.binary_cross_entropy_with_logits(net(pixels), target, reduction="none") * weight
        each = losses.mean((1, 2)) + 0.02 * losses.amax((1, 2))
        optimiser.zero_grad()
        each.mean().backward()
        optimiser.step()
        schedule.step()
        for entry, loss in zip(chosen, each.detach().numpy(), strict=True):
            entry[3] = loss
        bank += chosen[:FRESH]
        if len(bank) > BANK:  # what has become easy makes room
            bank = sorted(bank, key=lambda e: -float(e[3]))[: BANK - 200]
        fresh = float(each[:FRESH].mean().detach())
        running = fresh if step == 0 else 0.98 * running + 0.02 * fresh
        if step % 500 == 0 or step == steps - 1:
            print(f"step {step}: loss on fresh examples {running:.4f}, {time.process_time() - started:.0f} s of processor", flush=True)
            save(net, out)


if __name__ == "__main__":
    default = Path(__file__).parents[1] / "src/vesalius/formats/deidentify/burned/letters.json"
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6000, Path(sys.argv[2]) if len(sys.argv) > 2 else default)
