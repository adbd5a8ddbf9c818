"""One name, several quantities: the same items under the definitions of several libraries and papers, printed as a table.

    python benchmarks/metric_names.py --data ROOT [--items runs/vqa-rad/items.jsonl] [--pairs 300]

Items: findings sections of the test half of the Indiana reports, each against the next by a hash of its number; the answers of a recorded run to the official
VQA-RAD test; boxes of SLAKE. Needs sacrebleu, nltk, rouge-score, scikit-learn; torchmetrics and pycocoevalcap, and WordNet for nltk, are rows of their own when
they are there. Definitions without a library beside them are written out here, from their papers.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import logging
import math
import platform
import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from name_words import OURS, Pairs, Row, bleu, mean, meteor, optional, report_pairs, rouge, short_bleu
from vesalius.data import base
from vesalius.domain.exchange import Outcome, Split
from vesalius.evaluate.record import Item, read_items
from vesalius.metrics import calibration, hallucination, labels, phrasing, selective, text
from vesalius.metrics.agreement import macro_f1
from vesalius.metrics.localisation import iou
from vesalius.metrics.statistics import cluster_mean

PACKAGES = ("sacrebleu", "nltk", "rouge_score", "scikit-learn", "torchmetrics", "pycocoevalcap", "numpy")


def squad(words: str) -> list[str]:
    """The normalisation of the SQuAD script: lower case, punctuation away, articles away."""
    plain = "".join(c for c in words.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()


def overlap_f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    both = sum((Counter(said) & Counter(wanted)).values())
    return 2 * both / (len(said) + len(wanted)) if both else 0.0


def answers(items: Sequence[Item]) -> Iterator[Row]:
    pairs = [(i.answer.text, i.exchange.gold) for i in items if i.exchange.closed is False]
    n = len(pairs)
    yield "token F1, open questions", "split at spaces, case kept", mean(overlap_f1(a.split(), b.split()) for a, b in pairs), n
    yield "token F1, open questions", "SQuAD's normalisation", mean(overlap_f1(squad(a), squad(b)) for a, b in pairs), n
    yield "token F1, open questions", OURS, mean(text.token_f1(*p) for p in pairs), n
    yield "token recall, open questions", "LLaVA-Med's rule (repetitions count)", mean(text.llava_med_recall(*p) for p in pairs), n
    yield "token recall, open questions", OURS, mean(text.token_recall(*p) for p in pairs), n
    yield from short_bleu(pairs)
    yield "accuracy, open questions", "strings equal", mean(float(a == b) for a, b in pairs), n
    yield "accuracy, open questions", "SQuAD's exact match", mean(float(squad(a) == squad(b)) for a, b in pairs), n
    yield "accuracy, open questions", "the reference occurs in the answer", mean(float(text.normalise(b) in text.normalise(a)) for a, b in pairs), n
    yield (
        "accuracy, open questions",
        "token recall of 0.75 or more (MultiMedEval's threshold), our tokens",
        mean(float(text.token_recall(*p) >= 0.75) for p in pairs),
        n,
    )
    yield "accuracy, open questions", OURS, mean(float(text.exact_match(*p)) for p in pairs), n
    closed = [(i.answer.text, i.exchange.gold) for i in items if i.exchange.closed]
    n = len(closed)
    yield "accuracy, closed questions", "the reference occurs in the answer (LLaVA-Med's run_eval_batch.py)", mean(float(b in a) for a, b in plain(closed)), n
    yield "accuracy, closed questions", "... and yes or no occurs", mean(float(text.llava_med_closed(*p)) for p in closed), n
    counted = [p for p in closed if text.llava_med_closed(*p) or not ("yes" in text.normalise(p[0]) or "no" in text.normalise(p[0]))]
    yield (
        "accuracy, closed questions",
        "LLaVA-Med's run_eval.py: of what is left when lapses go",
        mean(float(text.llava_med_closed(*p)) for p in counted),
        len(counted),
    )
    yield (
        "accuracy, closed questions",
        "token recall of 0.4 or more (MultiMedEval's threshold), our tokens",
        mean(float(text.token_recall(*p) >= 0.4) for p in closed),
        n,
    )
    yield "accuracy, closed questions", OURS, mean(float(right(*p)) for p in closed), n


def plain(pairs: Pairs) -> Iterator[tuple[str, str]]:
    return ((text.normalise(a), text.normalise(b)) for a, b in pairs)


def right(said: str, gold: str) -> bool:
    wanted = text.read_outcome(gold)
    return text.read_outcome(said) is wanted if wanted in (Outcome.YES, Outcome.NO) else text.exact_match(said, gold)


def binary(items: Sequence[Item]) -> tuple[list[Item], np.ndarray, np.ndarray]:
    """Yes/no questions with P(yes): the items, P(yes), gold."""
    chosen = [i for i in items if i.answer.p_yes is not None and text.read_outcome(i.exchange.gold) in (Outcome.YES, Outcome.NO)]
    return chosen, np.asarray([i.answer.p_yes for i in chosen]), np.asarray([text.read_outcome(i.exchange.gold) is Outcome.YES for i in chosen], dtype=int)


def confidences(items: Sequence[Item]) -> Iterator[Row]:
    told = [i for i in items if i.answer.confidence is not None]
    p, y = np.asarray([i.answer.confidence for i in told]), np.asarray([float(right(i.answer.text, i.exchange.gold)) for i in told])
    n = len(told)
    for bins in (10, 20):
        yield "ECE", f"{bins} bins of equal width", calibration.ece(p, y, bins), n
    yield "ECE", "15 bins of equal mass (often ACE)", calibration.ece(p, y, 15, "mass"), n
    yield "ECE", "root of the weighted mean square ('l2')", squares(p, y), n
    yield "ECE", "largest gap of a bin (MCE)", gap(p, y), n
    if metrics := optional("torchmetrics.functional.classification"):
        torch = importlib.import_module("torch")
        given, truth = torch.tensor(p), torch.tensor(y).int()
        yield "ECE", "torchmetrics binary_calibration_error, 15 bins", float(metrics.binary_calibration_error(given, truth, n_bins=15, norm="l1")), n
    _, yes, gold = binary(items)
    yield "ECE", "P(yes) of yes/no questions against gold, not the confidence in the answer", calibration.ece(yes, gold), len(gold)
    sure = np.maximum(yes, 1 - yes)
    yield "ECE", "the same questions, confidence in the answer against right", calibration.ece(sure, (yes > 0.5) == gold), len(gold)
    yield "ECE", f"{OURS}, 15 bins of equal width, confidence against right", calibration.ece(p, y), n
    yield "Brier", "sum over both classes (Brier 1950), twice ours", 2 * float(((yes - gold) ** 2).mean()), len(gold)
    yield "Brier", "scikit-learn brier_score_loss, P(yes)", float(sklearn().brier_score_loss(gold, yes)), len(gold)
    yield "Brier", f"{OURS}, P(yes) against gold", calibration.brier(yes, gold), len(gold)
    yield from ranked(p, 1 - y)


def squares(p: np.ndarray, y: np.ndarray) -> float:
    table = calibration.reliability(p, y)
    return float(np.sqrt((table.count * (table.accuracy - table.confidence) ** 2).sum() / table.count.sum()))


def gap(p: np.ndarray, y: np.ndarray) -> float:
    table = calibration.reliability(p, y)
    return float(np.abs(table.accuracy - table.confidence).max())


def ranked(p: np.ndarray, loss: np.ndarray) -> Iterator[Row]:
    """Areas under the risk-coverage curve; `two` rounds confidences to one decimal, so that many are equal."""
    n, two = len(p), np.round(p, 1)
    coverage, risk = selective.risk_coverage(p, loss)
    yield "AURC", "trapezoids between coverages 1/n and 1", float(np.trapezoid(risk, coverage)), n
    yield "AURC", "times 1000, as tables print it", 1000 * float(risk.mean()), n
    yield "AURC", "excess (E-AURC) over the best order", selective.eaurc(p, loss), n
    yield (
        "AURC",
        "E-AURC of Geifman's closed form, r + (1 - r) ln(1 - r)",
        float(risk.mean() - (loss.mean() + (1 - loss.mean()) * math.log(1 - loss.mean()))),
        n,
    )
    yield "AURC", "AUGRC (Traub et al. 2024)", selective.augrc(p, loss), n
    yield "AURC", f"{OURS}: mean risk over k = 1..n", selective.aurc(p, loss), n
    for name, order in (
        ("in file order", np.argsort(-two, kind="stable")),
        ("errors first", np.lexsort((-loss, -two))),
        ("errors last", np.lexsort((loss, -two))),
    ):
        yield "AURC, equal scores (one decimal)", name, float((np.cumsum(loss[order]) / np.arange(1, n + 1)).mean()), n
    yield "AURC, equal scores (one decimal)", f"{OURS}: mean over all orders", selective.aurc(two, loss), n
    label = (1 - loss).astype(int)
    order = np.argsort(two, kind="stable")
    places = np.empty(n)
    places[order] = np.arange(1, n + 1)
    naive = (places[label == 1].sum() - label.sum() * (label.sum() + 1) / 2) / (label.sum() * (n - label.sum()))
    yield "AUROC of right, equal scores (one decimal)", "ranks in file order", float(naive), n
    yield "AUROC of right, equal scores (one decimal)", "scikit-learn", float(sklearn().roc_auc_score(label, two)), n
    yield "AUROC of right, equal scores (one decimal)", f"{OURS}: ties half", selective.auroc(two, label), n


def sklearn() -> Any:
    return importlib.import_module("sklearn.metrics")


def classes(items: Sequence[Item]) -> Iterator[Row]:
    """Macro F1, balanced accuracy, kappa over the words of closed answers."""
    closed = [i for i in items if i.exchange.closed]
    gold, said = ([text.normalise(t) for t in texts] for texts in ([i.exchange.gold for i in closed], [i.answer.text for i in closed]))
    names, n, metrics = sorted(set(gold)), len(closed), sklearn()
    for whose, kinds in (
        ("scikit-learn, labels of gold and answers", sorted(set(gold) | set(said))),
        ("scikit-learn, labels of gold only", names),
        ("scikit-learn, yes and no only", ["no", "yes"]),
    ):
        yield "macro F1, closed answers", whose, float(metrics.f1_score(gold, said, labels=kinds, average="macro", zero_division=0)), n
    used = sorted(set(gold) | set(said))
    one, two = (np.asarray([[t == name for name in used] for t in texts]) for texts in (gold, said))
    recalls, precisions = ((one & two).sum(axis=0) / np.maximum(1, x.sum(axis=0)) for x in (one, two))
    p, r = float(precisions.mean()), float(recalls.mean())
    yield "macro F1, closed answers", "harmonic mean of macro precision and macro recall", 2 * p * r / (p + r), n
    yield "macro F1, closed answers", f"{OURS}: labels that occur on either side", macro_f1(one, two, None, replicates=2)[0].value, n
    chosen, yes, truth = binary(items)
    guess, k = (yes > 0.5).astype(int), len(chosen)
    yield "balanced accuracy, P(yes) > 0.5", "scikit-learn", float(metrics.balanced_accuracy_score(truth, guess)), k
    yield "balanced accuracy, P(yes) > 0.5", "adjusted for chance", float(metrics.balanced_accuracy_score(truth, guess, adjusted=True)), k
    yield "balanced accuracy, P(yes) > 0.5", "plain accuracy", float((truth == guess).mean()), k
    yield "kappa, answer against gold", "Cohen", float(metrics.cohen_kappa_score(truth, guess)), k
    yield "kappa, answer against gold", "Scott's pi (one margin for both)", scott(truth, guess), k
    yield "kappa, answer against gold", "free margins (Brennan-Prediger)", 2 * float((truth == guess).mean()) - 1, k


def findings(pairs: Pairs) -> Iterator[Row]:
    """F1 of the 28 findings, some of which nobody states: the first reports only, so that there are such."""
    chosen = pairs[:60]
    said, wanted = (
        np.asarray([[v is labels.Status.POSITIVE for v in labels.label_report(f"FINDINGS: {t}").values()] for t in texts])
        for texts in zip(*chosen, strict=True)
    )
    n, metrics = len(chosen), sklearn()
    absent = int((~(said | wanted).any(axis=0)).sum())
    for zero in (0.0, 1.0, np.nan):
        value = metrics.f1_score(wanted, said, average="macro", zero_division=zero)
        yield "macro F1, findings of reports", f"scikit-learn, zero_division={zero:g} ({absent} of {said.shape[1]} findings absent)", float(value), n
    yield (
        "macro F1, findings of reports",
        "scikit-learn, average='samples', zero_division=0",
        float(metrics.f1_score(wanted, said, average="samples", zero_division=0)),
        n,
    )
    yield "macro F1, findings of reports", "scikit-learn, average='weighted'", float(metrics.f1_score(wanted, said, average="weighted", zero_division=0)), n
    yield "macro F1, findings of reports", f"{OURS}: findings that occur on either side", macro_f1(wanted, said, None, replicates=2)[0].value, n


def scott(one: np.ndarray, two: np.ndarray) -> float:
    share = (one.mean() + two.mean()) / 2
    chance = share**2 + (1 - share) ** 2
    return float(((one == two).mean() - chance) / (1 - chance))


def reworded(items: Sequence[Item]) -> Iterator[Row]:
    asked = [i for i in items if i.rewordings]
    states = [phrasing.flips(i.answer.text, [a.text for _, a in i.rewordings or ()], [w.polarity for w, _ in i.rewordings or ()]) for i in asked]
    raw = [[float(a.text != i.answer.text) for _, a in i.rewordings or ()] for i in asked]
    found, pairs = phrasing.summarise(states), sum(len(r) for r in raw)
    yield "flip rate, generated wordings", "strings differ, polarity ignored", float(np.concatenate(raw).mean()), pairs
    yield "flip rate, generated wordings", "mean over questions of each one's rate", mean(float((s != phrasing.Flip.SAME).mean()) for s in states), len(asked)
    yield "flip rate, generated wordings", f"any flip (m {found.m[0]} to {found.m[2]}, mean {found.m[1]:.1f})", found.any_flip, len(asked)
    yield "flip rate, generated wordings", f"{OURS}, unparsed left out", found.rate_parsed, pairs - found.unparsed
    yield "flip rate, generated wordings", f"{OURS}, unparsed count as flips", found.rate, pairs
    whose = [(hallucination.labels(keys), logs) for i in asked for keys, logs in [sampled(i)]]
    n = len(whose)
    yield "semantic entropy, wordings as samples", "Monte Carlo over meanings (Kuhn et al. 2023), -mean ln p(c)", mean(monte_carlo(*w) for w in whose), n
    yield "semantic entropy, wordings as samples", "in bits", mean((hallucination.semantic_entropy(*w) or 0) / math.log(2) for w in whose), n
    yield "semantic entropy, wordings as samples", "discrete (shares of samples)", mean(hallucination.discrete_semantic_entropy(w[0]) for w in whose), n
    yield "semantic entropy, wordings as samples", "DSE: discrete, decimal logarithm", mean(hallucination.dse(w[0]) for w in whose), n
    yield "semantic entropy, wordings as samples", f"{OURS}: weighted by likelihood, nats", mean(hallucination.semantic_entropy(*w) for w in whose), n


def sampled(item: Item) -> tuple[list[str], list[float]]:
    """Answers to the wordings that keep the polarity, with log-likelihood per token."""
    every = [item.answer, *(a for w, a in item.rewordings or () if w.polarity == 1)]
    return [text.normalise(a.text) for a in every], [a.logprob / max(1, a.tokens or 1) for a in every if a.logprob is not None]


def monte_carlo(of: Sequence[int], logs: Sequence[float]) -> float:
    """Each meaning's summed likelihood, not made to sum to one; averaged over meanings (eq. 4 of arXiv 2302.09664)."""
    sums = np.bincount(of, np.exp(logs)) / len(of)
    return float(-np.log(sums).mean())


