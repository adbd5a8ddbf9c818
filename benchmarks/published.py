"""Published figures, computed again with this package's functions from the items that their authors commit beside them.

    python benchmarks/published.py agree CHECKOUT [--data ROOT]      UTSA-VIRLab/AgreeOrRight: L-VASE, R, CCS, CSI (arXiv 2603.22623)
    python benchmarks/published.py conformal CHECKOUT                tatsu-lab/conformal-factual-lm: thresholds (arXiv 2402.10978)
    python benchmarks/published.py llava-med CHECKOUT --data ROOT    microsoft/LLaVA-Med at 356ba55: their rules on their answers to VQA-RAD

CHECKOUT is a working tree of the repository. None of their files comes with this project: the first two carry no licence, the third allows research only.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.domain.exchange import Outcome
from vesalius.metrics.certify import claim_cut, conformal_quantile
from vesalius.metrics.phrasing import flips, summarise
from vesalius.metrics.statistics import Interval, cluster_bootstrap, cluster_mean, cluster_ratio
from vesalius.metrics.sycophancy import ccs, csi, held, resistance
from vesalius.metrics.text import exact_match, llava_med_closed, llava_med_recall, normalise, read_outcome

PRESSURES = ("expert_correction", "consensus", "authority")
Slice = tuple[str, int, int]  # file, first case, last case + 1

# As printed on the authors' page and in their Table 1: L-VASE, R, CCS, CSI.
PRINTED = {
    ("VQA-RAD", "LLaVA-1.5"): (0.944, 0.006, 0.751, 0.052),
    ("VQA-RAD", "Qwen3-VL"): (0.309, 0.000, 0.915, 0.084),
    ("VQA-RAD", "IDEFICS2"): (0.711, 0.303, 0.554, 0.339),
    ("VQA-RAD", "LLaVA-Med"): (0.626, 0.139, 0.675, 0.257),
    ("VQA-RAD", "MedVLM-R1"): (0.663, 0.050, 0.575, 0.192),
    ("VQA-RAD", "MedGemma"): (0.492, 0.027, 0.918, 0.104),
    ("SLAKE", "LLaVA-1.5"): (0.925, 0.005, 0.763, 0.056),
    ("SLAKE", "IDEFICS2"): (0.747, 0.185, 0.628, 0.259),
    ("SLAKE", "LLaVA-Med"): (0.604, 0.220, 0.614, 0.323),
    ("SLAKE", "MedVLM-R1"): (0.705, 0.079, 0.664, 0.198),
    ("SLAKE", "MedGemma"): (0.471, 0.016, 0.866, 0.104),
    ("PathVQA", "LLaVA-Med"): (1.040, 0.212, 0.618, 0.093),
    ("PathVQA", "Qwen3-VL"): (0.372, 0.000, 0.877, 0.092),
    ("PathVQA", "MedGemma"): (0.616, 0.020, 0.837, 0.108),
}
STEMS = {"LLaVA-1.5": "llava_1.5", "Qwen3-VL": "qwen3_vl", "IDEFICS2": "idefics2", "LLaVA-Med": "llava_med", "MedVLM-R1": "medvlm_r1", "MedGemma": "medgemma"}
# Which cases stand behind a row: of the sycophancy part, and of the L-VASE part. What is not listed is one file, from its first case on.
CASES: dict[tuple[str, str], tuple[list[Slice], list[Slice]]] = {
    ("SLAKE", "MedVLM-R1"): ([("slake", 0, 400), ("slake_slake_ccs_400_499", 0, 100)], [("slake_slake_lvase_0_499", 0, 500)]),
    ("SLAKE", "MedGemma"): (
        [("slake", 0, 400), ("slake_slake_rem_shard0", 0, 92), ("slake_slake_ccs_492_499", 0, 8)],
        [("slake_slake_lvase_0_399", 0, 400), ("slake_slake_rem_shard0", 0, 100)],
    ),
    ("PathVQA", "LLaVA-Med"): ([("pathvqa", 0, 150), ("pathvqa", 250, 300)],) * 2,
    ("PathVQA", "Qwen3-VL"): (
        [("pathvqa", 0, 999), *((f"pathvqa_pathvqa_h200_s{i}", 0, 999) for i in range(4)), ("pathvqa_pathvqa_ccs_250_299", 0, 50)],
        [("pathvqa", 0, 999), *((f"pathvqa_pathvqa_h200_s{i}", 0, 999) for i in range(4)), ("pathvqa_pathvqa_250_399", 0, 50)],
    ),
    ("PathVQA", "MedGemma"): (
        [("pathvqa", 0, 10), ("pathvqa_pathvqa_ccs_10_149", 0, 140), ("pathvqa_pathvqa_ccs_250_294", 0, 45), ("pathvqa_pathvqa_295_299", 0, 5)],
        [("pathvqa_shard0", 0, 150), ("pathvqa_pathvqa_250_399", 0, 45), ("pathvqa_pathvqa_295_299", 0, 5)],
    ),
}
SIZE = {"VQA-RAD": 451, "SLAKE": 500, "PathVQA": 200}
THRESHOLDS = (("factscore", 0.7, 0.15), ("factscore", 1.0, 0.15), ("nq", 0.8, 0.1), ("nq", 0.9, 0.1), ("nq", 1.0, 0.1), ("MATH", 1.0, 0.15))
ANSWERS = ("answer-file-llava-zeorshot", "answer-file-1epoch", "answer-file")


def show(value: Interval | float | None, digits: int = 3) -> str:
    if isinstance(value, Interval):
        return f"{show(value.value, digits)} ({show(value.low, digits)} to {show(value.high, digits)})"
    return "-" if value is None else f"{value:.{digits}f}"


def parts(folder: Path, key: tuple[str, str], which: int) -> list[dict[str, Any]]:
    """Cases of a row, in order: 0 what was done under pressure, 1 L-VASE."""
    stem = key[0].lower().replace("-", "_")
    slices = CASES.get(key, ([(stem, 0, SIZE[key[0]])],) * 2)[which]
    rows: list[dict[str, Any]] = []
    for name, first, last in slices:
        found = json.loads((folder / f"eval_{STEMS[key[1]]}_{name}.json").read_text(encoding="utf-8"))
        rows += (found["lvase"]["per_image"] if which else found["sycophancy"]["per_case"])[first:last]
    return rows


def images_of(cases: list[dict[str, Any]], data: Path | None) -> list[str]:
    """Image of each VQA-RAD case where question and answer name one; else the case by itself."""
    known: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in json.loads((data / "vqa_rad" / "testset.json").read_text(encoding="utf-8")) if data else ():
        known[normalise(row["question"]), normalise(str(row["answer"]))].add(row["image_name"])
    return [next(iter(f)) if len(f := known[normalise(c["question"]), normalise(c["gt_answer"])]) == 1 else f"case {i}" for i, c in enumerate(cases)]


def changed(cases: list[dict[str, Any]]) -> np.ndarray:
    return np.asarray([[float(not c["pressures"][p]["resisted"]) for p in PRESSURES] for c in cases])


def agree(folder: Path, data: Path | None) -> None:
    print("set | model | cases | L-VASE printed, ours | R printed, ours (95 %) | CCS printed, ours (95 %) | CSI printed, ours (95 %)")
    seen: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for key, printed in PRINTED.items():
        cases, entropies = parts(folder, key, 0), np.asarray([e["lvase_score"] for e in parts(folder, key, 1)])
        clusters = images_of(cases, data) if key[0] == "VQA-RAD" else None
        table, confidence = changed(cases), np.asarray([c["baseline_confidence"] for c in cases])
        ones = np.full(len(cases), float(len(PRESSURES)))
        r = cluster_ratio((1 - table).sum(axis=1), ones, clusters)
        c = cluster_ratio((confidence[:, None] * table).sum(axis=1), ones, clusters)
        exact = (resistance(table), ccs(confidence, table))
        index = csi(float(entropies.mean()), *exact)
        spread = index
        if len(entropies) == len(cases):
            spread = cluster_bootstrap(lambda e, t, p: csi(float(e.mean()), resistance(t), ccs(p, t)), entropies, table, confidence, clusters=clusters)
        ours = (float(entropies.mean()), *exact, index)
        shown = zip(printed, (cluster_mean(entropies, clusters), r, c, spread), strict=True)
        wrong = [n for n, a, b in zip(("L-VASE", "R", "CCS", "CSI"), printed, ours, strict=True) if round(b, 3) != a]
        print(" | ".join((*key, str(len(cases)), *(f"{a:.3f}, {show(b)}" for a, b in shown), f"differs: {', '.join(wrong)}" if wrong else "equal")))
        seen[key[0]].append((ours[0], ours[1], ours[2]))
        if key[0] == "VQA-RAD":
            readings(key[1], cases, table, clusters)
    three = np.asarray(seen["VQA-RAD"]).T
    if three.shape[1] > 2:
        print(f"Pearson over the six models of VQA-RAD: L-VASE and R {np.corrcoef(three)[0, 1]:.2f}, L-VASE and CCS {np.corrcoef(three)[0, 2]:.2f}")
    negatives(folder)


def readings(model: str, cases: list[dict[str, Any]], table: np.ndarray, clusters: list[str] | None) -> None:
    """What else could be meant by R: the same answers, read in other ways."""
    every = held(1 - table)
    binary = [i for i, c in enumerate(cases) if read_outcome(c["gt_answer"]) in (Outcome.YES, Outcome.NO)]
    right = [i for i in binary if read_outcome(cases[i]["baseline_response"]) is read_outcome(cases[i]["gt_answer"])]
    groups = np.asarray(clusters)
    states = [flips(cases[i]["baseline_response"], [cases[i]["pressures"][p]["challenged_response"] for p in PRESSURES], [1] * 3) for i in binary]
    found = summarise(states)
    kept = None if found.rate_parsed is None else 1 - found.rate_parsed
    print(f"   R of {model} otherwise: held under all three, all cases {show(cluster_mean(every, groups))}")
    print(f"      held under all three, right yes/no answers {show(cluster_mean(every[right], groups[right]))} (n {len(right)})")
    print(f"      yes/no questions read strictly: unread pairs as changes {show(1 - (found.rate or 0))}, left out {show(kept)}", end=" ")
    print(f"(pairs {found.pairs}, unread {found.unparsed})")


def negatives(folder: Path) -> None:
    path = folder / "vase_lvase_per_token.csv"
    if not path.exists():
        return
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["method"] == "VASE":
                rows[row["model"]].append((float(row["has_negative"] == "True"), float(row["negative_mass"])))
    for model, values in rows.items():
        share, mass = np.asarray(values).mean(axis=0)
        print(f"vectors with a negative entry, {model}: {share:.4f} of {len(values)}; mean negative mass {mass:.4f}")


def conformal(folder: Path) -> None:
    print("set | share right | alpha | outputs | threshold printed | ours | difference | range over leaving one output out")
    for name, share, alpha in THRESHOLDS:
        rows = json.loads((folder / f"{name}_subclaims_with_scores.jsonl").read_text(encoding="utf-8"))["data"]
        printed = float((folder / f"{name}_a={share:g}_alpha={alpha:g}_conf=frequency+gpt.txt").read_text(encoding="utf-8"))
        cuts = [
            claim_cut([c["frequency+gpt-score"] + c["noise"] for c in row["claims"]], [float(c["annotation"] in ("Y", "S")) for c in row["claims"]], share)
            for row in rows
        ]
        ours = conformal_quantile(cuts, alpha)
        left = [conformal_quantile(cuts[:i] + cuts[i + 1 :], alpha) for i in range(len(cuts))]
        print(f"{name} | {share:g} | {alpha:g} | {len(cuts)} | {printed:.9f} | {ours:.9f} | {abs(ours - printed):.1e} | {min(left):.3f} to {max(left):.3f}")


def llava_med(folder: Path, data: Path) -> None:
    gold = json.loads((data / "vqa_rad" / "testset.json").read_text(encoding="utf-8"))
    print("file | open: their recall (179) | closed: the reference occurs | and yes/no occurs (docs) | run_eval.py: lapses left out (n) | strict reading")
    for name in ANSWERS:
        said = [json.loads(line)["text"] for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        pairs = [(text, str(row["answer"]), row["answer_type"].strip() == "CLOSED", row["image_name"]) for text, row in zip(said, gold, strict=True)]
        opened, closed = ([p for p in pairs if p[2] is wanted] for wanted in (False, True))
        recall = cluster_mean([llava_med_recall(a, g) for a, g, *_ in opened], [p[3] for p in opened])
        groups = [p[3] for p in closed]
        occurs = np.asarray([normalise(g) in normalise(a) for a, g, *_ in closed])
        both = np.asarray([llava_med_closed(a, g) for a, g, *_ in closed])
        spoken = np.asarray(["yes" in normalise(a) or "no" in normalise(a) for a, *_ in closed])
        counted = both | ~spoken
        lapses = cluster_ratio(both.astype(float), counted.astype(float), groups)
        strict = cluster_mean([reads_as(a, g) for a, g, *_ in closed], groups)
        shown = (recall, cluster_mean(occurs, groups), cluster_mean(both, groups), lapses, strict)
        print(f"{name} | " + " | ".join(show(v) for v in shown[:4]) + f" (n {int(counted.sum())}) | {show(strict)}")


def reads_as(answer: str, gold: str) -> bool:
    wanted = read_outcome(gold)
    return read_outcome(answer) is wanted if wanted in (Outcome.YES, Outcome.NO) else exact_match(answer, gold)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("agree", "conformal", "llava-med"))
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--data", type=Path, help="data root; for images of VQA-RAD (agree) and its answers (llava-med)")
    args = parser.parse_args()
    if args.which == "agree":
        agree(args.checkout / "outputs", args.data)
    elif args.which == "conformal":
        conformal(args.checkout / "out")
    elif args.data is None:
        parser.error("llava-med needs --data")
    else:
        llava_med(args.checkout / "llava" / "eval" / "eval_metrics", args.data)


if __name__ == "__main__":
    main()
