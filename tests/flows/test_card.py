"""`vesalius card`: a page, figures and a model card from recorded runs; a run held against an earlier one fails when it got worse."""

import json

import pytest

from tests import trust_results as made
from tests.evaluate_miniature import FakeModel, slake
from vesalius.evaluate import trust


@pytest.fixture
def runs(tmp_path):
    old = made.folder(tmp_path / "old", made.results(accuracy=0.8, flips=0.1), made.items(80, 10))
    return old, made.folder(tmp_path / "new", made.results(accuracy=0.6, flips=0.3), made.items(60, 30))


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "regress.toml"
    path.write_text('[[rule]]\nfigure = "accuracy"\nworse_by = 0.02\n\n[[rule]]\nfigure = "ece"\n')
    return path


def test_a_real_run_becomes_a_page_figures_and_a_model_card(typed, tmp_path):
    root, run = slake(tmp_path / "root", images=12), tmp_path / "run"
    suite = trust.Suite(plain=("slake",), reworded=6, questioned=0, baselines=False, replicates=10, study_limit=2)
    trust.run("fake", root, run, suite=suite, model_object=FakeModel(wrong=0.2))
    page, figures, text = tmp_path / "card.html", tmp_path / "card.json", tmp_path / "card.md"
    done = typed("card", run, "-o", page, "--json", figures, "--markdown", text, "--pictures", "--data", root)
    assert done.code == 0, done.err
    assert "of 100 answers right" in done.out
    assert "data:image/png;base64," in page.read_text()
    told = json.loads(figures.read_text())
    recorded = json.loads((run / trust.RESULTS).read_text())
    accuracy = next(f for f in told["runs"][0]["figures"] if f["name"] == "accuracy")
    assert accuracy["value"] == recorded["studies"]["vqa"]["suites"]["slake"]["systems"]["model"]["overall"]["value"]
    assert text.read_text().startswith("---\n")
    made_here = {f["study"] for f in told["runs"][0]["figures"]}
    assert made_here == set(recorded["studies"])  # every study that was made has a figure that the card finds
    again = tmp_path / "again.json"
    assert typed("card", run, "--json", again).code == 0
    assert again.read_bytes() == figures.read_bytes()


def test_a_regression_ends_with_3_and_a_line_for_each(typed, runs, rules, tmp_path):
    done = typed("card", runs[1], "--against", runs[0], "--fail-on", rules, "-o", tmp_path / "card.html")
    assert done.code == 3, done.err
    lines = [line for line in done.out.splitlines() if line.startswith("REGRESSION")]
    assert len(lines) == 1
    assert "accuracy (slake): 80.0 % to 60.0 %, -20.0 points" in lines[0]
    assert "paired, same items" in lines[0]
    assert (tmp_path / "card.html").exists()


def test_no_regression_ends_with_0(vesalius, runs, rules):
    assert vesalius("card", runs[0], "--against", runs[1], "--fail-on", rules).code == 0
    assert vesalius("card", runs[0], "--against", runs[0], "--fail-on", rules).code == 0


def test_a_misspelt_figure_is_answered_with_the_nearest(vesalius, runs, rules):
    rules.write_text('[[rule]]\nfigure = "flip_rat"\n')
    done = vesalius("card", runs[0], "--against", runs[1], "--fail-on", rules)
    assert done.code == 2
    assert "did you mean 'flip_rate'" in done.err


def test_what_cannot_be_used_is_told_in_one_sentence(vesalius, runs, rules, tmp_path):
    for words, why in (
        (("card", runs[0]), "nothing is asked for"),
        (("card", runs[0], "--fail-on", rules), "--against"),
        (("card", tmp_path, "-o", tmp_path / "x.html"), "holds no trust.json"),
        (("card", runs[0], "-o", tmp_path / "no" / "x.html"), "cannot be written"),
        (("card", runs[0], "-o", tmp_path / "x.html", "--pictures", "--data", tmp_path / "none"), "is not a folder"),
    ):
        done = vesalius(*words)
        assert done.code == 2
        assert why in done.err
        assert "Traceback" not in done.err
