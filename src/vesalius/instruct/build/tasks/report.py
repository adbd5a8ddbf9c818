"""Sections of a report from the films of its study, and the impression from the findings.

In: reports by section. Out: texts as they stand. A section that speaks of an earlier film is written only with that film, as nobody can see it otherwise; one
with words blanked by its set is not written at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from vesalius.instruct.build import wordings
from vesalius.instruct.build.desk import OVER, Desk
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Instruction

SECTIONS = ("findings", "impression")
_LEAST, _MOST = 15, 4000  # characters
_PRIOR = re.compile(
    r"\b(?:compar\w+|prior|previous\w*|earlier|interval|unchanged|again|stable|stability|new(?:ly)?|increas\w+|decreas\w+|improv\w+|wors\w+|resol(?:ved|ution|ving)"
    r"|persist\w+|progress\w+|no longer|no (?:\w+ )?change|since|remain\w*|still|redemonstrat\w+|has (?:been )?\w+ed)\b",
    re.IGNORECASE,
)
_BLANK = re.compile(r"_{2,}|\bXXXX\b|\[\*\*")
_ORIGIN = "the report as written"


def sections(desk: Desk) -> Iterator[Instruction]:
    """Findings and impression of a study's report, with the earlier study's films where the text needs them."""
    priors = {pair.current.id: pair.prior for pair in desk.material.pairs}
    made = Counter[str]()
    deals = {name: desk.deal(f"section:{name}", _asking(name)) for name in SECTIONS}
    for study, said in _reports(desk):
        for name in SECTIONS:
            text = said.get(name, "")
            if not _usable(desk, text):
                continue
            images, told = study.images, ""
            if _PRIOR.search(text):
                if study.id not in priors:
                    desk.leave("speaks of an earlier film that is not there")
                    continue
                earlier = priors[study.id].images
                images, told = earlier + images, f" The first {len(earlier)} of {len(earlier) + len(study.images)} films are from an earlier study."
            reason = said.get("indication", "")
            told += f"\nIndication: {reason}" if reason and not _BLANK.search(reason) else ""
            made[name] += 1
            if desk.how.most is not None and made[name] > desk.how.most:
                desk.leave(OVER)
                continue
            for wording in next(deals[name]):
                yield desk.put(study, f"section:{name}", wording, text, f"section {name}", question=wording.text + told, images=images, origin=_ORIGIN)


def summaries(desk: Desk) -> Iterator[Instruction]:
    """The impression that a report draws from its findings; text alone."""
    pool = wordings.plain(
        "summary",
        "Summarise these findings as an impression.",
        "What is the impression of these findings?",
        "Write the impression that these findings lead to.",
    )
    deal, made = desk.deal("summary", pool), 0
    for study, said in _reports(desk):
        findings, impression = (said.get(name, "") for name in SECTIONS)
        if not _usable(desk, findings) or not _usable(desk, impression):
            continue
        if _PRIOR.search(impression) and not _PRIOR.search(findings):
            desk.leave("the impression speaks of an earlier film, the findings do not")
            continue
        made += 1
        if desk.how.most is not None and made > desk.how.most:
            desk.leave(OVER)
            continue
        for wording in next(deal):
            question = f"{wording.text}\nFindings: {findings}"
            yield desk.put(study, "summary", wording, impression, "sections findings and impression", question=question, images=(), origin=_ORIGIN)


def _asking(name: str) -> tuple[wordings.Wording, ...]:
    texts = (f"Write the {name} section of the report on this study.", f"Report the {name} of this study.", f"What are the {name} of this study?")
    singular = "What is the impression of this study?"
    return wordings.plain(f"section:{name}", *texts[:2], singular if name == "impression" else texts[2])


def _reports(desk: Desk) -> Iterator[tuple[Study, Mapping[str, str]]]:
    """Studies with their report; without any the family has nothing."""
    for study in desk.material.studies:
        if study.sections is None:
            desk.leave("no report")
        else:
            yield study, study.sections()


def _usable(desk: Desk, text: str) -> bool:
    if not _LEAST <= len(text) <= _MOST:
        desk.leave("a section that is absent, very short or very long")
        return False
    if _BLANK.search(text):
        desk.leave("a section with blanked words")
        return False
    return True
