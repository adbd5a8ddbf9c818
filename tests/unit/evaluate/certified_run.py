"""Recorded runs by formula: as many patients as wanted, whose answers are wrong more often the less sure they are."""

import json

import numpy as np

from tests.unit.evaluate.answers import item, said
from vesalius.evaluate import task
from vesalius.evaluate.record import append

MODEL = {
    "name": "fake",
    "revision": "1",
    "called": "fake",
    "identity": {"weights": "abc"},
    "modalities": ["CR"],
    "body_parts": ["CHEST"],
    "languages": ["en"],
}


def items(patients=400, *, seed=0, part="official/development", each=2, start=0, slope=0.5, question="Is there an effusion?"):
    """Yes/no answers; P(wrong) = 4 * slope * (1 - confidence)^2, so that sure answers are right."""
    rng = np.random.default_rng(seed)
    found = []
    for patient in range(start, start + patients):
        for number in range(each):
            sure = float(rng.uniform(0.5, 1.0))
            wrong = bool(rng.random() < 4 * slope * (1 - sure) ** 2)
            tags = {"modality": "CR", "body_part": "CHEST", "sex": "FM"[patient % 2], "age": str(20 + patient % 60), "view": "PA", "ward": "AB"[patient % 2]}
            answer = said("no" if wrong else "yes", confidence=sure, p_yes=1 - sure if wrong else sure)
            blank = "no" if rng.random() < 0.5 else "yes"
            found.append(item(f"{patient}-{number}", "yes", answer, blank=blank, swap=blank, cluster=f"p{patient}", part=part, tags=tags, question=question))
    return found


def write(folder, rows, *, suite="slake", model=MODEL, readings=()):
    """A run folder with these items."""
    folder.mkdir(parents=True, exist_ok=True)
    append(folder / task.ITEMS, [row.to_json() for row in rows])
    made = {"config": {"suite": suite, "model": model}, "data_hash": "0" * 64}
    (folder / task.PROVENANCE).write_text(json.dumps(made))
    if readings:
        append(folder / task.READINGS, readings)
    return folder


def reading(row, **signals):
    """What the gate measured of an item; every signal as good as it can be, but for those given."""
    values = {"uncertainty": 0.0, "flip_rate": 0.0, "image_reliance": 1.0, "hallucination_risk": 0.0, "bias_score": None, "out_of_scope": 0.0} | signals
    return {
        "id": row.id,
        "answer": row.answer.text,
        "outcome": str(row.answer.outcome),
        "confidence": row.answer.confidence,
        "decision": "released",
        "concerns": [],
        "signals": {name: {"value": value, "reason": "none" if value is None else None} for name, value in values.items()},
        "paraphrases": [{}] * 3,
        "samples": ["yes"] * 4,
    }
