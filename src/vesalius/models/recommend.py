"""Which model for which task: what the literature recommends, and what is known here that it does not say. `vesalius models recommend TASK`.

In: the name of a task. Out: picks in order, each with its reason. No model is loaded; a recommendation is a place to start measuring, not a result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from vesalius.errors import UnknownName
from vesalius.registry import unknown


@dataclasses.dataclass(frozen=True)
class Pick:
    """A model for a task.

    Args:
        model: a name that `vesalius models` lists. why: in a sentence; what was measured here says so.
    """

    model: str
    why: str


_POCKET = Pick(
    "pocket",
    "runs offline on two CPU cores; measured here: SLAKE 82.7 % right (80.3–84.9), VQA-RAD closed 61.0 % (54.4–67.8), pneumonia AUROC 0.831 (0.735–0.918); "
    "a place to try the gate, not a reader of films",
)
TASKS: Mapping[str, tuple[Pick, ...]] = MappingProxyType(
    {
        "chest-x-ray": (
            Pick(
                "chexagent-2-3b",
                "made for chest films: findings, views, changes, boxes; published F1CheXbert on MIMIC-CXR findings 44.9 macro, 58.0 micro (14 labels)",
            ),
            Pick("llava-rad-7b", "findings of frontal films, given why they were taken; research only"),
            Pick("llava-med-1.5-7b", "general; no chest figures are published for this version"),
            _POCKET,
        ),
        "report": (
            Pick("chexagent-2-3b", "writes findings of chest films; published F1CheXbert 44.9 macro, 58.0 micro (14 labels); not measured here"),
            Pick("llava-rad-7b", "writes findings of frontal chest films; published F1CheXbert 39.5 macro, 57.3 micro (14 labels); not measured here"),
            Pick("medgemma-4b", "writes reports of several modalities; gated; not measured here"),
        ),
        "grounding": (Pick("chexagent-2-3b", "names boxes for phrases on chest films; nothing here measures them yet"),),
        "general-vqa": (
            Pick("llava-med-1.5-7b", "CT, MR, films, histology and gross pathology in one model; its data are figures of articles"),
            Pick("medgemma-4b", "films, CT, MR, pathology, skin and fundus; published SLAKE token F1 62.3, VQA-RAD closed 69.1; gated"),
            Pick("lingshu-7b", "ten modalities, a token for each 28 x 28 pixels; published figures depend on a suite of its own"),
            _POCKET,
        ),
        "pathology": (
            Pick("llava-med-1.5-7b", "its data hold histology and gross pathology"),
            Pick("biomedclip", "ranks given options and finds similar images; does not write"),
            Pick("visual-med-alpaca-7b", "often recommended for pathology, but no pathology expert of it was ever released"),
        ),
        "few-shot": (Pick("med-flamingo-9b", "examples with images go before the question; made for it, and for research only"),),
        "retrieval": (Pick("biomedclip", "images and texts in one space, 15 million pairs of figures and captions; exact index in `models/retrieval.py`"),),
        "zero-shot": (Pick("biomedclip", "ranks options that are given in words"),),
        "offline": (_POCKET,),
        "hosted": (Pick("remote", "any OpenAI-compatible endpoint; de-identified studies only, and the same gate"),),
    }
)


def picks(task: str) -> tuple[Pick, ...]:
    """The picks of a task, best first.

    Raises:
        UnknownName: no such task.
    """
    found = TASKS.get(task)
    if found is None:
        error: UnknownName = unknown("task", task, list(TASKS))
        raise error
    return found
