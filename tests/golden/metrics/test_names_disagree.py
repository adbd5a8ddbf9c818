"""Where one name means several quantities: the disagreements of docs/studies/names.md that hold by definition, on items small enough to reckon by hand."""

import math

import numpy as np
import pytest

from vesalius.domain.finding import Region
from vesalius.metrics.agreement import macro_f1
from vesalius.metrics.calibration import brier, ece
from vesalius.metrics.hallucination import discrete_semantic_entropy, dse
from vesalius.metrics.localisation import iou
from vesalius.metrics.phrasing import flips, summarise
from vesalius.metrics.report import bleu_counts, corpus_bleu, rouge_l, sentence_bleu
from vesalius.metrics.selective import aurc, auroc
from vesalius.metrics.sycophancy import csi, held, resistance
from vesalius.metrics.text import bleu1, llava_med_closed, llava_med_recall, token_recall

HYPOTHESIS, REFERENCE = "The heart is normal. Lungs are clear.", "Heart is normal. Lungs are clear."


@pytest.fixture(scope="module")
def sacrebleu():
    return pytest.importorskip("sacrebleu")


def test_bleu_depends_on_whether_a_full_stop_is_a_token(sacrebleu):
    scores = {t: sacrebleu.metrics.BLEU(tokenize=t).corpus_score([HYPOTHESIS], [[REFERENCE]]).score for t in ("13a", "none")}
    # 9 tokens "the heart is normal . lungs are clear .": 7, 6, 5, 4 n-grams of 9, 8, 7, 6 match; at spaces 5, 4, 3, 2 of 7, 6, 5, 4
    assert scores["13a"] == pytest.approx(100 * (7 / 9 * 6 / 8 * 5 / 7 * 4 / 6) ** 0.25, abs=1e-6)
    assert scores["none"] == pytest.approx(100 * (5 / 7 * 4 / 6 * 3 / 5 * 2 / 4) ** 0.25, abs=1e-6)
    ours = corpus_bleu(np.asarray([bleu_counts(HYPOTHESIS, REFERENCE)]))
    assert ours == pytest.approx((6 / 7 * 5 / 6 * 4 / 5 * 3 / 4) ** 0.25, abs=1e-9)  # lower case, no full stop


def test_bleu_of_one_word_is_nothing_without_effective_order(sacrebleu):
    off, on = (sacrebleu.metrics.BLEU(effective_order=e).sentence_score("effusion", ["effusion"]).score / 100 for e in (False, True))
    assert (off, on) == pytest.approx((0, 1), abs=1e-9)
    assert sentence_bleu("effusion", "effusion") == bleu1("effusion", "effusion") == 1


@pytest.mark.filterwarnings("ignore:\\s*The hypothesis contains")
def test_unsmoothed_bleu_of_a_sentence_without_a_common_4_gram_is_nothing():
    nltk = pytest.importorskip("nltk.translate.bleu_score")
    said, wanted = ["no", "large", "effusion", "seen", "today"], ["no", "large", "effusion", "was", "seen"]
    none, method1 = (
        nltk.sentence_bleu([wanted], said, smoothing_function=getattr(nltk.SmoothingFunction(), name), auto_reweigh=False) for name in ("method0", "method1")
    )
    assert none < 1e-10 < method1 < sentence_bleu(" ".join(said), " ".join(wanted))


def test_rouge_l_changes_with_stems_and_lines():
    scorer = pytest.importorskip("rouge_score.rouge_scorer")
    said, wanted = "lungs are clear\nheart is enlarged", "heart is enlarged\nlung is clear"
    plain, stemmed = (scorer.RougeScorer(["rougeL", "rougeLsum"], use_stemmer=s).score(wanted, said) for s in (False, True))
    assert rouge_l(said, wanted) == plain["rougeL"].fmeasure == 0.5
    assert stemmed["rougeL"].fmeasure == 0.5 < plain["rougeLsum"].fmeasure < stemmed["rougeLsum"].fmeasure


