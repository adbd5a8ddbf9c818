import json

import numpy as np
import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.domain.exchange import Rewording
from vesalius.domain.study import Patient
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.studies.fairness import BANDS, STUDY, age_band, attributes_of, group_of
from vesalius.evaluate.study import Bench, Skip
from vesalius.safety.signals import patient_group

SCORER = Scorer(replicates=100, seed=0)
SETTINGS = {"permutations": 400, "minimum": 10}


def clinic(patients=80, *, missed=0.0, seed=0, finding="Edema", part="by_patient/test", **more):
    """Films of F and M, half of them with a finding; of F `missed` of the findings are missed more often. Views follow sex."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        sex, sick = "FM"[number % 2], bool((number // 2) % 2)
        yes = rng.random() < ((0.9 - missed * (sex == "F")) if sick else 0.1)
        tags = {"sex": sex, "age": str(20 + 30 * (number % 3)), "view": "AP" if rng.random() < (0.9 if sex == "F" else 0.1) else "PA", "finding": finding}
        spoken = said("yes" if yes else "no", confidence=0.8, p_yes=0.8 if yes else 0.2)
        rows.append(item(f"{part}{seed}-{number}", "yes" if sick else "no", spoken, tags=tags, cluster=f"p{number}", part=part, blank="no", **more))
    return rows


def figures(rows, *, settings=SETTINGS, readings=None, scorer=SCORER):
    found = STUDY.score([], Bench(items={"s": rows}, readings=readings or {}, settings=settings), scorer)
    json.dumps(found, allow_nan=False)
    return found["suites"]["s"]


def test_bands_are_those_of_the_gate():
    ages = (0, 17, 18, 39, 40, 59, 60, 79, 80, 130)
    assert [age_band(str(a)) for a in ages] == [patient_group(Patient(age_years=a))["age"] for a in ages]
    assert age_band("060Y") == "60-79"
    assert [age_band(a) for a in ("", "old", "-3", "400", "6M")] == [None] * 5
    assert [name for _, name in BANDS] == ["0-17", "18-39", "40-59", "60-79", "80+"]


def test_groups_and_intersections():
    rows = clinic(12)
    assert attributes_of(rows) == ["sex", "age", "view", "sex x age", "sex x view", "age x view", "sex x age x view"]
    assert group_of(rows[0], "sex x age") == "F, 18-39"
    assert group_of(item(0, "yes", "yes", tags={"sex": "F", "age": "unknown"}), "sex x age") is None
    assert attributes_of([item(0, "yes", "yes", tags={"modality": "CT"})]) == []


def test_a_model_that_misses_more_in_one_group_is_above_the_limit():
    found = figures(clinic(240, missed=0.7), settings={})
    tpr = found["attributes"]["sex"]["metrics"]["tpr"]
    assert (tpr["worst"], tpr["verdict"], tpr["below_limit"]) == ("F", "above", False)
    assert tpr["groups"]["F"]["value"] < tpr["groups"]["M"]["value"]
    assert tpr["p_holm"] <= 0.05
    metrics = found["attributes"]["sex"]["metrics"]
    assert metrics["underdiagnosis"]["worst"] == "F"
    assert metrics["underdiagnosis"]["groups"]["F"]["value"] == pytest.approx(1 - tpr["groups"]["F"]["value"])
    assert metrics["eod"]["gap"]["value"] == pytest.approx(1 - metrics["average_odds"]["gap"]["value"])
    assert (metrics["eod"]["verdict"], metrics["eod"]["p_value"]) == (None, None)
    assert metrics["equalized_odds"]["gap"]["value"] == max(metrics["tpr"]["gap"]["value"], metrics["fpr"]["gap"]["value"])
    assert found["worst"][0]["verdict"] == "above"
    assert found["audit"]["sex"]["M"] == {"gap": 0.0, "n": 120}
    assert found["audit"]["sex"]["F"]["gap"] > 0.1


def test_a_fair_model_is_not_called_unfair_and_confounding_is_said():
    found = figures(clinic(200))
    verdicts = {row["verdict"] for about in found["attributes"].values() for row in about["metrics"].values()}
    assert verdicts <= {"below", "cannot be told", None}
    assert any(note.startswith("sex and view go together") for note in found["notes"])
    assert found["attributes"]["sex"]["metrics"]["accuracy"]["p_within_view"] is not None
    assert found["attributes"]["age"]["metrics"]["accuracy"]["p_within_view"] is None
    assert any("too few for" in note for note in found["notes"])  # 400 shuffles for all these tests
    assert found["tests"]["smallest_p"] == min(1.0, found["tests"]["count"] / 401)


def test_small_groups_are_suppressed_and_told():
    found = figures(clinic(60), settings={**SETTINGS, "minimum": 25})
    assert found["attributes"]["sex"]["metrics"]["accuracy"]["gap"]["value"] is not None
    age = found["attributes"]["age"]["metrics"]["accuracy"]
    assert age["groups"] == {}
    assert set(age["too_small"].values()) == {20}
    assert age["verdict"] is None
    assert found["audit"].keys() == {"sex"}


def test_normality_turns_yes_into_healthy():
    rows = clinic(40, finding="normal")
    found = figures(rows)["attributes"]["sex"]["metrics"]
    assert "underdiagnosis" not in found
    missed = [i.answer.text == "yes" for i in rows if i.exchange.gold == "no" and i.exchange.tags["sex"] == "F"]
    assert found["underdiagnosis_normality"]["groups"]["F"]["value"] == pytest.approx(np.mean(missed))
    assert found["tpr"]["groups"] == {}


def test_unread_answers_are_counted_apart():
    rows = [item(i, "yes", "yes and no" if i < 4 else "yes", tags={"sex": "FM"[i % 2], "finding": "Edema"}, cluster=f"p{i}") for i in range(40)]
    found = figures(rows)
    assert found["unread"] == {"count": 4, "n": 40}
    assert found["unread_films"] == {"findings": 4}
    metrics = found["attributes"]["sex"]["metrics"]
    assert metrics["unreadable"]["groups"]["F"]["value"] == 0.1
    assert metrics["tpr"]["groups"]["F"]["n"] == 18
    assert "ece" not in metrics
    assert "auroc" not in metrics


def test_flips_reliance_and_the_gate_have_gaps_too():
    wording = Rewording("Does it show an effusion?", "syntax", 1, "r")
    rows = [
        item(
            i, "yes", "yes", blank="no" if i % 2 else "yes", tags={"sex": "FM"[i % 2]}, cluster=f"p{i}", rewordings=((wording, said("yes" if i % 2 else "no")),)
        )
        for i in range(40)
    ]
    readings = [{"id": r.id, "answer": "yes", "outcome": "yes", "decision": "referred" if n % 2 else "released"} for n, r in enumerate(rows)]
    metrics = figures(rows, readings={"s": readings})["attributes"]["sex"]["metrics"]
    assert {g: v["value"] for g, v in metrics["flip_rate"]["groups"].items()} == {"F": 1.0, "M": 0.0}
    assert {g: v["value"] for g, v in metrics["blank_changed"]["groups"].items()} == {"F": 0.0, "M": 1.0}
    assert {g: v["value"] for g, v in metrics["referral_rate"]["groups"].items()} == {"F": 0.0, "M": 1.0}
    assert metrics["accepted_risk"]["too_small"] == {"M": 0}
    assert metrics["blank_changed"]["worst"] == "F"


def test_answers_that_were_not_asked_of_a_blank_image_have_no_reliance():
    rows = [item(i, "yes", "yes", tags={"sex": "FM"[i % 2]}, cluster=f"p{i}") for i in range(40)]
    rows = [type(r)(r.exchange, r.parts, r.answer) for r in rows]
    assert "blank_changed" not in figures(rows)["attributes"]["sex"]["metrics"]


def test_the_threshold_comes_from_the_development_part():
    fit = clinic(40, seed=1, part="by_patient/development")
    assert "tpr_tuned" in figures([*clinic(40), *fit])["attributes"]["sex"]["metrics"]
    alone = figures(clinic(40))["attributes"]["sex"]["metrics"]
    assert "tpr_tuned" not in alone
    assert "eod_tuned" not in alone


def test_without_groups_the_study_is_skipped():
    skipped = STUDY.collect(Bench(items={"s": [item(0, "yes", "yes")]}), lambda done, total: None)
    assert isinstance(skipped, Skip)
    assert "sex" in skipped.why
    assert list(STUDY.collect(Bench(items={"s": clinic(4)}), lambda done, total: None)) == []
    assert STUDY.score([], Bench(items={"s": [item(0, "yes", "yes")]}), SCORER)["suites"] == {}


def test_scores_are_the_same_each_time():
    rows = clinic(60)
    assert figures(rows, settings={**SETTINGS, "permutations": 50}) == figures(rows, settings={**SETTINGS, "permutations": 50})
