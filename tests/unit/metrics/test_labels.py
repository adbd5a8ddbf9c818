"""The labeler of chest reports: stated cases, and properties that must hold of any text."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.metrics.label_words import LEXICON
from vesalius.metrics.labels import CHEXPERT, CHEXPERT_FIVE, FINDINGS, NO_FINDING, Status, label_report, sections

SIGN = {"+": Status.POSITIVE, "-": Status.NEGATIVE, "?": Status.UNCERTAIN, "0": Status.NOT_MENTIONED}
TERM = {
    "cardiomegaly": "cardiomegaly",
    "lung_opacity": "left basilar opacity",
    "lung_lesion": "lung tumor",
    "edema": "pulmonary edema",
    "consolidation": "focal consolidation",
    "pneumonia": "pneumonia",
    "atelectasis": "atelectasis",
    "pneumothorax": "pneumothorax",
    "pleural_effusion": "pleural effusion",
    "pleural_other": "pleural plaque",
    "fracture": "rib fracture",
    "support_devices": "pacemaker",
    "enlarged_cardiomediastinum": "mediastinal widening",
    "emphysema": "emphysema",
    "fibrosis": "pulmonary fibrosis",
    "hernia": "hiatal hernia",
    "infiltration": "infiltrate",
    "mass": "mass",
    "nodule": "nodule",
    "pleural_thickening": "pleural thickening",
    "granuloma": "calcified granuloma",
    "scarring": "apical scarring",
    "aortic_abnormality": "tortuous aorta",
    "spine_degeneration": "thoracic spondylosis",
    "spinal_curvature": "scoliosis",
    "hyperinflation": "hyperinflation",
    "low_lung_volumes": "hypoventilation",
}
CASES = """
    No pleural effusion | pleural_effusion- no_finding+
    Pleural effusion | pleural_effusion+ no_finding0
    Mild cardiomegaly | cardiomegaly+
    Cardiac silhouette is mildly enlarged | cardiomegaly+
    Heart is not significantly enlarged | cardiomegaly-
    Heart size upper limits of normal | cardiomegaly0
    Borderline heart size | cardiomegaly?
    No evidence of pneumothorax or effusion | pneumothorax- pleural_effusion-
    Negative for focal consolidation, pleural effusion, or pneumothorax is seen | consolidation- pleural_effusion- pneumothorax-
    Neither effusion nor pneumothorax | pleural_effusion- pneumothorax-
    Effusion, edema and pneumothorax are absent | pleural_effusion- edema- pneumothorax-
    Effusion not seen | pleural_effusion-
    No edema, but there is a small effusion | edema- pleural_effusion+
    There is no pneumothorax, and the heart is enlarged | pneumothorax- cardiomegaly+
    No effusion or pneumothorax, heart size is enlarged | pneumothorax- pleural_effusion- cardiomegaly+
    No pneumothorax with small effusion | pneumothorax- pleural_effusion+
    Cardiomegaly without edema | cardiomegaly+ edema-
    No abnormality except cardiomegaly | cardiomegaly+
    Aside from cardiomegaly, no effusion | cardiomegaly+ pleural_effusion-
    No focal opacity to suggest pneumonia | lung_opacity- pneumonia-
    Nothing to suggest pneumonia | pneumonia-
    No acute changes to suggest edema or effusion | edema- pleural_effusion-
    Small volume of fluid in the left thoracic cavity | lung_lesion0
    Cavity in the right upper lobe | lung_lesion+
    A neurostimulator overlies the chest | support_devices+
    No change in pleural effusion | pleural_effusion+
    No significant interval change in the left pleural effusion | pleural_effusion+
    No new infiltrate | infiltration-
    No interval development of effusion | pleural_effusion-
    Unchanged effusion; no pneumothorax | pleural_effusion+ pneumothorax-
    Decreased right effusion | pleural_effusion+
    Pneumothorax has resolved | pneumothorax-
    Pneumothorax has not resolved | pneumothorax+
    Resolution of edema | edema-
    Near complete resolution of edema | edema+
    Tracheostomy tube has been removed | support_devices-
    It is not without a small effusion | pleural_effusion+
    There is no absence of effusion | pleural_effusion+
    Cannot exclude pneumonia | pneumonia?
    Pneumonia cannot be completely excluded | pneumonia?
    Pneumonia is not excluded | pneumonia?
    Pneumonia has been excluded | pneumonia-
    Opacity may represent atelectasis or pneumonia | lung_opacity+ atelectasis? pneumonia?
    Right basilar opacity, likely atelectasis | lung_opacity+ atelectasis?
    Possible effusion, stable cardiomegaly | pleural_effusion? cardiomegaly+
    Pleural effusion versus thickening | pleural_effusion?
    Atelectasis and/or consolidation | atelectasis+ consolidation+
    Rule out pneumonia | pneumonia?
    Evaluate for pneumothorax | pneumothorax0
    History of pneumonia | pneumonia0
    Lungs are clear | consolidation- lung_opacity- nodule- pneumothorax0
    The lungs are not clear | consolidation0
    The right lung is clear. Left basilar consolidation | consolidation+
    Lungs are clear without effusion | pleural_effusion- consolidation-
    Cardiomediastinal silhouette is within normal limits | cardiomegaly- enlarged_cardiomediastinum-
    Bony structures are intact | fracture-
    Non-displaced rib fracture | fracture+
    Small pericardial effusion | pleural_effusion0
    Subcutaneous emphysema | emphysema0
    Haemothorax and pulmonary oedema | pleural_effusion+ edema+
