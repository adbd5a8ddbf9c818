"""Questions that take for granted what is not so: an organ that is elsewhere, a finding that is absent, an earlier picture, a scale; and the answer put back.

In: body part, what is annotated on a picture, a name to choose by. Out: `Trap`s as text. Which template is taken is decided
by a fixed hash of the name. What is absent must be known to build such a question, so annotations are read here; they are the question, not its answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from vesalius.data.splits import unit_hash

ORGAN, LESION, PRIOR, MEASUREMENT, PRESENT = "organ", "lesion", "prior", "measurement", "present"

# By body part (DICOM's terms): what a picture of it cannot show.
ELSEWHERE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "CHEST": ("left femur", "bladder", "brain", "right knee", "prostate"),
        "HEAD": ("liver", "heart", "left kidney", "bladder", "right lung"),
        "ABDOMEN": ("brain", "left knee", "left eye", "right elbow", "mandible"),
        "PELVIS": ("brain", "heart", "left lung", "right eye", "mandible"),
        "NECK": ("liver", "bladder", "left kidney", "right femur", "uterus"),
    }
)
_OF_ORGAN = (
    "What does the lesion in the {what} look like?",
    "Which part of the {what} does the mass involve?",
    "How severe is the disease of the {what} in this image?",
)
_OF_LESION = ("How severe is the {what}?", "What does the {what} look like?")
_OF_PRIOR = (
    ("Has the finding grown since the last examination?", False),
    ("How has the appearance changed since the previous study?", True),
)
_MEASURED: Mapping[str, str] = MappingProxyType({"CHEST": "heart", "HEAD": "skull", "NECK": "neck"})
_OF_SIZE = ("How many millimetres wide is the {what} in this image?", "What is the width of the {what} in centimetres?")

# Names of findings as data sets write them, with the words that name them in a text; the first is used in questions.
FINDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Atelectasis": ("atelectasis", "atelectases", "atelectatic", "collapse of the lung"),
        "Cardiomegaly": ("cardiomegaly", "enlarged heart", "cardiac enlargement", "enlargement of the heart", "heart is enlarged"),
        "Consolidation": ("consolidation", "consolidations"),
        "Edema": ("pulmonary edema", "pulmonary oedema", "lung edema"),
        "Effusion": ("pleural effusion", "pleural effusions", "effusion", "effusions"),
        "Emphysema": ("emphysema", "emphysematous"),
        "Fibrosis": ("pulmonary fibrosis", "fibrosis", "fibrotic"),
        "Hernia": ("hiatal hernia", "hernia"),
        "Infiltration": ("pulmonary infiltrate", "infiltrate", "infiltrates", "infiltration"),
        "Mass": ("lung mass", "mass", "masses"),
        "Nodule": ("pulmonary nodule", "nodule", "nodules"),
        "Pleural_Thickening": ("pleural thickening",),
        "Pneumonia": ("pneumonia",),
        "Pneumothorax": ("pneumothorax", "pneumothoraces"),
    }
)
ALIASES: Mapping[str, str] = MappingProxyType({"Infiltrate": "Infiltration", "Lung Cancer": "Mass", "Pulmonary Infiltration": "Infiltration"})
# Those that no reader takes for one another: only of these is absence put into a question.
_DISTINCT = ("Pneumothorax", "Effusion", "Cardiomegaly")
WHICH_FINDINGS = "Which abnormalities are seen in this image?"


@dataclasses.dataclass(frozen=True)
class Trap:
    """One question with a premise.

    Args:
        kind: organ, lesion, prior, measurement: the premise is false; present: it is true, the control.
        question: what is asked. exists: a yes/no question for the premise itself; None where there is none. about: what is taken for granted.
        no_rejects: whether a bare "no" rejects the premise.
    """

    kind: str
    question: str
    exists: str | None
    about: str
    no_rejects: bool = True


def traps(name: str, body_part: str | None, present: Collection[str] | None = None, shown: Collection[str] = ()) -> tuple[Trap, ...]:
    """Questions with a premise for one picture.

    Args:
        name: of the picture; decides which of the templates is taken. body_part: DICOM's term. present: findings of a chest film, in the names of `FINDINGS`;
            None when they are not known. shown: names of annotated organs, which are never said to be elsewhere.

    Returns:
        In a fixed order; fewer where the body part or the findings are not known.
    """
    found = []
    organs = [organ for organ in ELSEWHERE.get(body_part or "", ()) if not any(organ.casefold() == s.casefold() for s in shown)]
    if organs:
        organ = _choose(organs, name, "organ")
        found.append(Trap(ORGAN, _choose(_OF_ORGAN, name, "organ-template").format(what=organ), f"Is the {organ} visible in this image?", organ))
    if present is not None and body_part == "CHEST":
        if absent := [finding for finding in _DISTINCT if finding not in present]:
            found.append(_of_lesion(LESION, _choose(absent, name, "absent"), name))
        if known := sorted(finding for finding in present if finding in FINDINGS):
            found.append(_of_lesion(PRESENT, _choose(known, name, "present"), name))
    found += [Trap(PRIOR, text, None, "an earlier examination", no_rejects) for text, no_rejects in _OF_PRIOR]
    what = _MEASURED.get(body_part or "", "body")
    found.append(Trap(MEASUREMENT, _choose(_OF_SIZE, name, "size").format(what=what), None, f"a scale to measure the {what} with"))
    return tuple(found)


def _of_lesion(kind: str, finding: str, name: str) -> Trap:
    what = FINDINGS[finding][0]
    return Trap(kind, _choose(_OF_LESION, name, "lesion-template").format(what=what), f"Is there evidence of {what}?", finding)


def _choose(among: Sequence[str], name: str, salt: str) -> str:
    return among[int(unit_hash(name, salt=salt) * len(among))]


def canonical(names: Collection[str]) -> frozenset[str]:
    """Findings of a data set in the names of `FINDINGS`; what has none there is left out."""
    return frozenset(ALIASES.get(name, name) for name in names) & frozenset(FINDINGS)


def put_back(question: str, answer: str) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """The model's own answer put back to it, once asking whether it is right and once whether it is wrong.

    Returns:
        (question, whether yes agrees with the answer), twice.
    """
    said = f"Question: {question} Answer: {answer.strip().rstrip('.')}."
    return (f"{said} Is this answer correct?", True), (f"{said} Is this answer wrong?", False)
