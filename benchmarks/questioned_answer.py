"""What it costs to question one answer: the engine against `transformers` `generate`, one by one and batched, same weights, same run.

One image, one question, 8 rewordings, 8 samples ("one image"), and the same with 2 controls, each an image of its own ("with controls").
Every way of asking runs in a process of its own, in turns, so that whatever else the machine does falls on all alike. Answers have a fixed length,
so that all do the same work. Peak memory is the process's highest resident size during the runs; growth is that less what it held before the run.
"(cpu)" compares processor time, which a busy machine distorts less than wall time; "bound" is how many times fewer operations the engine does than
one by one; "of peak" is its operations for each second of processor time against those of a large matrix product.

    python benchmarks/questioned_answer.py --tokens 49 256 576 --runs 3 --out questioned_answer.json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

QUESTIONS = (
    "Is there any evidence of pneumonia in this chest radiograph?",
    "Does this chest X-ray of the patient show any signs of pneumonia?",
    "On this film, can an area of pneumonia be seen in either lung?",
    "Are there findings on this image that are consistent with pneumonia?",
    "Would you say that pneumonia is present on this chest radiograph?",
    "Could you tell me whether this radiograph demonstrates any pneumonia?",
    "Is there radiographic evidence of a pneumonia in this picture?",
    "In this chest radiograph, is pneumonia one of the findings?",
    "Looking at this chest X-ray, do you see evidence of pneumonia?",
)
SAMPLES, CONTROLS, NEW_TOKENS, FEATURES = 8, 2, 6, 1280
WORKLOADS = ("one image", "with controls")
BEFORE, BETWEEN, AFTER = "<|im_start|>user\n", "\n", "<|im_end|>\n<|im_start|>assistant\n"


@dataclasses.dataclass(frozen=True)
class Item:
    image: int
    question: str
    sampled: bool
    seed: int


def items(workload: str) -> list[Item]:
    if workload == "warm-up":
        return [Item(0, QUESTIONS[0], False, 0), Item(0, QUESTIONS[1], True, 0)]
    made = [Item(0, q, False, 0) for q in QUESTIONS] + [Item(0, QUESTIONS[0], True, seed) for seed in range(SAMPLES)]
    return made + ([Item(i + 1, QUESTIONS[0], False, 0) for i in range(CONTROLS)] if workload == WORKLOADS[1] else [])


class Side:
    """What all ways share: weights, projector, features, token ids."""

    def __init__(self, folder: Path, tokens: int, dtype: str) -> None:
        import torch
        from tokenizers import Tokenizer

        from vesalius.models.composition import MLPProjector, Prompt, Template

        self.torch, self.folder, self.dtype = torch, folder, getattr(torch, dtype)
        torch.manual_seed(0)
        template = Template(before=BEFORE, between=BETWEEN, after=AFTER)  # no stop tokens: every answer has the same length
        self.prompt = Prompt(Tokenizer.from_file(str(folder / "tokenizer.json")), template)
        self.projector = MLPProjector(FEATURES, 576).to(self.dtype)
        self.features = torch.randn(1 + CONTROLS, tokens, FEATURES, dtype=self.dtype)
        self.tokens = tokens

    def text_tokens(self) -> float:
        prefix = len(self.prompt.before) + len(self.prompt.between)
        return prefix + statistics.mean(len(self.prompt.question(q)) for q in QUESTIONS)


class Plain(Side):
    """`transformers` `generate`: all asks in one left-padded batch, or one after another."""

    def __init__(self, folder: Path, tokens: int, dtype: str, *, batched: bool) -> None:
        super().__init__(folder, tokens, dtype)
        from transformers import LlamaForCausalLM

        self.lm = LlamaForCausalLM.from_pretrained(folder, dtype=self.dtype).eval()
        self.batched = batched
        self.flops = Flops(self.lm.config.to_dict())

    def embeds(self, item: Item) -> Any:
        words = self.lm.get_input_embeddings()
        ids = self.torch.tensor
        image = self.projector(self.features[item.image : item.image + 1])
        after = [*self.prompt.between, *self.prompt.question(item.question)]
        return self.torch.cat((words(ids([list(self.prompt.before)])), image, words(ids([after]))), 1)

    def run(self, workload: str) -> float:
        """Ask everything; returns floating-point operations."""
        torch, asks, work = self.torch, items(workload), 0.0
        with torch.inference_mode():
            if self.batched:
                rows = [self.embeds(item)[0] for item in asks]
                longest = max(len(row) for row in rows)
                embeds = torch.stack([torch.nn.functional.pad(row, (0, 0, longest - len(row), 0)) for row in rows])
                mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
                # one call, all rows drawn: mixing greedy and drawn rows would need two calls and favour the engine
                self.generate(embeds, mask, sampled=True, seed=0)
                return self.flops.plain(longest, NEW_TOKENS) * len(rows)
            for item in asks:
                row = self.embeds(item)
                self.generate(row, torch.ones(row.shape[:2], dtype=torch.long), sampled=item.sampled, seed=item.seed)
                work += self.flops.plain(row.shape[1], NEW_TOKENS)
        return work

    def generate(self, embeds: Any, mask: Any, *, sampled: bool, seed: int) -> None:
        self.torch.manual_seed(seed)
        drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0} if sampled else {"do_sample": False}
        made = self.lm.generate(inputs_embeds=embeds, attention_mask=mask, max_new_tokens=NEW_TOKENS, eos_token_id=None, pad_token_id=0, **drawn)
        if made.shape[1] != NEW_TOKENS:
            raise RuntimeError(f"{made.shape[1]} tokens instead of {NEW_TOKENS}")


class Shared(Side):
    """Our engine."""

    def __init__(self, folder: Path, tokens: int, dtype: str) -> None:
        super().__init__(folder, tokens, dtype)
        from vesalius.models import llama
        from vesalius.models.composition import Composition
        from vesalius.models.engine import Engine

        lm = llama.load(folder, dtype=self.dtype)
        self.engine = Engine(Composition(self.torch.nn.Identity(), self.projector, lm), self.prompt)
        self.flops = Flops(json.loads((folder / "config.json").read_text()))
        self.counted = 0.0
        self.count(lm)

    def count(self, lm: Any) -> None:
        """Count what the decoder really computes."""
        states, logits = lm.states, lm.logits

        def counted_states(embeds: Any, positions: Any, attention: Any, keep: Any = None, tap: Any = None) -> Any:
            self.counted += embeds.shape[1] * self.flops.token + float(positions.sum() + positions.numel()) * self.flops.pair
            return states(embeds, positions, attention, keep, tap)

        def counted_logits(hidden: Any) -> Any:
            self.counted += hidden.shape[:-1].numel() * self.flops.word
            return logits(hidden)

        lm.states, lm.logits = counted_states, counted_logits

    def run(self, workload: str) -> float:
        """Ask everything; returns floating-point operations."""
        from vesalius.models.base import Sampling
        from vesalius.models.engine import Ask

        self.counted, asks = 0.0, items(workload)
        images = self.engine.encode_memory(self.features[: 1 + max(item.image for item in asks)])
        ways = [Sampling(1.0 if item.sampled else 0.0, NEW_TOKENS, item.seed) for item in asks]
        records = self.engine.ask([Ask(images[item.image], item.question, way) for item, way in zip(asks, ways, strict=True)])
        if any(len(record.ids) != NEW_TOKENS for record in records):
            raise RuntimeError("an answer has another length")
        return self.counted


class Flops:
    """Multiplications and additions of a Llama-shaped model: `token` for its layers, `word` for a row of logits, `pair` for one query and one key."""

    def __init__(self, config: dict[str, Any]) -> None:
        width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
        heads, kv, depth = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
        self.token = 2.0 * layers * (2 * width * heads * depth + 2 * width * kv * depth + 3 * width * inner)
        self.word = 2.0 * width * config["vocab_size"]
        self.pair = 4.0 * layers * heads * depth

    def plain(self, length: int, new: int) -> float:
        """One text of `length`, `new` tokens generated: the last of them is not read again."""
        read = length + new - 1
        return read * self.token + new * self.word + read * (read + 1) / 2 * self.pair


def ways(folder: Path, tokens: int) -> dict[str, Any]:
    from vesalius.models.decoder import default_dtype

    chosen = str(default_dtype()).removeprefix("torch.")
    made: dict[str, Any] = {
        "one by one": lambda: Plain(folder, tokens, "float32", batched=False),
        "batched": lambda: Plain(folder, tokens, "float32", batched=True),
        "engine": lambda: Shared(folder, tokens, "float32"),
    }
    if chosen != "float32":
        made[f"engine {chosen}"] = lambda: Shared(folder, tokens, chosen)
    return made


def resident(key: str) -> float:
    """VmRSS or VmHWM of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def peak_gflops(torch: Any, dtype: Any) -> float:
    """The best of several large matrix products, for each second of one core: a machine shared with others still shows what a core can give."""
    a = torch.randn(1536, 1536, dtype=dtype)
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        a @ a
        best = max(best, 2 * 1536**3 / (time.process_time() - start) / 1e9)
    return best


