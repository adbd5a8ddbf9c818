"""Ways of asking models of published shapes, in turns: times, operations, memory, and whether all give the same answers.

In: names of shapes, a scale, a device. Out: rows of a table and of JSON. This process loads no model.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

from harness import FIRST, FIRST_ENCODED, NEW_TOKENS, SAMPLES, WORKLOADS, Worker, WorkerEnded, in_turns, items, joined, medians

SHAPES = ("llava", "chexagent", "flamingo", "llava-after")
SCALES = ("tiny", "cpu", "full")
PEERS = {
    "llava": "LlavaForConditionalGeneration",
    "chexagent": "SiglipVisionModel, the family's projector, PhiForCausalLM from embeddings",
    "flamingo": "no stock class exists: our own composition run plainly, tower, resampler and prompt anew for each ask; no batch",
    "llava-after": "CLIPVisionModel, the family's projector, LlamaForCausalLM from embeddings",
}
TIE = {"float32": 1e-3, "bfloat16": 0.15, "float16": 0.02}  # logits of unit deviation that are nearer to each other than this are a tie
FIRSTS = 3
HEAD = (
    "shape        image text  workload       asks |   1by1 s  batch s engine s  vllm s | vs 1by1 (cpu)   bound | vs batch (cpu) | asks/s 1by1/batch/engine |"
    " first token s engine encoded/engine/1by1 | peak MB 1by1/batch/engine | of peak | equal"
)


def ways(shape: str, device: str) -> tuple[list[str], str]:
    """Names of the ways, and why vLLM is not one of them."""
    found = ["one by one", "engine"] if shape == "flamingo" else ["one by one", "batched", "engine"]
    if importlib.util.find_spec("vllm") is None:
        return found, "vLLM is not installed"
    if device != "cuda":
        return found, "vLLM is not compared without a GPU"
    return ([*found, "vllm"], "") if shape == "llava" else (found, "vLLM has no class for this shape")


def start(shape: str, args: argparse.Namespace) -> tuple[dict[str, Worker], list[str]]:
    """Workers by their ways, and what is to be said of those that are not there."""
    names, absent = ways(shape, args.device)
    told = [absent] if absent else []
    arguments = ["--shape", shape, "--scale", args.scale, "--device", args.device, "--dtype", args.dtype]
    workers: dict[str, Worker] = {}
    for name in names:
        workers[name] = Worker(name, arguments, args.threads)
        if args.device == "cuda":  # one after another: a model takes twice its room while it is made
            _ready(workers, name, told)
    if args.device != "cuda":
        for name in names:
            _ready(workers, name, told)
    return workers, told


def _ready(workers: dict[str, Worker], name: str, told: list[str]) -> None:
    """Wait for a way; only vLLM may fail."""
    try:
        workers[name].ready()
    except WorkerEnded as ended:
        if name != "vllm":
            raise
        del workers[name]
        told.append(f"vLLM did not start ({ended})")


def measure(shape: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each workload; prints them."""
    workers, told = start(shape, args)
    about = workers["engine"].about
    print(f"{shape}: {about['parameters'] / 1e9:.2f} billion parameters; against {PEERS[shape]}", *told, sep="; ", flush=True)
    first = {
        "one by one": _first(workers["one by one"], FIRST),
        "engine": _first(workers["engine"], FIRST),
        "engine, encoded": _first(workers["engine"], FIRST_ENCODED),
    }
    rows = []
    for workload in WORKLOADS:
        taken = in_turns(workers, workload, args.runs)
        row = {
            "shape": shape,
            "scale": args.scale,
            "device": args.device,
            "dtype": args.dtype,
            "peer": PEERS[shape],
            "told": told,
            "parameters": about["parameters"],
            "image_tokens": about["image_tokens"],
            "text_tokens": about["text_tokens"],
            "workload": workload,
            "asks": len(items(workload)),
            "first_token_seconds": first,
            "ways": {name: _way(runs, workload, args.device) for name, runs in taken.items()},
        }
        row["engine_against"] = _against(row["ways"])
        row["answers"] = _answers({name: runs[-1]["answers"] for name, runs in taken.items()}, TIE[args.dtype])
        rows.append(row)
        print(table_row(row), flush=True)
    for made in workers.values():
        made.end()
    return rows


def _first(worker: Worker, workload: str) -> float:
    return statistics.median(worker.run(workload)["seconds"] for _ in range(FIRSTS))


