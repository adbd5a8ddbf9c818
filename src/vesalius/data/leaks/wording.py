"""Whether two questions about one picture are the same question in other words, and whether one gives away the other's answer.

In: two questions with their reference answers. Out: a probability, and how the answers stand to each other. By words alone: letter trigrams of the word stems
that are left when frame words are gone, what kind of thing is asked, and the answers; left is never right. The weights were fitted on VQA-RAD's training rows
(7,966 pairs of a human question and a template on one picture, 1,738 of them written from it); no test row had a part in it. English; of other languages only
the letters are compared.
"""

# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import re
from collections import Counter
from collections.abc import Mapping

from vesalius.metrics.text import is_yes_no_question, normalise

SAME = 0.5
_CONSTANT, _LETTERS, _KIND, _YES_NO, _ANSWER, _MIXED = -7.17, 6.16, 2.16, 1.92, 5.31, -2.41

_ONE_WORD = (
    "cardiac silhouette=heart;cardiac contour=heart;air fluid level=airfluid;cat scan=ct;ct scan=ct;computed tomography=ct;x ray=xray;radiograph=xray;"
    "magnetic resonance imaging=mri;magnetic resonance=mri;vasculature=vessel;vascular=vessel;enlargement=enlarge;dilation=enlarge;dilated=enlarge;"
    "dilatation=enlarge;bigger=enlarge;larger=enlarge;cardiac=heart;pulmonary=lung;renal=kidney;hepatic=liver;cerebral=brain;gastric=stomach;splenic=spleen;"
    "aortic=aorta;peritoneal=peritoneum;hilar=hilum;thoracic=thorax;pleural=pleura;osseous=bone;bony=bone;l=left;r=right"
)
_OPPOSITE = (  # each turns a yes into a no
    "not normal=normal;abnormality=normal;abnormalities=normal;abnormal=normal;asymmetric=symmetric;asymmetrical=symmetric;absent=present;absence of=;without=;"
    "not=;isnt=is;arent=are;no=;free of=;unhealthy=normal"
)
_EQUAL = "unremarkable=normal;healthy=normal;typical=normal;symmetrical=symmetric"
_FRAME = frozenset(
    (
        "is are was were be been there this that these those of in on at with to and it its or by for from has have as which shows show showing shown "
        "demonstrate seen see visible visualize visualized present noted identified evidence sign any some locate located patient patients image picture "
        "scan film what where how does do did can you would describe who when why near within side indicate depict taken field 1 open"
    ).split()
)
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ities", "ity", "ies", "ed", "es", "s", "e")
_NOTE = re.compile(r" (yes no|yes or no|open|closed)$")  # what data sets append after the question mark
_SHORTEST = 4  # letters of a stem
_KINDS = (
    ("where", r"\bwhere\b|\b(what|which) (side|lobe|region|part|location|area|lung|hemisphere)\b"),
    ("number", r"\bhow many\b|\bnumber of\b"),
    ("size", r"\bhow (big|large)\b|\bsize of\b"),
    ("modality", r"\bmodality\b|\bwhat (type|kind) of (imag|scan|study)|\bhow was\b"),
    ("plane", r"\bplane\b|\bview\b|\borientation\b"),
)


class Answers(enum.StrEnum):
    """How the reference answers of two questions stand to each other, once both questions ask for the same thing."""

    SAME = "same"
    DIFFERENT = "different"


@dataclasses.dataclass(frozen=True)
class Wording:
    """A question as it is compared; `sign` is -1 when an opposite ("abnormal", "no") turns its yes into a no."""

    stems: tuple[str, ...]
    kind: str
    sign: int
    letters: Mapping[str, int]
    length: float


def asked_again(first: str, second: str, answers: tuple[str, str]) -> tuple[float, Answers]:
    """How probable it is that two questions about one picture are one, and whether the first's answer is the second's.

    Args:
        first, second: the questions.
        answers: their reference answers. Yes and no are exchanged where one question asks for the opposite ("Is it normal?", "Is it abnormal?").

    Returns:
        A probability in [0, 1], 1 for equal texts, and `Answers`.
    """
    one, two = wording(first), wording(second)
    said = [_turned(normalise(answer), w.sign * one.sign) for answer, w in zip(answers, (one, two), strict=True)]
    same = bool(said[0]) and said[0] == said[1]
    relation = Answers.SAME if same else Answers.DIFFERENT
    if normalise(first) == normalise(second):
        return 1.0, relation
    if _sides(one) and _sides(two) and not _sides(one) & _sides(two):
        return 0.0, relation
    closed = [answer in ("yes", "no") for answer in said]
    score = _CONSTANT + _LETTERS * _cosine(one, two) + _KIND * (one.kind == two.kind)
    score += (_YES_NO if closed[0] else _ANSWER) * same + _MIXED * (closed[0] != closed[1])
    return 1 / (1 + math.exp(-score)), relation


@functools.lru_cache(maxsize=65536)
def wording(text: str) -> Wording:
    """A question as it is compared."""
    plain, sign = _plain(text)
    stems = [_stem(word) for word in plain.split()]
    kept = [stem for stem in stems if stem not in _frame_stems()] or stems
    joined = f" {' '.join(kept)} "
    letters = Counter(joined[i : i + 3] for i in range(max(1, len(joined) - 2)))
    return Wording(tuple(kept), _kind(text), sign, letters, math.sqrt(sum(n * n for n in letters.values())))


def _plain(text: str) -> tuple[str, int]:
    find, become, opposite = _tables()
    plain = _NOTE.sub("", normalise(text)) or normalise(text)
    turned = sum(word in opposite for word in find.findall(plain))
    return find.sub(lambda match: become[match[1]], plain), -1 if turned % 2 else 1


@functools.cache
def _tables() -> tuple[re.Pattern[str], dict[str, str], frozenset[str]]:
    pairs = [{a: b for a, _, b in (entry.partition("=") for entry in text.split(";"))} for text in (_ONE_WORD, _EQUAL, _OPPOSITE)]
    become = {**pairs[0], **pairs[1], **pairs[2]}
    longest_first = sorted((re.escape(words) for words in become), key=len, reverse=True)
    return re.compile(r"\b(" + "|".join(longest_first) + r")\b"), become, frozenset(pairs[2])


@functools.cache
def _frame_stems() -> frozenset[str]:
    return frozenset(_stem(word) for word in _FRAME)


def _stem(word: str) -> str:
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= _SHORTEST), "")
    return word.removesuffix(ending) if ending else word


def _kind(text: str) -> str:
    if is_yes_no_question(text):
        return "yes or no"
    plain = normalise(text)
    return next((name for name, form in _KINDS if re.search(form, plain)), "what")


def _turned(answer: str, sign: int) -> str:
    return {"yes": "no", "no": "yes"}.get(answer, answer) if sign < 0 else answer


def _sides(words: Wording) -> set[str]:
    return {"left", "right"} & set(words.stems)


def _cosine(one: Wording, two: Wording) -> float:
    shared = sum(n * two.letters.get(part, 0) for part, n in one.letters.items())
    return shared / (one.length * two.length) if shared else 0.0
