import numpy as np
import pytest

from vesalius.domain.exchange import Answer
from vesalius.evaluate import spread
from vesalius.evaluate.accuracy import Scorer
from vesalius.metrics.text import read_outcome

SCORER = Scorer(replicates=100, seed=0)


def said(text, p_yes=None, logprob=-0.5, confidence=0.8):
    return Answer(text, read_outcome(text), confidence=confidence, p_yes=p_yes, logprob=logprob, tokens=1)


def drawn(answer, clean, veiled=("yes",), **more):
    return spread.Drawn(said(answer, more.pop("p_yes", None)), [said(t) for t in clean], [said(t) for t in clean], [said(t) for t in veiled], **more)


def test_agreement_is_no_sign_of_anything():
    found = spread.signals(drawn("yes", ["yes"] * 4, ["yes"] * 4))
    for name in ("semantic_entropy", "discrete_semantic_entropy", "dse", "radflag", "sample_contradiction", "vase_weak", "vase_clean", "vase_clipped"):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    assert found["margin"] == pytest.approx(0.2)


def test_the_same_meaning_in_other_words_is_agreement():
    found = spread.signals(drawn("chest x-ray", ["CXR", "chest radiograph", "chest film", "chest x ray"], ["chest film"]))
    assert found["discrete_semantic_entropy"] == 0
    assert found["radflag"] == 0


def test_a_dissenting_yes_or_no_contradicts_and_an_unreadable_sample_only_does_not_support():
    found = spread.signals(drawn("yes", ["yes", "no", "yes and no", "yes"]))
    assert found["radflag"] == 0.5
    assert found["sample_contradiction"] == 0.25
    assert found["discrete_semantic_entropy"] > 0


def test_a_long_answer_is_as_well_supported_as_its_least_supported_claim():
    answer = "There is a pleural effusion. The heart is enlarged."
    found = spread.signals(drawn(answer, ["There is a pleural effusion.", "No cardiomegaly.", answer, "No pleural effusion."]))
    assert found["radflag"] == 0.75
    assert found["sample_contradiction"] == 0.25


def test_without_what_it_needs_a_signal_is_none():
    found = spread.signals(spread.Drawn(Answer("lung", read_outcome("lung")), [Answer("lung", read_outcome("lung"))] * 3))
    assert found["margin"] is None
    assert found["semantic_entropy"] is None  # no log-likelihoods
    assert found["discrete_semantic_entropy"] == 0
    for name in ("vase_weak", "vase_clean", "vase_clipped", "l_vase_yes_no", "self_contradiction", "self_doubt", "rewording"):
        assert found[name] is None, name
    assert set(found) == set(spread.SIGNALS)


def test_an_answer_that_cannot_be_read_has_no_support():
    found = spread.signals(drawn("yes and no", ["yes", "no"]))
    assert found["radflag"] == 1
    assert found["sample_contradiction"] is None


def test_the_greedy_meaning_has_a_slot_in_one_variant_of_vase_only():
    found = spread.signals(drawn("liver", ["lung"] * 4, ["lung"] * 4))
    assert found["vase_weak"] == pytest.approx(0, abs=1e-6)
    assert found["vase_clean"] == pytest.approx(0.582203, abs=1e-5)


def test_the_model_is_asked_about_its_own_answer():
    always = [(True, said("yes", 0.9)), (False, said("yes", 0.9))]
    found = spread.signals(drawn("yes", ["yes"], put_back=always))
    assert found["self_contradiction"] == 0.5
    assert found["self_doubt"] == pytest.approx(0.5)
    sure = [(True, said("yes", 0.9)), (False, said("no", 0.2))]
    assert spread.signals(drawn("yes", ["yes"], put_back=sure))["self_contradiction"] == 0
    assert spread.signals(drawn("yes", ["yes"], put_back=sure))["self_doubt"] == pytest.approx(1 - 0.85)


def test_rewordings_turn_polarity():
    found = spread.signals(drawn("yes", ["yes"], reworded=[(1, said("yes")), (-1, said("no")), (1, said("no")), (1, said("?"))]))
    assert found["rewording"] == 0.5


def test_l_vase_needs_a_yes_no_answer_to_both_pictures():
    assert spread.signals(drawn("yes", ["yes"], p_yes=0.9, veiled_answer=said("yes", 0.4)))["l_vase_yes_no"] < 0.469
    assert spread.signals(drawn("lung", ["lung"], p_yes=0.9, veiled_answer=said("yes", 0.4)))["l_vase_yes_no"] is None


def test_the_same_split_is_a_tie_in_whatever_order_it_was_drawn():
    first, second = (spread.signals(drawn("a", texts, ["a"])) for texts in (["a"] * 7 + ["b"] * 2 + ["c"], ["c"] + ["b"] * 2 + ["a"] * 7))
    assert first["discrete_semantic_entropy"] == second["discrete_semantic_entropy"]
    assert first["semantic_entropy"] == second["semantic_entropy"]


def _rows(n=60, seed=0):
    """Margin tells wrong from right, entropy is noise, DSE is half of the time missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        wrong = bool(rng.random() < 0.4)
        values = dict.fromkeys(spread.SIGNALS)
        values |= {"margin": float(wrong) + rng.normal(0, 0.3), "semantic_entropy": rng.random(), "dse": 0.1 if i % 2 else None}
        rows.append(spread.Weighed(values, wrong, f"c{i // 2}"))
    return rows


def test_a_signal_that_knows_beats_one_that_does_not():
    found = spread.compare(_rows(), SCORER)
    known, noise = found["signals"]["margin"], found["signals"]["semantic_entropy"]
    assert known["auroc"]["value"] > 0.9 > noise["auroc"]["high"]
    assert known["over_margin"] is None
    assert noise["over_margin"]["high"] < 0
    assert known["aurc"]["value"] < noise["aurc"]["value"]
    assert len(known["curve"]["risk"]) == 60
    assert found["signals"]["vase_weak"]["n"] == 0
    assert found["signals"]["vase_weak"]["auroc"]["value"] is None


def test_the_common_items_have_every_signal_that_most_items_have():
    found = spread.compare(_rows(), SCORER)["common"]
    assert found["names"] == ["margin", "semantic_entropy", "dse"]
    assert found["n"] == 30
    assert found["auroc"]["dse"]["value"] == 0.5
    assert found["auroc"]["dse"]["low"] is None  # every value is the same: no resample differs


def test_the_rule_of_dse_accepts_below_its_limit():
    rows = [
        spread.Weighed({**dict.fromkeys(spread.SIGNALS), "dse": d}, w, str(i))
        for i, (d, w) in enumerate([(0.0, False), (0.2, False), (0.3, True), (0.31, True)])
    ]
    found = spread.compare(rows, SCORER)["dse_rule"]
    assert found["coverage"]["value"] == 0.75
    assert found["accepted_risk"]["value"] == pytest.approx(1 / 3)
    assert found["base_risk"]["value"] == 0.5


def test_nothing_measured_is_no_zero():
    found = spread.compare([], SCORER)
    assert found["n"] == 0
    assert found["wrong"]["value"] is None
    assert found["common"]["names"] == []


def test_subgroups_are_given_in_brief():
    assert set(spread.compare(_rows(), SCORER, whole=False)["signals"]["margin"]) == {"n", "auroc"}
