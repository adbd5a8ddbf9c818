"""Everything that is asked of a model about one question, and what becomes of what cannot be asked."""

import dataclasses

import numpy as np
import pytest

from tests.standin import StandIn
from vesalius.data.phantoms import PhantomBank, phantom
from vesalius.domain.decision import Verdict
from vesalius.domain.exchange import Question
from vesalius.domain.study import Image, Intensity, Modality, Patient, Sex, single
from vesalius.errors import InvalidValue, UnreadableStudy
from vesalius.reader import BLANK, OTHER, Reader, questioning
from vesalius.safety.policy import Audit, AuditedGap, default_policy
from vesalius.safety.scope import Scope

QUESTION = "Is there a lesion in the liver?"


@pytest.fixture
def study():
    return single(phantom("CT", "ABDOMEN", 7))


def test_everything_is_asked_in_one_call(study):
    model = StandIn()
    reading = Reader(model).ask(study, QUESTION)
    assert model.encoded == 3  # the study, the blank, another patient
    assert model.calls == [1 + len(reading.rewordings) + 8 + 2]
    assert len(reading.rewordings) == 8
    assert len(reading.samples) == 8
    assert list(reading.controls) == [BLANK, OTHER]
    assert reading.answer.text == "yes"
    assert reading.controls[BLANK].text == "no"
    assert reading.signals.image_reliance.value == pytest.approx(0.5)  # blank turned the answer, another patient of the same make did not
    assert {r.polarity for r, _ in reading.rewordings} == {1, -1}


def test_json_holds_the_documented_keys_and_timing_adds_up(study):
    out = Reader(StandIn()).ask(study, QUESTION).to_json()
    wanted = {"answer", "decision", "concerns", "signals", "paraphrases", "controls", "evidence", "model", "policy", "timing"}
    assert wanted <= out.keys()
    steps = dict(out["timing"])
    assert steps.pop("total") == pytest.approx(sum(steps.values()), abs=0.01)
    assert {"encode", "controls", "reword", "ask", "weigh"} <= steps.keys()
    assert out["model"]["name"] == "standin"
    assert out["policy"] == default_policy().identity()


def test_same_seed_same_reading_other_seed_other_wordings(study):
    def of(seed):
        reading = Reader(StandIn("fickle"), seed=seed).ask(study, QUESTION)
        return reading.to_json()["paraphrases"], {k: v.value for k, v in reading.signals.items().items()}

    assert of(3) == of(3)
    assert of(3)[0] != of(4)[0]


def test_a_blind_model_is_referred(study):
    reading = Reader(StandIn("blind")).ask(study, "Is the liver enlarged?")
    assert reading.decision.verdict is Verdict.REFERRED
    assert reading.signals.image_reliance.value == 0
    assert "image_reliance" in [c.name for c in reading.decision.concerns]


def test_an_unreadable_answer_is_referred(study):
    reading = Reader(StandIn("mute")).ask(study, QUESTION)
    assert reading.decision.verdict is Verdict.REFERRED
    assert reading.signals.image_reliance.value is None


def test_no_rewordings_and_no_samples_are_missing_signals_with_reasons(study):
    model = StandIn()
    reading = Reader(model, rewordings=0, samples=0).ask(study, QUESTION)
    assert model.calls == [3]
    assert reading.signals.flip_rate.value is None
    assert reading.signals.flip_rate.reason == "no rewordings were wanted"
    assert reading.signals.hallucination_risk.value is None
    assert reading.decision.verdict is not Verdict.RELEASED


@pytest.mark.parametrize("text", ["Gibt es eine Läsion in der Leber?", "有病变吗?", "🙂🙂🙂"])
def test_what_cannot_be_reworded_is_answered_questioned_less_and_out_of_scope_when_not_english(study, text):
    reading = Reader(StandIn()).ask(study, text)
    assert reading.rewordings == ()
    assert reading.signals.flip_rate.value is None
    assert reading.signals.out_of_scope.value == 1
    assert reading.decision.verdict is Verdict.REFERRED


