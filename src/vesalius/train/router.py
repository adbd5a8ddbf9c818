"""Trains the router of image types: `python -m vesalius.train.router --data ROOT --out FOLDER`.

In: the data root. Out: weights, and a JSON with the held-out accuracy of each kind, its interval, the confusion matrix, and what each source is.
X-ray, CT and MR are real. Ultrasound and photographs are drawn, but for three real examinations and three real photographs. ECG strips are drawn from
simulated leads for training and from two real recordings for the held-out part. Plots, tables, stained tissue and what is none of the kinds are drawn
throughout. A patient, case, recording, examination, photograph or kind of plot is on one side only.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from vesalius import formats
from vesalius.data import base, nih_cxr, slake, vqa_rad
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing, UserError
from vesalius.formats.pixels import render
from vesalius.metrics.statistics import wilson
from vesalius.models import efficientnet, experts, router
from vesalius.models.router import KINDS, Kind
from vesalius.train import drawn, permission
from vesalius.train.drawn import Shown

PENALTY = 1e-2  # of squared weights, beside the mean cross-entropy; fixed beforehand
DRAWN, HELD_DRAWN = 160, 60  # pictures of each drawn source for training, and held out
FILMS, HELD_FILMS = 150, 60
_MODALITIES = {"CR": Kind.XRAY, "CT": Kind.CT, "MR": Kind.MR}
PLOTS, HELD_PLOTS = ("line", "scatter", "bar", "table", "heat", "pie"), ("histogram", "box", "steps")


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """One picture and what it is.

    Args:
        source: what it was taken or drawn from. real: whether pixels (of an ECG strip: the signal) were acquired and not drawn. held: not trained on.
    """

    picture: Shown
    kind: Kind
    source: str
    real: bool
    held: bool


def films(root: Path) -> Iterator[Sample]:
    """X-ray, CT and MR of the real sets; the sets' own test and development parts and a part of the NIH patients are held out."""
    chosen: Counter[bool] = Counter()
    for film in nih_cxr.DATASET.films(root):
        held = film.split is not Split.TRAIN
        chosen[held] += 1
        if chosen[held] <= (HELD_FILMS if held else FILMS):
            yield Sample(_open(base.image_path(root, film.image)), Kind.XRAY, "nih-cxr", True, held)
    for split in Split:
        held = split is not Split.TRAIN
        for seen in slake.DATASET.attributes(root, split):
            yield Sample(_open(base.image_path(root, seen.image)), _MODALITIES[seen.modality], "slake", True, held)
        known = {e.image: e.tags.get("modality") for e in vqa_rad.DATASET.exchanges(root, split, "image_disjoint")}
        for image, modality in sorted(known.items()):
            if modality is not None:
                yield Sample(_open(base.image_path(root, image)), _MODALITIES[modality], "vqa-rad", True, held)


def echoes(seed: int) -> Iterator[Sample]:
    """Ultrasound: a real echo and a real obstetric picture for training, another real picture held out, drawn sectors on both sides."""
    from pydicom.data import get_testdata_file

    for name, held in (("examples_ybr_color.dcm", False), ("examples_palette.dcm", False), ("examples_rgb_color.dcm", True)):
        path = get_testdata_file(name, download=False)
        if path is None:
            continue
        image = formats.read(Path(path), frames="all").image
        random = _random(seed, name)
        for frame in range(image.frames):
            shown = render(image, frame)
            yield Sample(shown, Kind.ULTRASOUND, name, True, held)
            for _ in range(1 if image.frames > 1 else 19):
                yield Sample(_varied(shown, random), Kind.ULTRASOUND, name, True, held)
    yield from _drawn(Kind.ULTRASOUND, "drawn sectors", drawn.sector, seed)


