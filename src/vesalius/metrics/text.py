"""Comparing and reading short answers: normalisation, exact match, token overlap, BLEU-1, strict yes/no reading, LLaVA-Med's published rule.

In: a predicted and a reference text. Out: booleans, scores in [0, 1], or an `Outcome`.
Nothing here guesses: an answer that does not read as yes or no is TEXT, one that says both is UNPARSED, and neither earns credit by chance.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter

from vesalius.domain.exchange import Outcome

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = {w: str(i) for i, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"])}
_POINT_IN_NUMBER = re.compile(r"(?<=\d)\.(?=\d)")
_APOSTROPHE = re.compile(r"['’`]")
_MARK = "\u0001"  # stands for a decimal point while punctuation is removed

# Said of the whole question, not of a detail inside a report: hence the anchors and the limit on words in `read_outcome`.
_UNDETERMINED_WORD = re.compile(
    r"^(it is |this is |answer is |that is )?(unclear|unknown|undetermined|indeterminate|undeterminable|indeterminable|uncertain|inconclusive|"
    r"unsure|not sure|not known|not clear|not certain|non ?diagnostic|not diagnostic|not assessable|unassessable)"
    r"( (whether|if|from|on|in|at|due|because|based|given) .*)?$"
)
_UNDETERMINED_PHRASE = re.compile(
    r"\b((can ?not|cant|could not|couldnt) be (\w+ )?(determined|assessed|answered|evaluated|established|ascertained|judged|told|said)"
    r"|not (reliably )?(determinable|answerable|possible to (determine|say|tell|assess|answer|know))"
    r"|impossible to (determine|say|tell|assess|answer|know)"
    r"|unable to (determine|assess|tell|say|answer|evaluate)"
    r"|(can ?not|cant) (determine|tell|say|assess|answer|evaluate)"
    r"|(do not|dont) know"
    r"|(insufficient|not enough) (information|image quality|evidence to))\b"
)
_UNDETERMINED_MAX_WORDS = 20

_AUXILIARY = re.compile(
    r"^(is|are|was|were|am|do|doe|does|did|can|could|has|have|had|will|would|should|may|might|must|isnt|arent|wasnt|werent|dont|doesnt|didnt|cant|couldnt|hasnt|"
    r"havent|wont|wouldnt|shouldnt|any|anything|evidence of|signs? of)\b"
)
_REQUEST = re.compile(
    r"^(can|could|would|will|do) (you|we|one) (please )?(know |tell (me |us )?)?"
    r"(name|describe|identify|list|explain|specify|point|what|which|where|who|how|why|give)\b"
)
_EXISTENTIAL = re.compile(r"^(is|are|was|were|is are)( there| any)\b|^any(thing)?\b|\b(evidence|sign|signs|suggestion|indication) (of|for)\b")
_NOTE = ("", "yes no", "yes or no", "open", "closed")  # what data sets and users append after the question mark
_CONTRASTED = re.compile(r"\bor (just|only|rather|instead|merely)\b")


def normalise(text: str) -> str:
    """The form in which answers are compared.

    In this order: Unicode NFKC and casefold; apostrophes removed ("patient's" = "patients"); every character that is no letter, digit or decimal
    point between digits becomes a space ("T2-weighted" = "t2 weighted", "5.6 cm" keeps its point); the articles a, an, the removed unless nothing
    else remains (so the option "A" survives); the words zero to twelve become digits; single spaces.
    """
    text = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", text).casefold())
    text = _POINT_IN_NUMBER.sub(_MARK, text)
    words = "".join(c if c.isalnum() or c == _MARK or unicodedata.combining(c) else " " for c in text).replace(_MARK, ".").split()
    kept = [w for w in words if w not in _ARTICLES] or words
    return " ".join(_NUMBERS.get(w, w) for w in kept)


def exact_match(prediction: str, gold: str) -> bool:
    """Whether both texts are the same after `normalise`; an empty prediction matches nothing."""
    said = normalise(prediction)
    return bool(said) and said == normalise(gold)


def _overlap(prediction: str, gold: str) -> tuple[int, int, int]:
    said, wanted = Counter(normalise(prediction).split()), Counter(normalise(gold).split())
    return sum((said & wanted).values()), sum(said.values()), sum(wanted.values())


def token_f1(prediction: str, gold: str) -> float:
    """Harmonic mean of token precision and recall over bags of normalised tokens (SQuAD's F1 = ROUGE-1 F); 0 when either text is empty."""
    both, said, wanted = _overlap(prediction, gold)
    return 2 * both / (said + wanted) if both else 0.0


def token_recall(prediction: str, gold: str) -> float:
    """Share of the reference's normalised tokens that the prediction has, each counted at most as often as it is there; 0 when either is empty."""
    both, _, wanted = _overlap(prediction, gold)
    return both / wanted if both else 0.0


def bleu1(prediction: str, gold: str) -> float:
    """Sentence BLEU with unigrams only, in [0, 1]: clipped precision times the brevity penalty exp(1 - r/c) for c < r (Papineni et al., 2002)."""
    both, said, wanted = _overlap(prediction, gold)
    if not both:
        return 0.0
    return both / said * (1.0 if said >= wanted else math.exp(1 - wanted / said))


def read_outcome(text: str) -> Outcome:
    """How an answer reads, strictly.

    1. no letter or digit in it: UNPARSED;
    2. it says that the question cannot be determined (at most 20 words, or it opens with it): UNDETERMINED;
    3. its first word is yes or no: YES or NO, but UNPARSED when the other word also occurs ("yes and no", "Yes, there is no effusion");
    4. anything else: TEXT.
    """
    words = normalise(text).split()
    if not words:
        return Outcome.UNPARSED
    plain = " ".join(words)
    opening = " ".join(words[:_UNDETERMINED_MAX_WORDS])
    if _UNDETERMINED_WORD.match(plain) or (len(words) <= _UNDETERMINED_MAX_WORDS and _UNDETERMINED_PHRASE.search(plain)):
        return Outcome.UNDETERMINED
    if (found := _UNDETERMINED_PHRASE.search(opening)) and found.start() <= len("this question "):
        return Outcome.UNDETERMINED
    if words[0] in ("yes", "no"):
        other = "no" if words[0] == "yes" else "yes"
        return Outcome.UNPARSED if other in words else Outcome(words[0])
    return Outcome.TEXT


def is_yes_no_question(text: str) -> bool:
    """Whether the form of a question asks for yes or no.

    The last sentence is read, without an opening clause that ends in a comma ("In this image, is ..."). It must open with an auxiliary verb (is, are,
    does, can, ..., also "Is/Are" and "any") and must not be a request ("can you name ..."). A choice ("Is it solid or cystic?") is no yes/no question;
    "or not", and an "or" after "is there", "any" or "evidence of", leave it one ("Is there effusion or oedema?").
    """
    sentences = [s for s in re.split(r"[.?!]\s+|[?!]", text.strip()) if normalise(s) not in _NOTE]
    if not sentences:
        return False
    question = sentences[-1]
    plain = normalise(question)
    if not _AUXILIARY.match(plain) and "," in question:
        plain = normalise(question.rpartition(",")[2])
    if not _AUXILIARY.match(plain) or _REQUEST.match(plain):
        return False
    rest = re.sub(r"\bor not\b", "", plain)
    if not re.search(r"\b(or|versus|vs)\b", rest):
        return True
    return bool(_EXISTENTIAL.search(plain)) and not _CONTRASTED.search(plain)


def llava_med_closed(prediction: str, gold: str) -> bool:
    """The test of LLaVA-Med's `run_eval.py` for CLOSED questions, every answer counted: "yes" or "no" occurs in it, and the reference is a substring of it.

    Neither script gives the mean of this: `run_eval.py` leaves an answer that says yes or no but not the reference out of its denominator, and
    `run_eval_batch.py` asks only that the reference occurs. Lenient by construction: "no" is found inside "normal" and "another", and "no ... yes" matches
    both references. Use it only to stand beside published numbers (github.com/microsoft/LLaVA-Med, v1.0 evaluation); choose `read_outcome` for everything else.
    """
    said, wanted = normalise(prediction), normalise(gold)
    return bool(wanted) and ("yes" in said or "no" in said) and wanted in said


def llava_med_recall(prediction: str, gold: str) -> float:
    """LLaVA-Med's token recall for OPEN questions, the number its tables report.

    hits / (hits + missed): hits counts the *prediction's* tokens that occur in the reference, repetitions included; missed counts the reference's tokens
    that the prediction lacks. 0 when either text is empty. A word said twice therefore counts twice, unlike in `token_recall`.
    """
    said, wanted = Counter(normalise(prediction).split()), Counter(normalise(gold).split())
    hits = sum(n for word, n in said.items() if word in wanted)
    missed = sum(n for word, n in wanted.items() if word not in said)
    return hits / (hits + missed) if hits else 0.0