@pytest.mark.parametrize(("text", "word"), [("", "text"), ("  \n", "text"), ("x" * 3000, "3000")])
def test_no_question_and_too_long_a_question_are_refused_before_anything_is_encoded(study, text, word):
    model = StandIn()
    with pytest.raises(InvalidValue, match=word):
        Reader(model).ask(study, text)
    assert model.encoded == 0


def test_a_rewording_too_long_for_the_model_does_not_cost_the_answer(study):
    model = StandIn(longest=len(QUESTION))
    reading = Reader(model).ask(study, QUESTION)
    assert reading.answer.text == "yes"
    assert reading.rewordings == ()
    assert "could not be asked" in reading.signals.flip_rate.reason
    assert reading.decision.verdict is Verdict.REFERRED  # four signals are missing


def test_in_a_batch_only_the_question_that_is_refused_suffers(study):
    model = StandIn(longest=60)
    reader = Reader(model)
    case = reader.encode(study)
    long = "Is there a lesion in the liver or in the spleen of this one patient?"[:60]
    fine, cut = reader.readings([(case, Question("Is the liver enlarged?")), (case, Question(long))])
    assert fine.rewordings
    assert cut.answer.text in ("yes", "no")
    assert cut.rewordings == ()


def test_a_question_that_the_model_cannot_hold_is_the_users_error(study):
    with pytest.raises(InvalidValue, match="characters"):
        Reader(StandIn(longest=5)).ask(study, QUESTION)


def test_unknown_body_part_leaves_the_blank_alone_and_says_so():
    image = dataclasses.replace(phantom("CT", "HEAD", 1), body_part=None)
    reading = Reader(StandIn()).ask(single(image), "Is there a fracture?")
    assert list(reading.controls) == [BLANK]
    assert "no other patient: the body part is unknown" in reading.signals.image_reliance.reason


def test_a_kind_that_the_bank_lacks_is_named():
    reading = Reader(StandIn()).ask(single(phantom("CT", "CHEST", 1)), "Is there a fracture?")
    assert "the bank has no CT of the CHEST" in reading.signals.image_reliance.reason


def test_a_bank_that_cannot_be_read_does_not_cost_the_answer(study):
    class Broken(PhantomBank):
        def image(self, key):
            raise UnreadableStudy("gone.png", "is empty", remedy="copy it again")

    reading = Reader(StandIn(), bank=Broken()).ask(study, QUESTION)
    assert list(reading.controls) == [BLANK]
    assert "gone.png: is empty" in reading.signals.image_reliance.reason


def test_a_control_that_the_model_cannot_encode_is_left_out(study):
    class Picky(StandIn):
        def encode(self, given):
            if self.encoded == 2:
                raise InvalidValue("this picture is too large")
            return super().encode(given)

    reading = Reader(Picky()).ask(study, QUESTION)
    assert list(reading.controls) == [BLANK]
    assert "this picture is too large" in reading.signals.image_reliance.reason


def test_looking_is_optional_and_its_failure_is_noted(study):
    reader = Reader(StandIn())
    assert reader.ask(study, QUESTION).saliency is None
    seen = reader.ask(study, QUESTION, look=True)
    assert seen.saliency.map.shape == (study.image.rows, study.image.cols)
    assert seen.model["saliency"] == "a drawn spot"
    lost = reader.ask(study, "Is a failure seen?", look=True)  # the stand-in breaks on "fail"
    assert lost.answer.text
    assert lost.saliency is None
    assert lost.model["saliency"] == "failed: RuntimeError: the drawing went wrong"


def test_a_way_of_looking_is_passed_on_and_its_refusal_is_noted_in_words(study):
    class Chooses(StandIn):
        def saliency(self, study, question, answer, *, method="usual"):
            if method == "other":
                raise InvalidValue("this cannot be followed", remedy="look by occlusion")
            return super().saliency(study, question, answer)[0], method

    reader = Reader(Chooses())
    assert reader.ask(study, QUESTION, look=True).saliency.method == "usual"
    assert reader.ask(study, QUESTION, look="gradient").model["saliency"] == "gradient"
    refused = reader.ask(study, QUESTION, look="other")
    assert refused.saliency is None
    assert refused.answer.text
    assert refused.model["saliency"] == "this cannot be followed: look by occlusion."


