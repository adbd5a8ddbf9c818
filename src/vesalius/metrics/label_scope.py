"""Where in a sentence something is denied, doubted or set aside: cues with scopes in the manner of NegEx and ConText, rules of our own.

In: one sentence, lower case, American spelling, single spaces. Out: `Cue`s with the stretch of text that each reaches. Sources of the idea: Chapman et al.,
J Biomed Inform 2001 (NegEx); Harkema et al., 2009 (ConText). A cue before its finding reaches forward to the end of its clause: to "but" and its like, the next
cue, or a comma or "and" behind which a statement with a verb of its own begins; a cue behind its finding reaches back to the verb before it.
"""

from __future__ import annotations

import dataclasses
import re

DENIED, DOUBTED, ASIDE, NOTHING = "denied", "doubted", "aside", "nothing"

_FEW = r"(?: \w+){0,3}?"
_SEEN = (
    r"(?:seen|identified|noted|present|visuali[sz]ed|appreciated|demonstrated|evident|detected|observed|apparent|found|shown|visible|suspected|suggested|"
    r"evidenced|recognized)"
)
_BE = r"(?:is|are|was|were|be|been|being)"
_CHANGE = r"(?:changes?|increase|decrease|improvement|progression|worsening|difference|alteration)"

# Sides: before (reaches forward), near (forward to a comma at most), behind (reaches back to the last verb), beside (back to a comma at most), within (forward,
# itself included). Order matters: the first that fits at a place is taken, and what it takes is not read again.
_CUES: tuple[tuple[str, str, str], ...] = (
    # "no acute changes to suggest" speaks of what is not there, "no change in" of what is
    (r"\b(?:nothing|(?:no|without)(?: (?!and\b|but\b)\w+){0,3}? (?:changes?|findings?|abnormalit\w+|features?))(?: \w+)?"
     r" (?:to (?:suggest|indicate)|suggesting|suggestive of|indicative of)\b", DENIED, "before"),
    # no denial although it sounds like one
    (rf"\b(?:no|without)(?: (?!new\b|evidence)\w+){{0,3}}? {_CHANGE}\b(?: (?:in|of|from|to|since|compared))?(?: the)?", NOTHING, ""),
    (r"\bnot (?:\w+ )?(?:changed|different|only|without|absent|free of|clear of|negative for)\b", NOTHING, ""),
    (r"\b(?:no|without) (?:absence|lack) of\b|\bno doubt\b|\bno (?:\w+ )?(?:resolution|clearing) of\b", NOTHING, ""),
    (r"\b(?:(?:has|have|is|are) )?not (?:\w+ )?(?:completely |entirely |fully )?(?:resolved|cleared)\b", NOTHING, ""),
    (r"\b(?:partial\w*|incomplete\w*|near(?:ly)?(?: complete)?|almost|mostly|largely) (?:\w+ )?(?:resol\w+|clear\w+|absent)(?: of)?\b", NOTHING, ""),
    (r"\bno longer (?=enlarged|large|low)", DENIED, "before"),
    # doubt
    (rf"\b(?:{_BE} )?(?:can ?not|can t|could not|may not|not)(?: be)?(?: \w+)?? (?:excluded|ruled out)\b", DOUBTED, "behind"),
    (r"\b(?:difficult|hard|impossible) to (?:\w+ )?(?:exclude|rule out)$", DOUBTED, "behind"),
    (r"\b(?:can ?not|can t|could not) (?:\w+ )?(?:exclude|rule out)\b|\b(?:rule out|r / o|exclude|excluding)\b", DOUBTED, "before"),
    (rf"\b(?:may|might) not be (?:\w+ )?{_SEEN}\b", ASIDE, "behind"),
    (r"\b(?:may|might|could|can|would) (?:\w+ )?(?:be|represent|reflect|indicate|suggest|relate|include|have|also)\w*(?: due to| secondary to| related to)?\b",
     DOUBTED, "before"),
    (rf"\b(?:{_BE} (?:\w+ )?)?(?:possible|questioned|suspected|considered|in question|not certain|uncertain)$", DOUBTED, "behind"),
    (rf"\b(?:{_BE} )?(?:(?:another|a|an) )?(?:consideration|possibility)$", DOUBTED, "behind"),
    (r"\bmaybe\b", DOUBTED, "before"),
    (r"\b(?:possib(?:le|ly|ility)|probab(?:le|ly|ility)|question\w*(?: of)?|suspect\w*|suspicio(?:us|n)(?: for| of))\b", DOUBTED, "near"),
    (r"\b(?:potential\w*|presum\w+|perhaps|doubt\w*)\b", DOUBTED, "near"),
    (r"\b(?:less |more |most )?likely\b", DOUBTED, "near"),
    (r"\b(?:concern\w*|worrisome|equivocal|indeterminate) (?:for|of|about)\b|\bworrisome\b|\bversus\b|\bvs\b", DOUBTED, "near"),
    (r"\bdifferential\b", DOUBTED, "before"),
    (r"(?<!to )\bsuggest(?:s|ive|ing|ed|ion)?(?: of)?\b(?! (?:follow|further|ct|clinical|repeat|correlation|comparison))", DOUBTED, "before"),
    (r"\bfavor(?:s|ed|ing)?\b", DOUBTED, "before"),
    (r"\bborderline\b", DOUBTED, "within"),
    # set aside: asked for, or long ago
    (r"\b(?:evaluat\w+|assess\w*|eval|screen\w*|look\w*|search|indication|clinical\w*)(?: \w+){0,2}? (?:for|of|as to|in)\b", ASIDE, "before"),
    (r"\b(?:monitor|symptoms|sensitive|correlat\w+)(?: \w+){0,2}? (?:for|of|as to|in)\b", ASIDE, "before"),
    (r"\bhistory of\b|\bh / o\b|\bif (?:there is|clinical)\b", ASIDE, "before"),
    # denial behind
    (rf"\b(?:(?:{_BE}|has|have|had|there) (?:\w+ )?)?(?:not|no longer)(?: \w+)?(?: {_BE})?(?: \w+)? {_SEEN}\b", DENIED, "behind"),
    (rf"\b(?:{_BE}|have|has|had) (?:\w+ ){{0,2}}?(?:absent|resolved|cleared|removed|disappeared|excluded|ruled out|extracted|withdrawn|unlikely|negative)\b",
     DENIED, "behind"),
    (r"\b(?:appears?|is|are) within (?:limits of normal|normal limits)\b", DENIED, "beside"),
    # denial before
    (r"\b(?:no|without|not|negative for|free of|free from|clear of|devoid of|absence of|absent|lack of|lacks|never|neither|nor|den(?:y|ies))\b"
     r"(?: (?:\w+ )?(?:evidence|signs?|indication|suggestion|radiographic evidence|findings?)\b(?: (?:of|for|to suggest|suggesting))?)?", DENIED, "before"),
    (r"\b(?:fails? to|rather than|instead of|resolved|(?:resolution|clearing|removal|exclusion) of)\b", DENIED, "before"),
)  # fmt: skip
_CUE = tuple((re.compile(pattern), kind, side) for pattern, kind, side in _CUES)
CLAUSE = re.compile(
    r"\s*(?:;|:|\b(?:but|however|although|though|except(?: for| that)?|other than|aside from|apart from|whereas|while|nevertheless|yet|with the exception of"
    r"|in addition|which|because|there (?:is|are|was|were|has|have))\b)\s*"
)
_VERB = re.compile(
    r"\b(?:represents?|is|are|was|were|has|have|had|appears?|remains?|shows?|demonstrates?|contains?|measures?|persists?|there s|lies|project\w*)\b"
)
_SEEN_VERB = re.compile(rf"\b{_BE}\b(?: \w+)? {_SEEN}\b|\b(?:has|have) been (?:\w+ )?{_SEEN}\b")
_JOIN = re.compile(r", |,| and | (?<!consistent )(?<!compatible )(?<!associated )(?<!patient )with ")
_SEEN_LAST = re.compile(rf"\b{_SEEN}$")
_ARTICLE = re.compile(
    r"^(?:and )?(?:a|an|the|there|this|these|it|stable|unchanged|mild|minimal|chronic|persistent|again|normal|otherwise|status|with|small|old|heart|lungs)\b"
)


