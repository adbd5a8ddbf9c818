import dataclasses
import json

import numpy as np
import pytest

from tests.unit.evaluate import certified_run as runs
from vesalius.domain.decision import Verdict
from vesalius.errors import InvalidValue, UserError
from vesalius.evaluate import certify_cases as recorded
from vesalius.evaluate import certify_policy, task
from vesalius.evaluate.certify import Request, certify
from vesalius.evaluate.record import RecordFormatError
from vesalius.safety.gate import decide
from vesalius.safety.policy import default_policy, read_policy


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """800 patients, and a test part of other patients."""
    rows = runs.items(800) + runs.items(200, part="official/test", start=1000, seed=1)
    return runs.write(tmp_path_factory.mktemp("good") / "run", rows)


@pytest.fixture(scope="module")
def proved(good):
    return certify(good, Request(groups=("ward",)))


def test_no_test_item_and_no_patient_twice(good):
    chosen = recorded.split(recorded.read(good))
    used = [item for _, item in (*chosen.fit, *chosen.certify)]
    assert all(item.parts == ("official/development",) for item in used)
    assert len({item.exchange.cluster for _, item in chosen.certify}) == len(chosen.certify) == 400
    assert not {item.exchange.cluster for _, item in chosen.fit} & {item.exchange.cluster for _, item in chosen.certify}
    assert (chosen.development, chosen.clusters) == (1600, 800)


def test_an_item_that_is_a_test_item_anywhere_certifies_nowhere(tmp_path):
    rows = [dataclasses.replace(row, parts=("official/development", "image_disjoint/test")) for row in runs.items(3)]
    with pytest.raises(InvalidValue, match="no development items"):
        certify(runs.write(tmp_path / "run", rows), Request())


def test_the_split_reads_no_answer(good):
    folders = recorded.read(good)
    turned = [dataclasses.replace(row, exchange=dataclasses.replace(row.exchange, gold="no")) for row in folders[0].items]
    assert recorded.split([dataclasses.replace(folders[0], items=tuple(reversed(turned)))]).digest() == recorded.split(folders).digest()


def test_what_is_certified_is_proved_on_the_cases(proved):
    made = proved.policy.certificate
    assert made.bound <= 0.10
    assert made.errors <= 0.1 * made.accepted
    assert (made.n, made.start, made.method) == (400, 29, "walk")
    assert made.coverage == made.accepted / 400 > 0.1
    assert made.suites == ("slake official/development",)
    assert made.model == {"name": "fake", "revision": "1", "weights": "abc"}
    assert {(g.tag, g.value) for g in made.groups} >= {("sex", "F"), ("sex", "M"), ("age", "18-39"), ("modality", "CR"), ("view", "PA"), ("ward", "A")}
    assert sum(g.errors for g in made.groups if g.tag == "sex") == made.errors
    assert made.split == proved.report["split"]["sha256"]
    assert json.loads(json.dumps(proved.report))["nothing"] is None


def test_signals_that_were_not_recorded_are_absent_and_said(proved):
    signals = proved.report["signals"]
    assert signals["flip_rate"] == {"measured": 0, "n": 400, "weight": None, "why": "not recorded"}
    assert signals["hallucination_risk"]["weight"] is None
    assert signals["uncertainty"]["weight"] > 1
    assert any("flip rate, hallucination risk" in text for text in proved.policy.certificate.conditions)


def test_the_gate_under_the_policy_accepts_what_was_counted(good, proved):
    policy = proved.policy
    chosen = recorded.split(recorded.read(good))
    model = {"name": "fake", "revision": "1", "weights": "abc"}
    kept = [
        case
        for case in recorded.cases(chosen.certify, dataclasses.replace(policy, max_missing=6), recorded.PLAIN)
        if decide(
            case.signals, dataclasses.replace(policy, max_missing=6), question=case.item.exchange.question.text, answer=case.item.answer, model=model
        ).verdict
        is not Verdict.REFERRED
    ]
    assert (len(kept), sum(case.wrong for case in kept)) == (policy.certificate.accepted, policy.certificate.errors)


