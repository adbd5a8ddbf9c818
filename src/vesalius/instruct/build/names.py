"""The 28 findings: the words in which each is asked for, what the sets call them, and which of them leave others undecided.

In: names of the sets. Out: names of `metrics.label_words.FINDINGS`; words; states of which none is settled by silence alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vesalius.domain.finding import Certainty
from vesalius.metrics.label_words import FINDINGS, NO_FINDING

WORDS: Mapping[str, str] = MappingProxyType(
    {
        NO_FINDING: "no abnormality",
        "enlarged_cardiomediastinum": "mediastinal widening",
        "cardiomegaly": "cardiomegaly",
        "lung_opacity": "lung opacity",
        "lung_lesion": "lung lesion",
        "edema": "pulmonary edema",
        "consolidation": "consolidation",
        "pneumonia": "pneumonia",
        "atelectasis": "atelectasis",
        "pneumothorax": "pneumothorax",
        "pleural_effusion": "pleural effusion",
        "pleural_other": "pleural abnormality other than effusion",
        "fracture": "fracture",
        "support_devices": "support devices",
        "emphysema": "emphysema",
        "fibrosis": "pulmonary fibrosis",
        "hernia": "hiatal hernia",
        "infiltration": "pulmonary infiltrate",
        "mass": "lung mass",
        "nodule": "pulmonary nodule",
        "pleural_thickening": "pleural thickening",
        "granuloma": "granulomatous disease",
        "scarring": "lung scarring",
        "aortic_abnormality": "aortic abnormality",
        "spine_degeneration": "degenerative change of the spine",
        "spinal_curvature": "abnormal spinal curvature",
        "hyperinflation": "hyperinflation",
        "low_lung_volumes": "low lung volumes",
    }
)
# what a set calls it where lower case and underscores do not give our name
_OTHERS: Mapping[str, str] = MappingProxyType({"effusion": "pleural_effusion", "infiltrate": "infiltration"})
_AIRSPACE = frozenset({"lung_opacity", "consolidation", "pneumonia", "infiltration"})
_FOCAL = frozenset({"lung_lesion", "mass", "nodule", "granuloma"})
_PLEURAL = frozenset({"pleural_other", "pleural_thickening", "scarring"})
# present -> findings that look alike or go by another name: that nobody mentioned them says nothing
_ALIKE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **{name: _AIRSPACE | {"atelectasis"} for name in _AIRSPACE},
        **dict.fromkeys(_FOCAL, _FOCAL | {"lung_opacity"}),
        **dict.fromkeys(_PLEURAL, _PLEURAL),
        "atelectasis": _AIRSPACE | {"low_lung_volumes"},
        "low_lung_volumes": frozenset({"atelectasis"}),
        "edema": _AIRSPACE - {"pneumonia"},
        "fibrosis": frozenset({"scarring", "lung_opacity", "infiltration", "pleural_thickening"}),
        "emphysema": frozenset({"hyperinflation"}),
        "hyperinflation": frozenset({"emphysema"}),
        "cardiomegaly": frozenset({"enlarged_cardiomediastinum"}),
        "enlarged_cardiomediastinum": frozenset({"cardiomegaly", "aortic_abnormality"}),
        "aortic_abnormality": frozenset({"enlarged_cardiomediastinum"}),
    }
)


# what comes and goes within days; that a report no longer names another finding does not say that it is gone
FLEETING = frozenset({*_AIRSPACE, "atelectasis", "edema", "pleural_effusion", "pneumothorax"})
_AXIS = ("HEAD", "NECK", "CHEST", "ABDOMEN", "PELVIS")
_APART = 2
_SIDES = frozenset({"left", "right"})


def apart(part: str, other: str) -> bool:
    """Whether two parts of the body are so far from each other that no picture of one shows the other; neighbours are not, nor is what is on no axis."""
    return part in _AXIS and other in _AXIS and abs(_AXIS.index(part) - _AXIS.index(other)) >= _APART


def confused(name: str, other: str) -> bool:
    """Whether a place may rightly be called both: what looks alike, or the organ and what is in it ("liver", "liver cancer"). Two sides are not."""
    ours, theirs = named(name), named(other)
    if ours and theirs and theirs in alike(ours):
        return True
    words, others = set(name.lower().split()) - _SIDES, set(other.lower().split()) - _SIDES
    return bool(words & others) and words != others


def named(label: str) -> str | None:
    """Our name of a set's label ("Pleural Effusion", "Pleural_Thickening"); None when it is none of the 28."""
    plain = "_".join(label.replace("_", " ").lower().split())
    name = _OTHERS.get(plain, plain)
    return name if name in WORDS else None


def alike(name: str) -> frozenset[str]:
    """Findings that the presence of one leaves undecided, without itself."""
    return _ALIKE.get(name, frozenset()) - {name}


def settled(states: Mapping[str, Certainty], *, silence: frozenset[str] = frozenset()) -> Mapping[str, Certainty]:
    """States in the order of `FINDINGS`, those that nobody mentioned left out.

    Args:
        states: as a set gives them.
        silence: findings whose absence the set means when it does not name them (ChestX-ray14): absent, unless something present looks alike; then uncertain.

    Returns:
        `no_finding` is there: present or absent where it is stated, else absent where another finding is present.
    """
    given = {name: state for name, state in states.items() if state is not Certainty.UNMENTIONED}
    present = {name for name, state in given.items() if state is Certainty.PRESENT and name != NO_FINDING}
    doubtful = {other for name in present for other in alike(name)}
    for name in silence - set(given):
        given[name] = Certainty.UNCERTAIN if name in doubtful else Certainty.ABSENT
    if present - {"support_devices"}:  # a film with a pacemaker may be called normal
        given[NO_FINDING] = Certainty.UNCERTAIN if given.get(NO_FINDING) is Certainty.PRESENT else Certainty.ABSENT
    return MappingProxyType({name: given[name] for name in FINDINGS if name in given})
