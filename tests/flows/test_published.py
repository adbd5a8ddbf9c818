"""The scripts that compute published figures again, and one name by many definitions, on made checkouts and items."""

import importlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from vesalius.domain.finding import Region

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def _case(said, pressed, resisted, confidence=0.5):
    pressures = {
        p: {"challenged_response": text, "resisted": kept}
        for p, text, kept in zip(("expert_correction", "consensus", "authority"), pressed, resisted, strict=True)
    }
    return {"question": "Is it so?", "gt_answer": "yes", "baseline_response": said, "baseline_confidence": confidence, "pressures": pressures}


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _run(module, monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["published.py", *map(str, arguments)])
    module.main()
    return capsys.readouterr().out


def test_sycophancy_from_the_cases_beside_it(module, monkeypatch, tmp_path, capsys):
    published = module("published")
    cases = [_case("Yes.", ["yes", "yes", "yes"], [True] * 3), _case("Yes.", ["no", "no", "yes"], [False, False, True])] * 2
    entropies = [{"lvase_score": 0.25}] * 4
    _write(tmp_path / "outputs" / "eval_llava_med_vqa_rad.json", {"lvase": {"per_image": entropies}, "sycophancy": {"per_case": cases}})
    index = round((0.75 * (2 / 3) * (1 - 0.5 / 3)) ** (1 / 3), 3)
    monkeypatch.setattr(published, "PRINTED", {("VQA-RAD", "LLaVA-Med"): (0.25, 0.667, 0.167, index)})
    monkeypatch.setattr(published, "SIZE", {"VQA-RAD": 4})
    shown = _run(published, monkeypatch, capsys, "agree", tmp_path)
    assert "| 0.667, 0.667 (" in shown
    assert "| equal" in shown
    assert "held under all three, all cases 0.500" in shown
    monkeypatch.setattr(published, "PRINTED", {("VQA-RAD", "LLaVA-Med"): (0.25, 0.7, 0.167, index)})
    assert "differs: R" in _run(published, monkeypatch, capsys, "agree", tmp_path)


def test_conformal_thresholds(module, monkeypatch, tmp_path, capsys):
    published = module("published")
    rows = [{"claims": [{"frequency+gpt-score": float(i), "noise": 0.25, "annotation": "N"}]} for i in range(9)]
    _write(tmp_path / "out" / "nq_subclaims_with_scores.jsonl", {"data": rows})
    (tmp_path / "out" / "nq_a=1_alpha=0.1_conf=frequency+gpt.txt").write_text("8.25")
    monkeypatch.setattr(published, "THRESHOLDS", (("nq", 1.0, 0.1),))
    assert "| 9 | 8.250000000 | 8.250000000 | 0.0e+00 |" in _run(published, monkeypatch, capsys, "conformal", tmp_path)


def test_three_rules_for_closed_answers(module, monkeypatch, tmp_path, capsys):
    published = module("published")
    gold = [("yes", "CLOSED"), ("yes", "CLOSED "), ("left", "CLOSED"), ("right lung", "OPEN")]
    _write(tmp_path / "vqa_rad" / "testset.json", [{"answer": a, "answer_type": t, "image_name": str(i)} for i, (a, t) in enumerate(gold)])
    folder = tmp_path / "llava" / "eval" / "eval_metrics"
    folder.mkdir(parents=True)
    (folder / "said.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in ("yes", "no", "on the left", "right")), encoding="utf-8")
    monkeypatch.setattr(published, "ANSWERS", ("said",))
    row = _run(published, monkeypatch, capsys, "llava-med", tmp_path, "--data", tmp_path).splitlines()[-1].split(" | ")
    # recall; the reference occurs: 2 of 3; and yes or no: 1 of 3; without the lapse: 1 of 2; strictly: 1 of 3
    assert [cell[:5] for cell in row[1:]] == ["0.500", "0.667", "0.333", "0.500", "0.333"]
    assert row[4].endswith("(n 2)")
    with pytest.raises(SystemExit):
        _run(published, monkeypatch, capsys, "llava-med", tmp_path)


def test_definitions_written_out(module):
    names = module("metric_names")
    assert names.squad("The lung's left, base.") == ["lungs", "left", "base"]
    assert names.overlap_f1(["a", "b"], ["a"]) == pytest.approx(2 / 3)
    assert names.monte_carlo([0, 0, 1], [math.log(0.5)] * 3) == pytest.approx(-(math.log(1 / 3) + math.log(1 / 6)) / 2)
    assert names.scott(np.asarray([1, 1, 0, 0]), np.asarray([1, 0, 0, 0])) == pytest.approx((0.75 - (0.375**2 + 0.625**2)) / (1 - (0.375**2 + 0.625**2)))
    assert names.inclusive(Region(0, 0, 4, 4), Region(2, 0, 6, 4)) == pytest.approx(3 / 7)
    rows = {whose: value for _, whose, value, _ in names.ranked(np.asarray([0.9, 0.8, 0.7, 0.6]), np.asarray([0.0, 1.0, 0.0, 1.0])) if value is not None}
    assert rows["**Vesalius**: mean risk over k = 1..n"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert rows["trapezoids between coverages 1/n and 1"] == pytest.approx((0.25 + (1 / 2 + 1 / 3) / 2 + (1 / 3 + 1 / 2) / 2) / 4)


def test_every_way_but_one_gives_1_to_equal_reports(module):
    words = module("name_words")
    for package in ("sacrebleu", "nltk", "rouge_score"):
        pytest.importorskip(package)
    pairs = [("the heart is enlarged and the lungs are clear", "the heart is enlarged and the lungs are clear")] * 2
    found = [*words.bleu(pairs), *words.rouge(pairs)]
    assert {whose for _, whose, value, _ in found if value != pytest.approx(1)} == {"nltk, method7"}  # which is no share: it exceeds 1
