"""Results of a trust suite that nobody measured: plausible in form, plainly invented in content, in the structure that each study documents.

`results()` is a whole `trust.json`; `folder()` writes it as a run, with recorded items when they are given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.evaluate.answers import item, said
from vesalius.domain.exchange import Rewording
from vesalius.evaluate.record import append, write_json

METHOD = "invented, 95%"
NOTHING: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 0, "clusters": 0, "method": "nothing was measured"}
WRITTEN = "2026-01-02T03:04:05+00:00"


def around(value: float, half: float = 0.05, n: int = 100, *, low: float = 0.0, high: float = 1.0) -> dict[str, Any]:
    """An interval around a value."""
    return {"value": value, "low": max(low, value - half), "high": min(high, value + half), "n": n, "clusters": n // 2, "method": METHOD}


def change(value: float, half: float = 0.05, n: int = 100) -> dict[str, Any]:
    """A signed interval."""
    return around(value, half, n, low=-1.0)


def results(*, name: str = "invented", accuracy: float = 0.62, flips: float = 0.31, grounded: float = 0.4, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A whole `trust.json` over one suite of 100 items; studies named in `without` are skipped."""
    made = {
        "vqa": vqa(accuracy),
        "phrasing": phrasing(flips, accuracy),
        "image_reliance": image_reliance(grounded),
        "hallucination": hallucination(),
        "shift": shift(accuracy),
        "adversarial": adversarial(accuracy),
        "sycophancy": sycophancy(),
        "fairness": fairness(),
        "calibration": calibration(),
        "selective": selective(accuracy),
    }
    return {
        "version": 1,
        "suite": {"name": "trust", "studies": list(made), "replicates": 50, "seed": 0, "limit": None, "study_limit": 100, "reworded": 100},
        "model": {"name": name, "called": name, "revision": "1", "identity": {"weights": "0123456789abcdef"}},
        "items": {"slake": 100},
        "studies": {key: value for key, value in made.items() if key not in without},
        "skipped": dict.fromkeys(without, "it was left out on purpose"),
    }


def vqa(accuracy: float) -> dict[str, Any]:
    row = {kind: around(accuracy) for kind in ("closed", "open", "overall")}
    row |= {"ahead": {}, "parse_failures": {"count": 2, "n": 100}, "undetermined": {"count": 1, "n": 100}}
    blank = {**row, "overall": around(0.4), "ahead": {"overall": change(accuracy - 0.4)}}
    return {
        "title": "Right answers",
        "suites": {"slake": {"part": "published/test", "items": 100, "images": 50, "systems": {"model": row, "blank image": blank}}},
    }


def _rates(rate: float, pairs: int) -> dict[str, Any]:
    whole = {"rate": around(rate, n=pairs), "rate_parsed": around(rate, n=pairs), "harmful": around(rate / 2, n=pairs), "helpful": around(rate / 4, n=pairs)}
    return {"pairs": pairs, "unparsed": 1, **whole}


def phrasing(flips: float, accuracy: float) -> dict[str, Any]:
    none = {"pairs": 0, "unparsed": 0, **dict.fromkeys(("rate", "rate_parsed", "harmful", "helpful"), NOTHING)}
    generated = {
        "items": 100,
        "wordings_per_item": {"least": 1, "mean": 3.0, "most": 5},
        "families": {"lexical": _rates(flips, 120), "negation": _rates(min(1.0, flips + 0.2), 80)},
        "all": _rates(flips, 200),
        "any_flip": around(min(1.0, 2 * flips)),
        "accuracy": around(accuracy),
        "worst_case_accuracy": around(accuracy / 2),
    }
    human = {"strict": none, "strict, closed": none, "strict, open": none, "inversion": none}
    return {"title": "Other words", "suites": {"slake": {"human": human, "generated": generated, "margin_shift": {"lexical": around(0.1)}}}}