def _way(runs: Sequence[dict[str, Any]], workload: str, device: str) -> dict[str, Any]:
    made = medians(runs)
    made["asks_per_second"] = len(items(workload)) / made["seconds"]
    if device == "cuda" and "gflop" in made:  # there the processor only waits
        made["share_of_peak"] = made["gflop"] / made["seconds"] / made["peak_gflops"]
    return made


def _against(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times the engine's cost every other way takes."""
    ours, out = found["engine"], {}
    for name, way in found.items():
        if name != "engine":
            out[name] = {"wall": way["seconds"] / ours["seconds"], "cpu": way["cpu_seconds"] / ours["cpu_seconds"]}
            if "gflop" in way:
                out[name]["operations"] = way["gflop"] / ours["gflop"]
    return out


def _answers(said: dict[str, list[dict[str, Any]]], tie: float) -> dict[str, Any]:
    """How many greedy answers of each way are the engine's, to the token, and how many part from it at a tie."""
    ours = [answer["ids"] for answer in said["engine"]]
    out: dict[str, Any] = {"greedy": len(ours), "distinct": len(set(map(tuple, ours)))}
    for name, theirs in said.items():
        if name != "engine":
            kinds = [_agree(a, b, tie) for a, b in zip(ours, theirs, strict=True)]
            out[name] = {kind: kinds.count(kind) for kind in ("equal", "tie", "unequal")}
    return out


def _agree(ours: list[int], theirs: dict[str, Any], tie: float) -> str:
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs["ids"], strict=True)) if a != b), None)
    if at is None:
        return "equal"
    if theirs["near"] is None:
        return "unequal"
    ids, logits = (part[at] for part in theirs["near"])
    return "tie" if ours[at] in ids and logits[0] - logits[ids.index(ours[at])] <= tie else "unequal"


def table_row(row: dict[str, Any]) -> str:
    found, against, first = row["ways"], row["engine_against"], row["first_token_seconds"]
    names = ("one by one", "batched", "engine")

    def each(key: str, form: str = ".0f") -> str:
        return joined((found[name][key] if name in found else None for name in names), form)

    def seconds(name: str, width: int) -> str:
        return f"{found[name]['seconds']:{width}.2f}" if name in found else "-".rjust(width)

    def times(name: str) -> str:
        return f"{against[name]['wall']:6.1f}x {against[name]['cpu']:5.1f}x" if name in against else "-".rjust(14)

    answers = row["answers"]
    equal = ", ".join(f"{name} {a['equal']}+{a['tie']}/{answers['greedy']}" for name, a in answers.items() if isinstance(a, dict))
    return (
        f"{row['shape']:12s} {row['image_tokens']:5d} {row['text_tokens']:4.0f}  {row['workload']:14s} {row['asks']:4d} |"
        f" {seconds('one by one', 8)} {seconds('batched', 8)} {seconds('engine', 8)} {seconds('vllm', 7)} |"
        f" {times('one by one')} {against['one by one']['operations']:6.1f}x | {times('batched')} | {each('asks_per_second', '.2f'):>24s} |"
        f" {joined((first['engine, encoded'], first['engine'], first['one by one']), '.3f'):>42s} | {each('peak_mb'):>25s} |"
        f" {joined((found[n]['share_of_peak'] * 100 if n in found else None for n in names), '.0f')} % | {equal}"
    )


def main(args: argparse.Namespace) -> None:
    """Measure, print, write; an answer that differs by more than a tie is an error once everything is written."""
    from vesalius import provenance

    print(HEAD)
    started = time.monotonic()
    config = {"runs": args.runs, "threads": args.threads, "new_tokens": NEW_TOKENS, "samples": SAMPLES, "scale": args.scale, "device": args.device}
    about = provenance.record(seed=0, config={**config, "dtype": args.dtype, "shapes": args.shape})
    rows = [row for shape in args.shape for row in measure(shape, args)]
    if args.out:
        made = {"provenance": about.finished(started).to_json(), "load_average": os.getloadavg(), "accelerator": _accelerator(args.device), "rows": rows}
        args.out.write_text(json.dumps(made, indent=1))
    wrong = [f"{r['shape']}, {r['workload']}, {n}" for r in rows for n, a in r["answers"].items() if isinstance(a, dict) and a["unequal"] and n != "vllm"]
    if wrong:
        raise SystemExit(f"answers differ from the engine's by more than a tie: {'; '.join(wrong)}")


def _accelerator(device: str) -> str | None:
    if device != "cuda":
        return None
    import torch

    return str(torch.cuda.get_device_name())
