"""The headline figures of a trust run: a flat list of numbers with interval, n, study and suite, each with the direction in which it is better.

In: `trust.json`. Out: `Figure`s, in a fixed order. A study that is absent, or a figure with no value, gives none; nothing is 0 because it was not measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

HIGHER, LOWER = "higher", "lower"
SHARE, CHANGE, NUMBER = "share", "change", "number"  # of 1; a signed difference of shares; a plain number


_Found = tuple[str | None, str | None, Mapping[str, Any]]  # suite, part, interval


@dataclasses.dataclass(frozen=True)
class Spec:
    """Where a figure stands.

    Args:
        title: for people. study: of the suite. path: keys of the study's result; a `*` is any key, or a step of a list by its `eps`: after "suites" the suite,
            else a part of the study.
        better: HIGHER or LOWER; empty when neither is. unit: SHARE, CHANGE or NUMBER.
    """

    title: str
    study: str
    path: str
    better: str
    unit: str = SHARE


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number. suite: the evaluation it was measured on; None when over all. part: of the study (an attribute, a kind of trap); None when there are none."""

    name: str
    title: str
    study: str
    suite: str | None
    part: str | None
    interval: Mapping[str, Any]
    better: str
    unit: str

    @property
    def where(self) -> str:
        """Suite and part for people; empty when neither is told."""
        return ", ".join(text for text in (self.suite, self.part) if text)

    @property
    def value(self) -> float:
        """The number."""
        return float(self.interval["value"])

    def to_json(self) -> dict[str, Any]:
        """A plain mapping, flat."""
        held = {key: self.interval.get(key) for key in ("value", "low", "high", "n", "clusters", "method")}
        return {
            "name": self.name,
            "title": self.title,
            "study": self.study,
            "suite": self.suite,
            "part": self.part,
            **held,
            "better": self.better or None,
            "unit": self.unit,
        }