def test_the_policy_reads_back_as_itself_and_is_not_written_over(tmp_path, proved):
    place = tmp_path / "policy.toml"
    certify_policy.write(proved.policy, place)
    assert read_policy(place).digest() == proved.policy.digest()
    assert read_policy(place).certificate.score == proved.policy.certificate.score
    with pytest.raises(UserError, match="exists already"):
        certify_policy.write(proved.policy, place)


def test_a_policy_without_a_certificate_reads_back_too(tmp_path):
    certify_policy.write(default_policy(), tmp_path / "policy.toml")
    assert read_policy(tmp_path / "policy.toml").digest() == default_policy().digest()


def test_the_map_of_confidence_has_seen_no_certified_case(good, proved):
    counts = len(recorded.split(recorded.read(good)).fit)
    assert f"{counts} closed" in proved.policy.calibration.source
    assert proved.policy.calibration.model == "fake"


def test_the_order_of_items_is_no_matter(tmp_path, good, proved):
    rows = list(recorded.read(good)[0].items)
    again = certify(runs.write(tmp_path / "run", [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]), Request(groups=("ward",)))
    first, second = proved.policy.certificate, again.policy.certificate
    assert dataclasses.replace(second, made=first.made) == first


def test_a_stricter_risk_certifies_less(good):
    coverage = [certify(good, Request(risk=risk)).policy.certificate.coverage for risk in (0.08, 0.2)]
    assert coverage == sorted(coverage)
    assert coverage[0] < coverage[-1]


def test_one_signal_needs_no_fit_and_certifies_on_every_patient(good):
    found = certify(good, Request(score="uncertainty"))
    made = found.policy.certificate
    assert made.n == 800
    assert (made.score.link, made.score.weights["uncertainty"], made.score.weights["image_reliance"]) == ("identity", 1.0, 0.0)
    assert found.policy.calibration is None
    assert made.start == 87


def test_the_test_part_is_told_for_patients_that_had_no_part(proved):
    test = proved.report["test"]
    assert test["left_out"] == 0
    assert test["certified score"]["n"] == 400
    assert test["certified score"]["accepted_risk"]["clusters"] <= 200
    assert test["certified score"]["accepted_risk_image_needed"]["n"] < test["certified score"]["accepted_risk"]["n"]
    assert test["limits of the policy"]["coverage"]["value"] is not None


def test_test_items_of_certified_patients_are_left_out(tmp_path):
    rows = runs.items(60) + runs.items(60, part="official/test", seed=1, each=1)
    rows = [dataclasses.replace(r, exchange=dataclasses.replace(r.exchange, id=f"t{i}")) if "test" in r.parts[0] else r for i, r in enumerate(rows)]
    test = certify(runs.write(tmp_path / "run", rows), Request()).report["test"]
    assert test["left_out"] == 60
    assert test["limits of the policy"]["n"] == 0


@pytest.mark.parametrize(("patients", "slope", "why"), [(40, 0.0, "at least 29 accepted cases are needed and only 20"), (300, 2.0, "safest cases are wrong")])
def test_nothing_can_be_certified_and_why(tmp_path, patients, slope, why):
    found = certify(runs.write(tmp_path / "run", runs.items(patients, slope=slope)), Request())
    assert found.policy is None
    assert found.report["certificate"] is None
    assert why in found.report["nothing"]["why"]
    assert found.report["nothing"]["least_accepted_without_error"] == 29


def test_a_watched_finding_is_never_accepted(tmp_path):
    found = certify(runs.write(tmp_path / "run", runs.items(200, slope=0.0, question="Is there a pneumothorax?")), Request())
    assert found.policy is None
    assert found.report["split"]["never_accepted"] == 100


