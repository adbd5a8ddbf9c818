"""Wordings of a question as a pool: templates of `instruct.templates` and rewordings of `instruct.phrasing`, each with id, family and polarity.

In: texts that ask one thing. Out: `Wording`s of one equivalence class.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterable

from vesalius.domain.exchange import Rewording
from vesalius.instruct import phrasing, templates

_MOST = 40  # rewordings of one text; none has so many
PLAIN = "template"
# families of the rows of `templates.finding_questions`, for names that no rewording is made of
_ROWS = ("syntax", PLAIN, "syntax", "syntax", "syntax", "syntax", "telegraphic", "negation", "negation")


@dataclasses.dataclass(frozen=True)
class Wording:
    """A wording. id: of the template. family: of `phrasing.FAMILIES`, or "template". polarity: to the class's answer."""

    id: str
    text: str
    family: str
    polarity: int = 1


@functools.lru_cache(maxsize=4096)
def _reworded(text: str) -> tuple[Rewording, ...]:
    return phrasing.reword(text, most=_MOST)


def pool(equivalence: str, texts: Iterable[tuple[str, str, int]], families: Collection[str] | None = None) -> tuple[Wording, ...]:
    """All wordings of a class.

    Args:
        texts: (text, family, polarity); the first is reworded, and is always in the pool. families: that may occur beside it; None: all.

    Returns:
        Distinct wordings. A text that is also a rewording belongs to the family of that, so that a family which is held out is held out whole.
    """
    given = list(texts)
    made = {_key(r.text): r for r in _reworded(given[0][0])}
    found: dict[str, Wording] = {}
    for number, (text, family, polarity) in enumerate(given):
        reworded = made.get(_key(text))
        found.setdefault(_key(text), Wording(f"{equivalence}/{number}", text, reworded.family if reworded and number else family, polarity))
    for key, r in made.items():
        found.setdefault(key, Wording(f"{equivalence}/{r.family}-{r.rule}", r.text, r.family, r.polarity))
    return tuple(w for w in found.values() if families is None or w.family == PLAIN or w.family in families)


def plain(equivalence: str, *texts: str) -> tuple[Wording, ...]:
    """Wordings of one polarity that are used as they are."""
    return tuple(Wording(f"{equivalence}/{number}", text, PLAIN) for number, text in enumerate(texts))


def presence(equivalence: str, words: str, families: Collection[str] | None = None) -> tuple[Wording, ...]:
    """Yes/no questions on one finding."""
    rows = zip(templates.finding_questions(words, True), _ROWS, strict=True)
    given = [(text, family, 1 if answer == "yes" else -1) for (text, answer), family in rows]
    return pool(equivalence, sorted(given, key=lambda row: row[1] != PLAIN), families)  # the plain one is reworded


def normality(equivalence: str, families: Collection[str] | None = None) -> tuple[Wording, ...]:
    """Yes/no questions on whether nothing is wrong."""
    rows = [row for row in templates.describe({"findings": "No Finding"}) if row[1] in ("yes", "no")]
    given = [("Is this chest X-ray normal?", PLAIN, 1)]
    given += [(text, PLAIN if answer == "yes" else "negation", 1 if answer == "yes" else -1) for text, answer in rows]
    return pool(equivalence, given, families)


def _key(text: str) -> str:
    return text.casefold().rstrip("?. ")