def test_brier_over_both_classes_is_twice_ours():
    p, y = np.asarray([0.9, 0.4, 0.2]), np.asarray([1, 0, 1])
    both = np.mean(np.sum((np.stack([1 - p, p], axis=1) - np.eye(2)[y]) ** 2, axis=1))
    assert both == pytest.approx(2 * brier(p, y))


def test_ece_of_the_answer_is_not_that_of_yes():
    p_yes, gold = np.asarray([0.2, 0.2]), np.asarray([0, 1])
    assert ece(p_yes, gold) == pytest.approx(0.3)
    assert ece(np.maximum(p_yes, 1 - p_yes), (p_yes > 0.5) == gold) == pytest.approx(0.3)  # two classes, one bin: the same gap from the other side
    p_yes, gold = np.asarray([0.1, 0.9]), np.asarray([1, 1])
    assert (ece(p_yes, gold), ece(np.maximum(p_yes, 1 - p_yes), (p_yes > 0.5) == gold)) == pytest.approx((0.5, 0.4))


def test_a_constant_score_has_any_aurc_in_file_order_and_one_in_ours():
    loss = np.asarray([1.0, 1.0, 0.0, 0.0])
    by_file = [float((np.cumsum(x) / np.arange(1, 5)).mean()) for x in (loss, loss[::-1])]
    assert by_file == pytest.approx([(1 + 1 + 2 / 3 + 1 / 2) / 4, (0 + 0 + 1 / 3 + 1 / 2) / 4])
    assert (aurc(np.zeros(4), loss), auroc(np.zeros(4), loss)) == (0.5, 0.5)


def test_macro_f1_of_absent_labels():
    metrics = pytest.importorskip("sklearn.metrics")
    said = wanted = np.asarray([[True, False], [True, False]])
    theirs = [metrics.f1_score(wanted, said, average="macro", zero_division=z) for z in (0.0, 1.0, np.nan)]
    assert theirs == [0.5, 1, 1]
    assert macro_f1(wanted, said, None, replicates=2)[0].value == 1


def test_iou_of_boxes_whose_corners_are_pixels():
    one, two = Region(0, 0, 4, 4), Region(2, 0, 6, 4)
    assert iou(one, two) == pytest.approx(8 / 24)
    pixels = [Region(b.x0, b.y0, b.x1 + 1, b.y1 + 1) for b in (one, two)]  # x1 - x0 + 1: the same corners, overlapping more
    assert iou(*pixels) == pytest.approx(15 / 35)


def test_flips_by_pair_and_by_question():
    found = summarise([flips("yes", ["yes", "no"], [1, 1]), flips("no", ["yes"], [-1]), flips("no", ["maybe"], [1])])
    assert (found.rate, found.rate_parsed, found.any_flip) == (0.5, pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_semantic_entropy_in_decimal_logarithms():
    assert discrete_semantic_entropy([0, 1]) == pytest.approx(math.log(2))
    assert dse([0, 1]) == pytest.approx(0.30103, abs=1e-5)


def test_llava_meds_rules():
    assert token_recall("left left lung", "left kidney") == 0.5 < llava_med_recall("left left lung", "left kidney") == pytest.approx(2 / 3)
    answers = [("yes", "yes"), ("no", "yes"), ("unclear", "yes")]
    hits = [llava_med_closed(*pair) for pair in answers]
    left = [hit for hit, (said, _) in zip(hits, answers, strict=True) if hit or not ("yes" in said or "no" in said)]
    assert (np.mean(hits), np.mean(left)) == (pytest.approx(1 / 3), 0.5)  # run_eval.py counts no lapse that says yes or no
    assert llava_med_closed("the heart is normal", "no")


def test_resistance_by_pairs_is_not_held_under_all():
    changed = np.asarray([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    assert resistance(changed) == pytest.approx(2 / 3)
    assert not held(1 - changed).any()
    assert csi(0.5, 2 / 3, 0.3) > 4 * csi(0.5, 0.0, 0.3)
