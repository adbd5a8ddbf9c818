import hashlib
import json
import re

import pytest

from tests.evaluate_miniature import FakeModel, slake
from vesalius.domain.exchange import Answer
from vesalius.errors import ConfigError, InvalidValue
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.probe import Prober
from vesalius.evaluate.studies.sycophancy import STUDY
from vesalius.evaluate.study import Bench, Skip
from vesalius.metrics.text import read_outcome

SCORER = Scorer(replicates=50, seed=0)
TOWARDS = re.compile(r"(answer is|clearly says|already says|and reply) (yes|no)\.")


def said(text, p_yes):
    return Answer(text, read_outcome(text), confidence=max(p_yes, 1 - p_yes), p_yes=p_yes)


class Firm(FakeModel):
    """Answers by the picture alone, whatever stands before the question."""

    def ask(self, asks):
        found = []
        for seen, question, _ in asks:
            yes = (seen.brightness > 115) != ("heart" in question.text)
            self.asked.append((seen.key, question.text))
            found.append(said("Yes" if yes else "No", 0.9 if yes else 0.1))
        return found


class Follower(Firm):
    """Says what it is told, and gives up when doubted."""

    def ask(self, asks):
        found = []
        for answer, (_, question, _) in zip(super().ask(asks), asks, strict=True):
            told, doubted = TOWARDS.search(question.text), re.search(r"You replied (yes|no)", question.text)
            if told:
                answer = said(told[2].title(), 0.8 if told[2] == "yes" else 0.2)
            elif doubted:
                answer = said("No" if doubted[1] == "yes" else "Yes", 0.5)
            found.append(answer)
        return found


class Fickle(Firm):
    """Changes with any words, whatever they say."""

    def __init__(self, salt):
        super().__init__()
        self.salt = salt

    def ask(self, asks):
        return [said("Yes" if hashlib.sha256(f"{self.salt}{seen.key}{q.text}".encode()).digest()[0] % 2 else "No", 0.5) for seen, q, _ in asks]


def _bench(root, model=None, **more):
    return Bench(root, Prober(model or Firm(), root), **more)


def _collect(bench):
    return list(STUDY.collect(bench, lambda *_: None))


def _score(root, model, **more):
    found = STUDY.score(json.loads(json.dumps(_collect(_bench(root, model, **more)))), Bench(), SCORER)
    json.dumps(found, allow_nan=False)
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return slake(tmp_path_factory.mktemp("data"), 60)


def test_a_firm_model_holds_and_scores_best(root):
    found = _score(root, Firm())
    assert found["n"] == 20
    assert found["kinds"] == {"yes_no": 20, "choice": 0}
    assert found["plain"]["accuracy"]["value"] == 1
    for pressure in found["pressures"].values():
        assert pressure["changed"]["value"] == pressure["caved"]["value"] == 0
    assert found["held"]["all"]["value"] == 1
    assert found["resistance"]["value"] == 1
    assert found["resistance"]["method"].startswith("Clopper-Pearson")
    assert found["ccs"]["value"] == 0
    assert found["csi"]["value"] == pytest.approx((1 - found["l_vase"]["value"]) ** (1 / 3))
    assert found["order"]["yes_no"]["changed"]["value"] == 0
    assert found["order"]["choice"] is None


def test_a_follower_gives_way_to_right_and_wrong_alike(root):
    found = _score(root, Follower())
    for name, pressure in found["pressures"].items():
        assert pressure["caved"]["value"] == 1, name
        assert pressure["caved_control"]["value"] == 0
        assert pressure["cave_effect"]["value"] == 1
    assert found["held"]["all"]["value"] == 0
    assert found["held"]["control"]["value"] == 1
    assert found["resistance"]["value"] == 0
    assert found["ccs"]["value"] == pytest.approx(0.9)
    assert found["csi"]["value"] < 0.3


def test_a_follower_that_starts_wrong_is_helped(root):
    class Wrong(Follower):
        def ask(self, asks):
            return [
                a if TOWARDS.search(q.text) or "You replied" in q.text else said("No" if a.text == "Yes" else "Yes", 1 - a.p_yes)
                for a, (_, q, _) in zip(super().ask(asks), asks, strict=True)
            ]

    found = _score(root, Wrong())
    assert found["plain"]["accuracy"]["value"] == 0
    assert found["pressures"]["authority"]["helped"]["value"] == 1
    assert found["pressures"]["authority"]["help_effect"]["value"] == 1
    assert found["pressures"]["authority"]["caved"]["value"] is None  # nothing was right
    assert found["pressures"]["authority"]["asymmetry"]["value"] is None
    assert found["held"]["all"]["value"] is None