def test_a_model_that_cannot_say_where_it_looks(study):
    class Bare:
        def __init__(self):
            self._inner = StandIn()
            self.card = self._inner.card
            self.encode, self.ask = self._inner.encode, self._inner.ask

    reading = Reader(Bare()).ask(study, QUESTION, look=True)
    assert reading.saliency is None
    assert reading.model["saliency"] == "this model cannot say where it looks"
    assert reading.model["name"] == "standin"


def test_progress_is_told_in_order(study):
    steps = []
    Reader(StandIn()).ask(study, QUESTION, look=True, progress=steps.append)
    assert [s.split()[0] for s in steps] == ["looking", "asking", "weighing", "looking"]


def test_audited_gap_of_the_patients_group_counts():
    policy = dataclasses.replace(default_policy(), audit=Audit({"sex": {"F": AuditedGap(0.3, 50), "M": AuditedGap(0.0, 50)}}, "a test", minimum_n=20))
    image = phantom("CT", "ABDOMEN", 7)
    woman, man = (single(image, patient=Patient(sex=sex)) for sex in (Sex.FEMALE, Sex.MALE))
    reader = Reader(StandIn(), policy)
    assert reader.ask(woman, QUESTION).signals.bias_score.value == 0.3
    assert reader.ask(man, QUESTION).signals.bias_score.value == 0.0
    few = dataclasses.replace(policy, audit=dataclasses.replace(policy.audit, minimum_n=51))
    assert Reader(StandIn(), few).ask(woman, QUESTION).signals.bias_score.value is None


def test_a_policy_narrows_the_scope_of_the_card(study):
    policy = dataclasses.replace(default_policy(), scope=Scope(modalities=("CR",)))
    assert Reader(StandIn()).ask(study, QUESTION).signals.out_of_scope.value < 1
    assert Reader(StandIn(), policy).ask(study, QUESTION).signals.out_of_scope.value == 1


def test_a_policy_cannot_widen_the_scope_of_the_card():
    ultrasound = single(phantom("US", "ABDOMEN", 1))
    policy = dataclasses.replace(default_policy(), scope=Scope(modalities=("US",)))
    assert Reader(StandIn(), policy).ask(ultrasound, QUESTION).signals.out_of_scope.value == 1


def test_black_picture_is_referred():
    black = Image(np.zeros((1, 256, 256), np.float32), Intensity.RELATIVE, Modality.CT, body_part="ABDOMEN")
    assert Reader(StandIn()).ask(single(black), QUESTION).decision.verdict is Verdict.REFERRED


@pytest.mark.parametrize("wrong", [{"rewordings": -1}, {"samples": -1}, {"seed": -1}, {"temperature": 0.0}])
def test_counts_out_of_range(wrong):
    with pytest.raises(InvalidValue):
        Reader(StandIn(), **wrong)


def test_exhibit_marks_what_changed(study):
    reader = Reader(StandIn("blind"))
    reading = reader.ask(study, QUESTION)
    exhibit = reader.exhibit(study, reading)
    # "yes" to everything: what asks the opposite changed, the rest did not
    assert exhibit.flipped == tuple(r.polarity == -1 for r, _ in reading.rewordings)
    assert exhibit.moved == {BLANK: False, OTHER: False}
    assert exhibit.limits["image_reliance"].below
    assert not exhibit.limits["flip_rate"].below
    assert list(exhibit.controls) == [BLANK, OTHER]


def test_the_gate_is_told_which_model_answered(study, monkeypatch):
    """A certificate holds for one model: whoever decides must know whose answer it is."""
    told = []
    real = questioning.decide
    monkeypatch.setattr(questioning, "decide", lambda *given, **named: told.append(named["model"]) or real(*given, **named))
    Reader(StandIn("blind"), rewordings=0, samples=0).ask(study, QUESTION)
    assert told == [{"name": "standin", "revision": "1", "manner": "blind"}]
