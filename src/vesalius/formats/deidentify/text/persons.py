"""Names of people that stand beside something that says so: a title, a degree, a label, a verb such as `dictated by`, a usual given name.

In: folded text. Out: finds of kind `person` and `initials`, one for each word of a name, so that the same word gets the same surrogate everywhere.
A name that was found once is found again further on in the same text, unless it is an eponym there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.formats.deidentify.text import lexicon
from vesalius.formats.deidentify.text.fold import Views
from vesalius.formats.deidentify.text.lexicon import words as listed
from vesalius.formats.deidentify.text.spans import Find

TITLES = (
    r"(?:drs?|doctors?|mrs?|ms|miss|mister|mx|prof(?:essor)?|nurse|sister|rev|judge|officer|capt|lt|sgt|herrn?|frau|mme|monsieur|madame|sra|dra|pt|patient)"
)
_TITLE = re.compile(rf"(?<![\w/-])(?P<t>{TITLES})(?![a-z])(?P<dot>\.?)(?:\s(?:med|dent)\.)?(?P<gap>\s{{0,3}})(?=[A-Za-z])", re.IGNORECASE)
_DEGREES = (
    r"(?:M\.?D\.?|D\.?O\.?|M\.?B\.?B\.?S\.?|Ph\.?\s?D\.?|R\.?N\.?|N\.?P\.?|A\.?P\.?R\.?N\.?|P\.?A\.?-C\.?|C\.?R\.?N\.?A\.?|D\.?N\.?P\.?|F\.?R\.?C\.?R\.?|F\.?A\.?C\.?R\.?|F\.?R\.?C\.?P\.?C?|M\.?P\.?H\.?"
    r"|R\.?T\.?(?:\s?\(?R\)?)|RDMS|ARRT|LPN|BSN|MSN|PharmD|DPM|DDS|DMD|DVM|Esq|Jr|Sr|III)"
)
_DEGREE = re.compile(rf"\s{{0,2}},?\s{{0,2}}{_DEGREES}(?![\w])")
_FIELD = re.compile(
    r"(?<![\w])(?<!facility )(?<!hospital )(?<!institution )(?<!clinic )(?<!site )(?<!device )(?<!file )(?<!study )(?<!center )"
    r"(?:re|to|from|att|(?:verified|approved|reviewed|finali[sz]ed|signed|dictated|transcribed|interpreted|read|performed|reported|ordered"
    r"|attested|authenticated|prepared|typed)(?:\sby)?"
    r"|(?:patient|pt|subject|client)(?:'s)?(?:\s(?:full|last|first|legal))?(?:\sname)?|name|(?:last|first|full|family|given|maiden|middle)\sname|surname|nachname|vorname|patientin"
    r"|(?:(?:referring|ordering|attending|interpreting|reading|dictating|requesting|primary(?:\scare)?|consulting|performing|reporting|supervising|responsible|admitting|signing|covering)\s)?"
    r"(?:physician|radiologist|doctor|provider|md|clinician|surgeon|practitioner|resident|fellow|attending|technologist|tech|sonographer|radiographer|nurse|transcriptionist|typist|operator|author|reader|staff|pcp"
    r"|consultant|registrar|contact|emergency\scontact|next\sof\skin|guardian|mother|father|spouse|guarantor|subscriber|insured))"
    r"(?:\(s\))?(?:\s?/\s?[a-z]{2,12})?\s{0,3}(?:[:#=]|\sis\s|\swas\s)\s{0,4}(?:\n\s{0,8})?",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"(?<![\w])(?:(?:e-?|electronically\s|digitally\s)?(?:signed|dictated|transcribed|interpreted|read|reviewed|approved|verified|performed|reported|ordered|requested|referred|authenticated|finalized|finalised|attested|prepared"
    r"|entered|seen|examined|typed|cosigned|co-signed|edited|released|created|supervised|scanned|acquired|placed|repeated|accepted|acknowledged|confirmed|obtained|documented|written|validated|countersigned|proofread)"
    r"(?:\s(?:and|&)\s[a-z-]{4,14}){0,2}(?:\selectronically)?\s(?:by|with)|(?:care|service|supervision)\sof|discussed(?:\s[a-z]{2,12}){0,5}?\s(?:with|by)|communicated(?:\s[a-z]{2,12}){0,5}?\s(?:to|with)|conveyed(?:\s[a-z]{2,12}){0,3}\sto"
    r"|relayed(?:\s[a-z]{2,12}){0,3}\sto|notified|paged|called(?:\s[a-z]{2,12}){0,3}\sto|phoned(?:\s[a-z]{2,12}){0,3}\sto|telephoned(?:\s[a-z]{2,12}){0,3}\sto|informed|spoke\s(?:to|with)|reported(?:\s[a-z]{2,12}){0,3}\sto"
    r"|given\sto|read\sback\sby|acknowledged\sby|per|attn|attention|cc|c/o|sincerely|regards|faithfully|yours|thanks|thank\syou|dear|hello|hi|/s/|discussion\swith|conversation\swith|seen\swith|agree\swith|accompanied\sby|faxed\sto|sent\sto"
    r"|copy\sto|copies\sto|signed|dictated|transcribed|please\scontact|contacted|ask\sfor|named|known\sas|a\.?k\.?a\.?|alias|nee|by)(?![\w-])\s{0,2}[:,=-]?\s{0,4}(?:\n\s{0,8})?",
    re.IGNORECASE,
)
_KIN = re.compile(
    r"(?<![\w])(?:mother|father|mom|dad|wife|husband|spouse|partner|son|daughter|brother|sister|aunt|uncle|guardian|caregiver|caretaker|friend|neighbou?r|roommate|grandson|granddaughter|niece|nephew|fiancee?|twin|proxy)"
    r"(?:,\s|\s?:\s|\s\(|\s(?:is\s|was\s|named\s|called\s)?)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[A-Za-z](?:[A-Za-z'-]*[A-Za-z])?(?:(?<=\b[A-Za-z])\.|(?<=\bSt)\.|(?<=\bJr)\.)?")
_START = re.compile(r"(?<![^\W_])(?<![-'/.])[A-Z](?:\.|[A-Za-z'-]+)(?=[ \t][A-Za-z])")
_AND = re.compile(r"\s?(?:,\s?(?:and\s|&\s?)?|\sand\s|\s?&\s?|\s?/\s?|\sor\s|\swith\s)(?:drs?\.?\s)?", re.IGNORECASE)


class Persons:
    """The names in one text."""

    def __init__(self, views: Views) -> None:
        self.text, self.cased = views.loose, views.cased
        self.caseless_small = not any(sign.isupper() for sign in views.loose)

    def find(self) -> list[Find]:
        """All finds, with those that repeat."""
        found = [
            *self._titles(),
            *self._cues(_FIELD, "label", commas=True),
            *self._cues(_VERB, "verb", commas=True),
            *self._kin(),
            *self._degrees(),
            *self._given(),
            *self._pairs(),
        ]
        return [*found, *self._again(found)]

    def _word(self, start: int, end: int) -> str:
        return self.text[start:end].rstrip(".").removesuffix("'s").removesuffix("'S")

    def _capital(self, word: str) -> bool:
        return word[0].isupper() or self.caseless_small

    def _fits(self, word: str, *, trusted: bool) -> bool:
        """Whether a word can be a name here: after a sure cue any capitalised word that is no small one, else one that no report knows."""
        small = word.lower()
        if small in listed("never") or len(word) < 2 or set(small) == {"x"} or not self._capital(word):
            return False
        if trusted:
            return not lexicon.small(word) or small in ("may", "will", "so", "do", "an", "my", "he", "how", "you", "more", "most", "see")
        return not lexicon.known(word)

    def _chain(self, at: int, *, trusted: bool, commas: bool = False, most: int = 4, ends: bool = True) -> list[tuple[int, int]]:
        """The words of a name that begins at an offset; empty when none does."""
        words: list[tuple[int, int]] = []
        names = 0
        while len(words) < most + 2 and (match := _TOKEN.match(self.text, at)):
            word = self._word(*match.span())
            if self._initial(match, names) or self._particle(match, names):
                words.append(match.span())
            elif word.lower() in listed("particles") and word[0].isupper() and len(word) > 1 and (words or trusted):
                words.append((match.start(), match.start() + len(word)))  # Le, Van, Du are surnames too
                names += 1
            elif names < most and (
                self._fits(word, trusted=trusted and names == 0) or (ends and self._ends(match, words, names)) or (commas and self._inverted(match, words))
            ):
                words.append((match.start(), match.start() + len(word)))
                names += 1
            else:
                break
            gap = re.compile(r"[ \t]{1,2}(?=[A-Za-z])|(?<=\.)(?=[A-Z])").match(self.text, match.end())
            comma = re.compile(r",\s?(?=[A-Za-z])").match(self.text, match.end()) if commas and names == 1 and len(words) <= 2 else None
            if comma and not _DEGREE.match(self.text, match.end()):
                gap, commas = comma, False
            if gap is None:
                break
            at = gap.end()
        while words and self.text[words[-1][0] : words[-1][1]] in listed("particles"):
            words.pop()
        return words if names else []

    def _initial(self, token: re.Match[str], names: int) -> bool:
        word = self._word(*token.span())
        wanted = token[0].endswith(".") or names or self._next_fits(token.end())
        return len(word) == 1 and (word.isupper() or self.caseless_small) and bool(wanted)

    def _particle(self, token: re.Match[str], names: int) -> bool:
        word = token[0]
        return word.lower() in listed("particles") and self._next_fits(token.end()) and (word.islower() or word.lower() not in ("de", "la") or names > 0)

    def _ends(self, token: re.Match[str], words: list[tuple[int, int]], names: int) -> bool:
        """Whether a word that reports know is a surname here: behind an initial, or capitalised behind one given name and at the end."""
        word = self._word(*token.span())
        if not words or not self._capital(word) or word.lower() in listed("never") or word.lower() in listed("roles") or lexicon.small(word):
            return False
        last = self._word(*words[-1])
        if len(last) == 1:
            return True
        after = self.text[token.end() : token.end() + 24]
        if not self.cased:
            return names == 1 and (lexicon.given(last) or re.match(r"\s?[\n,.;)]|\s?$|\sON\s\S{0,10}\d", after) is not None)
        return names == 1 and not word.isupper() and re.match(r" ?:| [A-Z][a-z]+:", after) is None

    def _inverted(self, token: re.Match[str], words: list[tuple[int, int]]) -> bool:
        """Whether a word that reports know is a surname before a comma and a given name: `Young, Wei`."""
        if words or not self._capital(token[0]) or token[0].lower() in listed("never"):
            return False
        behind = re.compile(r",\s?([A-Za-z][A-Za-z'-]+)").match(self.text, token.end())
        return behind is not None and self._capital(behind[1]) and (lexicon.given(behind[1]) or self._fits(behind[1], trusted=False))

    def _next_fits(self, end: int) -> bool:
        match = re.compile(r"\s{0,2}").match(self.text, end)
        token = _TOKEN.match(self.text, match.end() if match else end)
        return token is not None and (
            token[0].lower() in listed("particles") or self._fits(self._word(*token.span()), trusted=False) or (len(token[0]) == 2 and token[0][1] == ".")
        )

    def _made(self, words: list[tuple[int, int]], rule: str, rank: int = 50) -> Iterator[Find]:
        """One find for each full word, with initials and particles before it; those behind it go to the one before."""
        units: list[list[int]] = []
        held: int | None = None
        for start, end in words:
            word = self._word(start, end)
            if len(word) == 1 or (word.lower() in listed("particles") and (word.islower() or self._more(words, end))):
                if units and len(word) == 1 and held is None and start - units[-1][1] <= 2 and not self._more(words, end):
                    units[-1][1] = end
                else:
                    held = start if held is None else held
                continue
            stop = end
            for part in re.finditer(r"[^-]+", self.text[start:stop]):
                units.append([held if held is not None else start + part.start(), start + part.end(), start + part.start()])
                held = None
        for unit in units:
            core = re.match(r"[A-Za-z'-]+", self.text[unit[2] : unit[1]])
            yield Find(unit[0], unit[1], "person", rule, rank, stands_for=core[0] if core else "")

    def _more(self, words: list[tuple[int, int]], end: int) -> bool:
        return any(start >= end and len(self._word(start, stop)) > 1 for start, stop in words)

    def _listed(self, at: int, rule: str, *, trusted: bool, commas: bool, several: bool) -> Iterator[Find]:
        """The names at a cue: one, or a list of them."""
        for _ in range(8):
            words = self._chain(at, trusted=trusted, commas=commas)
            if not words:
                return
            yield from self._made(words, rule)
            end = words[-1][1]
            degree = _DEGREE.match(self.text, end)
            while degree:
                end = degree.end()
                degree = _DEGREE.match(self.text, end)
            link = _AND.match(self.text, end)
            if link is None or not several:
                return
            at, trusted = link.end(), trusted and "and" in link[0].lower()

    def _titles(self) -> Iterator[Find]:
        for match in _TITLE.finditer(self.text):
            title = match["t"]
            small = title.lower()
            if not match["gap"] and not match["dot"]:
                continue
            modality = title.isupper() and not match["dot"] and small in ("mr", "ms", "dr", "pt") and len(title) == 2
            if modality and self.cased and small in ("mr", "ms", "pt"):
                continue
            trusted = small in listed("strong") and not modality and (bool(match["dot"]) or (self.cased and not title.islower()))
            yield from self._listed(match.end(), "title", trusted=trusted, commas=False, several=small in ("drs", "doctors") or small == "dr")
            if title.islower() and small in listed("strong") and not self.caseless_small:
                yield from self._lower(match.end())

    def _lower(self, at: int) -> Iterator[Find]:
        """`dr smith` in a text that has capitals elsewhere."""
        token = _TOKEN.match(self.text, at)
        if token and token[0].islower() and len(token[0]) > 2 and not lexicon.known(token[0]) and token[0] not in listed("never"):
            yield Find(token.start(), token.start() + len(self._word(*token.span())), "person", "title", stands_for=token[0])

    def _cues(self, pattern: re.Pattern[str], rule: str, *, commas: bool) -> Iterator[Find]:
        for match in pattern.finditer(self.text):
            named = "name" in match[0].lower()
            yield from self._listed(match.end(), rule, trusted=named and rule == "label", commas=commas, several=True)

    def _kin(self) -> Iterator[Find]:
        for match in _KIN.finditer(self.text):
            yield from self._made(self._chain(match.end(), trusted=False), "relative")

    def _degrees(self) -> Iterator[Find]:
        """Names before a degree: the words backwards from it as long as they can be names."""
        for match in _DEGREE.finditer(self.text):
            words: list[tuple[int, int]] = []
            line = max(self.text.rfind("\n", 0, match.start()) + 1, match.start() - 60)
            before = list(_TOKEN.finditer(self.text[line : match.start()]))
            at = match.start()
            for token in reversed(before):
                start, end = line + token.start(), line + token.end()
                word = self._word(start, end)
                gap = self.text[end:at]
                if (at != match.start() and gap.strip(" ,.") != "") or len(gap) > 3 or ("," in gap and len(words) > 2):
                    break
                usable = (
                    (len(word) == 1 and word.isupper())
                    or word.lower() in listed("particles")
                    or self._fits(word, trusted="," in match[0] and not words and self.cased)
                )
                if not usable and not words and self._capital(word) and not lexicon.small(word) and word.lower() not in listed("roles"):
                    usable = re.search(r"(?:^|[^A-Za-z])(?:[A-Z]\.?|([A-Za-z]+)) $", self.text[line:start]) is not None and (
                        lexicon.given(self.text[line:start].split()[-1]) or len(self.text[line:start].split()[-1].rstrip(".")) == 1
                    )
                if not usable or re.fullmatch(rf"{TITLES}|{_DEGREES}", word, re.IGNORECASE):
                    break
                words.insert(0, (start, start + len(word) if len(word) > 1 else end))
                at = start
                if len(words) > 4:
                    break
            if any(len(self._word(*span)) > 1 for span in words):
                yield from self._made(words, "degree")

    def _given(self) -> Iterator[Find]:
        """A usual given name with a surname behind it, or before it with a comma."""
        for token in _TOKEN.finditer(self.text):
            word = self._word(*token.span())
            if not lexicon.given(word) or not self._capital(word):
                continue
            words = self._chain(token.start(), trusted=True, most=3, ends=False)
            if sum(len(self._word(*span)) > 1 for span in words) > 1:
                yield from self._made(words, "given name")
            before = re.search(r"([A-Za-z][A-Za-z'-]+),\s?$", self.text[max(0, token.start() - 40) : token.start()])
            if before and self._fits(before[1], trusted=False):
                start = max(0, token.start() - 40) + before.start(1)
                yield from self._made([(start, start + len(before[1])), *words] if words else [(start, start + len(before[1])), token.span()], "given name")

    def _pairs(self) -> Iterator[Find]:
        """Two or more capitalised words in a row that no report knows, or one behind an initial, are a person: little else is written so."""
        at = 0
        while match := _START.search(self.text, at):
            at = match.end()
            words = self._chain(match.start(), trusted=False, most=3, ends=False)
            if not words:
                continue
            at = max(at, words[-1][1])
            if (
                len(words) < 2
                or (not self.cased and len(words) < 3 and self.text[words[0][1] - 1] != ".")
                or (self.cased and not any(self._word(*span)[1:].islower() for span in words))
            ):
                continue
            spans = [(words[0][0], words[-1][1]), *words]
            if not any(lexicon.eponym(self.text, *span, alone=False) for span in spans if span[1] - span[0] > 2):
                yield from self._made(words, "two unknown words", 58)

    def _again(self, found: list[Find]) -> Iterator[Find]:
        """Names found once, wherever they stand again."""
        names = {one.stands_for.lower() for one in found if len(one.stands_for) > 2 and not lexicon.known(one.stands_for)}
        if not names:
            return
        pattern = re.compile(r"(?<![^\W_])(?:" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?![^\W_])", re.IGNORECASE)
        for match in pattern.finditer(self.text):
            if self._capital(match[0]) and not lexicon.eponym(self.text, *match.span()):
                yield Find(match.start(), match.end(), "person", "repeated", 55, stands_for=match[0])
