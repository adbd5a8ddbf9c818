"""The road of one question: encoded once, asked in many ways and of wrong pictures, weighed, decided.

In: a model, a policy, a study and a question. Out: a `Reading`: the answer with everything that was asked of it, and the gate's decision.
What cannot be asked (no safe rewording, no picture of another patient) becomes a missing signal with its reason; it never costs the answer.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vesalius.data.phantoms import Bank, PhantomBank, blank_like, other_patient, region_of
from vesalius.domain.decision import Signal, Signals
from vesalius.domain.exchange import Answer, Outcome, Question, Rewording
from vesalius.domain.reading import Reading, Saliency
from vesalius.domain.study import Image, Study, single
from vesalius.errors import InvalidValue, UserError
from vesalius.evidence.exhibit import Bounds, Exhibit
from vesalius.formats.pixels import render
from vesalius.instruct.phrasing import reword
from vesalius.metrics.phrasing import Flip, flips
from vesalius.models.base import GREEDY, GenerativeModel, LooksAt, Sampling
from vesalius.safety import signals as measure
from vesalius.safety.contradiction import contradiction
from vesalius.safety.gate import decide
from vesalius.safety.meaning import meaning_of, same_meaning
from vesalius.safety.policy import SMALLER_IS_WORSE, Policy, default_policy
from vesalius.safety.quality import image_quality
from vesalius.safety.scope import Scope, ScopeFacts

BLANK, OTHER = "blank", "other patient"
WITHHELD = "Cannot be determined here: physician review required."
TEMPERATURE = 0.7

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A study made ready to be questioned. One case serves any number of questions.

    Args:
        encoded: what the model made of the study.
        controls: name to the wrong picture. encoded_controls: name to what the model made of it.
        missing: control to the reason why there is none.
        facts: what is known of the case, without a question.
        timing: seconds by step.
    """

    study: Study
    encoded: Any
    controls: Mapping[str, Image]
    encoded_controls: Mapping[str, Any]
    missing: Mapping[str, str]
    facts: ScopeFacts
    timing: Mapping[str, float]

    @property
    def image_tokens(self) -> int:
        """Tokens that the image takes in the model."""
        return int(getattr(self.encoded, "image_tokens", 0))


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Everything to ask about one question: the original first, then rewordings, samples, controls."""

    case: Case
    question: Question
    rewordings: tuple[Rewording, ...]
    asks: tuple[tuple[Any, Question, Sampling], ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class _Heard:
    """What the model said to a plan; `lost` is why only the original could be asked, None when all was."""

    answer: Answer
    rewordings: tuple[tuple[Rewording, Answer], ...] = ()
    samples: tuple[Answer, ...] = ()
    controls: Mapping[str, Answer] = dataclasses.field(default_factory=dict)
    lost: str | None = None


class Reader:
    """Asks a model and does not take its word for it.

    Args:
        model: whom to ask.
        policy: what may be released; None takes the policy that ships.
        rewordings: at most so many other wordings of each question; 0 asks none.
        samples: answers drawn at a temperature; 0 draws none.
        bank: pictures of other patients; None takes the drawn ones that ship.
        seed: of rewordings, samples and controls: the same seed gives the same reading.
        temperature: of the samples.

    Raises:
        InvalidValue: a negative count or seed, or a temperature that is not above 0.
    """

    def __init__(
        self,
        model: GenerativeModel,
        policy: Policy | None = None,
        *,
        rewordings: int = 8,
        samples: int = 8,
        bank: Bank | None = None,
        seed: int = 0,
        temperature: float = TEMPERATURE,
    ) -> None:
        if rewordings < 0 or samples < 0 or seed < 0:
            raise InvalidValue(f"rewordings, samples and seed must not be negative (got {rewordings}, {samples}, {seed})", remedy="give 0 or more")
        if not temperature > 0:
            raise InvalidValue(f"the temperature of samples must be above 0 (got {temperature})", remedy="give 0.7, or 0 samples")
        self.model, self.policy, self.bank = model, policy or default_policy(), bank or PhantomBank()
        self.rewordings, self.samples, self.seed, self.temperature = rewordings, samples, seed, temperature
        declared = Scope(model.card.modalities, model.card.body_parts, model.card.languages)
        self._scopes = (declared,) if self.policy.scope is None else (declared, self.policy.scope)
        self._policy_identity = self.policy.identity()

    def ask(self, study: Study, question: str | Question, *, look: bool | str = False, progress: Progress | None = None) -> Reading:
        """Answer one question about a study, question the answer, decide.

        Args:
            question: in words, at most 2,000 characters.
            look: also find where in the image the answer comes from, when the model can say, by the method of this name (True: by the model's usual one);
                a failure there is noted and costs nothing else.
            progress: is told each step as it begins.

        Raises:
            InvalidValue: an empty or overlong question, or one that the model's context cannot hold.
        """
        tell = progress or _nobody
        asked = Question(question) if isinstance(question, str) else question
        case = self.encode(study, progress=tell)
        reading = self.readings([(case, asked)], progress=tell)[0]
        return self.look(study, reading, method=None if look is True else look, progress=tell) if look else reading

    def encode(self, study: Study, *, progress: Progress | None = None) -> Case:
        """Encode a study and its controls, once for all questions."""
        (progress or _nobody)("looking at the image and its controls")
        started = time.perf_counter()
        encoded = self.model.encode(study)
        seen = time.perf_counter()
        controls, missing = self._controls(study.image)
        encoded_controls = {}
        for name, image in controls.items():
            try:
                encoded_controls[name] = self.model.encode(single(image, patient=study.patient, deidentified=study.deidentified))
            except UserError as error:
                missing[name] = error.what
        facts = ScopeFacts("", str(study.modality), study.body_part, image_quality(render(study.image)))
        timing = {"encode": seen - started, "controls": time.perf_counter() - seen}
        return Case(study, encoded, {n: controls[n] for n in encoded_controls}, encoded_controls, missing, facts, timing)

    def readings(self, asks: Sequence[tuple[Case, Question]], *, sampling: Sampling = GREEDY, progress: Progress | None = None) -> list[Reading]:
        """Readings of any number of questions about any number of cases, in their order, in one call of the model.

        Args:
            sampling: how the answer to the original words is drawn; its length holds for all.
        """
        tell = progress or _nobody
        plans = [self._plan(case, question, sampling) for case, question in asks]
        tell(f"asking {sum(len(p.asks) for p in plans)} times: the question, its rewordings, samples, other pictures")
        started = time.perf_counter()
        heard = self._heard(plans)
        share = (time.perf_counter() - started) / max(1, len(plans))
        tell("weighing the answers")
        return [self._weigh(plan, said, share) for plan, said in zip(plans, heard, strict=True)]

    def look(self, study: Study, reading: Reading, *, method: str | None = None, progress: Progress | None = None) -> Reading:
        """The reading with the place in the image that its answer comes from; `model["saliency"]` names the method, or says why there is none.

        Args:
            method: a way of looking by its name; None takes the model's usual one.
        """
        (progress or _nobody)("looking where the answer comes from")
        started = time.perf_counter()
        found: Saliency | None = None
        note = "this model cannot say where it looks"
        if isinstance(self.model, LooksAt):
            try:
                saliency: Any = self.model.saliency  # that it takes a method, too, is asked of our own models only
                found = Saliency(*saliency(study, reading.question, reading.answer, **({} if method is None else {"method": method})))
                note = found.method
            except UserError as error:
                note = str(error)
            except Exception as error:  # noqa: BLE001 - the answer stands without its picture, whatever went wrong in drawing it
                note = f"failed: {type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        timing = {**reading.timing, "look": round(seconds, 4), "total": round(reading.timing.get("total", 0.0) + seconds, 4)}
        return dataclasses.replace(reading, saliency=found, model={**reading.model, "saliency": note}, timing=timing)

    def exhibit(self, study: Study, reading: Reading) -> Exhibit:
        """What the evidence picture needs beside the reading: the pictures, the limits, which answers changed."""
        controls, _ = self._controls(study.image)
        states = flips(_said(reading.answer), [_said(a) for _, a in reading.rewordings], [r.polarity for r, _ in reading.rewordings], same=same_meaning)
        limits = {name: Bounds(limit.caveat, limit.refer, name in SMALLER_IS_WORSE) for name, limit in self.policy.limits.items().items()}
        return Exhibit(
            reading=reading,
            image=study.image,
            controls={name: image for name, image in controls.items() if name in reading.controls},
            limits=limits,
            flipped=tuple(state != Flip.SAME for state in states),
            moved={name: meaning_of(answer) != meaning_of(reading.answer) for name, answer in reading.controls.items()},
        )

    def _controls(self, image: Image) -> tuple[dict[str, Image], dict[str, str]]:
        """The wrong pictures, and why one is missing."""
        controls, missing = {BLANK: blank_like(image)}, {}
        try:
            other = other_patient(image, self.bank, self.seed)
        except UserError as error:
            other, missing[OTHER] = None, error.what
        if other is not None:
            controls[OTHER] = other
        elif region_of(image.body_part) is None:
            missing[OTHER] = "the body part is unknown"
        else:
            missing.setdefault(OTHER, f"the bank has no {image.modality} of the {image.body_part}")
        return controls, missing

    def _plan(self, case: Case, question: Question, sampling: Sampling) -> _Plan:
        started = time.perf_counter()
        reworded = []
        for rewording in reword(question.text, most=self.rewordings, seed=self.seed):
            try:
                reworded.append((rewording, Question(rewording.text, question.options)))
            except InvalidValue:  # longer than a question may be
                continue
        greedy = Sampling(0.0, sampling.max_new_tokens, self.seed)
        drawn = [Sampling(self.temperature, sampling.max_new_tokens, self.seed * self.samples + i) for i in range(self.samples)]
        asks = (
            (case.encoded, question, sampling),
            *((case.encoded, other, greedy) for _, other in reworded),
            *((case.encoded, question, way) for way in drawn),
            *((encoded, question, greedy) for encoded in case.encoded_controls.values()),
        )
        return _Plan(case, question, tuple(r for r, _ in reworded), asks, time.perf_counter() - started)

    def _heard(self, plans: Sequence[_Plan]) -> list[_Heard]:
        """Ask everything in one call; when that is refused, one question at a time, and at last the bare question: its answer is never lost to the rest."""
        try:
            answers = self.model.ask([ask for plan in plans for ask in plan.asks])
        except UserError as error:
            if len(plans) > 1:
                return [self._heard([plan])[0] for plan in plans]
            return [_Heard(self.model.ask(plan.asks[:1])[0], lost=f"could not be asked: {error.what}") for plan in plans]
        heard, rest = [], iter(answers)
        for plan in plans:
            answer = next(rest)
            rewordings = tuple((r, next(rest)) for r in plan.rewordings)
            samples = tuple(next(rest) for _ in range(self.samples))
            heard.append(_Heard(answer, rewordings, samples, {name: next(rest) for name in plan.case.encoded_controls}))
        return heard

    def _weigh(self, plan: _Plan, heard: _Heard, seconds: float) -> Reading:
        started = time.perf_counter()
        found = self._signals(plan, heard)
        decision = decide(found, self.policy, question=plan.question.text, answer=heard.answer, model=self._model_identity())
        timing = {**plan.case.timing, "reword": plan.seconds, "ask": seconds, "weigh": time.perf_counter() - started}
        timing["total"] = sum(timing.values())
        return Reading(
            question=plan.question,
            answer=heard.answer,
            decision=decision,
            signals=found,
            rewordings=heard.rewordings,
            controls=heard.controls,
            samples=heard.samples,
            model={**self._model_identity(), **self._told(plan.case.encoded)},
            policy=self._policy_identity,
            timing={step: round(value, 4) for step, value in timing.items()},
        )

    def _signals(self, plan: _Plan, heard: _Heard) -> Signals:
        answer, case = heard.answer, plan.case
        options = len(plan.question.options)
        flip = measure.flip_rate(answer, heard.rewordings)
        reliance = measure.image_reliance(answer, heard.controls)
        image = case.study.image
        contradicted = contradiction(plan.question.text, answer, image.modality, image.body_part)
        risk = measure.hallucination_risk(answer, heard.samples, contradicted=contradicted)
        if heard.lost:
            flip, reliance = Signal(None, heard.lost), Signal(None, heard.lost)
            risk = risk if contradicted else Signal(None, heard.lost)
        elif not self.rewordings:
            flip = Signal(None, "no rewordings were wanted")
        if case.missing and not heard.lost:
            absent = "; ".join(f"no {name}: {why}" for name, why in case.missing.items())
            reliance = Signal(reliance.value, f"{reliance.reason}; {absent}" if reliance.reason else absent)
        audit = self.policy.audit
        facts = dataclasses.replace(case.facts, question=plan.question.text)
        return Signals(
            uncertainty=measure.uncertainty(answer, self.policy.calibrator(answer, self.model.card.name), options=options if options > 1 else None),
            flip_rate=flip,
            image_reliance=reliance,
            hallucination_risk=risk,
            bias_score=measure.bias_score(
                measure.patient_group(case.study.patient), self.policy.gaps(), **({} if audit is None else {"minimum": audit.minimum_n})
            ),
            out_of_scope=max((measure.out_of_scope(facts, scope) for scope in self._scopes), key=lambda s: s.value or 0.0),
        )

    def _told(self, encoded: Any) -> dict[str, Any]:  # noqa: ANN401 - each family has its own
        """What a model that reads an image in words before it answers says of that: `read`; nothing for others."""
        explain = getattr(self.model, "explain", None)
        return {"read": explain(encoded)} if explain is not None else {}

    def _model_identity(self) -> dict[str, Any]:
        card = self.model.card
        return {"name": card.name, "revision": card.revision, **getattr(self.model, "identity", {})}


def _said(answer: Answer) -> Outcome | str:
    return answer.text if answer.outcome is Outcome.TEXT else answer.outcome


def _nobody(_: str) -> None:
    """Progress that nobody watches."""
