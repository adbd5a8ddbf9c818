import json

import pytest

from tests.evaluate_miniature import FakeModel, Seen, slake
from vesalius.domain.exchange import Answer
from vesalius.errors import ConfigError, InvalidValue
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.probe import Prober
from vesalius.evaluate.studies.hallucination import STUDY
from vesalius.evaluate.study import Bench, Skip
from vesalius.metrics.text import read_outcome

SCORER = Scorer(replicates=50, seed=0)


class Wavering(FakeModel):
    """As the fake, but drawn samples turn over where it is not sure; it never rejects a premise."""

    def ask(self, asks):
        said = []
        for seen, question, way in asks:
            answer = self._one(seen, question)
            if way.temperature and way.seed % 3 == 0:
                answer = self._one(Seen("other", 255.0 - seen.brightness, flat=False), question)
            said.append(answer)
        return said


def _bench(root, model=None, **more):
    return Bench(root, Prober(model or Wavering(wrong=0.2), root), **more)


def _collect(bench):
    return list(STUDY.collect(bench, lambda *_: None))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return slake(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def rows(root):
    return json.loads(json.dumps(_collect(_bench(root))))


def test_every_test_image_has_both_kinds_of_rows(rows):
    kinds = [row["kind"] for row in rows]
    assert kinds.count("signals") == 8
    assert kinds.count("traps") == 8
    assert len({row["id"] for row in rows}) == 16
    drawn = rows[0]
    assert len(drawn["clean"]) == len(drawn["weak"]) == len(drawn["veiled"]) == 10
    assert [part["agrees"] for part in drawn["put_back"]] == [True, False]


def test_the_figures_are_ready_for_the_card(rows):
    found = STUDY.score(rows, Bench(), SCORER)
    json.dumps(found, allow_nan=False)
    assert found["groups"]["all"]["n"] == found["groups"]["slake"]["n"] == 8
    assert found["groups"]["all"]["signals"]["discrete_semantic_entropy"]["n"] == 8
    assert found["traps"]["organ"]["accepted"]["value"] == 1
    assert found["traps"]["prior"]["n"] == 16
    assert found["chair"] == {"texts": None, "answers": None}  # nothing is annotated
    assert found["asked"]["samples"] == 10


def test_the_limit_and_the_settings_count(root):
    few = _collect(_bench(root, limit=3, settings={"samples": 3, "premised": 2, "rewordings": 0}))
    assert [row["kind"] for row in few] == ["signals"] * 3 + ["traps"] * 2
    assert len(few[0]["clean"]) == 3
    assert few[0]["reworded"] == []


def test_what_is_recorded_is_not_made_again(root, rows):
    left = _collect(_bench(root, done=frozenset(row["id"] for row in rows[:-1])))
    assert [row["id"] for row in left] == [rows[-1]["id"]]
    assert left[0] == rows[-1]


def test_no_question_and_no_picture_depends_on_a_gold_answer(root, tmp_path):
    turned = slake(tmp_path)
    path = turned / "slake" / "validate.json"
    path.write_text(path.read_text().replace('"Yes"', '"*"').replace('"No"', '"Yes"').replace('"*"', '"No"'))
    models = [FakeModel(), FakeModel()]
    for where, model in zip((root, turned), models, strict=True):
        _collect(_bench(where, model, settings={"samples": 2}))
    assert models[0].asked == models[1].asked
    assert len(models[0].asked) > 100


def test_a_model_that_knows_its_limits_rejects(root):
    class Careful(FakeModel):
        def _one(self, seen, question):
            said = "This cannot be determined."
            return Answer(said, read_outcome(said))

    found = STUDY.score(_collect(_bench(root, Careful(), limit=2)), Bench(), SCORER)
    assert found["traps"]["organ"]["rejected"]["value"] == 1
    assert found["traps"]["measurement"]["number"]["value"] == 0
    assert found["groups"]["all"]["signals"]["margin"]["n"] == 0


def test_why_it_is_skipped(tmp_path):
    assert isinstance(STUDY.collect(Bench(tmp_path), lambda *_: None), Skip)
    skip = STUDY.collect(_bench(tmp_path), lambda *_: None)
    assert isinstance(skip, Skip)
    assert "slake" in skip.why


@pytest.mark.parametrize(("settings", "error"), [({"samples": 1}, InvalidValue), ({"temperature": 0.0}, InvalidValue), ({"sample": 5}, ConfigError)])
def test_settings_that_cannot_be_used_are_refused(root, settings, error):
    with pytest.raises(error):
        STUDY.collect(_bench(root, settings=settings), lambda *_: None)


@pytest.mark.data
@pytest.mark.weights
def test_pocket_on_one_real_picture_of_each_kind(data_root):
    from vesalius.models import cards

    settings = {"samples": 2, "premised": 1, "images": 1, "rewordings": 1, "suites": ["slake"]}
    rows = _collect(_bench(data_root, cards.load("pocket"), settings=settings))
    assert [row["suite"] for row in rows] == ["slake", "slake", "nih-cxr"]
    film = rows[-1]
    assert {"organ", "lesion", "prior", "measurement"} <= {trap["kind"] for trap in film["traps"]}
    assert film["findings"]["answer"]["text"]
    found = STUDY.score(rows, Bench(settings=settings), SCORER)
    assert found["groups"]["all"]["signals"]["vase_clean"]["n"] == 1
    assert found["chair"]["texts"]["texts"] >= 1
