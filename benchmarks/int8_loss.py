"""What int8 costs and saves: answers of `pocket` against float32, linear maps against other ways of multiplying, and memory while loading.

    python benchmarks/int8_loss.py answers --data ROOT --out answers.json
    python benchmarks/int8_loss.py products --out products.json
    python benchmarks/int8_loss.py loading --out loading.json

`answers` asks the development parts (no test row is opened): the same questions in one run of both, images in turns. Accuracy is the strict rule of
`vesalius evaluate`; its difference has a paired 95 % interval (cluster bootstrap over images). |delta log p| is of the answer that float32 gave, as the
whole answer. Times are ratios of medians of runs in turns.
`loading` fills a language model of 1.1 billion parameters with random float16 weights from a mapped file: peak of the memory that is not the file's.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius import provenance
from vesalius.data import base
from vesalius.domain.exchange import Exchange, Split
from vesalius.evaluate import accuracy, plan
from vesalius.evaluate.ask import open_study
from vesalius.metrics.statistics import paired_difference
from vesalius.models import checkpoint, llama, pocket, quantize
from vesalius.models.base import GREEDY
from vesalius.models.quantize import Int8Linear, Packed

SUITES = ("vqa-rad", "slake")
SEED = 0
INT8 = Packed("int8", torch.float32)
SHAPES = ((576, 576), (192, 576), (1536, 576), (576, 1536), (4096, 4096), (14336, 4096), (4096, 14336))  # outside, inside
ROWS = (1, 16, 256)
BILLION = llama.Shape(32000, 2048, 5632, 22, 32, 4, 64, 2048, 10000.0, 1e-5, False)


# answers


def _fresh(dtype: Any = torch.float32) -> pocket.Pocket:
    pocket.load.cache_clear()
    return pocket.load(dtype=dtype)


def _with(*parts: str) -> pocket.Pocket:
    """int8 in the language model, and in more parts that `pocket.load` leaves."""
    made = _fresh(INT8)
    for part in parts:
        if part == "vocabulary":
            made.composition.lm.lm_head = Int8Linear.of(made.composition.lm.lm_head)
        else:
            quantize.to_int8(getattr(made.composition, part))
    return made


WAYS: dict[str, Callable[[], pocket.Pocket]] = {
    "int8": _with,
    "int8, vocabulary too": lambda: _with("vocabulary"),
    "int8, projectors and fusions too": lambda: _with("tower", "readout"),
}


def _rows(root: Path, limit: int | None) -> Iterator[tuple[Any, list[Exchange]]]:
    """Studies of the development parts with their questions."""
    for name in SUITES:
        suite = plan.suite(name)
        rows = sorted(base.dataset(suite.dataset).exchanges(root, Split.DEVELOPMENT, suite.protocols[0]), key=lambda x: (x.image, x.id))
        for image, group in itertools.islice(itertools.groupby(rows, key=lambda x: x.image), limit):
            asked = list(group)
            yield open_study(root, image, asked[0].tags), asked


def _data_hash(root: Path) -> str:
    files = [path for name in SUITES for part in base.dataset(plan.suite(name).dataset).files(root) for path in part if path.is_file()]
    return provenance.hash_files(files, root=root)


def _held(module: nn.Module) -> int:
    tensors = {t.data_ptr(): t.nbytes for t in (*module.parameters(), *module.buffers())}
    return sum(tensors.values())


def answers(root: Path, limit: int | None) -> dict[str, Any]:
    models = {"float32": _fresh(), **{name: make() for name, make in WAYS.items()}}
    said: dict[str, list[Any]] = {name: [] for name in models}
    logp: dict[str, list[float]] = {name: [] for name in models}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    exchanges: list[Exchange] = []
    for turn, (study, asked) in enumerate(_rows(root, limit)):
        questions = [x.question for x in asked]
        if not turn:
            for model in models.values():
                model.answer(model.encode(study), questions, GREEDY)  # not timed: whoever is first pays for what all use
        order = list(models)[turn % len(models) :] + list(models)[: turn % len(models)]
        encoded = {}
        for name in order:
            started = time.perf_counter()
            encoded[name] = models[name].encode(study)
            found = models[name].answer(encoded[name], questions, GREEDY)
            seconds[name].append(time.perf_counter() - started)
            said[name] += found
        first = said["float32"][-len(asked) :]
        for name, question, answer in ((n, q, a) for n in models for q, a in zip(questions, first, strict=True)):
            logp[name].append(float(models[name].score(encoded[name], question, [answer.text])[0]))
        exchanges += asked
        sys.stderr.write(f"\r{len(exchanges)} questions\033[K")
    sys.stderr.write("\n")
    clusters = [x.cluster for x in exchanges]
    right = {n: np.array([accuracy.is_right(a, x) for a, x in zip(said[n], exchanges, strict=True)], dtype=float) for n in models}
    table = {}
    for name, model in models.items():
        moved = np.abs(np.array(logp[name]) - np.array(logp["float32"]))
        difference = paired_difference(right[name], right["float32"], clusters=clusters, seed=SEED)
        table[name] = {
            "accuracy": float(right[name].mean()),
            "difference": difference.to_json(),
            "equal answers": float(np.mean([a.text == b.text for a, b in zip(said[name], said["float32"], strict=True)])),
            "right to wrong": int(((right["float32"] == 1) & (right[name] == 0)).sum()),
            "wrong to right": int(((right["float32"] == 0) & (right[name] == 1)).sum()),
            "delta log p": {"median": float(np.median(moved)), "95 %": float(np.quantile(moved, 0.95)), "largest": float(moved.max())},
            "bytes": _held(model.composition),
            "bytes of the language model": _held(model.composition.lm),
            "time ratio": statistics.median(seconds[name]) / statistics.median(seconds["float32"]),
        }
    return {"n": len(exchanges), "clusters": len(set(clusters)), "images": len(seconds["float32"]), "ways": table}


def _show_answers(found: dict[str, Any]) -> None:
    print(f"{found['n']} questions about {found['images']} images")
    print(f"{'':34}{'accuracy':>9}{'difference':>26}{'equal':>8}{'log p: median, 95 %, largest':>32}{'MB (lm)':>14}{'time':>7}")
    for name, row in found["ways"].items():
        d, p = row["difference"], row["delta log p"]
        span = f"{100 * d['value']:+.2f}" + ("" if d["low"] is None else f" ({100 * d['low']:+.2f} to {100 * d['high']:+.2f})")
        size = f"{row['bytes'] / 1e6:.0f} ({row['bytes of the language model'] / 1e6:.0f})"
        moved = f"{p['median']:.4f} {p['95 %']:.3f} {p['largest']:.3f}"
        print(f"{name:34}{100 * row['accuracy']:9.2f}{span:>26}{100 * row['equal answers']:8.2f}{moved:>32}{size:>14}{row['time ratio']:7.2f}")


# products


def _ways(outside: int, inside: int, rows: int) -> dict[str, Callable[[], Tensor]]:
    linear = nn.Linear(inside, outside, bias=False)
    packed = Int8Linear.of(linear)
    weight, scale, x = packed.weight, packed.scale, torch.randn(rows, inside)
    dynamic = torch.ao.quantization.quantize_dynamic(nn.Sequential(linear), {nn.Linear}, dtype=torch.qint8)
    ways = {
        "float32": lambda: linear(x),
        "ours": lambda: packed(x),
        "whole": lambda: functional.linear(x, weight.float()) * scale,
        "int8pack_mm": lambda: torch._weight_int8pack_mm(x, weight, scale),
        "dynamic": lambda: dynamic(x),
    }
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError:
        return ways
    theirs = nn.Linear(inside, outside, bias=False)
    theirs.weight.data.copy_(linear.weight)
    quantize_(theirs, Int8WeightOnlyConfig(set_inductor_config=False))
    return {**ways, "torchao": lambda: theirs(x)}


@torch.inference_mode()
def products(runs: int) -> dict[str, Any]:
    torch.manual_seed(SEED)
    table = []
    for (outside, inside), rows in itertools.product(SHAPES, ROWS):
        ways = _ways(outside, inside, rows)
        truth, took = ways["float32"](), {name: [] for name in ways}
        error = {name: float((way() - truth).norm() / truth.norm()) for name, way in ways.items()}
        for _ in range(runs):
            for name, way in ways.items():
                if len(took[name]) >= 3 and sum(took[name]) > 2:
                    continue  # some take seconds for one product
                started = time.perf_counter()
                way()
                took[name].append(time.perf_counter() - started)
        median = {name: statistics.median(values) for name, values in took.items()}
        speed = {name: median["float32"] / value for name, value in median.items()}
        table.append({"outside": outside, "inside": inside, "rows": rows, "float32 seconds": median["float32"], "speed": speed, "relative error": error})
    versions = {name: importlib.metadata.version(name) for name in ("torchao",) if importlib.util.find_spec(name) is not None}
    return {"runs": runs, "table": table, **versions}


def _show_products(found: dict[str, Any]) -> None:
    names = list(found["table"][0]["speed"])
    print("speed against float32 (above 1 is faster), and relative error\n" + " " * 24 + "".join(f"{n:>20}" for n in names))
    for row in found["table"]:
        cells = "".join(f"{row['speed'][n]:>11.2f} ({row['relative error'][n]:.4f})" for n in names)
        print(f"{row['outside']:>6} x {row['inside']:<6} n {row['rows']:<5}{cells}")


# loading


def _child(folder: Path, precision: str) -> None:
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
            peak[0] = max(peak[0], int(held.split()[1]) * 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(0.05)
    before, started = peak[0], time.perf_counter()
    lm = llama.Llama(BILLION, blank=True)
    checkpoint.fill(lm, checkpoint.read(folder), where=str(folder))
    quantize.place(lm, "cpu", INT8 if precision == "int8" else torch.float32)
    took = time.perf_counter() - started
    done.set()
    watcher.join()
    print(json.dumps({"peak": peak[0] - before, "held": _held(lm), "seconds": took}))


def loading() -> dict[str, Any]:
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as place:
        with torch.device("meta"):
            shapes = {name: tensor.shape for name, tensor in llama.Llama(BILLION).state_dict().items()}
        torch.manual_seed(SEED)
        save_file({n: torch.randn(s, dtype=torch.float32).mul_(0.02).half() for n, s in shapes.items()}, Path(place) / "model.safetensors")
        found = {}
        for precision in ("float32", "int8"):
            words = [sys.executable, __file__, "loading", "--child", place, "--precision", precision]
            found[precision] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return {"parameters": sum(s.numel() for s in shapes.values()), **found}


def _show_loading(found: dict[str, Any]) -> None:
    for name in ("float32", "int8"):
        print(f"{name:<9} peak {found[name]['peak'] / 1e9:.2f} GB, held {found[name]['held'] / 1e9:.2f} GB, {found[name]['seconds']:.1f} s")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=("answers", "products", "loading"))
    words.add_argument("--data", default=os.environ.get("VESALIUS_DATA"), help="data root, for answers")
    words.add_argument("--limit", type=int, help="at most so many images of each suite")
    words.add_argument("--runs", type=int, default=21, help="of each product, fewer where one takes seconds")
    words.add_argument("--out", type=Path, help="JSON with provenance")
    words.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    words.add_argument("--precision", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.child is not None:
        return _child(given.child, given.precision)
    started = time.monotonic()
    config = {"what": given.what, "limit": given.limit, "runs": given.runs, "threads": torch.get_num_threads(), "suites": SUITES}
    made = provenance.record(seed=SEED, config=config, data_hash=_data_hash(base.data_root(given.data)) if given.what == "answers" else None)
    if given.what == "answers":
        found = answers(base.data_root(given.data), given.limit)
        found["weights"] = _fresh().identity["weights"]
        _show_answers(found)
    elif given.what == "products":
        found = products(given.runs)
        _show_products(found)
    else:
        found = loading()
        _show_loading(found)
    if given.out is not None:
        given.out.write_text(json.dumps({**found, "provenance": made.finished(started).to_json()}, indent=2) + "\n")
    return None


if __name__ == "__main__":
    main()
