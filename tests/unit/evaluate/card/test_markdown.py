import json

import pytest

from tests import trust_results as made
from vesalius.evaluate.card import build, markdown
from vesalius.evaluate.card.runs import read

yaml = pytest.importorskip("yaml")
hub = pytest.importorskip("huggingface_hub.repocard_data")


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    return build.build([read(made.folder(tmp_path_factory.mktemp("md") / "run", made.results(name="pocket")))])


def _front(text):
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_front_matter_is_what_a_hub_reads(card):
    front, _ = _front(markdown.render(card))
    name, results = hub.model_index_to_eval_results(front["model-index"])
    assert name == "pocket"
    accuracy = next(r for r in results if r.metric_type == "accuracy" and r.metric_name.startswith("answers that are right"))
    assert (accuracy.metric_value, accuracy.dataset_type, accuracy.task_type) == (0.62, "slake", "visual-question-answering")
    assert "95 % interval 0.5700 to 0.6700, n 100" in accuracy.metric_name
    assert front["model-index"] == markdown.model_index(card)
    assert front["license"] == "apache-2.0"
    assert front["language"] == ["en"]
    assert front["pipeline_tag"] == "visual-question-answering"


def test_a_model_that_is_not_known_claims_no_licence(tmp_path):
    unknown = build.build([read(made.folder(tmp_path / "run", made.results(name='odd: "name"\n- x')))])
    front, _ = _front(markdown.render(unknown))
    assert "license" not in front
    assert front["model-index"][0]["name"] == 'odd: "name"\n- x'


def test_elements_of_a_health_card_hold_figures_or_say_that_they_were_not_measured(card, tmp_path):
    text = markdown.render(card)
    assert "### KeyMetrics: UsefulnessUsabilityEfficacy" in text
    row = next(line for line in text.splitlines() if line.startswith("| answers that are right, slake |"))
    assert json.loads(row.split("|")[2])["value"] == 0.62
    bare = build.build([read(made.folder(tmp_path / "run", made.results(without=("fairness",))))])
    part = markdown.render(bare).split("### KeyMetrics: FairnessEquity")[1].split("###")[0]
    assert "Results: not measured." in part


def test_names_and_errors_cannot_make_markup(tmp_path):
    results = made.results(name="x | <script>", without=("vqa",))
    results["skipped"]["vqa"] = "a | b\n# c"
    text = markdown.render(build.build([read(made.folder(tmp_path / "run", results))]))
    body = text.split("---\n", 2)[2]
    assert "<script>" not in body
    assert "\n# c" not in body
    assert "a \\| b # c" in body


def test_the_same_runs_give_the_same_text(card):
    assert markdown.render(card) == markdown.render(card)
