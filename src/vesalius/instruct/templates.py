"""Attributes to questions with answers: the descriptive and yes/no pairs that training is made of.

In: facts a data set states of an image (modality, plane, organs, findings, view), or one finding and whether it is there. Out: (question, answer) texts.
Sex and age are never asked: a model that answers them from pixels learns shortcuts. What no fact states is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from vesalius.errors import InvalidValue
from vesalius.instruct import vocabulary
from vesalius.instruct.render import article, mend_articles

FACTS = ("modality", "plane", "body_part", "organs", "findings", "view")

_MODALITIES = {
    "CT": "CT",
    "MR": "MRI",
    "MRI": "MRI",
    "CR": "X-ray",
    "DX": "X-ray",
    "X-RAY": "X-ray",
    "XRAY": "X-ray",
    "US": "ultrasound",
    "ULTRASOUND": "ultrasound",
    "PT": "PET",
    "PET": "PET",
    "MG": "mammogram",
}
_VIEWS = {"PA": "posteroanterior (PA)", "AP": "anteroposterior (AP)", "LL": "lateral", "LATERAL": "lateral"}
_BARE = frozenset(
    {"pneumothorax", "atelectasis", "ascites", "cardiomegaly", "consolidation", "edema", "emphysema", "fibrosis", "pneumonia", "effusion", "infiltration"}
)


def blank_answer() -> str:
    """What must be answered when the picture shows nothing that could answer."""
    return "cannot be determined"


def describe(facts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Questions about an image that its stated facts answer, in a fixed order.

    Args:
        facts: any of "modality" (DICOM term or word), "plane", "body_part", "organs" and "findings" (separated by "|" or ","; the finding "No Finding" means
            none), "view" (PA, AP, lateral). An empty text is as good as no fact.

    Returns:
        (question, answer) pairs; one descriptive sentence comes last when modality and body part are known.

    Raises:
        InvalidValue: an unknown key (sex and age among them).
    """
    unknown = sorted(set(facts) - set(FACTS))
    if unknown:
        raise InvalidValue(f"the fact {unknown[0]!r} is not described", remedy=f"give some of: {', '.join(FACTS)}")
    known = {key: value.strip() for key, value in facts.items() if value.strip()}
    pairs: list[tuple[str, str]] = []
    for key, write in (("modality", _modality), ("plane", _plane), ("body_part", _body_part), ("organs", _organs), ("findings", _findings), ("view", _view)):
        if key in known:
            pairs += write(known[key])
    if "modality" in known and "body_part" in known:
        pairs += _caption(known)
    return [(mend_articles(question), mend_articles(answer)) for question, answer in pairs]


def finding_questions(finding: str, present: bool) -> list[tuple[str, str]]:
    """Yes/no questions for one finding, several wordings, two of them negated with the opposite answer.

    Args:
        finding: its name ("Pneumothorax", "pleural effusion", "Pleural_Thickening").
        present: whether the image shows it.

    Raises:
        InvalidValue: the name is empty, or is "No Finding".
    """
    name = _name(finding)
    if not name or name == "no finding":
        raise InvalidValue(f"{finding!r} is not the name of a finding", remedy="give a name such as 'pneumothorax'")
    thing = _indefinite(name)
    plural = _is_plural(name)
    be = "Are" if plural else "Is"
    yes, no = ("yes", "no") if present else ("no", "yes")
    rows = [
        (f"{be} there {thing}?", yes),
        (f"Is there evidence of {thing}?", yes),
        (f"{be} {thing} present in this image?", yes),
        (f"Does the image show {thing}?", yes),
        (f"Can {thing} be seen?", yes),
        (f"Does the patient have {thing}?", yes),
        (f"{name[:1].upper()}{name[1:]}?", yes),
        (f"Can {thing} be ruled out?", no),
        (f"{be} {thing} absent?", no),
    ]
    return [(mend_articles(question), answer) for question, answer in rows]


