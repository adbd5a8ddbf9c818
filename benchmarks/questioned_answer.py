"""What it costs to question one answer: the engine against `transformers` `generate`, one by one and batched, same weights, same run.

One image, one question, 8 rewordings, 8 samples ("one image"), and the same with 2 controls, each an image of its own ("with controls").
Every way of asking runs in a process of its own, in turns, so that whatever else the machine does falls on all alike. Answers have a fixed length,
so that all do the same work. Peak memory is the process's highest resident size during the runs; growth is that less what it held before the run.
"(cpu)" compares processor time, which a busy machine distorts less than wall time; "bound" is how many times fewer operations the engine does than
one by one; "of peak" is its operations for each second of processor time against those of a large matrix product.

    python benchmarks/questioned_answer.py --tokens 49 256 576 --runs 3 --out questioned_answer.json

With `--shape`, models of published shapes with random weights instead, tower included, against `transformers` with the same weights ("cpu": 0.3 billion
parameters, "full": the published size). Their greedy answers must be the engine's; "equal" counts equal answers + ties of all.

    python benchmarks/questioned_answer.py --shape llava chexagent flamingo llava-after --scale cpu --runs 1 --out shapes.json
    python benchmarks/questioned_answer.py --shape llava --scale full --device cuda --dtype bfloat16 --out shapes_gpu.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import compare
from harness import CONTROLS, NEW_TOKENS, QUESTIONS, WORKLOADS, Item, Worker, in_turns, items, medians, serve

FEATURES = 1280
BEFORE, BETWEEN, AFTER = "<|im_start|>user\n", "\n", "<|im_end|>\n<|im_start|>assistant\n"


class Side:
    """What all ways share: weights, projector, features, token ids."""

    device = "cpu"

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

    def about(self) -> dict[str, Any]:
        prefix = len(self.prompt.before) + len(self.prompt.between)
        return {"text_tokens": prefix + statistics.mean(len(self.prompt.question(q)) for q in QUESTIONS)}

    def prepare(self, workload: str) -> None:
        """Nothing is kept between runs."""

    def report(self) -> dict[str, Any]:
        return {}


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


def measure(folder: Path, tokens: int, runs: int, threads: int) -> list[dict[str, Any]]:
    names = list(ways(folder, tokens))
    workers = {name: Worker(name, ["--tokens", str(tokens), "--weights", str(folder)], threads).ready() for name in names}
    rows = []
    for workload in WORKLOADS:
        taken = {name: medians(found) for name, found in in_turns(workers, workload, runs).items()}
        text = workers[names[0]].about["text_tokens"]
        rows.append({"image_tokens": tokens, "workload": workload, "asks": len(items(workload)), "text_tokens": text, "ways": taken})
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


def worker(args: argparse.Namespace, folder: Path | None) -> None:
    import torch

    torch.set_num_threads(args.threads)
    if folder is not None:
        serve(ways(folder, args.tokens[0])[args.worker]())
        return
    import peers
    import shapes

    serve(peers.side(args.worker, shapes.make(args.shape[0], args.scale, args.device, getattr(torch, args.dtype))))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[49, 256, 576], help="image tokens")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way; the median counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--weights", type=Path, help="directory of the language model; the cache's by default")
    parser.add_argument("--shape", nargs="+", choices=compare.SHAPES, help="models of published shapes with random weights instead")
    parser.add_argument("--scale", choices=compare.SCALES, default="cpu", help="of the shapes")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the shapes")
    parser.add_argument("--dtype", choices=tuple(compare.TIE), help="of the shapes; float32 on a CPU, bfloat16 on a GPU by default")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.dtype = args.dtype or ("float32" if args.device == "cpu" else "bfloat16")
    return args


def main() -> None:
    args = arguments()
    if args.shape:
        worker(args, None) if args.worker else compare.main(args)
        return
    from vesalius.models import weights

    folder = args.weights or weights.language_model()
    if args.worker:
        worker(args, folder)
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
