"""The rows of `metric_names.py` about overlap of words: BLEU, ROUGE-L, METEOR by sacrebleu, nltk, rouge-score, pycocoevalcap and this package."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.data import base
from vesalius.domain.exchange import Split
from vesalius.metrics import report, text

OURS = "**Vesalius**"
Row = tuple[str, str, float | None, int]  # name, whose definition, value, items
Pairs = Sequence[tuple[str, str]]


def optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def report_pairs(root: Path, n: int) -> Pairs:
    """(hypothesis, reference): findings against those of the next report."""
    found = [r for r in base.dataset("iu-reports").reports(root) if r.split is Split.TEST and r.findings]
    ordered = sorted(found, key=lambda r: hashed(r.id))[: n + 1]
    return [(a.findings, b.findings) for a, b in zip(ordered[1:], ordered, strict=False)]


def bleu(pairs: Pairs) -> Iterator[Row]:
    sacrebleu, nltk = importlib.import_module("sacrebleu"), importlib.import_module("nltk.translate.bleu_score")
    said, wanted, n = [a for a, _ in pairs], [[b for _, b in pairs]], len(pairs)
    smooth = nltk.SmoothingFunction()
    for tokens in ("13a", "intl", "none", "char"):
        yield "BLEU-4, corpus", f'sacrebleu, tokenize="{tokens}"', sacrebleu.metrics.BLEU(tokenize=tokens).corpus_score(said, wanted).score / 100, n
    yield "BLEU-4, corpus", 'sacrebleu, "13a", lowercase', sacrebleu.metrics.BLEU(tokenize="13a", lowercase=True).corpus_score(said, wanted).score / 100, n
    split = [(a.lower().split(), [b.lower().split()]) for a, b in pairs]
    yield "BLEU-4, corpus", "nltk corpus_bleu, lower case, split at spaces", nltk.corpus_bleu([b for _, b in split], [a for a, _ in split]), n
    if coco := optional("pycocoevalcap.bleu.bleu"):
        gts, res = {i: [b.lower()] for i, (_, b) in enumerate(pairs)}, {i: [a.lower()] for i, (a, _) in enumerate(pairs)}
        yield "BLEU-4, corpus", "pycocoevalcap (R2Gen's table), lower case, split at spaces", coco.Bleu(4).compute_score(gts, res, verbose=0)[0][3], n
    yield "BLEU-4, corpus", OURS, report.corpus_bleu(np.asarray([report.bleu_counts(*p) for p in pairs])), n
    metric = sacrebleu.metrics.BLEU(tokenize="13a", effective_order=True)
    yield "BLEU-4, mean of sentences", 'sacrebleu "13a", effective order', mean(metric.sentence_score(a, [b]).score / 100 for a, b in pairs), n
    for name, method in (
        ("no smoothing", None),
        ("method1", smooth.method1),
        ("method3", smooth.method3),
        ("method4", smooth.method4),
        ("method7", smooth.method7),
    ):
        yield "BLEU-4, mean of sentences", f"nltk, {name}", mean(nltk.sentence_bleu(b, a, smoothing_function=method or smooth.method0) for a, b in split), n
    yield "BLEU-4, mean of sentences", OURS, mean(report.sentence_bleu(*p) for p in pairs), n


def rouge(pairs: Pairs) -> Iterator[Row]:
    scorer, n = importlib.import_module("rouge_score.rouge_scorer"), len(pairs)
    for stemmed in (False, True):
        made = scorer.RougeScorer(["rougeL", "rougeLsum"], use_stemmer=stemmed)
        scores = [made.score(b, a) for a, b in pairs]
        yield "ROUGE-L", f"rouge-score rougeL F1{', stemmed' if stemmed else ''}", mean(s["rougeL"].fmeasure for s in scores), n
    made = scorer.RougeScorer(["rougeLsum"])
    by_line = [made.score(lines(b), lines(a))["rougeLsum"] for a, b in pairs]
    yield "ROUGE-L", "rouge-score rougeLsum, a sentence a line", mean(s.fmeasure for s in by_line), n
    made = scorer.RougeScorer(["rougeL"])
    yield "ROUGE-L", "rouge-score rougeL, recall", mean(made.score(b, a)["rougeL"].recall for a, b in pairs), n
    if coco := optional("pycocoevalcap.rouge.rouge"):
        metric = coco.Rouge()
        yield "ROUGE-L", "pycocoevalcap, F with beta 1.2, split at spaces", mean(metric.calc_score([a.lower()], [b.lower()]) for a, b in pairs), n
    yield "ROUGE-L", OURS, mean(report.rouge_l(*p) for p in pairs), n


def lines(words: str) -> str:
    return re.sub(r"\.\s+", ".\n", words)


class NoWordNet:
    """Stands for WordNet where its data are absent: it knows no synonym."""

    def synsets(self, word: str) -> list[str]:  # noqa: ARG002 - nltk's signature
        return []


def meteor(pairs: Pairs) -> Iterator[Row]:
    nltk, porter, n = importlib.import_module("nltk.translate.meteor_score"), importlib.import_module("nltk.stem.porter"), len(pairs)
    ways: list[tuple[str, Any]] = [("no synonyms", NoWordNet())]
    try:
        words = importlib.import_module("nltk.corpus").wordnet
        words.synsets("heart")
        ways.append(("with WordNet 3.1", words))
    except LookupError:
        pass
    ours = [(report.tokens(a), report.tokens(b)) for a, b in pairs]
    spaces = [(a.split(), b.split()) for a, b in pairs]
    for label, net in ways:
        for split, tokens in (("split at spaces", spaces), ("our tokens", ours)):
            value = mean(nltk.single_meteor_score(b, a, wordnet=net) for a, b in tokens)
            yield "METEOR", f"nltk, {split}, {label}", value, n
    stemmer = porter.PorterStemmer(mode="ORIGINAL_ALGORITHM")
    value = mean(nltk.single_meteor_score(b, a, stemmer=stemmer, wordnet=NoWordNet(), alpha=0.85, beta=0.2, gamma=0.6) for a, b in ours)
    yield "METEOR", "METEOR 1.5's alpha, beta, gamma (0.85, 0.2, 0.6), without its weights and paraphrases", value, n
    yield "METEOR", OURS, mean(report.meteor(*p) for p in pairs), n


def short_bleu(pairs: Pairs) -> Iterator[Row]:
    """Of answers of one or two words, where no 4-gram exists."""
    sacrebleu, nltk, n = importlib.import_module("sacrebleu"), importlib.import_module("nltk.translate.bleu_score"), len(pairs)
    for whose, effective in (("sacrebleu, effective order off (its default)", False), ("sacrebleu, effective order on", True)):
        metric = sacrebleu.metrics.BLEU(lowercase=True, effective_order=effective)
        yield "BLEU, mean of open answers", whose, mean(metric.sentence_score(a, [b]).score / 100 for a, b in pairs), n
    smooth = nltk.SmoothingFunction().method1
    split = [(text.normalise(a).split(), [text.normalise(b).split()]) for a, b in pairs]
    yield "BLEU, mean of open answers", "nltk, 4 orders, method1, our tokens", mean(nltk.sentence_bleu(b, a, smoothing_function=smooth) for a, b in split), n
    yield "BLEU, mean of open answers", f"{OURS}: BLEU-1", mean(text.bleu1(*p) for p in pairs), n


def mean(values: Any) -> float:
    return float(np.mean(list(values)))
