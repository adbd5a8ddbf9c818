"""Whether a sentence fits an image: each sentence once with its own image and once with one that it contradicts, and each image with both.

In: stated findings, or modality and part of the body. Out: four instructions of two studies, in the same words: half are yes for every sentence and image.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterator

from vesalius.data.splits import unit_hash
from vesalius.domain.finding import Certainty
from vesalius.instruct import templates
from vesalius.instruct.build import wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.names import WORDS, apart
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Instruction
from vesalius.metrics.label_words import NO_FINDING

_MOST_NAMED, _REACH = 3, 200  # findings in a sentence; studies that are tried as a partner


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    pool = (
        *wordings.plain(
            "match", "Does this sentence describe the image? {}", "Is the following true of this image? {}", "Do image and text belong together? {}"
        ),
        wordings.Wording("match/3", "Is this sentence wrong for the image? {}", "negation", -1),
        wordings.Wording("match/4", "Does the image contradict this sentence? {}", "negation", -1),
    )
    pool = tuple(w for w in pool if desk.how.families is None or w.family in (wordings.PLAIN, *desk.how.families))
    told = {study.id: text for study in desk.material.studies if (text := sentence(study))}
    for (first, second), chosen in zip(desk.limit(_pairs(desk, told)), desk.deal("match", pool), strict=False):
        for own, other in ((first, second), (second, first)):
            text = told[own.id]
            equivalence = f"match:{hashlib.sha256(text.encode()).hexdigest()[:12]}"
            for study, answer in ((own, "yes"), (other, "no")):
                for wording in chosen:
                    fact = f"sentence of {own.id}; this study: {_known(study)}"
                    yield desk.put(study, equivalence, wording, answer, fact, question=wording.text.format(text), about=own.id)


def sentence(study: Study) -> str | None:
    """What a study is said to show; None when nothing certain is stated."""
    facts = dict(study.facts)
    if "modality" not in facts or "body_part" not in facts:
        return None
    if study.states:
        named = _shown(study)
        if not named and study.states.get(NO_FINDING) is not Certainty.PRESENT:
            return None
        facts["findings"] = "|".join(WORDS[name] for name in named) or "No Finding"
    elif any(study.views):
        return None  # of such a set every film would be described alike
    return templates.describe(facts)[-1][1]


def _shown(study: Study) -> tuple[str, ...]:
    return tuple(name for name in study.named(Certainty.PRESENT) if name != NO_FINDING)[:_MOST_NAMED]


def _known(study: Study) -> str:
    return ", ".join(study.named(Certainty.PRESENT)) or ", ".join(study.facts.values())


def _pairs(desk: Desk, told: dict[str, str]) -> list[tuple[Study, Study]]:
    """Studies of one stratum whose sentences contradict each other's image; each study once."""
    placed: dict[Hashable, list[Study]] = defaultdict(list)
    for study in desk.material.studies:
        if study.id in told:
            placed[study.stratum].append(study)
        else:
            desk.leave("nothing certain to say of it")
    found: list[tuple[Study, Study]] = []
    for studies in placed.values():
        waiting: list[Study] = []
        for study in sorted(studies, key=lambda s: unit_hash(s.id, salt=desk.salt("order"))):
            del waiting[:-_REACH]
            partner = next((s for s in waiting if _contradicts(s, study) and _contradicts(study, s)), None)
            if partner is None:
                waiting.append(study)
                continue
            waiting.remove(partner)
            found.append((partner, study))
    desk.leave("no study that its sentence contradicts", sum(map(len, placed.values())) - 2 * len(found))
    return sorted(found, key=lambda pair: unit_hash(pair[0].id + pair[1].id, salt=desk.salt("pairs")))


def _contradicts(own: Study, other: Study) -> bool:
    """Whether the sentence of one is surely false of the other."""
    if not own.states:
        return own.facts["modality"] != other.facts["modality"] or apart(own.facts["body_part"], other.facts["body_part"])
    named = _shown(own)
    if not named:
        return other.states.get(NO_FINDING) is Certainty.ABSENT
    return any(other.states.get(name) is Certainty.ABSENT for name in named)