def boxes(root: Path) -> Iterator[Row]:
    regions = [a.regions for s in (Split.TRAIN, Split.DEVELOPMENT) for a in base.dataset("slake").attributes(root, s)]
    pairs = [(a, b) for found in regions for a, b in combinations([box for *_, box in found], 2) if iou(a, b) > 0]
    small = sorted(pairs, key=lambda p: min(p[0].area, p[1].area))[: len(pairs) // 10]
    for name, chosen in (("IoU of overlapping boxes", pairs), ("IoU of overlapping boxes, smallest tenth", small)):
        yield name, "corners are pixels: width = x1 - x0 + 1 (VOC)", mean(inclusive(a, b) for a, b in chosen), len(chosen)
        yield name, "Dice instead", mean(2 * iou(a, b) / (1 + iou(a, b)) for a, b in chosen), len(chosen)
        yield name, f"{OURS}: corners are edges", mean(iou(a, b) for a, b in chosen), len(chosen)


def inclusive(one: Any, two: Any) -> float:
    def size(box: Sequence[float]) -> float:
        return max(0.0, box[2] - box[0] + 1) * max(0.0, box[3] - box[1] + 1)

    first, second = ((b.x0, b.y0, b.x1, b.y1) for b in (one, two))
    both = size([*np.maximum(first[:2], second[:2]), *np.minimum(first[2:], second[2:])])
    return both / (size(first) + size(second) - both)


def bounds(items: Sequence[Item]) -> str:
    closed = [i for i in items if i.exchange.closed]
    found = cluster_mean([float(right(i.answer.text, i.exchange.gold)) for i in closed], [i.exchange.cluster for i in closed])
    return f"for scale: the interval of closed accuracy over images is {found.low:.3f} to {found.high:.3f}"


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data root")
    parser.add_argument("--items", type=Path, default=Path("runs/vqa-rad/items.jsonl"), help="of a recorded run over VQA-RAD")
    parser.add_argument("--pairs", type=int, default=300, help="of reports")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # sacrebleu and nltk warn at every short sentence, which is what is shown
    warnings.simplefilter("ignore")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    items = [i for i in read_items(args.items) if "official/test" in i.parts]
    pairs = report_pairs(args.data, args.pairs)
    groups: tuple[tuple[Callable[[Any], Iterator[Row]], Any], ...] = (
        *((work, pairs) for work in (bleu, rouge, meteor, findings)),
        *((work, items) for work in (answers, confidences, classes, reworded)),
        (boxes, args.data),
    )
    print("| name | whose definition | value | n |\n|---|---|---|---|")
    for work, given in groups:
        for name, whose, value, n in work(given):
            print(f"| {name} | {whose} | {'-' if value is None else f'{value:.4f}'} | {n} |", flush=True)
    print(bounds(items))


if __name__ == "__main__":
    main()