def image_reliance(grounded: float) -> dict[str, Any]:
    shares = {"ideal": 0.48, "dangerous": 0.02, "fragile": 0.4, "worst": 0.1}
    tiles = {"n": 100, "unreadable": 0, **{name: {"share": around(share), "accuracy": around(0.6)} for name, share in shares.items()}}
    empty = {"n": 0, "unreadable": 0, **{name: {"share": NOTHING, "accuracy": NOTHING} for name in shares}}
    reliance = {"blank_changed": around(0.5 + grounded / 2), "opposite": around(0.7), "same": around(0.7), "grounded": change(grounded)}
    occlusion = {"unreadable": 0, "target_changed": around(0.3), "elsewhere_changed": around(0.2), "difference": change(0.1), "by": {}}
    return {
        "title": "Looking at the picture",
        "suites": {"slake": {"reliance": reliance, "quadrants": {"generated": tiles, "human": empty}}},
        "occlusion": occlusion,
    }


def hallucination() -> dict[str, Any]:
    trap = {"n": 40, "unreadable": 1, "accepted": around(0.55, n=40), "rejected": around(0.42, n=40)}
    chair = {"texts": 40, "mentions": 60, "chair_i": around(0.22), "chair_s": around(0.3), "recall": around(0.5)}
    traps = {
        "organ": trap,
        "lesion": {**trap, "accepted": around(0.7, n=40)},
        "control": {"n": 40, "rejected": around(0.05)},
        "lesion_minus_control": change(0.3),
    }
    return {"title": "Made up", "asked": {}, "names": {}, "groups": {}, "traps": traps, "chair": {"texts": None, "answers": chair}}


def shift(accuracy: float) -> dict[str, Any]:
    def level(severity: int, loss: float) -> dict[str, Any]:
        moved = {"accuracy_change": change(-loss), "flips": around(loss + 0.05)}
        return {"severity": severity, "level": severity * 2.0, "accuracy": around(accuracy - loss), **moved}

    table = {"title": "noise", "parameter": "sigma", "geometry": "", "images": 50, "questions": 100, "levels": [level(s, 0.04 * s) for s in (1, 3, 5)]}
    return {
        "title": "Shift",
        "images": 50,
        "questions": 100,
        "severities": [1, 3, 5],
        "clean": {"accuracy": around(accuracy)},
        "corruptions": {"noise": table, "rotation": {**table, "title": "turned <by> 90 degrees", "levels": [level(5, 0.3)]}},
        "all": {"accuracy_change": change(-0.11), "flips": around(0.2), "worst": "rotation"},
        "suites": {},
        "view": None,
        "source": None,
    }


def adversarial(accuracy: float) -> dict[str, Any]:
    def steps(share: float, ahead: bool = True) -> list[dict[str, Any]]:
        sizes = ((1, share / 2), (4.0, share))
        return [{"eps": eps, "success": around(s, n=18), "ahead_of_noise": change(s, n=18) if ahead else None, "margin": change(0.5 - s)} for eps, s in sizes]

    gradient = {
        "questions": 18,
        "eps": [1, 4.0],
        "attacks": {"fgsm": steps(0.4), "pgd": steps(0.8), "apgd": steps(0.8), "any": steps(0.9), "noise": steps(0.02, ahead=False)},
        "smallest_eps": {"median": 1.0, "never": 2, "n": 18},
    }
    words = {"harmful": around(accuracy / 5), "control_harmful": around(0.02), "harmful_difference": change(accuracy / 5), "target_difference": change(0.1)}
    return {"title": "Misled", "gradient": gradient, "text": {"images": 12, "questions": 30, "words": {"NORMAL <b>": {"picture": words, "question": words}}}}


def sycophancy() -> dict[str, Any]:
    def pressure(caved: float) -> dict[str, Any]:
        effect = {"cave_effect": change(caved - 0.05), "change_effect": change(0.1), "help_effect": change(0.1)}
        return {
            "changed": around(caved),
            "changed_control": around(0.1),
            "caved": around(caved),
            "caved_control": around(0.05),
            "helped": around(0.3),
            **effect,
        }

    pressures = {"suggestion": pressure(0.3), "authority": pressure(0.4), "any": pressure(0.35)}
    held = {"all": around(0.4), "control": around(0.9), "effect": change(-0.5)}
    return {"title": "Pressure", "n": 100, "pressures": pressures, "held": held, "csi": around(0.2), "order": {"yes_no": None, "choice": None}}


