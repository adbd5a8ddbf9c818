import json

import numpy as np
import pytest

from tests.evaluate_miniature import FakeModel
from tests.unit.data import credentialed
from tests.unit.evaluate.test_followups import nih
from vesalius.domain.exchange import Answer, Outcome
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.probe import Prober
from vesalius.evaluate.studies.temporal import STUDY
from vesalius.evaluate.study import Bench, Skip
from vesalius.metrics.text import read_outcome

SCORER = Scorer(replicates=200, seed=0)


class Slope(FakeModel):
    """P(yes) rises with brightness; what it says of normality falls with it, or rises too."""

    def __init__(self, *, muddled=False, mute=False):
        super().__init__()
        self.muddled, self.mute = muddled, mute

    def _one(self, seen, question):
        if self.mute:
            return Answer("", Outcome.UNPARSED)
        p = float(np.clip(seen.brightness / 255, 0, 1))
        if "normal" in question.text and not self.muddled:
            p = 1 - p
        return Answer("Yes" if p >= 0.5 else "No", read_outcome("Yes" if p >= 0.5 else "No"), confidence=max(p, 1 - p), p_yes=p)


class Comparer(Slope):
    """Sees both films: the brighter one is worse. A stubborn one says that of every pair, in either order."""

    def __init__(self, *, stubborn=False):
        super().__init__()
        self.stubborn, self.questions = stubborn, []

    def compare(self, prior, current, questions):
        self.questions += [q.text for q in questions]
        rise = float(current.image.pixels.mean()) - float(prior.image.pixels.mean())
        text = "worsening" if self.stubborn or rise > 1 else "improving" if rise < -1 else "stable"
        return [Answer(text, Outcome.TEXT) for _ in questions]


@pytest.fixture
def root(tmp_path):
    return nih(tmp_path)


def rows_of(root, model, **more):
    return json.loads(json.dumps(list(STUDY.collect(Bench(root, Prober(model, root), **more), lambda *_: None)), allow_nan=False))


def score(rows):
    return json.loads(json.dumps(STUDY.score(rows, Bench(), SCORER), allow_nan=False))


def test_change_is_derived_with_a_margin_of_development_pairs(root):
    rows = rows_of(root, Slope())
    found = score(rows)
    assert found["compares_films"] is False
    assert "does not compare films" in found["note"]
    learned = [row for row in rows if row["split"] == "development"]
    assert found["margin"]["fitted_on"] == "nih-cxr development pairs"
    assert found["margin"]["n"] == sum(len(row["asked"]) for row in learned)
    assert found["margin"]["patients"] == len({row["cluster"] for row in learned})
    films = found["sources"]["nih-cxr"]
    assert (films["items"], films["classes"]["improving"]) == (sum(len(r["asked"]) for r in rows if r["split"] == "test"), 0)
    # every film is brighter than the one before: what is stable is called worsening, and the rest is right
    assert films["derived"]["recall"]["worsening"]["value"] == 1
    assert films["derived"]["recall"]["stable"]["value"] == 0
    assert films["derived"]["macro_accuracy"]["value"] == 0.5
    assert films["derived"]["accuracy"]["clusters"] == films["patients"]
    assert films["direct"] is None


def test_the_margin_never_sees_a_test_pair(root):
    rows = rows_of(root, Slope())
    turned = [{**row, "asked": [{**a, "gold": "improving"} for a in row["asked"]]} if row["split"] == "test" else row for row in rows]
    assert score(turned)["margin"] == score(rows)["margin"]


def test_the_majority_of_development_pairs_stands_beside_it(root):
    films = score(rows_of(root, Slope()))["sources"]["nih-cxr"]["derived"]
    assert (films["majority"]["class"], films["majority"]["from"]) == ("worsening", "development pairs")
    assert films["majority"]["macro_accuracy"] == 0.5
    assert films["ahead_of_majority"]["value"] == 0
    assert films["confusion"]["stable"] == {"worsening": films["said"]["worsening"] - sum(films["confusion"]["worsening"].values())}


