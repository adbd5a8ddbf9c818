"""Whether an answer goes along with what its question takes for granted: a finding that is not there, an earlier picture, a scale.

In: the text of an answer. Out: a `Stance`. Rules by words, stated below; they err towards ACCEPTS only where the text neither denies nor doubts.
"""

from __future__ import annotations

import enum
import re

from vesalius.domain.exchange import Outcome
from vesalius.metrics.text import normalise, read_outcome

_NONE = re.compile(
    r"^(no|none|nothing|neither|nil|not (applicable|available|visible|seen|shown|present|identified|included|imaged|detected|on|in|part)|n a|absent|"
    r"there (is|are|was|were) (no|none|not)|there isnt|there arent|it is not|it isnt|this is not|i (do not|dont|can ?not|cant) see|we (do not|dont) see)\b"
)
_DENIES = re.compile(
    r"\b((is|are|was|were) (not|nowhere) (\w+ )?(visible|seen|shown|present|identified|included|imaged|evident|there|depicted|visuali[sz]ed|pictured|part of)"
    r"|(isnt|arent|wasnt) (\w+ )?(visible|seen|shown|present|included|there|depicted)"
    r"|(outside|out of|beyond) (of )?(field|image|picture|view|scan)"
    r"|no (such|evidence|sign|signs|visible)\b"
    r"|(does not|doesnt|do not|dont) (show|include|contain|depict|display|have)"
    r"|no (\w+ )?(prior|previous|earlier|comparison|baseline|old)\b"
    r"|without (an? )?(\w+ )?(prior|previous|earlier|comparison|scale|calibration|ruler|reference)"
    r"|no (\w+ )?(scale|calibration|ruler|pixel spacing|measurement)\b"
    r"|(can ?not|cant) be (\w+ )?(measured|compared|seen|determined|assessed)"
    r"|(only|just) (1|single) (image|picture|study|film|examination)"
    r")"
)
_NUMBER = re.compile(r"\d")
_READ = 40  # words of an answer that are read


class Stance(enum.StrEnum):
    """What an answer does with the premise of its question."""

    ACCEPTS = "accepts"
    REJECTS = "rejects"
    UNREADABLE = "unreadable"


def stance(text: str, *, no_rejects: bool = True) -> Stance:
    """What an answer does with the premise of its question.

    UNREADABLE when there is no word in it; REJECTS when it says that the question cannot be determined (`read_outcome`), opens with a denial ("no ...", "there
    is no ..."), or says that the thing is not shown or that there is no earlier picture or scale; else ACCEPTS. The first 40 words are read.

    Args:
        no_rejects: whether an answer of nothing but "no" rejects. It does for "What does the fracture look like?", and does not for "Has it grown since the
            last examination?", where "no" compares with an examination that there is not.
    """
    words = normalise(text).split()
    if not words:
        return Stance.UNREADABLE
    plain = " ".join(words[:_READ])
    if read_outcome(text) is Outcome.UNDETERMINED or _DENIES.search(plain):
        return Stance.REJECTS
    if _NONE.match(plain):
        return Stance.REJECTS if no_rejects else Stance.ACCEPTS
    return Stance.ACCEPTS


def gives_number(text: str) -> bool:
    """Whether an answer holds a number, in digits or as a word up to twelve."""
    return bool(_NUMBER.search(normalise(text)))