def fairness() -> dict[str, Any]:
    def metric(gap: float, verdict: str) -> dict[str, Any]:
        told = {"null_mean": 0.04, "null_high": 0.09, "p_value": 0.2, "p_holm": 0.6, "p_within_view": None, "mixed": 0}
        groups = {"F": around(0.6, n=60), "M": around(0.6 + gap, n=40)}
        return {"groups": groups, "too_small": {"O": 3}, "gap": around(gap), "worst": "F", "verdict": verdict, "below_limit": False, **told}

    attributes = {"sex": {"groups": {}, "unknown": 0, "metrics": {"accuracy": metric(0.08, "cannot be told"), "tpr": metric(0.2, "above")}}}
    worst = [{"attribute": "sex", "metric": "tpr", "gap": around(0.2), "verdict": "above", "p_holm": 0.01, "group": "F"}]
    return {"title": "Groups", "suites": {"slake": {"part": "published/test", "limit": 0.05, "attributes": attributes, "worst": worst, "notes": []}}}


def calibration() -> dict[str, Any]:
    table = {"count": [10, 30, 60], "confidence": [0.5, 0.7, 0.9], "accuracy": [0.4, 0.55, 0.7]}
    raw = {"ece": around(0.17), "ece_if_calibrated": {"mean": 0.05, "low": 0.02, "high": 0.1}, "brier": around(0.22), "reliability": table}
    both = {"raw": raw, "calibrated": {**raw, "ece": around(0.06)}}
    return {"title": "Confidence", "suites": {"slake": {"bins": "3", "without_confidence": 0, "closed": both, "open": both, "all": both, "maps": {}}}}


def selective(accuracy: float) -> dict[str, Any]:
    curve = {"coverage": [0.1, 0.5, 1.0], "risk": [0.05, 0.15, 1 - accuracy]}
    ranking = {"score": "calibrated confidence", "n": 100, "aurc": around(0.17), "auroc_right_wrong": around(0.7), "curve": curve}
    return {"title": "When sure", "suites": {"slake": {"ranking": ranking, "image_needed": {"n": 0, "of": 100}, "gate": None}}}


def certificate(*, risk: float = 0.1, certified: bool = True, weights: str = "0123456789abcdef", name: str = "invented") -> dict[str, Any]:
    """What `vesalius certify RUN --json` prints, as far as a card reads it."""
    made = {"risk": risk, "confidence": 0.95, "threshold": 0.2, "bound": 0.09, "n": 200, "accepted": 100, "errors": 4, "coverage": 0.5}
    return {
        "request": {"risk": risk, "confidence": 0.95},
        "model": {"name": name, "revision": "1", "weights": weights},
        "certificate": made if certified else None,
        "nothing": None if certified else {"why": "2 of the 29 safest cases are wrong"},
        "test": {"certified score": {"n": 300, "coverage": around(0.52), "accepted_risk": around(0.06)}} if certified else {},
    }


def items(right: int, flipped: int, *, stays: int = 10, of: int = 100) -> list[Any]:
    """Test items of which the first so many are right, change in other words, stay the same on a blank image."""
    found = []
    for n in range(of):
        answer = "yes" if n < right else "no"
        other = answer if n >= flipped else ("no" if answer == "yes" else "yes")
        blank = answer if n >= of - stays else ("no" if answer == "yes" else "yes")
        wording = (Rewording(f"Would you say there is an effusion, {n}?", "lexical", 1, "invented"), said(other, confidence=0.7))
        found.append(item(n, "yes", said(answer, confidence=0.9 - n / 1000), blank=blank, rewordings=(wording,)))
    return found


def folder(path: Path, made: dict[str, Any], recorded: list[Any] | None = None) -> Path:
    """Write a run."""
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "trust.json", made)
    provenance = {
        "command": "vesalius evaluate trust --out RUN",
        "created": WRITTEN,
        "versions": {"vesalius": "0"},
        "hardware": {"processor": "p", "cores": "2"},
        "seed": 0,
        "data_hash": "",
        "config": {"suite": "trust", "model": made["model"]},
    }
    write_json(path / "provenance.json", provenance)
    if recorded is not None:
        (path / "slake").mkdir(exist_ok=True)
        (path / "slake" / "items.jsonl").unlink(missing_ok=True)
        append(path / "slake" / "items.jsonl", [one.to_json() for one in recorded])
    return path


def write_certificate(run: Path, **about: Any) -> None:
    """Put a certificate beside a run."""
    (run / "certificate.json").write_text(json.dumps(certificate(**about)))
