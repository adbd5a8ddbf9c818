"""Scores of reports that need a model of somebody else's: BERTScore (bert-score), and RadGraph, CheXbert, GREEN and RaTEScore (RadEval). Never required.

In: hypotheses and references. Out: one score a pair, by name. Neither library is imported before it is asked for; both load weights of their own, from the
hub unless they are cached: without a network, or without the library, a `UserError` says so. RadEval's numbers are its own and are handed through, not made
again here; version 2.2.1 was read: `RadEval(metrics=[...], per_sample=True)(refs=..., hyps=...)` gives lists by key.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vesalius.errors import InvalidValue, MissingExtra, WeightsError
from vesalius.registry import unknown

BERTSCORE_MODEL, BERTSCORE_LAYERS = "distilbert-base-uncased", 5  # what RadEval takes, so that both say the same
_RADEVAL = ("radgraph", "f1chexbert", "green", "ratescore")
EXTRAS = ("bertscore", *_RADEVAL)


def extra(name: str, hypotheses: Sequence[str], references: Sequence[str]) -> Mapping[str, list[float]]:
    """Scores of each pair, by the key under which the library reports them.

    `f1chexbert` has no score of one pair: its keys are the share of labels on which both reports agree (`f1chexbert_sample_acc_5`, `_all`).

    Raises:
        UnknownName: not of `EXTRAS`. MissingExtra: the library is not installed. WeightsError: its weights cannot be had. InvalidValue: lengths differ.
    """
    if name not in EXTRAS:
        raise unknown("extra score", name, list(EXTRAS))
    if len(hypotheses) != len(references):
        raise InvalidValue(f"each hypothesis needs a reference (got {len(hypotheses)} and {len(references)})", remedy="give them in pairs")
    if not hypotheses:
        return {}
    score = _bertscore if name == "bertscore" else lambda said, wanted: _radeval(name, said, wanted)
    return _guarded(name, score, list(hypotheses), list(references))


def _guarded(name: str, score: Callable[[list[str], list[str]], Mapping[str, Any]], hypotheses: list[str], references: list[str]) -> Mapping[str, list[float]]:
    try:
        found = score(hypotheses, references)
        scores = {key: [float(value) for value in values] for key, values in found.items()}
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, ImportError) as error:
        raise WeightsError(
            f"{name} cannot be computed ({type(error).__name__}: {error})", remedy="let its library fetch its weights once, or leave it out"
        ) from error
    if any(len(values) != len(hypotheses) for values in scores.values()):
        raise WeightsError(f"{name} gave another number of scores than pairs", remedy="use the version of the library that is named in docs/studies/report.md")
    return scores


def _library(module: str, package: str) -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"the library {package} is not installed ({error})", remedy=f"pip install {package}, or leave this score out") from error


def _bertscore(hypotheses: list[str], references: list[str]) -> Mapping[str, Any]:
    library = _library("bert_score", "bert-score")
    _, _, f1 = library.score(hypotheses, references, model_type=BERTSCORE_MODEL, num_layers=BERTSCORE_LAYERS, verbose=False)
    return {"bertscore": f1.tolist()}


def _radeval(name: str, hypotheses: list[str], references: list[str]) -> Mapping[str, Any]:
    library = _library("radeval", "radeval")
    found: Mapping[str, Any] = library.RadEval(metrics=[name], per_sample=True, show_progress=False)(refs=references, hyps=hypotheses)
    return found
