"""Do the labels say what the report says, as the labeler of `metrics.labels` reads it.

In: `Facts` with labels and a report. Out: hits. A label nobody gave is not judged; one that is uncertain is compared with nothing. The labeler errs too (its
figures stand in the docs of the metrics), so a hit asks for a look at both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.data.validate import words
from vesalius.data.validate.case import Facts
from vesalius.data.validate.remark import Evidence, Hit, Severity
from vesalius.data.validate.self_rules import qualified
from vesalius.data.validate.text import Sentence
from vesalius.domain.finding import Certainty
from vesalius.metrics.label_words import CHEXPERT, FINDINGS, NO_FINDING, SUPPORT_DEVICES
from vesalius.metrics.labels import Status

# words that may mean a finding without being counted as it
_OTHER_WORDS = {
    name: re.compile(pattern)
    for name, pattern in {
        "nodule": r"densit|calcif|granulom|round|nodul|opaci",
        "granuloma": r"calcif|nodul|histoplasm",
        "mass": r"densit|round|opaci|fullness|lesion",
        "pleural_effusion": r"blunt|fluid|fusion|thicken",
        "low_lung_volumes": r"volume|aerat|expan|inspirat|inflat|crowd",
        "hyperinflation": r"flatten|volume|inflat|expan",
        "emphysema": r"inflat|expan|obstruct|flatten|lucen",
        "scarring": r"fibro|cicatri|band|calcif|chronic|postop|post op|surg",
        "pneumothorax": r"air collection|air fluid|pleural air|lucen",
        "edema": r"congest|vascul|interstitial|fluid|chf",
        "atelectasis": r"collapse|volume loss|linear|streak|band|plate",
        "fracture": r"deform|fractur|compress|broken|wedge|height",
        "cardiomegaly": r"heart|cardi",
        "consolidation": r"airspace|air space|opaci|infiltrat",
        "pneumonia": r"infect|infiltrat|consolid|airspace|air space",
        "infiltration": r"infiltrat|opaci",
        "hernia": r"hernia|stomach|gastric",
        "spinal_curvature": r"curv|scolio|kypho|spine",
    }.items()
}
# findings under which labelled sets file different things
_VAGUE = (
    "lung_opacity",
    "lung_lesion",
    "enlarged_cardiomediastinum",
    "pleural_other",
    "pleural_thickening",
    "fibrosis",
    "aortic_abnormality",
    "spine_degeneration",
)
_OF_LUNG = ("lung_opacity", "lung_lesion", "nodule", "mass")
_NOT_OF_LUNG = words.any_of(r"ribs? bon(?:e|y) clavic\w+ vertebra\w* spine breast skin thoracic_cavity hemidiaphragm calcified clear granulom\w+ ct known")
_ABNORMAL = tuple(name for name in CHEXPERT if name not in (NO_FINDING, SUPPORT_DEVICES))


def denied(facts: Facts) -> Iterator[Hit]:
    """Labelled present, and the report denies it by name."""
    for name in _labelled(facts, Certainty.PRESENT):
        if _states(facts, name) is Status.NEGATIVE and _by_name(facts, name):
            yield _hit(facts, name, Severity.WARNING, f"{_plain(name)} is labelled present, the report denies it", Status.NEGATIVE)


def unstated(facts: Facts) -> Iterator[Hit]:
    """Labelled present, and the report does not name it; it may call the organ normal."""
    for name in _labelled(facts, Certainty.PRESENT):
        said = _states(facts, name)
        if name in _VAGUE or _in_other_words(facts, name):
            continue
        if said is Status.NOT_MENTIONED:
            yield _hit(facts, name, Severity.NOTE, f"{_plain(name)} is labelled present, the report does not mention it", None)
        elif said is Status.NEGATIVE and not _by_name(facts, name):
            yield _hit(facts, name, Severity.NOTE, f"{_plain(name)} is labelled present, the report calls the organ normal", said)


def refuted(facts: Facts) -> Iterator[Hit]:
    """Labelled absent, and the report states it."""
    for name in _labelled(facts, Certainty.ABSENT):
        if _plainly(facts, name):
            yield _hit(facts, name, Severity.WARNING, f"{_plain(name)} is labelled absent, the report states it", Status.POSITIVE)


def missing(facts: Facts) -> Iterator[Hit]:
    """Stated by the report, and the labels lack it."""
    for name in _labelled(facts, Certainty.UNMENTIONED):
        if name not in _VAGUE and _plainly(facts, name):
            yield _hit(facts, name, Severity.WARNING, f"the report states {_plain(name)}, the labels lack it", Status.POSITIVE)


def normal(facts: Facts) -> Iterator[Hit]:
    """Labelled as without finding, and the report states one."""
    if facts.labels is None or facts.labels.get(NO_FINDING) is not Certainty.PRESENT:
        return
    found = [name for name in _ABNORMAL if _plainly(facts, name)]
    others = [name for name in _ABNORMAL if facts.labels.get(name) is Certainty.PRESENT]
    if others:
        told = (Evidence("labels", NO_FINDING, "present"), *(Evidence("labels", name, "present") for name in others))
        yield Hit(Severity.ERROR, f"labelled as without finding and with {_plain(others[0])}", told)
    if found:
        yield _hit(facts, found[0], Severity.WARNING, f"labelled as without finding, the report states {_plain(found[0])}", Status.POSITIVE)


def device(facts: Facts) -> Iterator[Hit]:
    """The label of tubes, lines and implants against the report, both ways."""
    label = None if facts.labels is None else facts.labels.get(SUPPORT_DEVICES)
    said = _states(facts, SUPPORT_DEVICES)
    if label in (Certainty.ABSENT, Certainty.UNMENTIONED) and said is Status.POSITIVE:
        yield _hit(facts, SUPPORT_DEVICES, Severity.WARNING, "the report states a device, the labels do not", Status.POSITIVE)
    if label is Certainty.PRESENT and said is Status.NEGATIVE:
        yield _hit(facts, SUPPORT_DEVICES, Severity.WARNING, "a device is labelled, the report denies any", said)


def _labelled(facts: Facts, certainty: Certainty) -> list[str]:
    labels = facts.labels or {}
    return [name for name in FINDINGS if name not in (NO_FINDING, SUPPORT_DEVICES) and labels.get(name) is certainty]


def _states(facts: Facts, name: str) -> Status:
    return Status.NOT_MENTIONED if facts.report is None else facts.report.states[name]


def _plainly(facts: Facts, name: str) -> bool:
    """Whether some sentence states the finding without doubt, explanation, past, or a word masked by de-identification."""
    return facts.report is not None and any(_is_plain(s, name) for s in facts.report.found)


def _is_plain(sentence: Sentence, name: str) -> bool:
    said = sentence.says.get(name) is Status.POSITIVE and not words.DOUBT.search(sentence.text) and not words.MARK.search(sentence.text)
    if name == "fracture" and words.HARDWARE.search(sentence.text):
        return False
    return said and not (name in _OF_LUNG and _NOT_OF_LUNG.search(sentence.plain))


def _by_name(facts: Facts, name: str) -> bool:
    return any(s.says.get(name) is Status.NEGATIVE and s.words(name) and not qualified(s) for s in facts.report.found) if facts.report else False


def _in_other_words(facts: Facts, name: str) -> bool:
    """Whether a word stands in the report that may mean the finding although the labeler does not count it."""
    pattern = _OTHER_WORDS.get(name)
    return pattern is not None and any(pattern.search(s.plain) for s in (facts.report.found if facts.report else ()))


def _hit(facts: Facts, name: str, severity: Severity, message: str, status: Status | None) -> Hit:
    labels = facts.labels or {}
    told = [Evidence("labels", name, str(labels[name]))] if name in labels else []
    sentences: tuple[Sentence, ...] = facts.report.found if facts.report else ()
    said = [s for s in sentences if status is not None and s.says.get(name) is status]
    where = next((s for s in said if _is_plain(s, name)), said[0] if said else None)
    if where is not None:
        told.append(Evidence("report", where.section or "text", ", ".join(sorted(where.words(name))) or None, (where.start, where.end)))
    return Hit(severity, message, tuple(told))


def _plain(name: str) -> str:
    return name.replace("_", " ")