"""


@pytest.mark.parametrize("case", [line.strip() for line in CASES.strip().splitlines()])
def test_a_statement_is_read_as_it_is_meant(case):
    text, wanted = case.split(" | ")
    found = label_report(text)
    assert {pair[:-1]: found[pair[:-1]] for pair in wanted.split()} == {pair[:-1]: SIGN[pair[-1]] for pair in wanted.split()}


def test_28_findings_of_which_14_are_those_of_chexpert():
    assert len(FINDINGS) == len(set(FINDINGS)) == 28
    assert FINDINGS[:14] == CHEXPERT
    assert set(CHEXPERT_FIVE) < set(CHEXPERT)
    assert set(LEXICON) | {NO_FINDING} == set(FINDINGS)
    assert set(TERM) | {NO_FINDING} == set(FINDINGS)


@pytest.mark.parametrize("finding", sorted(TERM))
def test_negation_turns_positive_into_negative_for_every_finding(finding):
    term = TERM[finding]
    assert label_report(f"There is {term}.")[finding] is Status.POSITIVE
    for denied in (f"There is no {term}.", f"No evidence of {term}.", f"Without {term}.", f"Negative for {term}.", f"{term} is not seen."):
        assert label_report(denied)[finding] is Status.NEGATIVE, denied
    for doubted in (f"Possible {term}.", f"This may represent {term}.", f"Cannot exclude {term}."):
        assert label_report(doubted)[finding] is Status.UNCERTAIN, doubted


def test_only_what_is_seen_counts():
    text = "INDICATION: Pneumonia? COMPARISON: Prior film with effusion. FINDINGS: Mild edema. IMPRESSION: No pneumothorax."
    found = label_report(text)
    assert (found["pneumonia"], found["pleural_effusion"]) == (Status.NOT_MENTIONED, Status.NOT_MENTIONED)
    assert (found["edema"], found["pneumothorax"]) == (Status.POSITIVE, Status.NEGATIVE)
    assert sections(text) == {"findings": "Mild edema.", "impression": "No pneumothorax."}


def test_text_before_the_first_heading_counts():
    assert label_report("Small effusion. IMPRESSION: Stable.")["pleural_effusion"] is Status.POSITIVE


def test_positive_beats_uncertain_beats_negative():
    assert label_report("No effusion. Small effusion.")["pleural_effusion"] is Status.POSITIVE
    assert label_report("No effusion. Possible effusion.")["pleural_effusion"] is Status.UNCERTAIN


@pytest.mark.parametrize("text", ["", "   \n\t ", "...", "INDICATION: pneumonia."])
def test_nothing_said_is_nothing_found(text):
    assert set(label_report(text).values()) == {Status.NOT_MENTIONED}


def test_devices_and_further_findings_leave_no_finding_as_it_is():
    assert label_report("Pacemaker. Scoliosis.")[NO_FINDING] is Status.POSITIVE
    assert label_report("Possible edema.")[NO_FINDING] is Status.NOT_MENTIONED


def test_a_line_end_is_a_space_and_an_empty_line_ends_a_sentence():
    assert label_report("No effusion or\npneumothorax.")["pneumothorax"] is Status.NEGATIVE
    assert label_report("No effusion\n\nPneumothorax")["pneumothorax"] is Status.POSITIVE


_FRAMES = (
    "There is {}.",
    "No {}.",
    "Possible {}.",
    "No change in {}.",
    "{} has resolved.",
    "Stable {} without {}.",
    "No {}, {} or {}.",
    "{} cannot be excluded.",
)


@st.composite
def _reports(draw):
    chosen = draw(st.lists(st.sampled_from(_FRAMES), min_size=1, max_size=6))
    return [frame.format(*(draw(st.sampled_from(sorted(TERM.values()))) for _ in range(frame.count("{}")))) for frame in chosen]


@given(_reports(), st.randoms(use_true_random=False))
def test_case_space_and_order_of_sentences_change_nothing(sentences, chance):
    wanted = label_report(" ".join(sentences))
    assert label_report(" ".join(sentences).upper()) == wanted
    assert label_report("".join(chance.choice((c.lower(), c.upper())) for c in " ".join(sentences))) == wanted
    assert label_report(re.sub(" ", lambda _: chance.choice((" ", "  ", "\t", "\n", " \n ")), " ".join(sentences))) == wanted
    shuffled = random.Random(chance.random()).sample(sentences, len(sentences))
    assert label_report(" ".join(shuffled)) == wanted


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    assert tuple(label_report(text)) == FINDINGS


def test_a_long_report_takes_no_longer_than_its_length():
    assert label_report("No effusion, " * 3000 + "small pneumothorax")["pleural_effusion"] is Status.NEGATIVE
