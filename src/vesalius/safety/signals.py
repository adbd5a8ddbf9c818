"""The numbers the gate weighs, each a pure function of answers already given.

In: the answer, the answers to rewordings, of samples and of wrong pictures, facts of the case, tables of the policy. Out: a `Signal` in [0, 1], or None
with the reason. Larger is worse, but for `image_reliance`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vesalius.domain.decision import Signal
from vesalius.domain.exchange import Answer, Outcome, Rewording
from vesalius.domain.study import Patient
from vesalius.errors import InvalidValue
from vesalius.metrics.calibration import Calibration
from vesalius.metrics.phrasing import Flip, flips
from vesalius.safety.meaning import is_long, meaning_of, same_meaning, split_claims, supports
from vesalius.safety.scope import Scope, ScopeFacts, violations

_AGE_GROUPS = ((18, "0-17"), (40, "18-39"), (60, "40-59"), (80, "60-79"), (131, "80+"))
_MINIMUM_GROUP = 20


def uncertainty(answer: Answer, calibration: Calibration | None, *, options: int | None = None) -> Signal:
    """How far the calibrated confidence c falls short of certainty, on a scale where 1 is guessing.

        u = min(1, (1 - c) / (1 - 1/K))

    K is the number of possible answers: 2 for yes/no, `options` for a choice, without bound for an open question, where u = 1 - c. Without the
    denominator a yes/no answer, whose confidence is at least 1/2, could never exceed 0.5, and no limit above that could act. c is the calibration's
    image of `answer.confidence` (of the probability of the answer among yes and no when that is absent). Uncalibrated values say so in `reason`.

    Args:
        calibration: a map fitted on a development split and stored in the policy; None: the raw confidence is used.
        options: number of options that the question names.

    Raises:
        InvalidValue: fewer than two options.
    """
    if options is not None and options < 2:
        raise InvalidValue(f"a choice has at least two options (got {options})")
    yes_no = answer.outcome in (Outcome.YES, Outcome.NO)
    confidence = answer.confidence
    if confidence is None and yes_no and answer.p_yes is not None:
        confidence = answer.p_yes if answer.outcome is Outcome.YES else 1 - answer.p_yes
    if confidence is None:
        return Signal(None, "the model gives no confidence")
    known = calibration(confidence) if calibration is not None else confidence
    count = 2 if yes_no else options
    value = min(1.0, (1 - known) / (1 - 1 / count)) if count else 1 - known
    return Signal(value, None if calibration is not None else "uncalibrated: the policy holds no calibration for this kind of answer")


def flip_rate(answer: Answer, rewordings: Sequence[tuple[Rewording, Answer]]) -> Signal:
    """Share of rewordings whose polarity-normalised answer differs from the answer to the original words.

        F = (1/m) sum_j 1[a_j != a_0],   a_j = y_j, with yes and no exchanged where the rewording asks for the opposite

    An answer that cannot be read or compared counts as a flip. Free texts agree when their `meaning` does. None when there is no rewording.
    """
    if not rewordings:
        return Signal(None, "no rewording of this question could be made safely")
    states = flips(_said(answer), [_said(a) for _, a in rewordings], [r.polarity for r, _ in rewordings], same=same_meaning)
    lost = int((states == Flip.UNPARSED).sum())
    changed = int((states != Flip.SAME).sum())
    reason = f"{changed} of {len(states)} rewordings changed the answer" + (f", {lost} of them unreadable" if lost else "")
    return Signal(changed / len(states), reason)


def _said(answer: Answer) -> Outcome | str:
    # The text would be read again by `flips`; only free text needs it, and its reading as TEXT has been made once, by the model's side.
    return answer.text if answer.outcome is Outcome.TEXT else answer.outcome


def image_reliance(answer: Answer, controls: Mapping[str, Answer]) -> Signal:
    """How much the answer moves when the picture is taken away; 0 = it does not depend on the picture.

        R = mean over controls k of  max(1[a_k differs from a],  |p_yes(image) - p_yes(control k)|)

    The second term is the total-variation distance of the two distributions over {yes, no}: a picture may matter without turning the answer. The first
    counts a turned answer fully, because close to one half a small shift turns it. The mean, not the maximum, so that more controls do not make any model
    look more reliant. For open answers only the first term is known: R is the share of controls that changed the meaning. A control whose answer is
    unreadable proves nothing and is left out. None when nothing remains.

    R is low also for a seeing model whose right answer is the one expected without a picture, so it is a reason for caution, not a proof of blindness.
    """
    if not controls:
        return Signal(None, "the question was not asked of any other picture")
    if answer.outcome is Outcome.UNPARSED:
        return Signal(None, "the answer could not be read, so no change can be seen")
    readable = {name: a for name, a in controls.items() if a.outcome is not Outcome.UNPARSED}
    if not readable:
        return Signal(None, "no answer to another picture could be read")
    moved = {name: _moved(answer, control) for name, control in readable.items()}
    return Signal(float(np.mean(list(moved.values()))), ", ".join(f"{name} {value:.2f}" for name, value in moved.items()))


def _moved(answer: Answer, control: Answer) -> float:
    if meaning_of(answer) != meaning_of(control):
        return 1.0
    if answer.p_yes is None or control.p_yes is None:
        return 0.0
    return abs(answer.p_yes - control.p_yes)


def semantic_entropy(samples: Sequence[Answer]) -> float | None:
    """Discrete semantic entropy of sampled answers over clusters of equal meaning, divided by ln N: 0 all agree, 1 all differ (Farquhar et al., 2024).

    An unparsed sample is a cluster of its own. None with fewer than two samples.
    """
    if len(samples) < 2:
        return None
    keys = [meaning_of(s) for s in samples]
    counts = Counter(("unparsed", i) if k is None else k for i, k in enumerate(keys))
    shares = np.asarray(list(counts.values())) / len(samples)
    return float(-(shares * np.log(shares)).sum() / math.log(len(samples))) + 0.0  # never -0.0


def hallucination_risk(answer: Answer, samples: Sequence[Answer], claims: Sequence[str] | None = None, *, contradicted: str | None = None) -> Signal:
    """Disagreement in meaning between the answer and answers drawn at a temperature.

    Short answers:  1 - (samples with the meaning of the answer) / N      (the support form of RadFlag, arXiv 2411.00299)
    Longer ones:    max over claims of  1 - (samples that support the claim) / N

    The maximum, because one invented finding makes a report wrong. An unparsed sample supports nothing. The normalised discrete semantic entropy stands
    in `reason`, for information: it does not know which meaning was given as the answer, so it is not the signal. None without samples. 1 for an answer
    that contradicts the file, however often it is repeated.

    Args:
        contradicted: what of the file the answer contradicts (`contradiction`), if anything.
        claims: statements of the answer, when the caller has split it; by default several clauses, or one of more than six content words, are split.
    """
    if contradicted:
        return Signal(1.0, f"{contradicted}, the answer something else")
    if not samples:
        return Signal(None, "the answer was not sampled")
    if answer.outcome is Outcome.UNPARSED:
        return Signal(1.0, "the answer could not be read, so no sample supports it")
    if claims is None and answer.outcome is Outcome.TEXT and is_long(answer.text):
        claims = split_claims(answer.text)
    spread = semantic_entropy(samples)
    note = "" if spread is None else f"; semantic entropy {spread:.2f}"
    if claims:
        risk = {c: 1 - sum(s.outcome is not Outcome.UNPARSED and supports(s.text, c) for s in samples) / len(samples) for c in claims}
        worst = max(risk, key=lambda c: risk[c])
        return Signal(risk[worst], f"least supported of {len(risk)} claims: {worst!r}{note}")
    agree = sum(meaning_of(s) == meaning_of(answer) for s in samples)
    return Signal(1 - agree / len(samples), f"{agree} of {len(samples)} samples agree{note}")


def patient_group(patient: Patient) -> dict[str, str | None]:
    """The groups an audit may know a patient by: `sex` (F, M, O) and `age` (0-17, 18-39, 40-59, 60-79, 80+); None when unknown."""
    age = None if patient.age_years is None else next(name for limit, name in _AGE_GROUPS if patient.age_years < limit)
    return {"sex": None if patient.sex is None else str(patient.sex), "age": age}


def bias_score(group: Mapping[str, str | None], audit: Mapping[str, Mapping[str, Mapping[str, Any]]], *, minimum: int = _MINIMUM_GROUP) -> Signal:
    """The largest measured gap among the groups this patient belongs to.

        B = max over audited attributes of  gap(attribute, group of the patient)

    The gap is what the audit measured (error of the group less that of the best group, say); it is stored in the policy with its n. Where one attribute
    is unknown but another is known, the worst group of the unknown one counts. None when there is no audit, or nothing is known of the patient.

    Args:
        group: attribute to the patient's group, None when unknown (`patient_group`).
        audit: attribute to group to {"gap": float in [0, 1], "n": patients it rests on}.
        minimum: groups audited on fewer patients count as not audited.

    Raises:
        InvalidValue: an audited gap outside [0, 1].
    """
    if not audit:
        return Signal(None, "the policy holds no audit of subgroups")
    gaps: dict[str, float] = {}
    unknown: list[str] = []
    for attribute, rows in audit.items():
        usable = {name: float(row["gap"]) for name, row in rows.items() if int(row["n"]) >= minimum}
        if any(not 0 <= g <= 1 for g in usable.values()):
            raise InvalidValue(f"an audited gap of {attribute!r} lies outside [0, 1]", remedy="store gaps as shares")
        mine = group.get(attribute)
        if mine is not None and mine in usable:
            gaps[f"{attribute} {mine}"] = usable[mine]
        else:
            unknown.append(attribute)
            if usable:
                gaps[f"{attribute} unknown or not audited, worst group"] = max(usable.values())
    if len(unknown) == len(audit):
        return Signal(None, f"no audited group of this patient is known ({', '.join(unknown)})")
    worst = max(gaps, key=lambda k: gaps[k])
    return Signal(gaps[worst], worst)


def out_of_scope(facts: ScopeFacts, scope: Scope) -> Signal:
    """The worst violation of the declared scope, max over `scope.violations`: 1 = outside, 0 = inside, unknown and borderline facts in between."""
    found = violations(facts, scope)
    return Signal(found[0].value, "; ".join(v.reason for v in found)) if found else Signal(0.0)