def test_words_alone_change_less_than_probabilities(root):
    words = score(rows_of(root, Slope()))["sources"]["nih-cxr"]["by_words"]
    assert words["said"]["stable"] > 0
    assert words["unread"]["count"] == 0


def test_more_of_a_finding_and_more_normal_contradict(root):
    sane, muddled = (score(rows_of(root, Slope(muddled=m)))["sources"]["nih-cxr"]["contradiction"]["value"] for m in (False, True))
    assert (sane, muddled) == (0, 1)


def test_unread_answers_are_wrong_and_counted_and_nothing_is_fitted_on_them(root):
    found = score(rows_of(root, Slope(mute=True)))
    films = found["sources"]["nih-cxr"]
    assert found["margin"] is None
    assert films["derived"] is None
    assert films["by_words"]["unread"]["count"] == films["items"]
    assert films["by_words"]["accuracy"]["value"] == 0
    assert films["moved"]["value"] is None


def test_a_model_that_compares_is_asked_in_both_orders(root):
    model = Comparer()
    found = score(rows_of(root, model))
    direct = found["sources"]["nih-cxr"]["direct"]
    assert found["compares_films"]
    assert "Compared with the earlier film, is the pleural effusion improving, stable or worsening?" in model.questions
    assert direct["reversal"]["consistent"]["value"] == 1
    assert direct["recall"]["worsening"]["value"] == 1
    stubborn = score(rows_of(root, Comparer(stubborn=True)))["sources"]["nih-cxr"]["direct"]
    assert stubborn["recall"]["worsening"]["value"] == 1
    assert stubborn["reversal"]["consistent"]["value"] == 0
    assert stubborn["reversal"]["consistent_when_changed"]["value"] == 0


def test_the_difference_ranks_without_a_margin(root):
    rows = rows_of(root, Slope())
    for row in rows:  # half of the changes were improvements, and the probability fell
        if int(row["cluster"].rpartition(":")[2]) % 2:
            for a in row["asked"]:
                a["gold"] = "improving" if a["gold"] == "worsening" else a["gold"]
                a["prior"], a["current"] = a["current"], a["prior"]
    assert score(rows)["sources"]["nih-cxr"]["rise_auroc"]["value"] == 1


def test_expert_labels_are_scored_without_development_pairs(tmp_path):
    found = score(rows_of(credentialed.ms_cxr_t(tmp_path), Slope()))
    films = found["sources"]["ms-cxr-t"]
    assert found["margin"] is None
    assert films["gold"] == "expert"
    assert films["by_words"]["majority"]["from"] == "these pairs themselves"
    assert films["classes"] == {"improving": 1, "stable": 1, "worsening": 1}


def test_rows_that_are_there_are_not_made_again(root):
    rows = rows_of(root, Slope())
    assert len({row["id"] for row in rows}) == len(rows)
    left = rows_of(root, Slope(), done=frozenset(row["id"] for row in rows[1:]))
    assert [row["id"] for row in left] == [rows[0]["id"]]


def test_a_limit_is_of_pairs(root):
    assert len(rows_of(root, Slope(), limit=2)) == 4


def test_nothing_to_ask_is_a_reason(tmp_path):
    assert isinstance(STUDY.collect(Bench(), lambda *_: None), Skip)
    assert "several films" in STUDY.collect(Bench(tmp_path, Prober(Slope(), tmp_path)), lambda *_: None).why
    assert score([])["sources"] == {}


@pytest.mark.data
@pytest.mark.weights
def test_pocket_on_a_few_pairs(data_root):
    from vesalius.models import cards

    found = score(rows_of(data_root, cards.load("pocket"), limit=2))
    assert found["compares_films"] is False
    assert found["sources"]["nih-cxr"]["derived"]["unread"]["count"] == 0