@dataclasses.dataclass(frozen=True)
class Cue:
    """A cue and what it reaches: [start, end) in its clause. `kind`: DENIED, DOUBTED, ASIDE."""

    kind: str
    start: int
    end: int


def clauses(sentence: str) -> list[str]:
    """The clauses of a sentence, in order. "There is" begins one, so a denial does not reach past it."""
    return [part for part in (piece.strip(" ,") for piece in CLAUSE.split(sentence)) if part]


def cues(clause: str) -> list[Cue]:
    """The cues of one clause with their scopes."""
    found = _found(clause)
    starts = sorted(start for start, _, _, _ in found)
    reach = []
    for start, end, kind, side in found:
        if kind == NOTHING:
            continue
        if side in ("before", "near", "within"):
            stop = min([s for s in starts if s >= end] + [_forward(clause, end, near=side == "near")])
            reach.append(Cue(kind, start if side == "within" else end, stop))
        else:
            reach.append(Cue(kind, _backward(clause, start, found, near=side == "beside"), start))
    return reach


def _found(clause: str) -> list[tuple[int, int, str, str]]:
    taken = bytearray(len(clause) + 1)
    found = []
    for pattern, kind, side in _CUE:
        for match in pattern.finditer(clause):
            start = match.start() + (len(match.group()) - len(match.group().lstrip()))
            if not any(taken[start : match.end()]):
                taken[start : match.end()] = b"\1" * (match.end() - start)
                found.append((start, match.end(), kind, side))
    return found


def _forward(clause: str, start: int, *, near: bool) -> int:
    """Where a cue that ends at `start` stops reaching."""
    joins = [m for m in _JOIN.finditer(clause) if m.start() >= start]
    for place, join in enumerate(joins):
        until = joins[place + 1].start() if place + 1 < len(joins) else len(clause)
        chunk = clause[join.end() : until].strip()
        if re.match(r"^(?:and )?(?:or|nor|versus|vs)\b", chunk):
            continue
        ends = "with" in join.group() or (near and "," in join.group()) or _SEEN_LAST.search(clause, start, join.start())
        if ends or _ARTICLE.match(chunk) or (_VERB.search(chunk) and not _SEEN_VERB.search(chunk)):
            return join.start()
    return len(clause)


def _backward(clause: str, end: int, found: list[tuple[int, int, str, str]], *, near: bool) -> int:
    """How far back a cue that begins at `end` reaches: to the verb, or the cue that reaches back, before it; a near one to a comma at most."""
    verbs = [m.end() for m in _VERB.finditer(clause) if m.end() <= end]
    before = [other_end for _, other_end, _, side in found if other_end <= end and side == "behind"]
    return max([0, *verbs, *before, *([clause.rfind(",", 0, end) + 1] if near else [])])
