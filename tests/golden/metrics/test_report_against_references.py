"""Overlap of reports against sacrebleu, rouge-score and nltk, stems against nltk, agreement of labels against scikit-learn."""

# ruff: noqa: SIM905 - word lists read better as text

import numpy as np
import pytest

from vesalius.metrics.agreement import macro_f1, scores
from vesalius.metrics.report import ORDER, bleu_counts, corpus_bleu, meteor, rouge_l, sentence_bleu, tokens
from vesalius.metrics.stem import stem

WORDS = (
    "the lungs are clear no pleural effusion or pneumothorax is seen heart size within normal limits mild stable enlarged cardiac silhouette "
    "calcified granuloma in right lower lobe 3.5 cm degenerative changes of thoracic spine unchanged XXXX; consolidation. opacities, opacity nodules nodule"
).split()


def _pairs(seed=0, n=200):
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(n):
        reference = [WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(1, 40))]
        kept = [word for word in reference if rng.random() < 0.8]
        added = [WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(0, 12))]
        start = int(rng.integers(0, len(kept) + 1))
        pairs.append((" ".join(kept[start:] + added + kept[:start]), " ".join(reference)))
    return [*pairs, ("", "no effusion"), ("no", "no effusion"), ("No effusion.", "no effusion")]


@pytest.mark.parametrize("order", range(1, ORDER + 1))
def test_bleu_of_a_corpus_and_of_a_sentence(order):
    sacrebleu = pytest.importorskip("sacrebleu")
    pairs = _pairs()
    split = [(" ".join(tokens(a)), " ".join(tokens(b))) for a, b in pairs]
    whole = sacrebleu.metrics.BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)
    theirs = whole.corpus_score([a for a, _ in split], [[b for _, b in split]]).score / 100
    assert corpus_bleu(np.asarray([bleu_counts(*pair) for pair in pairs]), order) == pytest.approx(theirs, abs=1e-6)
    single = sacrebleu.metrics.BLEU(tokenize="none", smooth_method="exp", effective_order=True, max_ngram_order=order)
    for pair, (a, b) in zip(pairs, split, strict=True):
        assert sentence_bleu(*pair, order) == pytest.approx(single.sentence_score(a, [b]).score / 100, abs=1e-6)


def test_rouge_l():
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=False)
    for hypothesis, reference in _pairs(1):
        assert rouge_l(hypothesis, reference) == pytest.approx(scorer.score(reference, hypothesis)["rougeL"].fmeasure, abs=1e-6)


class NoWordNet:
    """Stands for WordNet where its data are absent: it knows no synonym."""

    def synsets(self, word):
        return []


def test_meteor_without_synonyms():
    theirs = pytest.importorskip("nltk.translate.meteor_score")
    stemmer = pytest.importorskip("nltk.stem.porter").PorterStemmer(mode="ORIGINAL_ALGORITHM")
    for hypothesis, reference in _pairs(2):
        expected = theirs.single_meteor_score(tokens(reference), tokens(hypothesis), stemmer=stemmer, wordnet=NoWordNet())
        assert meteor(hypothesis, reference) == pytest.approx(expected, abs=1e-6)


def test_stems():
    stemmer = pytest.importorskip("nltk.stem.porter").PorterStemmer(mode="ORIGINAL_ALGORITHM")
    ends = """s es ed ing eed ies y ational tional izer ably ally ently ely ously ization ation ator alism iveness fulness ousness icate
    ical ful ness al ance ion
    e ll""".split()
    roots = """cares ponies feed agre plaster motor conflat troubl siz hop tann fall hiss fizz happ relat condition digit radical differ
    vil analog oper form elect
    opac""".split()
    words = {root + end for root in roots for end in ["", *ends]} | {word.strip(".,;").lower() for word in WORDS}
    assert [word for word in sorted(words) if stem(word) != stemmer.stem(word)] == []


def test_f1():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    stated, said = rng.random((150, 6)) < 0.3, rng.random((150, 6)) < 0.4
    micro = scores(stated, said, None, replicates=2)
    assert micro.f1.value == pytest.approx(metrics.f1_score(stated, said, average="micro"), abs=1e-6)
    assert micro.precision.value == pytest.approx(metrics.precision_score(stated, said, average="micro"), abs=1e-6)
    assert micro.recall.value == pytest.approx(metrics.recall_score(stated, said, average="micro"), abs=1e-6)
    assert macro_f1(stated, said, None, replicates=2)[0].value == pytest.approx(metrics.f1_score(stated, said, average="macro"), abs=1e-6)
