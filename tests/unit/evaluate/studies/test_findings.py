import json

import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.domain.finding import Certainty
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.record import Item
from vesalius.evaluate.studies.findings import STUDY, canonical, finding_of, gold_state
from vesalius.evaluate.study import Bench, Skip

SCORER = Scorer(replicates=60, seed=0)


def asked(number, finding, gold, answer, *, p_yes=None, part="by_patient/test", patient=None):
    spoken = said(answer, p_yes=p_yes)
    return item(number, gold, spoken, tags={"finding": finding}, cluster=patient or f"p{number}", part=part)


def test_names_and_states():
    assert [canonical(n) for n in ("Pleural_Thickening", "effusion", "no finding", "normal", "Lung Tumor")] == [
        "Pleural Thickening",
        "Pleural Effusion",
        "No Finding",
        "No Finding",
        "Lung Tumor",
    ]
    assert [gold_state(g) for g in ("Yes", "0", "-1", "", "uncertain", "PA")] == [
        Certainty.PRESENT,
        Certainty.ABSENT,
        Certainty.UNCERTAIN,
        Certainty.UNMENTIONED,
        Certainty.UNCERTAIN,
        None,
    ]
    assert finding_of(asked(0, "view", "PA", "pa")) is None
    assert finding_of(item(0, "yes", "yes")) is None


def test_gold_that_is_uncertain_or_missing_stands_apart():
    rows = [
        asked(0, "Edema", "yes", "yes"),
        asked(1, "Edema", "no", "no"),
        asked(2, "Edema", "uncertain", "yes"),
        asked(3, "Edema", "", "yes"),
        asked(4, "Mass", "yes", "no"),
        asked(5, "view", "PA", "pa"),
    ]
    found = STUDY.score([], Bench(items={"nih-cxr": rows}), SCORER)["suites"]["nih-cxr"]
    assert found["findings"]["Edema"]["gold"] == {"positive": 1, "negative": 1, "uncertain": 1, "missing": 1, "not_asked": 2}
    assert found["findings"]["Edema"]["said"] == {"yes": 1, "no": 1, "undetermined": 0, "unparsed": 0}
    assert found["findings"]["Edema"]["unread_out"]["f1"]["value"] == 1.0
    assert found["not_findings"] == {"view": 1}
    assert found["sets"]["all"]["members"] == ["Edema", "Mass"]
    assert found["sets"]["all"]["macro"]["unread_negative"]["f1"]["value"] == 0.5
    assert found["sets"]["all"]["common"]["members"] == []
    json.dumps(found, allow_nan=False)


def test_unread_answers_have_two_readings():
    rows = [asked(i, "Edema", "yes", answer) for i, answer in enumerate(["yes", "cannot be determined", "yes and no", "a shadow"])]
    found = STUDY.score([], Bench(items={"s": rows}), SCORER)["suites"]["s"]["findings"]["Edema"]
    assert found["said"] == {"yes": 1, "no": 0, "undetermined": 1, "unparsed": 2}
    assert (found["unread_negative"]["recall"]["value"], found["unread_out"]["recall"]["value"]) == (0.25, 1.0)


def test_thresholds_come_from_the_development_part_alone():
    test = [asked(i, "Edema", "yes" if i % 2 else "no", "no", p_yes=0.3 if i % 2 else 0.1) for i in range(12)]
    fit = [asked(100 + i, "Edema", "yes" if i % 2 else "no", "no", p_yes=0.25 if i % 2 else 0.2, part="by_patient/development") for i in range(12)]
    found = STUDY.score([], Bench(items={"s": [*test, *fit]}), SCORER)["suites"]["s"]["findings"]["Edema"]
    assert found["at_threshold"]["threshold"] == 0.25
    assert found["at_threshold"]["f1"]["value"] == 1.0
    assert found["unread_negative"]["f1"]["value"] == 0.0
    assert found["gold"]["positive"] == 6
    assert found["auroc"]["value"] == 1.0
    alone = STUDY.score([], Bench(items={"s": test}), SCORER)["suites"]["s"]["findings"]["Edema"]["at_threshold"]
    assert alone["threshold"] is None
    assert "0 positive" in alone["why"]


def test_no_finding_is_not_among_the_findings():
    rows = [asked(i, name, "yes", "yes") for i, name in enumerate(["normal", "Edema", "Mass", "Pneumonia"])]
    sets = STUDY.score([], Bench(items={"s": rows}), SCORER)["suites"]["s"]["sets"]
    assert sets["all"]["members"] == ["Edema", "Mass", "Pneumonia"]
    assert sets["nih14"]["members"] == ["Edema", "Mass", "Pneumonia"]
    assert sets["chexpert14"]["members"] == ["No Finding", "Edema", "Pneumonia"]


@pytest.mark.parametrize("rows", [[], [item(0, "yes", "yes")]])
def test_nothing_about_findings_is_said(rows: list[Item]):
    bench = Bench(items={"vqa-rad": rows})
    assert isinstance(STUDY.collect(bench, lambda done, total: None), Skip)
    assert STUDY.score([], bench, SCORER) == {"suites": {}}


def test_nothing_is_asked():
    assert list(STUDY.collect(Bench(items={"s": [asked(0, "Edema", "yes", "yes")]}), lambda done, total: None)) == []