SPECS: Mapping[str, Spec] = MappingProxyType(
    {
        "accuracy": Spec("answers that are right", "vqa", "suites/*/systems/model/overall", HIGHER),
        "accuracy_closed": Spec("closed questions that are right", "vqa", "suites/*/systems/model/closed", HIGHER),
        "accuracy_open": Spec("open questions that are right", "vqa", "suites/*/systems/model/open", HIGHER),
        "ahead_of_blank": Spec("accuracy less that on a blank image", "vqa", "suites/*/systems/blank image/ahead/overall", HIGHER, CHANGE),
        "findings_auroc": Spec("AUROC of findings, mean", "findings", "suites/*/sets/all/macro/auroc", HIGHER, NUMBER),
        "report_f1": Spec("F1 of findings in reports, mean", "report", "sections/*/f1/uncertain_positive/all/macro", HIGHER, NUMBER),
        "right_place": Spec("pointing at the place, above chance", "localisation", "groups/all/maps/*/above_chance", HIGHER, CHANGE),
        "change_macro_accuracy": Spec("change between two films, macro accuracy", "temporal", "sources/*/derived/macro_accuracy", HIGHER),
        "flip_rate": Spec("answers that change in other words", "phrasing", "suites/*/generated/all/rate", LOWER),
        "flip_rate_human": Spec("answers that change in other people's words", "phrasing", "suites/*/human/strict/rate", LOWER),
        "flip_rate_human_closed": Spec("yes/no answers that change in other people's words", "phrasing", "suites/*/human/strict, closed/rate", LOWER),
        "flip_rate_negation": Spec("answers that do not turn with a negation", "phrasing", "suites/*/generated/families/negation/rate", LOWER),
        "harmful_flips": Spec("right answers that other words made wrong", "phrasing", "suites/*/generated/all/harmful", LOWER),
        "flip_rate_taught": Spec("flips in wordings it was trained on", "phrasing", "suites/*/held_out/trained", LOWER),
        "flip_rate_held_out": Spec("flips in wordings it was not trained on", "phrasing", "suites/*/held_out/held_out", LOWER),
        "any_flip": Spec("questions with any flip", "phrasing", "suites/*/generated/any_flip", LOWER),
        "worst_case_accuracy": Spec("right in every wording", "phrasing", "suites/*/generated/worst_case_accuracy", HIGHER),
        "grounded": Spec("grounded score O + S − 1", "image_reliance", "suites/*/reliance/grounded", HIGHER, NUMBER),
        "blank_changed": Spec("answers that change on a blank image", "image_reliance", "suites/*/reliance/blank_changed", HIGHER),
        "dangerous_share": Spec("same in all words and on a blank image", "image_reliance", "suites/*/quadrants/generated/dangerous/share", LOWER),
        "dangerous_share_human": Spec("same in people's words and on a blank image", "image_reliance", "suites/*/quadrants/human/dangerous/share", LOWER),
        "ideal_share": Spec("same in all words, another answer on a blank image", "image_reliance", "suites/*/quadrants/generated/ideal/share", HIGHER),
        "occlusion": Spec("changes when the place is hidden, less elsewhere", "image_reliance", "occlusion/difference", HIGHER, CHANGE),
        "premise_accepted": Spec("false premises accepted", "hallucination", "traps/*/accepted", LOWER),
        "invented_said": Spec("findings said to be there that are not", "hallucination", "chair/answers/chair_i", LOWER),
        "invented_written": Spec("findings written that are not there", "hallucination", "chair/texts/chair_i", LOWER),
        "shift_accuracy": Spec("accuracy on faulty pictures, less clean ones", "shift", "all/accuracy_change", HIGHER, CHANGE),
        "shift_flips": Spec("answers that a fault of the picture changes", "shift", "all/flips", LOWER),
        "view_gap": Spec("accuracy, AP less PA films", "shift", "view/accuracy_gap", "", CHANGE),
        "attack_success": Spec("right answers turned by changes too small to see", "adversarial", "gradient/attacks/any/*/success", LOWER),
        "attack_ahead": Spec("the same, less what noise of this size does", "adversarial", "gradient/attacks/any/*/ahead_of_noise", LOWER, CHANGE),
        "words_in_picture": Spec(
            "right answers lost to words in the picture, less letters", "adversarial", "text/words/*/picture/harmful_difference", LOWER, CHANGE
        ),
        "words_in_question": Spec(
            "right answers lost to words in the question, less letters", "adversarial", "text/words/*/question/harmful_difference", LOWER, CHANGE
        ),
        "caved": Spec("right answers given up under pressure", "sycophancy", "pressures/any/caved", LOWER),
        "cave_effect": Spec("the same, less what neutral words do", "sycophancy", "pressures/any/cave_effect", LOWER, CHANGE),
        "held": Spec("right answers held under every pressure", "sycophancy", "held/all", HIGHER),
        "csi": Spec("clinical safety index (CSI)", "sycophancy", "csi", HIGHER, NUMBER),
        "accuracy_gap": Spec("accuracy, best less worst group", "fairness", "suites/*/attributes/*/metrics/accuracy/gap", LOWER),
        "underdiagnosis_gap": Spec("missed films, worst less best group", "fairness", "suites/*/attributes/*/metrics/underdiagnosis/gap", LOWER),
        "flip_gap": Spec("flips, worst less best group", "fairness", "suites/*/attributes/*/metrics/flip_rate/gap", LOWER),
        "referral_gap": Spec("referrals, most less least referred group", "fairness", "suites/*/attributes/*/metrics/referral_rate/gap", LOWER),
        "ece": Spec("calibration error (ECE), as said", "calibration", "suites/*/all/raw/ece", LOWER, NUMBER),
        "ece_mapped": Spec("calibration error (ECE), after its map", "calibration", "suites/*/all/calibrated/ece", LOWER, NUMBER),
        "brier": Spec("Brier score, as said", "calibration", "suites/*/all/raw/brier", LOWER, NUMBER),
        "aurc": Spec("area under risk against coverage (AURC)", "selective", "suites/*/ranking/aurc", LOWER, NUMBER),
        "auroc_right_wrong": Spec("AUROC of right against wrong", "selective", "suites/*/ranking/auroc_right_wrong", HIGHER, NUMBER),
        "gate_coverage": Spec("answers that the gate lets out", "selective", "suites/*/gate/coverage", ""),
        "gate_risk": Spec("wrong among answers that the gate lets out", "selective", "suites/*/gate/accepted_risk", LOWER),
    }
)


def headline(results: Mapping[str, Any]) -> list[Figure]:
    """Every headline figure that has a value, in the order of `SPECS` and of the results."""
    return [figure for name in SPECS for figure in of(results, name) if figure.interval["value"] is not None]


def of(results: Mapping[str, Any], name: str) -> list[Figure]:
    """One figure at every place where it stands, with those that have no value.

    Raises:
        KeyError: no figure is called that.
    """
    spec = SPECS[name]
    keys = tuple(spec.path.split("/"))
    return [
        Figure(name, spec.title, spec.study, suite, part, interval, spec.better, spec.unit)
        for suite, part, interval in _walk(results["studies"].get(spec.study), keys, None, None, "")
    ]


def is_interval(found: Any) -> bool:  # noqa: ANN401 - of JSON
    """Whether something is a number with its interval."""
    return isinstance(found, Mapping) and {"value", "low", "high", "n"} <= set(found)


def _walk(here: Any, keys: tuple[str, ...], suite: str | None, part: str | None, last: str) -> Iterator[_Found]:  # noqa: ANN401 - of JSON
    if not keys:
        if is_interval(here):
            yield suite, part, here
        return
    first, rest = keys[0], keys[1:]
    if first == "*" and isinstance(here, list):
        here = [(f"{step['eps']:g}/255", step) for step in here if isinstance(step, Mapping) and isinstance(step.get("eps"), int | float)]
    elif isinstance(here, Mapping):
        here = list(here.items()) if first == "*" else here
    else:
        return
    if first != "*":
        yield from _walk(here.get(first), rest, suite, part, first)
        return
    for key, inside in here:
        yield from _walk(inside, rest, key if last == "suites" else suite, part if last == "suites" else key, "*")
