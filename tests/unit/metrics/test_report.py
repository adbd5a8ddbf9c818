import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.metrics.report import ORDER, bleu_counts, corpus_bleu, meteor, rouge_l, sentence_bleu, tokens
from vesalius.metrics.stem import stem

TEXT = "The lungs are clear. No pleural effusion."


def _corpus(*pairs, order=ORDER):
    return corpus_bleu(np.asarray([bleu_counts(*pair) for pair in pairs]).reshape(-1, 2 + 2 * ORDER), order)


def test_tokens_are_lower_case_words_and_numbers():
    assert tokens("T2-weighted, 3.5 cm!") == ["t2", "weighted", "3", "5", "cm"]


def test_a_copy_is_perfect():
    assert _corpus((TEXT, TEXT)) == sentence_bleu(TEXT, TEXT) == rouge_l(TEXT, TEXT) == 1
    assert meteor(TEXT, TEXT) == 1 - 0.5 / 7**3


def test_nothing_in_common_is_zero():
    for score in (sentence_bleu, rouge_l, meteor):
        assert score("Mild cardiomegaly", "no effusion") == 0
        assert score("", TEXT) == score(TEXT, "") == 0
    assert _corpus(("Mild cardiomegaly of the heart", "cardiac silhouette is mildly enlarged")) == 0
    assert _corpus(("", TEXT)) == 0


def test_what_was_not_measured_is_none():
    assert _corpus() is None
    assert _corpus((TEXT, "")) is None
    assert _corpus(("no effusion", TEXT)) is None  # no 4-gram anywhere
    assert _corpus(("no effusion", "no effusion"), order=2) == 1


def test_overlap_does_not_know_what_is_denied():
    """The anchor: one word apart, opposite in meaning."""
    assert rouge_l("No pleural effusion", "Pleural effusion") == pytest.approx(0.8)
    assert meteor("No pleural effusion", "Pleural effusion") > 0.8


def test_rouge_l_follows_the_longest_common_subsequence():
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(0.5)


def test_meteor_matches_stems_and_punishes_disorder():
    assert meteor("enlarged hearts", "enlargement heart") == pytest.approx(1 - 0.5 / 8)
    assert meteor("effusion no", "no effusion") == pytest.approx(0.5)


@given(st.text(max_size=80), st.text(max_size=80))
def test_scores_lie_between_0_and_1(first, second):
    for score in (sentence_bleu, rouge_l, meteor):
        assert 0 <= score(first, second) <= 1
    assert rouge_l(first, second) == rouge_l(second, first)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", max_size=20))
def test_a_stem_is_never_longer_than_its_word_by_more_than_an_e(word):
    assert len(stem(word)) <= len(word)