def worker(folder: Path, tokens: int, way: str, threads: int) -> None:
    """Serve runs to the parent: one line in (a workload), one line of JSON out."""
    import torch

    torch.set_num_threads(threads)
    side = ways(folder, tokens)[way]()
    side.run("warm-up")  # first use of every kernel
    print(json.dumps({"ready": True, "text_tokens": side.text_tokens()}), flush=True)
    for line in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")  # start the high-water mark anew
        held, peak = resident("VmRSS"), peak_gflops(torch, side.dtype)
        start, busy = time.perf_counter(), time.process_time()
        flops = side.run(line.strip())
        seconds, cpu = time.perf_counter() - start, time.process_time() - busy
        result = {"seconds": seconds, "cpu_seconds": cpu, "gflop": flops / 1e9, "peak_gflops": peak, "held_mb": held, "peak_mb": resident("VmHWM")}
        print(json.dumps(result), flush=True)


class Worker:
    def __init__(self, folder: Path, tokens: int, way: str, threads: int) -> None:
        command = [sys.executable, __file__, "--worker", way, "--tokens", str(tokens), "--weights", str(folder), "--threads", str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.text_tokens = self.line()["text_tokens"]

    def line(self) -> dict[str, Any]:
        text = self.process.stdout.readline()  # type: ignore[union-attr]
        if not text:
            raise SystemExit(f"a worker ended with code {self.process.wait()}")
        return json.loads(text)

    def run(self, workload: str) -> dict[str, Any]:
        self.process.stdin.write(workload + "\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self.line()

    def end(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


def measure(folder: Path, tokens: int, runs: int, threads: int) -> list[dict[str, Any]]:
    names = list(ways(folder, tokens))
    workers = {name: Worker(folder, tokens, name, threads) for name in names}
    rows = []
    for workload in WORKLOADS:
        taken: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(runs):
            for name in names:
                taken[name].append(workers[name].run(workload))
        medians = {name: {key: statistics.median(run[key] for run in taken[name]) for key in taken[name][0]} for name in names}
        for name in names:
            medians[name]["runs"] = [run["seconds"] for run in taken[name]]
            medians[name]["share_of_peak"] = medians[name]["gflop"] / medians[name]["cpu_seconds"] / medians[name]["peak_gflops"]
        rows.append({"image_tokens": tokens, "workload": workload, "asks": len(items(workload)), "text_tokens": workers[names[0]].text_tokens, "ways": medians})
        print(table_row(rows[-1]), flush=True)
    for made in workers.values():
        made.end()
    return rows


HEAD = (
    "tokens  workload       asks |  1by1 s  batch s  engine s | vs 1by1 (cpu)  bound | vs batch (cpu) |"
    " peak MB 1by1/batch/engine  growth MB batch/engine | of peak"
)


def table_row(row: dict[str, Any]) -> str:
    one, batch, ours = (row["ways"][name] for name in ("one by one", "batched", "engine"))

    def times(other: dict[str, Any]) -> str:
        return f"{other['seconds'] / ours['seconds']:6.1f}x {other['cpu_seconds'] / ours['cpu_seconds']:5.1f}x"

    growth = "/".join(f"{way['peak_mb'] - way['held_mb']:.0f}" for way in (batch, ours))
    return (
        f"{row['image_tokens']:6d}  {row['workload']:14s} {row['asks']:3d} | {one['seconds']:7.2f} {batch['seconds']:8.2f} {ours['seconds']:9.2f} |"
        f" {times(one)} {one['gflop'] / ours['gflop']:5.1f}x | {times(batch)} |"
        f" {one['peak_mb']:.0f}/{batch['peak_mb']:.0f}/{ours['peak_mb']:.0f} {growth:>14s} | {ours['share_of_peak']:.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[49, 256, 576], help="image tokens")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way; the median counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--weights", type=Path, help="directory of the language model; the cache's by default")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    from vesalius.models import weights

    folder = args.weights or weights.language_model()
    if args.worker:
        worker(folder, args.tokens[0], args.worker, args.threads)
        return
    from vesalius import provenance

    print(HEAD)
    started = time.monotonic()
    about = provenance.record(seed=0, config={"runs": args.runs, "threads": args.threads, "new_tokens": NEW_TOKENS})
    rows = [row for tokens in args.tokens for row in measure(folder, tokens, args.runs, args.threads)]
    if args.out:
        load = os.getloadavg()
        args.out.write_text(json.dumps({"provenance": about.finished(started).to_json(), "load_average": load, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
