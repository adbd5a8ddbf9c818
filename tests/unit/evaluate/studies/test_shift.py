"""The study of shifts on drawn pictures and a model that answers by their brightness: what is asked, what is kept, every figure by hand."""

import dataclasses
import json

import pytest

from tests import evaluate_miniature as miniature
from tests.standin import StandIn
from vesalius.data import base
from vesalius.data.corruptions import CORRUPTIONS
from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue, UnknownName
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.ask import open_study
from vesalius.evaluate.probe import Prober
from vesalius.evaluate.record import Item
from vesalius.evaluate.studies import shift
from vesalius.evaluate.study import Bench, Skip
from vesalius.models.base import GREEDY

SETTINGS = {"images": 8, "questions": 2, "corruptions": ["overexposure", "inversion", "jpeg"], "severities": [1, 5]}
SCORER = Scorer(replicates=200, seed=0)


def items_of(model, root):
    found = []
    for x in base.dataset("slake").exchanges(root, Split.TEST):
        answer = model.ask([(model.encode(open_study(root, x.image, x.tags)), x.question, GREEDY)])[0]
        found.append(Item(x, ("official/test",), answer, answer))
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return miniature.slake(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def bench(root):
    model = miniature.FakeModel()
    return Bench(root=root, prober=Prober(model, root), items={"slake": items_of(model, root)}, settings=SETTINGS)


def collect(bench):
    made = shift.STUDY.collect(bench, lambda done, total: None)
    assert not isinstance(made, Skip)
    return list(made)


@pytest.fixture(scope="module")
def rows(bench):
    return collect(bench)


@pytest.fixture(scope="module")
def found(rows, bench):
    return shift.STUDY.score(json.loads(json.dumps(rows)), bench, SCORER)


def test_each_picture_is_asked_clean_and_with_each_fault(rows):
    by_image = {}
    for row in rows:
        by_image.setdefault(row["image"], []).append((row["corruption"], row["severity"]))
    assert len(by_image) == 8
    for asked in by_image.values():
        assert sorted(asked) == sorted([("", 0), ("inversion", 5), *((n, s) for n in ("overexposure", "jpeg") for s in (1, 5))])


def test_what_was_done_is_named_with_its_seed(rows):
    for row in rows:
        if row["corruption"]:
            assert row["change"].startswith(f"{row['corruption']} severity {row['severity']} (")
            assert " seed " in row["change"]
    assert len({row["id"] for row in rows}) == len(rows)


def test_only_closed_questions_are_asked(rows, bench):
    closed = {item.id for item in bench.items["slake"] if item.exchange.gold in ("Yes", "No")}
    assert {a["item"] for row in rows for a in row["answers"]} <= closed


def test_the_gold_answer_decides_nothing_that_is_shown(bench, root, rows):
    turned = {"Yes": "No", "No": "Yes"}
    other = [
        dataclasses.replace(item, exchange=dataclasses.replace(item.exchange, gold=turned.get(item.exchange.gold, item.exchange.gold)))
        for item in bench.items["slake"]
    ]
    again = collect(dataclasses.replace(bench, items={"slake": other}))
    assert [(r["id"], [a["text"] for a in r["answers"]]) for r in again] == [(r["id"], [a["text"] for a in r["answers"]]) for r in rows]


def test_the_clean_model_is_right_and_overexposure_turns_bright_pictures(found):
    assert found["clean"]["accuracy"]["value"] == 1
    mild, strong = found["corruptions"]["overexposure"]["levels"]
    assert (mild["severity"], mild["level"]) == (1, 1.25)
    assert mild["accuracy"]["value"] == 1
    assert strong["accuracy"]["value"] == pytest.approx(0.5)  # bright pictures, half of them, become dark ones
    assert strong["accuracy_change"]["value"] == pytest.approx(-0.5)
    assert strong["flips"]["value"] == strong["harmful"]["value"] == pytest.approx(0.5)
    assert strong["helpful"]["value"] == 0
    assert strong["flips"]["n"] == found["questions"]


def test_errors_over_severities_and_their_excess(found):
    table = found["corruptions"]["overexposure"]
    assert table["clean_error"] == 0
    assert table["errors"] == [0, pytest.approx(0.5)]
    assert table["mean_error"] == table["excess_error"] == pytest.approx(0.25)
    assert table["be"] is None
    assert found["all"]["worst"] == "overexposure"


def test_a_fault_that_few_pictures_had_counts_in_no_mean(rows, bench):
    few = sorted({row["image"] for row in rows})[:3]
    scored = shift.STUDY.score([row for row in rows if row["image"] in few], bench, SCORER)
    assert scored["all"]["too_few_images"] == ["inversion", "jpeg", "overexposure"]
    assert scored["all"]["worst"] is None
    assert scored["all"]["mean_error"] is None
    assert scored["corruptions"]["overexposure"]["images"] == 3


def test_modalities_take_turns():
    kinds = {**{f"film{i}": "CR" for i in range(20)}, **{f"brain{i}": "MR" for i in range(3)}}
    order = shift._mixed(kinds)
    assert sorted(order) == sorted(kinds)
    assert sorted(kinds[name] for name in order[:6]) == ["CR"] * 3 + ["MR"] * 3


def test_against_a_reference_be_and_rbe_are_ratios(rows, bench):
    reference = {"overexposure": {"clean_error": 0.1, "errors": [0.2, 0.8]}}
    scored = shift.STUDY.score(rows, dataclasses.replace(bench, settings={**SETTINGS, "reference": reference}), SCORER)
    assert scored["corruptions"]["overexposure"]["be"] == pytest.approx(0.25 / 0.5)
    assert scored["corruptions"]["overexposure"]["rbe"] == pytest.approx(0.25 / 0.4)
    assert scored["corruptions"]["jpeg"]["be"] is None


def test_a_result_is_a_reference_for_another(found):
    table = found["corruptions"]["overexposure"]
    assert {"clean_error", "errors"} <= set(table)


def test_without_nih_films_nothing_is_said_of_views_and_hospitals(found):
    assert found["view"] is None
    assert found["source"] is None
    json.dumps(found, allow_nan=False)


def test_rows_that_are_there_are_not_asked_again(bench, rows):
    done = frozenset(row["id"] for row in rows[:-1])
    again = collect(dataclasses.replace(bench, done=done))
    assert [row["id"] for row in again] == [rows[-1]["id"]]
    assert again[0] == rows[-1]


def test_a_mute_model_is_counted_not_guessed(root):
    model = StandIn("mute")
    bench = Bench(root=root, prober=Prober(model, root), items={"slake": items_of(model, root)}, settings={**SETTINGS, "corruptions": ["jpeg"]})
    figures = shift.STUDY.score(collect(bench), bench, SCORER)["corruptions"]["jpeg"]["levels"][0]
    assert figures["unparsed"]["count"] == figures["unparsed"]["n"] > 0
    assert figures["accuracy"]["value"] == 0
    assert figures["referred"]["value"] == 1
    assert figures["flips"]["value"] == 1
    assert figures["flips_parsed"]["value"] is None
    assert figures["confidence"]["value"] is None
    assert figures["auroc"]["value"] is None


def test_everything_asks_all_severities_of_all_images(bench):
    rows = collect(dataclasses.replace(bench, settings={"everything": True, "corruptions": ["jpeg", "inversion"]}, limit=3))
    assert len({row["image"] for row in rows}) == 3
    assert {(row["corruption"], row["severity"]) for row in rows} == {("", 0), ("inversion", 5), *(("jpeg", s) for s in CORRUPTIONS["jpeg"].severities)}


def test_what_cannot_be_asked_is_skipped_with_a_reason(bench):
    assert "no model" in shift.STUDY.collect(Bench(), lambda *_: None).why
    assert "yes or no" in shift.STUDY.collect(Bench(prober=bench.prober), lambda *_: None).why


@pytest.mark.parametrize("settings", [{"images": 0}, {"severities": [6]}, {"severities": []}, {"colour": 1}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(InvalidValue):
        shift.settings_of(Bench(settings=settings))


def test_an_unknown_corruption_is_refused():
    with pytest.raises(UnknownName):
        shift.settings_of(Bench(settings={"corruptions": ["blurr"]}))