def statements(finding: str, present: bool) -> list[str]:
    """Sentences that state one finding, or deny it, in the same order of forms.

    Args:
        finding: its name, as for `finding_questions`.
        present: whether it is stated or denied.

    Raises:
        InvalidValue: the name is empty, or is "No Finding".
    """
    name = _name(finding)
    if not name or name == "no finding":
        raise InvalidValue(f"{finding!r} is not the name of a finding", remedy="give a name such as 'pneumothorax'")
    thing, be = _indefinite(name) if present else f"no {name}", "are" if _is_plural(name) else "is"
    evidence = "evidence" if present else "no evidence"
    rows = [f"There {be} {thing}.", f"{thing} {be} seen.", f"There is {evidence} of {_indefinite(name)}.", f"The image shows {thing}."]
    return [mend_articles(text[:1].upper() + text[1:]) for text in rows]


def _modality(value: str) -> list[tuple[str, str]]:
    name = _MODALITIES.get(value.upper(), value)
    answer = name
    noun = name if name in ("X-ray", "mammogram") else f"{name} image" if name == "ultrasound" else f"{name} scan"
    other = "CT" if name != "CT" else "MRI"
    return [
        ("What imaging modality is this?", answer),
        ("Which modality was used to take this image?", answer),
        (f"Is this a {noun}?", "yes"),
        (f"Is this a {other} scan?", "no"),
    ]


def _plane(value: str) -> list[tuple[str, str]]:
    name = value.lower().removesuffix(" plane")
    same = {"axial", "transverse"}
    other = next(p for p in ("coronal", "axial", "sagittal") if p != name and not {p, name} <= same)
    return [
        ("In which plane was this image acquired?", name),
        ("What is the imaging plane?", name),
        (f"Is this a {name} slice?", "yes"),
        (f"Is this a {other} slice?", "no"),
    ]


def _body_part(value: str) -> list[tuple[str, str]]:
    name = _name(value)
    return [("Which part of the body is shown?", name), (f"Is this an image of the {name}?", "yes")]


def _organs(value: str) -> list[tuple[str, str]]:
    names = _list(value)
    if not names:
        return []
    asked = [(f"{'Are' if _is_plural(n) else 'Is'} the {n} visible in this image?", "yes") for n in names]
    return [("Which organs can be seen in this image?", ", ".join(names)), *asked]


def _findings(value: str) -> list[tuple[str, str]]:
    names = [n for n in _list(value) if n != "no finding"]
    if not names:
        return [("What abnormality is seen in this image?", "none"), ("Is there any abnormality in this image?", "no"), ("Is this image normal?", "yes")]
    return [
        ("What abnormality is seen in this image?", ", ".join(names)),
        ("Is there any abnormality in this image?", "yes"),
        ("Is this image normal?", "no"),
        *((f"{'Are' if _is_plural(n) else 'Is'} there {_indefinite(n)}?", "yes") for n in names),
    ]


def _view(value: str) -> list[tuple[str, str]]:
    key = value.upper()
    name = _VIEWS.get(key, value.lower())
    rows = [("Which view is this film?", name)]
    if key in ("PA", "AP"):
        other = "AP" if key == "PA" else "PA"
        rows += [(f"Is this a {key} view?", "yes"), (f"Is this a {other} view?", "no")]
    return rows


def _caption(known: Mapping[str, str]) -> list[tuple[str, str]]:
    modality = _MODALITIES.get(known["modality"].upper(), known["modality"])
    plane = f"{known['plane'].lower().removesuffix(' plane')} " if "plane" in known else ""
    text = f"{plane}{modality} of the {_name(known['body_part'])}"
    names = [n for n in _list(known.get("findings", "")) if n != "no finding"]
    if names:
        text += f" showing {_join([_indefinite(n) for n in names])}"
    elif "findings" in known:
        text += " without abnormality"
    return [("Describe this image.", f"{article(text).capitalize()} {text}.")]


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _list(value: str) -> list[str]:
    return [name for part in value.replace("|", ",").split(",") if (name := _name(part))]


def _name(text: str) -> str:
    """Lower case but for abbreviations, underscores as spaces."""
    return " ".join(w if w.isupper() and len(w) <= 3 else w.lower() for w in text.replace("_", " ").split())


def _indefinite(name: str) -> str:
    head = name.split(" of ")[0].split()[-1]
    return f"{article(name)} {name}" if head in vocabulary.COUNT and head not in _BARE else name


def _is_plural(name: str) -> bool:
    head = name.split(" of ")[0].split()[-1]
    return head.endswith("s") and not head.endswith(("ss", "us", "is", "as", "ascites"))