def strips(root: Path, seed: int) -> Iterator[Sample]:
    """ECG strips: simulated leads for training, two real recordings held out."""
    from pydicom.data import get_testdata_file

    yield from (Sample(drawn.strip(drawn.simulated(r), r), Kind.ECG, "simulated leads", False, False) for r in _randoms(seed, "ecg", 2 * DRAWN))
    recordings = {"PTB s0010_re": read_wfdb(root / "ecg" / "s0010_re")}
    path = get_testdata_file("waveform_ecg.dcm", download=False)
    if path is not None:
        recordings["waveform_ecg.dcm"] = experts.read_waveform(Path(path))
    for name, recording in recordings.items():
        for random in _randoms(seed, name, HELD_DRAWN // 2):
            yield Sample(drawn.strip(recording, random), Kind.ECG, name, True, True)


def photographs(seed: int) -> Iterator[Sample]:
    """Crops of the photographs that other packages ship, two for training, one held out; drawn scenes on both sides."""
    places = {"china.jpg": ("sklearn", "datasets/images", False), "flower.jpg": ("sklearn", "datasets/images", True)}
    places["grace_hopper.jpg"] = ("matplotlib", "mpl-data/sample_data", False)
    for name, (package, folder, held) in places.items():
        spec = importlib.util.find_spec(package)
        path = Path((spec.submodule_search_locations or [""])[0]) / folder / name if spec else Path(name)
        if path.is_file():
            shown = _open(path)
            yield from (Sample(_varied(shown, r, least=0.35), Kind.PHOTOGRAPH, name, True, held) for r in _randoms(seed, name, 20 if held else DRAWN // 2))
    yield from _drawn(Kind.PHOTOGRAPH, "drawn scenes", drawn.scene, seed)


def figures(seed: int) -> Iterator[Sample]:
    """Plots and tables, drawn; some kinds of plot are held out altogether."""
    for names, count, held in ((PLOTS, DRAWN + DRAWN // 2, False), (HELD_PLOTS, HELD_DRAWN, True)):
        for i, random in enumerate(_randoms(seed, f"plot {held}", count)):
            name = names[i % len(names)]
            yield Sample(drawn.figure(name, random), Kind.PLOT, f"drawn {name}", False, held)


def samples(root: Path, seed: int = 0) -> Iterator[Sample]:
    """Everything, in a fixed order."""
    yield from films(root)
    yield from echoes(seed)
    yield from strips(root, seed)
    yield from photographs(seed)
    yield from figures(seed)
    yield from _drawn(Kind.HISTOPATHOLOGY, "drawn tissue", drawn.tissue, seed)
    yield from _drawn(Kind.OTHER, "blanks, noise, shapes", drawn.nothing, seed)


def _drawn(kind: Kind, source: str, draw: Any, seed: int) -> Iterator[Sample]:  # noqa: ANN401 - a function of a generator
    for held, count in ((False, DRAWN), (True, HELD_DRAWN)):
        yield from (Sample(draw(random), kind, source, False, held) for random in _randoms(seed, f"{source} {held}", count))


def _random(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _randoms(seed: int, name: str, count: int) -> Iterator[np.random.Generator]:
    return (_random(seed, f"{name} {i}") for i in range(count))


def _open(path: Path) -> Shown:
    with Picture.open(path) as picture:
        return np.array(picture.convert("RGB"))


def _varied(shown: Shown, random: np.random.Generator, *, least: float = 0.7) -> Shown:
    """A crop, perhaps mirrored, brighter or darker, with more or less contrast; grey at times."""
    high, wide = shown.shape[:2]
    share = random.uniform(least, 1)
    h, w = int(high * share), int(wide * share)
    top, left = int(random.integers(0, high - h + 1)), int(random.integers(0, wide - w + 1))
    part = shown[top : top + h, left : left + w].astype(np.float32)
    if random.random() < 0.5:
        part = part[:, ::-1]
    if part.ndim == 3 and random.random() < 0.15:
        part = np.repeat(part.mean(2, keepdims=True), 3, axis=2)
    varied: Shown = np.clip((part - 127) * random.uniform(0.75, 1.25) + 127 + random.uniform(-25, 25), 0, 255).astype(np.uint8)
    return varied


def read_wfdb(stem: Path) -> experts.Recording:
    """The first twelve signals of a PhysioNet record in format 16.

    Raises:
        DataMissing: it is not there. DataFormatError: another format.
    """
    try:
        lines = [line.split() for line in stem.with_suffix(".hea").read_text(encoding="ascii").splitlines() if line and line[0] != "#"]
        raw = np.fromfile(stem.with_suffix(".dat"), dtype="<i2")
    except OSError as error:
        remedy = "download the record s0010_re of the PTB Diagnostic ECG Database from physionet.org into ROOT/ecg/"
        raise DataMissing(f"{stem}: cannot be read", remedy=remedy) from error
    signals = [line for line in lines[1:] if line[0] == f"{stem.name}.dat"]
    if not signals or any(line[1] != "16" for line in signals):
        raise base.DataFormatError(f"{stem}: signals are not of format 16", remedy="give the record as PhysioNet publishes it")
    gain = np.array([float(line[2].partition("(")[0].partition("/")[0]) for line in signals])
    millivolts = raw.reshape(-1, len(signals)).T / gain[:, None]
    return experts.Recording(millivolts[:12], float(lines[0][2].partition("/")[0]), tuple(line[-1] for line in signals[:12]))


def fit(features: Tensor, kinds: Tensor) -> dict[str, Tensor]:
    """Multinomial logistic regression with equal weight for each kind; float32 tensors as `Router` wants them."""
    mean, scale = features.mean(0), features.std(0).clamp(min=1e-3)
    x = (features - mean) / scale
    weights = 1 / torch.bincount(kinds, minlength=len(KINDS)).clamp(min=1).float()
    weight, bias = torch.zeros(len(KINDS), x.shape[1], requires_grad=True), torch.zeros(len(KINDS), requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weight.T + bias, kinds, weight=weights) + PENALTY * weight.pow(2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return {"mean": mean, "scale": scale, "weight": weight.detach(), "bias": bias.detach()}


def report(held: Sequence[tuple[Kind, str, bool, Kind]]) -> dict[str, Any]:
    """Held-out accuracy of each kind and source with Wilson's 95 % interval, and how often each kind is taken for another.

    Args:
        held: (kind, source, real, kind that the router named).
    """
    groups: dict[str, dict[str, list[bool]]] = {"kinds": defaultdict(list), "sources": defaultdict(list)}
    confusion = {str(kind): Counter[str]() for kind in KINDS}
    for kind, source, real, named in held:
        groups["kinds"][str(kind)].append(kind == named)
        groups["sources"][f"{kind}: {source} ({'real' if real else 'drawn'})"].append(kind == named)
        confusion[str(kind)][str(named)] += 1
    found: dict[str, Any] = {name: {key: _share(hits) for key, hits in group.items()} for name, group in groups.items()}
    return {**found, "confusion": {kind: dict(row) for kind, row in confusion.items()}}


def _share(hits: Sequence[bool]) -> dict[str, Any]:
    interval = wilson(sum(hits), len(hits))
    return {"n": len(hits), "right": sum(hits), "accuracy": round(sum(hits) / len(hits), 4), "low": _round(interval.low), "high": _round(interval.high)}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def table(found: Mapping[str, Any]) -> str:
    """What `report` found, for a terminal."""
    lines = []
    for group in ("kinds", "sources"):
        lines += [f"{'held out':60}{'right/n':>10}{'accuracy':>10}  95 % interval"]
        lines += [f"{key:60}{v['right']:>6}/{v['n']:<4}{v['accuracy']:>9.3f}  [{v['low']:.3f}, {v['high']:.3f}]" for key, v in found[group].items()] + [""]
    lines += ["rows: what it is; columns: what it was called (" + ", ".join(KINDS) + ")"]
    lines += [f"{kind:16}" + "".join(f"{found['confusion'][kind].get(str(other), 0):5d}" for other in KINDS) for kind in KINDS]
    return "\n".join(lines) + "\n"


def train(root: Path, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, and what is reported of them.

    Raises:
        DataMissing: a set is absent. NotForTraining: the card of one forbids it.
    """
    permission.check_sets(["nih-cxr", "slake", "vqa-rad"])
    tower = efficientnet.load()
    features: list[Tensor] = []
    facts: list[tuple[Kind, str, bool, bool]] = []
    batch: list[Sample] = []
    for sample in samples(root, seed):
        batch.append(sample)
        if len(batch) == 64:
            features.append(router.pooled(tower, [s.picture for s in batch]))
            facts += [(s.kind, s.source, s.real, s.held) for s in batch]
            batch = []
            sys.stderr.write(f"\r{len(facts)} pictures\033[K")
    if batch:
        features.append(router.pooled(tower, [s.picture for s in batch]))
        facts += [(s.kind, s.source, s.real, s.held) for s in batch]
    sys.stderr.write("\n")
    every, held = torch.cat(features), torch.tensor([fact[3] for fact in facts])
    parts = {name: t.half() for name, t in fit(every[~held], torch.tensor([KINDS.index(fact[0]) for fact in facts])[~held]).items()}
    ready = {name: t.float() for name, t in parts.items()}
    named = [router._route(row).kind for row in router.probabilities(ready, every[held]).tolist()]
    rows = [(kind, source, real, said) for (kind, source, real, _), said in zip([f for f in facts if f[3]], named, strict=True)]
    learned = Counter(f"{kind}: {source} ({'real' if real else 'drawn'})" for kind, source, real, was_held in facts if not was_held)
    about = {"seed": seed, "penalty": PENALTY, "threshold": router.THRESHOLD, "trained_on": dict(learned), "held_out": report(rows)}
    return parts, about


def main(arguments: Sequence[str]) -> int:
    """Train, write, print; 2 when it cannot be done."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(prog="python -m vesalius.train.router", description="Train the router of image types and report its held-out accuracy.")
    parser.add_argument("--data", default=os.environ.get("VESALIUS_DATA"), help="data root; by default VESALIUS_DATA")
    parser.add_argument("--out", type=Path, default=router.SHIPPED, help="folder of the weights; by default the one that ships")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts, about = train(base.data_root(given.data), given.seed)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    given.out.mkdir(parents=True, exist_ok=True)
    save_file(parts, given.out / router.WEIGHTS)
    (given.out / router.ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(table(about["held_out"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
