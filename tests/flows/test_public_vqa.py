"""PathVQA and PMC-VQA from the command line: shown, checked, and a model evaluated on them from a copy in the published layout."""

import dataclasses
import json

import pytest

from tests.evaluate_miniature import FakeModel
from tests.unit.data.public_vqa import path_vqa, path_vqa_parquet, pmc_vqa
from vesalius.evaluate import baselines, plan, trust
from vesalius.evaluate.record import read_items

PLAIN = ("--model", "standin", "--questioned", "0", "--reworded", "2")


def test_the_cards_say_what_may_be_done(vesalius):
    shown = vesalius("data", "show", "path-vqa").out
    assert "PEIR" in shown
    assert "not allowed" in shown
    listed = vesalius("data", "list", "--json").json
    assert listed["pmc-vqa"]["licence"].startswith("CC-BY-SA")
    assert listed["pmc-vqa"]["train_allowed"] is True


def test_a_check_writes_the_pictures_out_and_names_what_is_broken(vesalius, tmp_path):
    pytest.importorskip("pyarrow")
    path_vqa_parquet(tmp_path)
    found = vesalius("data", "check", tmp_path, "path-vqa", "--json").json["path-vqa"]
    assert (found["counts"]["images"], found["missing"], found["corrupt"]) == (5, [], [])
    next((tmp_path / "path_vqa/images").iterdir()).write_bytes(b"")
    assert len(vesalius("data", "check", tmp_path, "path-vqa", "--json").json["path-vqa"]["corrupt"]) == 1


@pytest.mark.parametrize(
    ("suite", "copy", "part", "questions"),
    [("path-vqa", path_vqa, "official/test", 3), ("pmc-vqa", pmc_vqa, "verified/test", 3)],
)
def test_a_model_is_evaluated(vesalius, tmp_path, suite, copy, part, questions):
    root, out = copy(tmp_path / "root"), tmp_path / "run"
    said = vesalius("evaluate", suite, "--data", root, "--out", out, *PLAIN)
    assert said.code == 0, said.err
    scores = json.loads((out / "results.json").read_text())["parts"][part]
    assert scores["items"] == questions
    assert 0 <= scores["systems"]["model"]["overall"]["value"] <= 1
    assert set(scores["systems"]) & set(baselines.TABLE) == {"majority"}
    items = [item for item in read_items(out / "items.jsonl") if part in item.parts]
    assert {len(item.exchange.question.options) for item in items} == {0 if suite == "path-vqa" else 4}
    assert all(item.swap_image not in (None, item.exchange.image) for item in items)
    assert (out / "page.html").is_file()


@pytest.mark.parametrize(("limit", "asked"), [(None, 2), (2, 3)])
def test_a_trust_suite_asks_no_more_than_the_plain_suite_says_unless_it_has_a_limit_of_its_own(tmp_path, monkeypatch, limit, asked):
    monkeypatch.setattr(plan, "SUITES", {**plan.SUITES, "path-vqa": dataclasses.replace(plan.suite("path-vqa"), trust_limit=1)})
    chosen = trust.Suite(plain=("path-vqa",), studies=("vqa",), limit=limit, reworded=0, questioned=0, baselines=False, replicates=50)
    found = trust.run("fake", path_vqa(tmp_path / "root"), tmp_path / "run", suite=chosen, model_object=FakeModel())
    assert found["items"] == {"path-vqa": asked}  # so many of the test part, and the one question of the development part
