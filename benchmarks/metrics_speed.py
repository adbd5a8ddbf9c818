"""How long figures with patient-clustered intervals take: 100,000 answers of 25,000 patients, 2,000 resamples, medians over runs.

    python benchmarks/metrics_speed.py [--answers 100000] [--patients 25000] [--runs 5]

Target: 5 s for each of a mean, a ratio (F1) and equalized odds by five groups. All run on one thread, so the processor's seconds, by which the target is
judged, are what the clock shows on a machine that does nothing else; give OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from vesalius.metrics.fairness import Combined, answer_measures, compare
from vesalius.metrics.findings import Told, macro
from vesalius.metrics.groups import Separation
from vesalius.metrics.statistics import cluster_mean, cluster_ratio

TARGET, REPLICATES = 5.0, 2000


def tasks(answers: int, patients: int) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)
    patient = rng.integers(0, patients, answers)
    group = [str(g) for g in (np.arange(patients) % 5)[patient]]
    gold, said, every = rng.random(answers) < 0.3, rng.random(answers) < 0.4, np.ones(answers, dtype=bool)
    tp, fp, fn = (gold & said).astype(float), (~gold & said).astype(float), (gold & ~said).astype(float)
    score = np.clip(0.3 * gold + rng.random(answers) * 0.7, 0, 1)
    told = Told([str(f) for f in rng.integers(0, 14, answers)], gold, said.astype(float), score, [str(p) for p in patient])
    odds = {"combined": [Combined("equalized_odds", ("tpr", "fpr"))], "replicates": REPLICATES}
    return {
        "cluster_mean": lambda: cluster_mean(said, patient, replicates=REPLICATES),
        "cluster_ratio (F1)": lambda: cluster_ratio(2 * tp, 2 * tp + fp + fn, patient, replicates=REPLICATES),
        "equalized odds, 5 groups": lambda: compare(answer_measures(gold, said, every), group, patient, permutations=0, **odds),
        "  with 1,000 shuffles": lambda: compare(answer_measures(gold, said, every), group, patient, permutations=1000, **odds),
        "macro F1 of 14 findings": lambda: macro(told, unread="out", replicates=REPLICATES),
        "AUROC by group, no target": lambda: compare([Separation("auroc", score, gold, every)], group, patient, permutations=0, replicates=REPLICATES),
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--answers", type=int, default=100_000)
    words.add_argument("--patients", type=int, default=25_000)
    words.add_argument("--runs", type=int, default=5)
    given = words.parse_args()
    print(f"{given.answers:,} answers, {given.patients:,} patients, {REPLICATES:,} resamples; medians of {given.runs}; load {os.getloadavg()[0]:.1f}")
    for name, task in tasks(given.answers, given.patients).items():
        wall, busy = [], []
        for _ in range(given.runs):
            started, worked = time.perf_counter(), time.process_time()
            task()
            wall.append(time.perf_counter() - started)
            busy.append(time.process_time() - worked)
        seconds = statistics.median(busy)
        told = "" if "no target" in name else f"   target {TARGET:g}: {'met' if seconds <= TARGET else 'missed'}"
        print(f"{name:<28}{seconds:>8.2f} s  (clock {statistics.median(wall):.2f} s){told}")


if __name__ == "__main__":
    main()
