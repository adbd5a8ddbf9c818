"""When two short radiological texts say the same: a small, stated equivalence by words, negation and synonyms.

In: texts. Out: a `meaning` key (equal keys = equal meaning, so clusters are well defined), claims of a longer text, and whether a text supports a claim.
It errs towards "different": a paraphrase that it does not know counts as disagreement, which can only make the gate stricter.
"""

# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

import re
from collections.abc import Hashable

from vesalius.domain.exchange import Answer, Outcome
from vesalius.metrics.text import normalise

# One spelling for British and American forms; applied to both sides of every comparison, so its effect on other words does not matter.
_SPELLING = (("ae", "e"), ("oe", "e"), ("isation", "ization"), ("our ", "or "), ("tre ", "ter "), ("bre ", "ber "), ("grey", "gray"), ("sulph", "sulf"))

# Longest phrases first; the right side is what remains. Only terms that no reader would tell apart in an answer.
_SYNONYMS = (
    ("chest x ray", "chest xray"),
    ("chest radiograph", "chest xray"),
    ("chest film", "chest xray"),
    ("cxr", "chest xray"),
    ("x ray", "xray"),
    ("plain film", "xray"),
    ("radiograph", "xray"),
    ("roentgenogram", "xray"),
    ("magnetic resonance imaging", "mri"),
    ("magnetic resonance", "mri"),
    ("mr", "mri"),
    ("computed tomography", "ct"),
    ("cat scan", "ct"),
    ("ct scan", "ct"),
    ("mri scan", "mri"),
    ("ultrasonography", "ultrasound"),
    ("sonography", "ultrasound"),
    ("sonogram", "ultrasound"),
    ("cardiac silhouette", "heart"),
    ("enlargement", "enlarged"),
    ("collapsed lung", "pneumothorax"),
    ("bleeding", "hemorrhage"),
    ("bleed", "hemorrhage"),
    ("opacification", "opacity"),
    ("opacities", "opacity"),
    ("calcifications", "calcification"),
    ("posteroanterior", "pa"),
    ("anteroposterior", "ap"),
    ("renal", "kidney"),
    ("hepatic", "liver"),
    ("cardiac", "heart"),
    ("pulmonary", "lung"),
    ("cerebral", "brain"),
    ("gastric", "stomach"),
    ("splenic", "spleen"),
    ("right sided", "right"),
    ("left sided", "left"),
    ("right hand side", "right"),
    ("left hand side", "left"),
    ("right side", "right"),
    ("left side", "left"),
    ("on both sides", "bilateral"),
    ("bilaterally", "bilateral"),
    ("unremarkable", "normal"),
    ("abnormal", "not normal"),
    ("abnormality", "not normal"),
    ("abnormalities", "not normal"),
    ("ruled out", "absent"),
    ("free of", "without"),
)
_SYNONYM = re.compile(r"\b(" + "|".join(sorted((re.escape(a) for a, _ in _SYNONYMS), key=len, reverse=True)) + r")\b")
_SYNONYM_OF = dict(_SYNONYMS)
_TOGETHER = ((frozenset({"heart", "enlarged"}), "cardiomegaly"),)  # words that need not be neighbours
_NEGATION = frozenset({"no", "not", "without", "absent", "negative", "denies", "never", "none", "neither", "nor", "lack", "lacks", "absence"})
_EMPTY = frozenset(
    (
        "is are was were be been there this that these those of in on at with to and it its or by for from has have as which shows show showing shown "
        "demonstrates seen visible present noted identified evidence sign signs appears appear patient patients image picture scan within side any "
        "some located"
    ).split()
)
_SIDES = frozenset({"left", "right", "bilateral", "upper", "lower", "anterior", "posterior", "medial", "lateral"})
_CLAUSE = re.compile(r"(?<!\d)\.|\.(?!\d)|[!?;\n]|,?\s+\b(?:but|however|although|whereas)\b")
_SHORT_CLAIM = 6
_SUPPORT = 0.8

Clause = tuple[bool, Hashable]


def fold_spelling(text: str) -> str:
    """`normalise`, then one spelling for British and American forms ("haemorrhage" = "hemorrhage", "tumour" = "tumor")."""
    folded = normalise(text) + " "
    for british, american in _SPELLING:
        folded = folded.replace(british, american)
    return folded.strip()


def _singular(word: str) -> str:
    if len(word) > 5 and word.endswith(("sses", "ies")):
        return word[:-2] if word.endswith("sses") else word[:-3] + "y"
    return word[:-1] if len(word) > 4 and word.endswith("s") and word[-2] not in "sui" else word


def _words(clause: str) -> tuple[bool, list[str]]:
    """Whether a clause is negated (an odd number of negations), and its content words."""
    plain = _SYNONYM.sub(lambda m: _SYNONYM_OF[m.group()], fold_spelling(clause))
    words = plain.split()
    negated = sum(w in _NEGATION for w in words) % 2 == 1
    content = [_singular(w) for w in words if w not in _NEGATION and w not in _EMPTY]
    for together, name in _TOGETHER:
        if together <= set(content):
            content = [name, *(w for w in content if w not in together)]
    return negated, content


def _clause(text: str) -> Clause | None:
    negated, content = _words(text)
    if not content:
        plain = normalise(text)
        return (negated, plain) if plain else None
    # "larger than" relates its two sides, so there the order of the words counts.
    return negated, (tuple(content) if "than" in content else frozenset(content))


def meaning(text: str) -> Hashable:
    """A key that is equal for texts of equal meaning.

    The text is cut into clauses at . ! ? ; line ends and but/however/although/whereas. Of each clause remain: whether it is negated (an odd number of
    no, not, without, absent, ...; "abnormal" counts as "not normal") and the set of its content words in one spelling, singular, with synonyms replaced
    ("CXR" = "chest radiograph"). The key is the set of clauses.
    """
    return frozenset(c for part in _CLAUSE.split(text) if (c := _clause(part)) is not None)


def same_meaning(first: str, second: str) -> bool:
    """Whether two texts have the same `meaning`; a text without words means nothing and equals nothing."""
    key = meaning(first)
    return bool(key) and key == meaning(second)


def meaning_of(answer: Answer) -> Hashable | None:
    """The meaning of an answer: its outcome for yes, no and undetermined, else that of its text; None when it is unparsed."""
    if answer.outcome is Outcome.UNPARSED:
        return None
    if answer.outcome is not Outcome.TEXT:
        return answer.outcome
    return meaning(answer.text) or None


def split_claims(text: str) -> tuple[str, ...]:
    """The clauses of a longer answer, as written, in order."""
    return tuple(part.strip(" ,") for part in _CLAUSE.split(text) if normalise(part))


def is_long(text: str) -> bool:
    """Whether an answer is weighed claim by claim: several clauses, or one of more than six content words."""
    claims = split_claims(text)
    return len(claims) > 1 or any(len(_words(c)[1]) > _SHORT_CLAIM for c in claims)


def supports(text: str, claim: str) -> bool:
    """Whether some clause of `text` says what `claim` says.

    It must be negated alike, name the same sides (left, right, bilateral, upper, lower, ...) where it names any, and hold at least 80 % of the claim's
    content words.
    """
    negated, wanted = _words(claim)
    if not wanted:
        return same_meaning(text, claim)
    needed = set(wanted)
    for part in _CLAUSE.split(text):
        part_negated, said = _words(part)
        words = set(said)
        if part_negated == negated and (needed & _SIDES) == (words & _SIDES) and len(needed & words) >= _SUPPORT * len(needed):
            return True
    return False
