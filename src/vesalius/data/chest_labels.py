"""The 14 labels of CheXpert as tables write them: present, absent, in doubt, not mentioned; and a question for each that is settled.

In: cells of a table ("1.0", "0.0", "-1.0", ""). Out: `Certainty` by label, kept apart; questions on what is present or absent. What is in doubt or was not
mentioned is not asked about: neither has an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from vesalius.domain.exchange import Question
from vesalius.domain.finding import Certainty

NO_FINDING = "No Finding"
# label -> the words in which its presence is asked for
QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        NO_FINDING: "Is this chest X-ray free of abnormal findings?",
        "Enlarged Cardiomediastinum": "Is there evidence of an enlarged cardiomediastinum?",
        "Cardiomegaly": "Is there evidence of cardiomegaly?",
        "Lung Opacity": "Is there evidence of a lung opacity?",
        "Lung Lesion": "Is there evidence of a lung lesion?",
        "Edema": "Is there evidence of pulmonary edema?",
        "Consolidation": "Is there evidence of consolidation?",
        "Pneumonia": "Is there evidence of pneumonia?",
        "Atelectasis": "Is there evidence of atelectasis?",
        "Pneumothorax": "Is there evidence of a pneumothorax?",
        "Pleural Effusion": "Is there evidence of a pleural effusion?",
        "Pleural Other": "Is there evidence of a pleural abnormality other than effusion?",
        "Fracture": "Is there evidence of a fracture?",
        "Support Devices": "Are there support devices?",
    }
)
LABELS = tuple(QUESTIONS)
_STATES = MappingProxyType({1.0: Certainty.PRESENT, 0.0: Certainty.ABSENT, -1.0: Certainty.UNCERTAIN})


def certainty(cell: str) -> Certainty:
    """What a cell says.

    Raises:
        ValueError: it is not empty, 1, 0 or -1.
    """
    text = cell.strip()
    if not text or text.lower() == "nan":
        return Certainty.UNMENTIONED
    try:
        return _STATES[float(text)]
    except KeyError as error:
        raise ValueError(f"the label {text!r} is none of 1, 0, -1 and empty") from error


def certainties(row: Mapping[str, str]) -> Mapping[str, Certainty]:
    """All labels of a row, in the order of `LABELS`; a label without a column was not looked for and is not mentioned. Raises: ValueError."""
    return MappingProxyType({name: certainty(row.get(name) or "") for name in LABELS})


def settled(labels: Mapping[str, Certainty]) -> Iterator[tuple[str, Question, str]]:
    """(label, question, "yes" or "no") of each label that is present or absent."""
    for name, state in labels.items():
        if state in (Certainty.PRESENT, Certainty.ABSENT):
            yield name, Question(QUESTIONS[name]), "yes" if state is Certainty.PRESENT else "no"
