"""Filters of form: is there a whole answer in English, of a sensible length, and no refusal, left-over or loop.

In: `Case`. Out: objections with their place. Nothing of medicine is looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from vesalius.instruct.filters import reading, words
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.objection import Objection, at
from vesalius.metrics.text import normalise

_LETTERS = re.compile(r"[^\W\d_]+")
_ASKS = re.compile(
    r"\?|^\s*(?:(?:please|now|briefly|can you|could you)\W+)*(?:describe|identify|list|name|explain|state|tell|give|compare|point"
    r"|locate|summari[sz]e|write|report|show|"
    r"provide|classify|count|mark|outline|what|which|where|who|how|why|when|whose|is|are|was|were|do|does|did|can|could|has|have"
    r"|should|would|any|in what|on which|at which)\b",
    re.IGNORECASE,
)
_LEAST_WORDS = 6  # of a text whose language is told by its function words
_FOREIGN_SCRIPT = 0.2  # share of letters beyond Latin and Greek; Greek names waves and enzymes
QUESTION_WORDS, ANSWER_WORDS = (2, 80), (1, 400)
_LONG_TASKS = {"description": 8, "report": 8, "reasoning": 8, "comparison": 5}  # least words of all answers together
_LOOP, _LEAST_LOOPED = 4, 24  # words of a run that comes back, and of the shortest text that is looked at


def well_formed(case: Case) -> Iterator[Objection]:
    """An empty text, a refusal, a left-over of the making, a loop, an answer that repeats its question."""
    for i, turn in enumerate(case.record.turns):
        for field, text in (("question", turn.question), ("answer", turn.answer)):
            if not _LETTERS.search(text) and not (field == "answer" and any(sign.isdigit() for sign in text)):
                yield Objection("empty", f"the {field} has no word", i, field, (0, len(text)), text[:40])
                continue
            if (found := words.LEFTOVER.search(text)) is not None:
                yield at("left-over", "a left-over of how it was made", i, field, text, found.span())
            if (loop := _loop(text)) is not None:
                yield at("loop", f"the same words come back {loop[0]} times", i, field, text, loop[1])
        if _LETTERS.search(turn.question) and not _ASKS.search(turn.question) and len(turn.question.split()) > 3:
            yield at("no question", "nothing is asked", i, "question", turn.question, (0, min(len(turn.question), 80)))
        if (found := words.REFUSAL.search(turn.answer)) is not None:
            yield at("refusal", "the writer refuses, or speaks of itself", i, "answer", turn.answer, found.span())
        if turn.answer and normalise(turn.answer) == normalise(turn.question):
            yield at("echo", "the answer is its question", i, "answer", turn.answer, (0, len(turn.answer)))


def language(case: Case) -> Iterator[Objection]:
    """Another language or script than English, told by function words; texts of fewer than six words are taken for English if their letters are."""
    for i, turn in enumerate(case.record.turns):
        for field, text in (("question", turn.question), ("answer", turn.answer)):
            foreign = next((m for m in _LETTERS.finditer(text) if not _familiar(m.group())), None)
            letters = "".join(_LETTERS.findall(text))
            if foreign is not None and sum(not _familiar(c) for c in letters) > _FOREIGN_SCRIPT * len(letters):
                yield at("script", "another script", i, field, text, foreign.span())
            elif (other := _other_language(text)) is not None:
                yield at("language", f"reads as {other}", i, field, text, (0, min(len(text), 80)))


def length(case: Case) -> Iterator[Objection]:
    """Too few or too many words for a question, an answer, or the task."""
    total = 0
    for i, turn in enumerate(case.record.turns):
        for field, text, (least, most) in (("question", turn.question, QUESTION_WORDS), ("answer", turn.answer, ANSWER_WORDS)):
            n = len(text.split())
            total += n if field == "answer" else 0
            if field == "question" and any(word.form in words.DISEASE_FORMS | words.ORGAN_FORMS for word in reading.content(text)):
                least = 1  # "Pneumothorax?"
            if not least <= n <= most:
                yield at("short" if n < least else "long", f"{n} words, not {least} to {most}", i, field, text, (0, min(len(text), 80)))
    least = _LONG_TASKS.get(case.record.task, 1)
    if total < least:
        last = len(case.record.turns) - 1
        text = case.record.turns[last].answer
        yield at("short", f"a {case.record.task} of {total} words", last, "answer", text, (0, min(len(text), 80)))


def _familiar(letters: str) -> bool:
    return all(c < "ɐ" or "Ͱ" <= c <= "Ͽ" or "Ḁ" <= c <= "ỿ" for c in letters)


def _other_language(text: str) -> str | None:
    said = [word.lower() for word in _LETTERS.findall(text)]
    if len(said) < _LEAST_WORDS:
        return None
    english = sum(word in words.ENGLISH for word in said)
    counts = {name: sum(word in known for word in said) for name, known in words.OTHERS.items()}
    name = max(counts, key=lambda key: counts[key])
    distinct = len({word for word in said if word in words.OTHERS[name]} - words.ENGLISH)
    return name if distinct >= 2 and counts[name] > english else None


def _loop(text: str) -> tuple[int, tuple[int, int]] | None:
    """How often a run of four words comes back, and where first, when that makes up half of the text."""
    places = [m.span() for m in re.finditer(r"\S+", text)]
    if len(places) < _LEAST_LOOPED:
        return None
    said = [text[a:b].lower().strip(".,;:") for a, b in places]
    runs = [tuple(said[i : i + _LOOP]) for i in range(len(said) - _LOOP + 1)]
    run, n = Counter(runs).most_common(1)[0]
    if n < 3 or len(set(runs)) > 0.6 * len(runs):
        return None
    first = runs.index(run)
    return n, (places[first][0], places[first + _LOOP - 1][1])
