"""A clinical question in other words: rewordings whose answer is known to be the same, or the opposite.

In: a question. Out: `Rewording`s, each with its family, its polarity (+1 same answer, -1 the opposite yes/no) and the rule that made it.
Every wording but a slip is read back by `meaning.same_meaning` and dropped unless it says what it should: an odd question gets fewer, never wrong ones.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from vesalius.domain.exchange import Rewording
from vesalius.errors import InvalidValue
from vesalius.instruct import vocabulary
from vesalius.instruct.meaning import Meaning, compare, read, same_meaning, tidy
from vesalius.instruct.parse import parse
from vesalius.instruct.render import Candidate, mend_articles, render
from vesalius.instruct.slips import slip

__all__ = ["FAMILIES", "reword", "same_meaning"]

# In the order in which one of each is offered before a second of any.
FAMILIES = ("negation", "syntax", "lexical", "formality", "abbreviation", "telegraphic", "typo")

# A frame leaves the question as it is: one is offered when the family has nothing better, the rest come last of all.
_FRAMES = frozenset({"formal-in-your-assessment", "informal-tell-me", "formal-based-on-image"})
_ASKS = re.compile(r"(?:is|are|was|were|does|do|can|what|which|where|how many|any|in what|in which|on which)\b", re.IGNORECASE)
_GENERAL = re.compile(r"\b(?:if|would|you tell|above patient|this modality|be used|treat|prevent|causes?|name)\b", re.IGNORECASE)
_IMAGE = re.compile(r"\b(?:image|picture|scan|film|study|x-?ray|radiograph|section|slice|plane)\b", re.IGNORECASE)


def reword(question: str, *, most: int = 8, seed: int = 0) -> tuple[Rewording, ...]:
    """Meaning-preserving rewordings of a clinical question, one family after another.

    Args:
        question: English, one sentence; anything else gets none.
        most: at most so many.
        seed: chooses among wordings of a family and the slip; the same seed gives the same rewordings.

    Returns:
        Distinct rewordings, none equal to the question; empty when none is safe.

    Raises:
        InvalidValue: `most` is negative.
    """
    if most < 0:
        raise InvalidValue(f"most must be 0 or more (got {most})")
    text = tidy(question)
    if text is None:
        return ()
    rng = random.Random(f"{seed}:{text}")
    by_family: dict[str, list[Candidate]] = {family: [] for family in FAMILIES}
    meaning = read(text)
    seen = {_key(text)}
    for candidate in _candidates(text, rng):
        key = _key(candidate.text)
        if key not in seen and _reads_back(meaning, candidate):
            seen.add(key)
            by_family[candidate.family].append(candidate)
    for family in FAMILIES:
        rng.shuffle(by_family[family])
    frames = [c for c in by_family["formality"] if c.rule in _FRAMES]
    others = [c for c in by_family["formality"] if c.rule not in _FRAMES]
    first = 0 if others else 1
    by_family["formality"] = others + frames[:first]
    chosen = (_in_turn(by_family) + frames[first:])[:most]
    return tuple(Rewording(c.text + "?", c.family, c.polarity, c.rule) for c in chosen)


def _candidates(text: str, rng: random.Random) -> Iterator[Candidate]:
    parsed = parse(text)
    if parsed is not None:
        for candidate in render(parsed):
            yield candidate
            if candidate.polarity == 1:
                yield from _abbreviated(candidate.text, f"+{candidate.rule}")
    yield from _abbreviated(text, "")
    yield from _exchanged(text)
    yield from _framed(text)
    made = slip(text, rng)
    if made is not None:
        yield Candidate(made[0], "typo", 1, made[1])


def _exchanged(text: str) -> Iterator[Candidate]:
    """One word or phrase for another."""
    lower = text.lower()
    for this, that in vocabulary.SYNONYMS:
        if this not in lower and not this.startswith("("):
            continue
        end = r"(?=$)" if this in vocabulary.AT_END_ONLY else r"(?![\w-])"
        pattern = this if this.startswith("(") else rf"(?<![\w-]){re.escape(this)}{end}"
        if that in ("bleeding", "cardiac enlargement") and re.search(r"\ban?\b", text, re.IGNORECASE):
            continue
        new, times = re.subn(pattern, that, text, count=1, flags=re.IGNORECASE)
        if times:
            yield Candidate(_first_upper(mend_articles(new), text), "lexical", 1, f"{_name(this)}>{_name(that)}")
    found = re.match(r"(what|which) (\w+)\b", text, re.IGNORECASE)
    if found and found[2].lower() in vocabulary.ASKED_NOUNS:
        other = "which" if found[1].lower() == "what" else "what"
        yield Candidate(_first_upper(other + text[len(found[1]) :], text), "lexical", 1, "what>which" if other == "which" else "which>what")


def _abbreviated(text: str, suffix: str) -> Iterator[Candidate]:
    lower = text.lower()
    for short, long in vocabulary.ABBREVIATIONS:
        expanded = _expanded(text, short, long) if short in text else None
        if expanded:
            yield Candidate(_first_upper(mend_articles(expanded), text), "abbreviation", 1, f"expand-{short}{suffix}")
        if short in vocabulary.EXPAND_ONLY or long.lower() not in lower:
            continue
        contracted = re.sub(rf"\b{long}\b(?!-)", short, text, flags=re.IGNORECASE)
        if contracted != text:
            yield Candidate(mend_articles(contracted), "abbreviation", 1, f"contract-{short}{suffix}")


def _expanded(text: str, short: str, long: str) -> str | None:
    """The text with its first `short` written out; None where that would not read as English, or may mean something else."""
    found = re.search(rf"\b{short}\b(?![-'/\d])", text)
    if not found:
        return None
    before, after = text[: found.start()], text[found.end() :]
    needed = {"IV": r" (?:contrast|tract)", "PA": r" (?:view|film|chest|projection|x-?ray|image|radiograph)", "L": r" [a-z]{3}"}
    follows = needed.get({"GI": "IV", "AP": "PA", "R": "L"}.get(short, short))
    if follows and not re.match(follows, after):
        return None
    if short in ("CT", "MRI") and re.search(r"\b(?:a|an|this|the)$", before.rstrip()) and not re.match(r" (?:scan|image|study)", after):
        long = f"{long} scan"
    return before + long + after


def _framed(text: str) -> Iterator[Candidate]:
    """A frame around the unchanged question."""
    if not _ASKS.match(text) or _GENERAL.search(text):
        return
    asked = _first_lower(text)
    yield Candidate(f"In your assessment, {asked}", "formality", 1, "formal-in-your-assessment")
    yield Candidate(f"Tell me, {asked}", "formality", 1, "informal-tell-me")
    if not _IMAGE.search(text):
        yield Candidate(f"Based on this image, {asked}", "formality", 1, "formal-based-on-image")


def _reads_back(meaning: Meaning | None, candidate: Candidate) -> bool:
    if candidate.family == "typo":
        return True
    again = read(candidate.text)
    return meaning is not None and again is not None and compare(meaning, again) == candidate.polarity


def _in_turn(by_family: dict[str, list[Candidate]]) -> list[Candidate]:
    chosen: list[Candidate] = []
    for turn in range(max(map(len, by_family.values()), default=0)):
        chosen += [rows[turn] for rows in by_family.values() if turn < len(rows)]
    return chosen


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9<>]+", " ", text.lower()).strip()


def _name(phrase: str) -> str:
    return "xray" if phrase.startswith("(") else phrase.replace(" ", "-")


def _first_lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _first_upper(new: str, like: str) -> str:
    return new[:1].upper() + new[1:] if like[:1].isupper() else new
