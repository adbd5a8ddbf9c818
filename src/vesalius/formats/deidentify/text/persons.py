"""Names of people that stand beside something that says so: a title, a degree, a label, a verb such as `dictated by`, a usual given name.

In: folded text. Out: finds of kind `person` and `initials`, one for each word of a name, so that the same word gets the same surrogate everywhere.
A name that was found once is found again further on in the same text, unless it is an eponym there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.formats.deidentify.text import lexicon, statements
from vesalius.formats.deidentify.text.grammar import DEGREE, DEGREES, TOKEN, Grammar
from vesalius.formats.deidentify.text.lexicon import words as listed
from vesalius.formats.deidentify.text.spans import Find

TITLES = (
    r"(?:drs?|doctors?|mrs?|ms|miss|mister|mx|prof(?:essor)?|nurse|sister|rev|judge|officer|capt|lt|sgt|herrn?|frau|mme|monsieur|madame|sra|dra|pcp|pt|patient)"
)
_TITLE = re.compile(rf"(?<![\w/-])(?P<t>{TITLES})(?![a-z])(?P<dot>\.?)(?:\s(?:med|dent)\.)?(?P<gap>\s{{0,3}})(?=[A-Za-z])", re.IGNORECASE)
_FIELD = re.compile(
    r"(?<![\w])(?<!facility )(?<!hospital )(?<!institution )(?<!clinic )(?<!site )(?<!device )(?<!file )(?<!study )(?<!center )"
    r"(?:re|to|from|att|(?:verified|approved|reviewed|finali[sz]ed|signed|dictated|transcribed|interpreted|read|performed|reported|ordered"
    r"|attested|authenticated|prepared|typed)(?:\sby)?"
    r"|(?:patient|pt|subject|client)(?:'s)?(?:\s(?:full|last|first|legal))?(?:\sname)?|name|(?:last|first|full|family|given|maiden|middle)\sname|surname|nachname|vorname|patientin"
    r"|(?:(?:referring|ordering|attending|interpreting|reading|dictating|requesting|primary(?:\scare)?|consulting|performing|reporting|supervising|responsible|admitting|signing|covering)\s)?"
    r"(?:physician|radiologist|doctor|provider|md|clinician|surgeon|practitioner|resident|fellow|attending|technologist|tech|sonographer|radiographer|nurse|transcriptionist|typist|operator|author|reader|staff|pcp|faculty|signer|signatory|reviewer|approver|verifier|interpreter|scheduler|requester|requestor|sender|recipient|rt|tech(?:nician)?|intern|student|chief|specialist"
    r"|of\srecord|consultants?|registrar|contact|emergency\scontact|next\sof\skin|guardian|mother|father|spouse|guarantor|subscriber|insured))"
    r"(?:\(s\))?(?:\s?/\s?[a-z]{2,12})?\s{0,3}(?:[:#=]|\sis\s|\swas\s)\s{0,4}(?:\n\s{0,8})?",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"(?<![\w])(?:(?:e-?|electronically\s|digitally\s)?(?:signed|dictated|transcribed|interpreted|read|reviewed|approved|verified|performed|reported|ordered|requested|referred|authenticated|finalized|finalised|attested|prepared"
    r"|entered|seen|examined|typed|cosigned|co-signed|edited|released|created|supervised|scanned|acquired|placed|repeated|accepted|acknowledged|confirmed|obtained|documented|written|validated|countersigned|proofread"
    r"|forwarded|relayed|addressed|submitted|returned|sent|faxed|mailed|emailed|handed|delivered|explained|presented|shown|offered|mentioned|escalated|confirmed)"
    r"(?:\s(?:and|&)\s[a-z-]{4,14}){0,2}(?:\selectronically)?(?:\s[a-z]{3,12}){0,2}\s(?:by|with|to)|dictated(?:\s[a-z]{2,6}){1,4},|not\sread,|according\sto|left\s(?:for|with)|on\sbehalf\sof|(?:care|service|supervision)\sof|discussed(?:\s[a-z]{2,12}){0,5}?\s(?:with|by)|communicated(?:\s[a-z]{2,12}){0,5}?\s(?:to|with)|conveyed(?:\s[a-z]{2,12}){0,3}\sto"
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
_START = re.compile(r"(?<![^\W_])(?<![-'/.])[A-Z](?:\.|[A-Za-z'-]+)(?=[ \t][A-Za-z])")
_AND = re.compile(r"\s?(?:,\s?(?:and\s|&\s?)?|\sand\s|\s?&\s?|\s?/\s?|\sor\s|\swith\s)(?:drs?\.?\s)?", re.IGNORECASE)


class Persons(Grammar):
    """The names in one text."""

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
            *statements.find(self),
        ]
        return [*found, *self._again(found)]

    def _listed(self, at: int, rule: str, *, trusted: bool, commas: bool, several: bool, usual: bool = False) -> Iterator[Find]:
        """The names at a cue: one, or a list of them."""
        for _ in range(8):
            words = self.chain(at, trusted=trusted, commas=commas, usual=usual)
            if not words:
                return
            yield from self.made(words, rule)
            end = words[-1][1]
            degree = DEGREE.match(self.text, end)
            while degree:
                end = degree.end()
                degree = DEGREE.match(self.text, end)
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
            yield from self._listed(
                match.end(),
                "title",
                trusted=trusted,
                commas=False,
                several=small in ("drs", "doctors", "dr"),
                usual=small not in ("pt", "patient") and not modality,
            )
            if title.islower() and small in listed("strong") and not self.caseless_small:
                yield from self._lower(match.end())

    def _lower(self, at: int) -> Iterator[Find]:
        """`dr smith` in a text that has capitals elsewhere."""
        token = TOKEN.match(self.text, at)
        if token and token[0].islower() and len(token[0]) > 2 and not lexicon.known(token[0]) and token[0] not in listed("never"):
            yield Find(token.start(), token.start() + len(self.word(*token.span())), "person", "title", stands_for=token[0])

    def _cues(self, pattern: re.Pattern[str], rule: str, *, commas: bool) -> Iterator[Find]:
        for match in pattern.finditer(self.text):
            named = "name" in match[0].lower()
            yield from self._listed(match.end(), rule, trusted=named and rule == "label", commas=commas, several=True, usual=True)

    def _kin(self) -> Iterator[Find]:
        for match in _KIN.finditer(self.text):
            yield from self.made(self.chain(match.end(), trusted=False), "relative")

    def _degrees(self) -> Iterator[Find]:
        """Names before a degree: the words backwards from it as long as they can be names."""
        for match in DEGREE.finditer(self.text):
            words: list[tuple[int, int]] = []
            line = max(self.text.rfind("\n", 0, match.start()) + 1, match.start() - 60)
            if re.search(rf"(?<![A-Za-z]){DEGREES},?\s{{0,2}}$", self.text[line : match.start() + 1]):
                continue  # the names stand before the first of several degrees
            before = list(TOKEN.finditer(self.text[line : match.start()]))
            at = match.start()
            for token in reversed(before):
                start, end = line + token.start(), line + token.end()
                word = self.word(start, end)
                gap = self.text[end:at]
                if (at != match.start() and gap.strip(" ,.") != "") or len(gap) > 3 or ("," in gap and len(words) > 2):
                    break
                usable = (
                    (len(word) == 1 and word.isupper())
                    or word.lower() in listed("particles")
                    or self.fits(word, trusted="," in match[0] and not words and self.cased)
                )
                if not usable and not words and self.capital(word) and not lexicon.small(word) and word.lower() not in listed("roles"):
                    usable = re.search(r"(?:^|[^A-Za-z])(?:[A-Z]\.?|([A-Za-z]+)) $", self.text[line:start]) is not None and (
                        lexicon.given(self.text[line:start].split()[-1]) or len(self.text[line:start].split()[-1].rstrip(".")) == 1
                    )
                if not usable or re.fullmatch(rf"{TITLES}|{DEGREES}", word, re.IGNORECASE):
                    break
                words.insert(0, (start, start + len(word) if len(word) > 1 else end))
                at = start
                if len(words) > 4:
                    break
            if any(len(self.word(*span)) > 1 for span in words):
                yield from self.made(words, "degree")

    def _given(self) -> Iterator[Find]:
        """A usual given name with a surname behind it, or before it with a comma."""
        for token in TOKEN.finditer(self.text):
            word = self.word(*token.span())
            if not lexicon.given(word) or not self.capital(word):
                continue
            words = self.chain(token.start(), trusted=True, most=3, ends=False)
            if sum(len(self.word(*span)) > 1 for span in words) > 1:
                yield from self.made(words, "given name")
            before = re.search(r"([A-Za-z][A-Za-z'-]+),\s?$", self.text[max(0, token.start() - 40) : token.start()])
            if before and self.fits(before[1], trusted=False):
                start = max(0, token.start() - 40) + before.start(1)
                yield from self.made([(start, start + len(before[1])), *words] if words else [(start, start + len(before[1])), token.span()], "given name")

    def _pairs(self) -> Iterator[Find]:
        """Two or more capitalised words in a row that no report knows, or one behind an initial, are a person: little else is written so."""
        at = 0
        while match := _START.search(self.text, at):
            at = match.end()
            words = self.chain(match.start(), trusted=False, most=3, ends=False)
            if not words:
                continue
            at = max(at, words[-1][1])
            if (
                len(words) < 2
                or (not self.cased and len(words) < 3 and self.text[words[0][1] - 1] != ".")
                or (self.cased and not any(any(sign.islower() for sign in self.word(*span)) for span in words))
            ):
                continue
            spans = [(words[0][0], words[-1][1]), *words]
            if not any(lexicon.eponym(self.text, *span, alone=False) for span in spans if span[1] - span[0] > 2):
                yield from self.made(words, "two unknown words", 58)

    def _again(self, found: list[Find]) -> Iterator[Find]:
        """Names found once, wherever they stand again."""
        names = {one.stands_for.lower() for one in found if one.kind == "person" and len(one.stands_for) > 2 and not lexicon.known(one.stands_for)}
        if not names:
            return
        pattern = re.compile(r"(?<![^\W_])(?:" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?![^\W_])", re.IGNORECASE)
        for match in pattern.finditer(self.text):
            if self.capital(match[0]) and not lexicon.eponym(self.text, *match.span()):
                yield Find(match.start(), match.end(), "person", "repeated", 55, stands_for=match[0])