def test_readings_are_used_when_all_cases_have_them(tmp_path):
    rows = runs.items(300, seed=3)
    readings = [runs.reading(row, flip_rate=0.6 if row.answer.text == "no" else 0.0, hallucination_risk=None) for row in rows]
    run = runs.write(tmp_path / "run", rows, readings=readings)
    found = certify(run, Request())
    assert found.report["measured"] == "gate"
    assert found.report["signals"]["flip_rate"]["weight"] > 1
    assert found.policy.certificate.bound <= 0.1
    assert any("at most 3 and 4" in text for text in found.policy.certificate.conditions)
    plain = certify(runs.write(tmp_path / "plain", rows, readings=readings[5:]), Request())
    assert plain.report["measured"] == "plain answers"
    assert found.policy.certificate.coverage > plain.policy.certificate.coverage


def test_several_evaluations_together_or_one_of_them(tmp_path):
    runs.write(tmp_path / "slake", runs.items(100, slope=0.1))
    runs.write(tmp_path / "vqa-rad", runs.items(100, slope=0.1, start=500), suite="vqa-rad")
    both = certify(tmp_path, Request())
    assert both.report["suites"] == ["slake", "vqa-rad"]
    assert both.report["split"]["clusters"] == 200
    assert certify(tmp_path, Request(), suite="slake").report["split"]["clusters"] == 100
    with pytest.raises(RecordFormatError, match="no evaluation called 'slak'"):
        certify(tmp_path, Request(), suite="slak")
    runs.write(tmp_path / "nih-cxr", runs.items(10), suite="nih-cxr", model=runs.MODEL | {"revision": "2"})
    with pytest.raises(InvalidValue, match="different models"):
        certify(tmp_path, Request())


def test_predictions_take_the_provenance_of_the_folder_above(tmp_path):
    runs.write(tmp_path / "predictions", runs.items(200, slope=0.1))
    (tmp_path / "predictions" / task.PROVENANCE).rename(tmp_path / task.PROVENANCE)
    assert certify(tmp_path, Request()).report["suites"] == ["predictions"]


def test_answers_without_a_confidence_can_only_be_certified_by_other_signals(tmp_path):
    rows = [dataclasses.replace(row, answer=dataclasses.replace(row.answer, confidence=None, p_yes=None)) for row in runs.items(200, slope=0.2)]
    run = runs.write(tmp_path / "run", rows)
    assert certify(run, Request()).report["signals"]["uncertainty"]["why"] == "not recorded"
    with pytest.raises(InvalidValue, match="no confidence is recorded"):
        certify(run, Request(score="uncertainty"))


@pytest.mark.parametrize("content", ["", '{"format": 1}\n', "[]\n"])
def test_a_damaged_or_empty_run_is_refused(tmp_path, content):
    runs.write(tmp_path / "run", [])
    (tmp_path / "run" / task.ITEMS).write_text(content)
    with pytest.raises(UserError):
        certify(tmp_path / "run", Request())


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RecordFormatError, match="no recorded items"):
        certify(tmp_path, Request())


@pytest.mark.parametrize("bad", [{"risk": 0.0}, {"confidence": 1.0}, {"confidence": 0.4}, {"method": "luck"}, {"score": "best"}])
def test_a_request_that_proves_nothing_is_refused(bad):
    with pytest.raises(InvalidValue):
        Request(**bad)


class _Reader:
    """Reads everything alike, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def ask(self, study, question):
        self.asked.append(question)
        return self

    def to_json(self):
        return {key: value for key, value in runs.reading(runs.items(1)[0]).items() if key != "id"}


def test_cases_are_read_through_the_gate_once(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "open_study", lambda root, image, tags: None)
    run = runs.write(tmp_path / "run", runs.items(30, each=6))
    chosen = recorded.split(recorded.read(run))
    reader = _Reader()
    recorded.read_through(chosen, lambda: reader, tmp_path, lambda *_: None)
    assert len(reader.asked) == len(recorded.to_read(chosen)) == 15 + 15 * recorded.FIT_PER_CLUSTER
    again = recorded.split(recorded.read(run))
    assert recorded.measured_by(again) == recorded.GATE
    recorded.read_through(again, lambda: pytest.fail("nothing is left to read"), tmp_path, lambda *_: None)
