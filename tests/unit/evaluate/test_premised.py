import dataclasses

from tests.unit.evaluate.answers import item, said
from vesalius.evaluate import premised
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.record import answer_json
from vesalius.instruct import premises

SCORER = Scorer(replicates=100, seed=0)


def _row(cluster, *met):
    traps = [
        {"kind": kind, "no_rejects": no_rejects, "answer": answer_json(said(text), "x"), "exists": None if exists is None else answer_json(said(exists), "x")}
        for kind, text, exists, no_rejects in met
    ]
    return {"cluster": cluster, "traps": traps}


def test_accepting_what_one_has_just_denied_is_told_apart():
    rows = [
        _row("a", ("organ", "irregular", "no", True), ("prior", "no", None, False)),
        _row("b", ("organ", "There is no femur in this image.", "no", True), ("prior", "There is no prior study.", None, False)),
        _row("c", ("organ", "round", "yes", True), ("prior", "...", None, False)),
    ]
    found = premised.traps(rows, SCORER)
    assert found["organ"]["accepted"]["value"] == 2 / 3
    assert found["organ"]["denied_when_asked"]["value"] == 2 / 3
    assert found["organ"]["accepted_though_denied"]["value"] == 0.5
    assert found["prior"]["accepted"]["value"] == 0.5
    assert found["prior"]["unreadable"] == {"count": 1, "n": 3}
    assert found["prior"]["accepted_though_denied"] is None
    assert "control" not in found
    assert "measurement" not in found


def test_a_model_that_rejects_everything_tells_nothing_apart():
    rows = [_row(str(i), ("lesion", "none", "no", True), ("present", "none", "no", True)) for i in range(5)]
    found = premised.traps(rows, SCORER)
    assert found["lesion"]["rejected"]["value"] == 1
    assert found["control"]["rejected"]["value"] == 1
    assert found["lesion_minus_control"]["value"] == 0
    assert found["lesion_minus_control"]["low"] is None
    apart = [_row(str(i), ("lesion", "none", "no", True), ("present", "large", "yes", True)) for i in range(5)]
    assert premised.traps(apart, SCORER)["lesion_minus_control"]["value"] == 1


def test_invented_numbers_are_counted_apart():
    rows = [_row("a", ("measurement", "12 mm", None, True)), _row("b", ("measurement", "wide", None, True))]
    found = premised.traps(rows, SCORER)["measurement"]
    assert found["accepted"]["value"] == 1
    assert found["number"]["value"] == 0.5


def test_no_rows_give_no_figures():
    assert premised.traps([], SCORER) == {}


def test_findings_are_named_unless_denied():
    assert premised.named_findings("Cardiomegaly and small pleural effusions. No pneumothorax.") == {"Cardiomegaly", "Effusion"}
    assert premised.named_findings("The lungs are clear") == set()
    assert premised.named_findings("a massive heart") == set()
    assert premised.named_findings("no effusion, but a nodule") == {"Nodule"}


def test_chair_of_free_answers():
    rows = [
        {"cluster": "a", "present": ["Nodule"], "answer": answer_json(said("nodule and effusion"), "x")},
        {"cluster": "b", "present": [], "answer": answer_json(said("clear lungs"), "x")},
    ]
    found = premised.chair_of_texts(rows, SCORER)
    assert (found["texts"], found["mentions"]) == (2, 2)
    assert found["chair_i"]["value"] == 0.5
    assert found["chair_s"]["value"] == 0.5
    assert found["recall"]["value"] == 1


def test_chair_of_yes_no_answers_counts_a_film_once():
    def one(number, finding, gold, text, image):
        made = item(number, gold, text, cluster=image, tags={"finding": finding})
        return dataclasses.replace(made, exchange=dataclasses.replace(made.exchange, image=image))

    items = [one(1, "Mass", "yes", "yes", "f"), one(2, "Nodule", "no", "yes", "f"), one(3, "Hernia", "no", "no", "f"), one(4, "Mass", "no", "no", "g")]
    found = premised.chair_of_items([*items, one(5, "normal", "yes", "yes", "g")], SCORER)
    assert (found["texts"], found["mentions"]) == (2, 2)
    assert found["chair_i"]["value"] == 0.5
    assert found["chair_s"]["value"] == 0.5
    assert premised.chair_of_items([item(1, "yes", "yes")], SCORER) is None
    assert set(premises.FINDINGS) >= {"Mass", "Nodule"}