def test_a_fickle_model_changes_as_much_for_neutral_words(root):
    """Without the control it would look as if it gave way; with it, the interval of the effect holds zero nearly always."""
    effects = []
    for salt in range(6):
        found = _score(root, Fickle(salt))
        assert found["pressures"]["any"]["changed"]["value"] > 0.3
        assert found["pressures"]["any"]["caved"]["value"] > 0.2
        effects.append(found["pressures"]["any"]["change_effect"])
    assert sum(e["low"] <= 0 <= e["high"] for e in effects) >= 5
    assert abs(sum(e["value"] for e in effects) / 6) < 0.12


def test_every_possible_answer_is_suggested_so_that_nothing_leaks(root, tmp_path):
    turned = slake(tmp_path, 60)
    path = turned / "slake" / "validate.json"
    path.write_text(path.read_text().replace('"Yes"', '"*"').replace('"No"', '"Yes"').replace('"*"', '"No"'))
    models = [Firm(), Firm()]
    found = [_collect(_bench(where, model)) for where, model in zip((root, turned), models, strict=True)]
    assert models[0].asked == models[1].asked
    for row in found[0]:
        for name in ("suggestion", "authority", "premise", "injection"):
            assert [p["towards"] for p in row["pushed"] if p["pressure"] == name] == ["yes", "no"]
        assert all(len(p["text"].split()) == len(c["text"].split()) for p in row["pushed"] for c in p["controls"])


def test_an_unreadable_answer_is_counted_and_not_doubted(root):
    class Mute(Firm):
        def ask(self, asks):
            return [Answer("", read_outcome("")) for _ in asks]

    rows = _collect(_bench(root, Mute(), limit=4))
    assert all(row["own"] is None and "doubt" not in {p["pressure"] for p in row["pushed"]} for row in rows)
    found = STUDY.score(rows, Bench(), SCORER)
    assert found["plain"]["unparsed"] == {"count": 4, "n": 4}
    assert found["pressures"]["suggestion"]["unparsed"] == {"count": 8, "n": 8}
    assert found["pressures"]["suggestion"]["changed"]["value"] is None
    assert found["resistance"]["value"] is None
    assert found["csi"]["value"] is None
    assert found["without_confidence"] == {"count": 4, "n": 4}


def test_choices_are_pressed_towards_each_option_and_shuffled(tmp_path):
    root = slake(tmp_path, 12)
    path = root / "slake" / "validate.json"
    path.write_text(path.read_text().replace("Which organ is shown?", "Which organ is shown, lung or heart?"))

    class First(FakeModel):
        """Takes the option that stands first."""

        def ask(self, asks):
            return [said_text(q) for _, q, _ in asks]

    def said_text(question):
        found = re.search(r"(lung|heart) or (lung|heart)", question.text)
        text = found[1] if found else "Yes"
        return Answer(text, read_outcome(text), confidence=0.6)

    rows = [row for row in _collect(_bench(root, First(), settings={"suites": ["slake"]})) if row["possible"] != ["yes", "no"]]
    assert rows
    assert rows[0]["possible"] == ["lung", "heart"]
    assert rows[0]["own"] == "lung"
    found = STUDY.score(rows, Bench(), SCORER)
    assert found["order"]["choice"]["changed"]["value"] == 1
    assert found["pressures"]["suggestion"]["changed"]["value"] == 0
    assert found["l_vase"]["value"] is None
    assert found["csi"]["value"] is None


def test_it_goes_on_where_it_stopped(root):
    rows = _collect(_bench(root, limit=5))
    assert len(rows) == 5
    assert [r["id"] for r in _collect(_bench(root, limit=5, done=frozenset(r["id"] for r in rows[1:])))] == [rows[0]["id"]]


def test_why_it_is_skipped(tmp_path):
    assert isinstance(STUDY.collect(Bench(tmp_path), lambda *_: None), Skip)
    assert isinstance(STUDY.collect(_bench(tmp_path), lambda *_: None), Skip)


@pytest.mark.parametrize(("settings", "error"), [({"images": 0}, InvalidValue), ({"image": 5}, ConfigError)])
def test_settings_that_cannot_be_used_are_refused(root, settings, error):
    with pytest.raises(error):
        STUDY.collect(_bench(root, settings=settings), lambda *_: None)


@pytest.mark.data
@pytest.mark.weights
def test_pocket_on_one_real_picture(data_root):
    from vesalius.models import cards

    rows = _collect(_bench(data_root, cards.load("pocket"), settings={"suites": ["slake"], "images": 1}))
    found = STUDY.score(rows, Bench(), SCORER)
    assert found["n"] == 1
    assert found["resistance"]["value"] is not None
