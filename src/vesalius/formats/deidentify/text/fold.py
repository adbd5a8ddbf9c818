"""A text as the rules see it: plain letters and signs, character for character, so that an offset here is an offset there.

In: any text. Out: `Views`: `plain` (accents, look-alike letters, typographic quotes and spaces folded) and `loose` (also `^` and `_` as spaces), both of the
same length as the text, and whether letters of both cases occur: where they do not, a capital says nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata

_ALIKE = str.maketrans(
    {
        **dict(zip("‘’‚‛ʼ′´`“”„«»‐‑‒–—―−⁻", "''''''''\"\"\"\"\"--------", strict=True)),
        **dict(zip("ØøŁłĐđıſ\u2044\u2215\t", "OoLlDdis//\t", strict=True)),
    }
)
_LETTERS = str.maketrans(
    {
        **dict(zip("АВЕКМНОРСТХУІЈЅаеорсхуіјѕ", "ABEKMHOPCTXYIJSaeopcxyijs", strict=True)),
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True)),
    }
)
_LATIN = re.compile("[A-Za-z]")
_LOOSE = str.maketrans("^_", "  ")


@dataclasses.dataclass(frozen=True)
class Views:
    """`plain` and `loose` as in the module's text; `cased`: both capitals and small letters occur in number."""

    plain: str
    loose: str
    cased: bool


@functools.lru_cache(maxsize=4096)
def _letter(sign: str) -> str:
    if unicodedata.category(sign) in ("Cf", "Mn"):
        return "\u00ad"
    plain = unicodedata.normalize("NFKD", sign)
    if plain[0] in " \xa0":
        return " "
    kept = [one for one in plain if not unicodedata.combining(one)]
    return kept[0] if len(kept) == 1 else sign


def plain(text: str) -> str:
    """The folded text, of equal length."""
    if text.isascii():
        return text
    text = re.sub(r"[^\W\d_]+", lambda word: word[0].translate(_LETTERS) if _LATIN.search(word[0]) else word[0], text.translate(_ALIKE))
    return "".join(sign if sign.isascii() else _letter(sign) for sign in text)


def views(text: str) -> Views:
    """Both views of a text."""
    folded = plain(text)
    upper = sum(sign.isupper() for sign in text)
    lower = sum(sign.islower() for sign in text)
    return Views(folded, folded.translate(_LOOSE), cased=lower > 2 and upper > 0 and lower >= upper / 2)


def prose(text: str) -> bool:
    """Whether a text has a sentence in it, rather than being a label: only there a model of language is of use."""
    return len(text.split()) >= 6 and len(re.findall(r"(?<!\S)[a-z]{2,}[,.;:]?(?!\S)", text)) >= 4
