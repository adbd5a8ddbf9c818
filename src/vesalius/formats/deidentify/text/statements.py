"""Names of people that no title or label announces: whoever does what only people do, a name before its given name, a word that is nothing but a name.

In: a `Grammar` of one text. Out: finds of kind `person` and `place`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from vesalius.formats.deidentify.text import lexicon
from vesalius.formats.deidentify.text.grammar import DEGREES, TOKEN, Grammar
from vesalius.formats.deidentify.text.lexicon import words as listed
from vesalius.formats.deidentify.text.spans import Find

_BE = r"(?:was|were|is|are|has\sbeen|have\sbeen|had\sbeen|will\sbe)"
_ADVERB = r"(?:(?:also|then|later|again|both|himself|herself|personally|independently|subsequently|immediately|promptly|has|have|had|who|,)\s){0,2}"
# What only people do or suffer: one unknown word before it is a name.
_DOES = re.compile(
    rf"(?<=[A-Za-z.',])\s{_ADVERB}(?:"
    r"perform(?:ed|s)|review(?:ed|s)|dictated|interpret(?:ed|s)|verif(?:ied|ies)|attest(?:ed|s)|agree[sd]?|concur(?:s|red)?|supervised|phoned|telephoned"
    r"|examined|consulted|denie[sd]|complain(?:s|ed)|tolerated|underwent|fell|tripped|slipped|lives|resides|works|smokes|drinks|speaks|understands"
    r"|consented|refused|declined|arrived|states|stated|paged|notified|informed|told|spoke|discussed|signed|wrote|explained|acknowledged|assisted|thinks"
    r"|believes|feels|felt|asked|said|says|wants|read\s(?:the|this|these)|saw\s(?:the|this|him|her)|took\sthe|did\sthe|gave\s|and\sI\b"
    rf"|{_BE}\s(?:also\s|then\s|immediately\s|promptly\s|verbally\s)?(?:notified|paged|informed|told|contacted|alerted|advised|updated|consulted|reached"
    r"|made\saware|aware|reminded|counsel+ed|extubated|intubated|discharged|admitted|seen|examined|referred|born|transferred|called|phoned)"
    r"|(?:is|was)\san?\s(?:\d{1,3}|known|pleasant|frail|healthy|former|retired|very|right-handed|left-handed)\b|(?:is|was)\s\d{1,3}(?:\sy|-y)"
    r"|(?:presents|presented|return(?:s|ed)|came|went)\s(?:with|to|for|from|after|in|back|on)\b"
    r"|(?:has|had)\s(?:a\shistory|no\shistory|been\s(?:followed|treated|seen|coughing|smoking|taking|admitted|told))"
    r"|can\sbe\s(?:reached|contacted|called)|will\s(?:call|contact|follow|return|discuss|inform|see)\b"
    r")(?![a-z])",
    re.IGNORECASE,
)
# The same with something that it was done to: a word that is a usual surname will do before it.
_DOES_IT = re.compile(
    r"(?<=[A-Za-z.'])\s(?:also\s|then\s|later\s|again\s)?(?:(?:performed|reviewed|interpreted|dictated|read|placed|inserted|injected|removed|ordered|requested|reported|called"
    r"|started|stopped|advised|obtained|completed|gave|administered|drove|drives|brought|helped|watched|noticed|witnessed|accompanied|phoned|saw|told|informed"
    r"|notified|paged|assisted|supervised|examined)\s(?:the|a|an|this|these|him|her|his|them|it|both|me|us|back|with)\b"
    r"|(?:agrees|agreed|concurs|concurred|attests|attested|believes|thinks|was\s(?:notified|paged|informed|told|made\saware|called))\b|et\sal\b)",
    re.IGNORECASE,
)
_HAS = re.compile(
    r"'s\s(?:mother|father|wife|husband|daughter|son|sister|brother|family|partner|parents|pain|symptoms?|condition|history|films?|images?|case|care|request|office"
    r"|service|team|report|reading|interpretation|note|dictation|attention|behalf|opinion|recommendations?|chart|record|visit|previous|prior|recent)\b",
    re.IGNORECASE,
)
_AUTHOR = re.compile(r"(?:^|[.\n:;]\s{0,4})I,\s(?=[A-Za-z])", re.IGNORECASE)
_SENTENCE = re.compile(r"(?:^|(?<=[\n.:;|*])[ \t]{0,4}|(?<=[a-z0-9)][.:;|]\s\s))(?=[A-Za-z])")
_AFTER = re.compile(
    r"\s{0,3}(?:[\n(|;/\[#]|$|\d|,\s(?:\d|a\s)|-\s|(?:is|was|has|had|presents|presented|returns|returned|came|sex|age|m|f|male|female|mrn|dob|id|acc|date|born)\b)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:^|(?<=[\n|;])[ \t]{0,4}|(?<=[ \t]{2}))(?:[A-Za-z][A-Za-z'/()-]{1,20}[ \t]){0,3}[A-Za-z][A-Za-z'/()-]{1,20}[ \t]{0,2}[:#=][ \t]{0,4}(?=[A-Za-z])"
)
_CLOSED = re.compile(r"[ \t]?(?:[\n;|,(/]|$)|[ \t]{2}|\.?[ \t]{0,2}(?:$|\n)")
_SIGNED = re.compile(r"(?:^|(?<=\n))[ \t]{0,8}(?:/s?/?|-{1,3}|~|\*{1,2}|=>)[ \t]{0,2}(?=[A-Z])")
_TWO = re.compile(r"(?<![\w'./-])(?P<a>[A-Z](?:[A-Za-z'-]*[A-Za-z]|\.))(?: [A-Z]\.?)? (?P<b>[A-Z][A-Za-z'-]*[A-Za-z])(?![\w-])")
_LONE = re.compile(r"(?<=[A-Za-z0-9,] )[A-Z][a-z]*(?:[A-Z][a-z]+)?(?:['-][A-Z]?[a-z]+)*(?![\w(®™]|[-/]\w)")
_PREFIX = re.compile(r"(?:Mc|Mac|De|Di|Du|La|Le|Van|Fitz|O|D)'?[A-Z]")
_BEFORE_PLACE = re.compile(r"\b(?:in|near|from|at|to|of) $")
_INSIDE = re.compile(r"(?:^|[\s(])[a-z]{1,20},? $|(?:^|\s)\d{1,4}%?,? $|\b[A-Z]\.? $")
_ENDING = re.compile(r"(?:ed|ing|mab|nib|cillin|mycin|azole|olol|statin|cocc(?:us|i)|bacter(?:ium)?|virus|myces|monas|parin|caine|oma|emia|uria)$")


def find(grammar: Grammar) -> Iterator[Find]:
    """Everything this module finds in one text."""
    yield from _acting(grammar, _DOES)
    yield from _acting(grammar, _DOES_IT, single=True)
    yield from _acting(grammar, _HAS)
    yield from _labelled(grammar)
    yield from _two(grammar)
    yield from _authors(grammar)
    yield from _turned(grammar)
    yield from _names(grammar)
    if grammar.cased:
        yield from _lone(grammar)


def _acting(grammar: Grammar, pattern: re.Pattern[str], *, single: bool = False) -> Iterator[Find]:
    """The names before a verb, read backwards from it."""
    for match in pattern.finditer(grammar.text):
        words = _behind(grammar, match.start(), single=single)
        if words:
            yield from grammar.made(words, "acting")


def _behind(grammar: Grammar, at: int, *, single: bool = False) -> list[tuple[int, int]]:
    """The words of a name that ends at an offset. A last word that reports know is a surname behind an initial or an unknown word, or `single` and usual."""
    line = max(grammar.text.rfind("\n", 0, at) + 1, at - 60)
    words: list[tuple[int, int]] = []
    weak = False
    for token in reversed(list(TOKEN.finditer(grammar.text[line:at]))):
        start, end = line + token.start(), line + token.end()
        gap = grammar.text[end : words[0][0] if words else at]
        word = grammar.word(start, end)
        if (
            "xxx" in word.lower()
            or re.fullmatch(DEGREES, word)
            or (len(word) == 1 and (gap.strip() or (start and grammar.text[start - 1] == "/")))
            or gap.strip(" \t,")
            or len(gap) > 2
            or len(words) > 3
            or (start and grammar.text[start - 1].isalnum())
        ):
            break
        if len(word) == 1 and word.isupper() and words and not grammar.graded(start):
            words.insert(0, (start, end))
        elif grammar.fits(word, trusted=False) and not lexicon.thing(word):
            words.insert(0, (start, start + len(word)))
        elif not words and grammar.capital(word) and word.lower() not in listed("roles") and not lexicon.small(word) and len(word) > 1:
            words.insert(0, (start, start + len(word)))
            weak = True
        elif not (words and token[0].islower() and word in listed("particles")):
            break
        else:
            words.insert(0, (start, end))
    while words and grammar.word(*words[0]).islower() and not grammar.caseless_small and len(words) > 1 and weak:
        words.pop(0)
    if weak and len(words) == 1 and single and lexicon.surname_word(grammar.word(*words[0])) and _starts(grammar.text, words[0][0]):
        return [] if lexicon.eponym(grammar.text, *words[0], alone=False) else words
    if weak and (len(words) < 2 or (not grammar.cased and not _sure(grammar, words))):
        return []
    if len(words) == 1 and grammar.cased and grammar.word(*words[0]).isupper() and len(grammar.word(*words[0])) < 6:
        return []
    return [] if words and not weak and lexicon.eponym(grammar.text, words[0][0], words[-1][1]) else words


def _starts(text: str, at: int) -> bool:
    return re.search(r"(?:^|[.:;|*\n])\s{0,4}$", text[max(0, at - 6) : at]) is not None


def _sure(grammar: Grammar, words: list[tuple[int, int]]) -> bool:
    """Whether, where a capital says nothing, a last word that reports know is a surname: it is a usual one, or a given name or an initial is before it."""
    before = grammar.word(*words[-2])
    return lexicon.surname_word(grammar.word(*words[-1])) or lexicon.given(before) or (len(before) == 1 and grammar.text[words[-2][1] - 1] == ".")


def _authors(grammar: Grammar) -> Iterator[Find]:
    """`I, S. Long, have reviewed`."""
    for match in _AUTHOR.finditer(grammar.text):
        yield from grammar.made(grammar.chain(match.end(), trusted=grammar.cased), "author")


def _turned(grammar: Grammar) -> Iterator[Find]:
    """`Doe, Jane Q (` at the beginning of a line or sentence."""
    for match in _SENTENCE.finditer(grammar.text):
        words = grammar.chain(match.end(), trusted=False, commas=True, ends=False)
        full = [word for one in words if len(word := grammar.word(*one)) > 1]
        if len(words) < 2 or not full or not any("," in grammar.text[one[1] : other[0]] for one, other in itertools.pairwise(words)):
            continue
        last, first = full[-1], grammar.word(*words[0])
        listed_ = lexicon.given(last) or lexicon.surname(first)
        if (listed_ or (grammar.cased and not lexicon.known(first) and not lexicon.thing(first))) and _AFTER.match(grammar.text, words[-1][1]):
            yield from grammar.made(words, "name, given name")


def _labelled(grammar: Grammar) -> Iterator[Find]:
    """A full name alone behind any label, or behind the sign of a signature."""
    for pattern, rule in ((_LABEL, "any label"), (_SIGNED, "signature")):
        for match in pattern.finditer(grammar.text):
            words = grammar.chain(match.end(), trusted=False, commas=True, usual=True)
            full = [one for one in words if len(grammar.word(*one)) > 1]
            if not full or not _CLOSED.match(grammar.text, words[-1][1]):
                continue
            sure = any(lexicon.surname(grammar.word(*one)) or lexicon.given(grammar.word(*one)) for one in full)
            initial = len(words) > len(full) and grammar.text[words[0][1] - 1] == "."
            mixed = grammar.cased and any(sign.islower() for one in full for sign in grammar.word(*one))
            if (len(words) > 1 and (mixed or sure or initial)) or (rule == "signature" and sure):
                yield from grammar.made(words, rule, 56)


def _two(grammar: Grammar) -> Iterator[Find]:
    """An initial or a given name before a word that is a usual surname, though reports know it: `S. Long`, `Hope Stone`, `Akosua Banks`."""
    at = 0
    while (match := _TWO.search(grammar.text, at)) is not None:
        at = match.start("b")
        first, last = match["a"].rstrip("."), grammar.word(*match.span("b"))
        if lexicon.eponym(grammar.text, *match.span("b"), alone=False) or last.lower() in listed("roles"):
            continue
        if not lexicon.surname_word(last):
            sure = lexicon.surname(last) or (grammar.cased and not last.isupper())
            words = grammar.chain(match.start("b"), trusted=False) if lexicon.given_word(first) and sure else []
            yield from grammar.made([match.span("a"), *words] if words else [], "given name and surname", 57)
            continue
        initial = len(first) == 1 and match["a"].endswith(".") and grammar.cased and not grammar.graded(match.start())
        unknown = len(first) > 2 and grammar.fits(first, trusted=False) and (grammar.cased or lexicon.given(first) or lexicon.surname(first))
        if initial or (unknown and not (grammar.cased and first.isupper())) or (grammar.cased and lexicon.given_word(first) and not last.isupper()):
            yield from grammar.made([match.span("a"), (match.start("b"), match.start("b") + len(last))], "given name and surname", 57)


def _names(grammar: Grammar) -> Iterator[Find]:
    """Words that are nothing but names, and the unknown words beside them."""
    for token in TOKEN.finditer(grammar.text):
        word = grammar.word(*token.span())
        if len(word) < 4 or not grammar.capital(word) or lexicon.known(word) or not (lexicon.surname(word) or lexicon.given(word)):
            continue
        start, end = token.start(), token.start() + len(word)
        if (start and grammar.text[start - 1] in "-'/") or lexicon.eponym(grammar.text, start, end) or lexicon.thing(word):
            continue
        if lexicon.noun_next(grammar.text, end, strict=True):
            continue
        yield from grammar.made([(start, end)], "listed name", 57)
        if not grammar.cased:
            behind = _behind(grammar, start)
            if behind and grammar.text[behind[-1][1] : start] == " " and not lexicon.known(grammar.word(*behind[-1])):
                yield from grammar.made(behind, "listed name", 57)
            words = grammar.chain(start, trusted=False, most=3, ends=False)
            yield from grammar.made(words, "listed name", 57)


def _no_names() -> frozenset[str]:
    return listed("never") | listed("strong") | listed("generic") | listed("leading") | listed("roles")


def _lone(grammar: Grammar) -> Iterator[Find]:
    """A capital inside a sentence on a word that no report knows."""
    text = grammar.text
    for match in _LONE.finditer(text):
        word = match[0]
        if len(word) < 3 or word[1] == "-" or lexicon.known(word) or lexicon.thing(word) or set(word.lower()) == {"x"} or word.lower() in _no_names():
            continue
        inner = re.search(r"[a-z][A-Z]", word)
        if (
            (inner and not _PREFIX.match(word))
            or (_ENDING.search(word) and not lexicon.surname(word))
            or not _INSIDE.search(text[max(0, match.start() - 24) : match.start()])
        ):
            continue
        if lexicon.eponym(text, *match.span()) or lexicon.noun_next(text, match.end()):
            continue
        person = lexicon.surname(word) or lexicon.given(word) or not _BEFORE_PLACE.search(text[max(0, match.start() - 6) : match.start()])
        end = match.end() - 2 * word.endswith("'s")
        yield Find(match.start(), end, "person" if person else "place", "unknown word", 62, stands_for=text[match.start() : end] if person else "")
