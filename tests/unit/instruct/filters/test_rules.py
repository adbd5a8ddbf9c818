"""One case for each reason to drop, beside its sound neighbour."""

import pytest

from vesalius.errors import UnknownName
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.items import Facts, Record, Turn
from vesalius.instruct.filters.table import FILTERS, chosen

ILL = "An X-ray of the chest showing effusion and pneumonia. The view is PA."
NORMAL = "An X-ray of the chest without abnormality. The view is AP."
ORGANS = "A CT of the abdomen. It shows the liver, the left kidney and the right lung."
REPORT = "FINDINGS: There is a 12 mm nodule in the left upper lobe. Possible atelectasis. No pleural effusion. The heart is normal in size."


def _found(caption, question, answer, *, task="", beyond=False, silent=False, prior=""):
    facts = None if caption is None else Facts(caption, prior, silent)
    case = Case(Record(1, "a", ("i.png",), "", task, (Turn(question, answer, beyond),), facts))
    return {f"{o.filter}.{o.code}": o for one in FILTERS for o in one(case)}


DROPPED = [
    (ILL, "What is seen?", "", "format.empty"),
    (ILL, "What is seen?", "As an AI language model, I cannot see.", "format.refusal"),
    (ILL, "What is seen?", "I'm sorry, I have no access to it.", "format.refusal"),
    (ILL, "What is seen?", '{"answer": "pneumonia"}', "format.left-over"),
    (ILL, "What is seen?", "The [insert finding] is seen.", "format.left-over"),
    (ILL, "What is seen?", "It is the chest of a film. " * 8, "format.loop"),
    (ILL, "What is seen here?", "What is seen here?", "format.echo"),
    (ILL, "Was sieht man auf dem Bild?", "Das Bild zeigt einen Erguss und ist nicht normal.", "language.language"),
    (ILL, "这是什么?", "胸部。", "language.script"),
    (ILL, "Hm?", "Pneumonia.", "length.short"),
    (ILL, "What is seen?", "pneumonia here " * 300, "length.long"),
    (ILL, "What does the caption say?", "Pneumonia and effusion.", "leak.text"),
    (ILL, "What is seen?", "As mentioned above, pneumonia.", "leak.text"),
    (ILL, "An X-ray of the chest showing effusion, what is it?", "Pneumonia.", "leak.copy"),
    (ILL, "Does the PA X-ray of the chest with effusion and pneumonia look ill?", "Yes.", "leak.copy"),
    (ILL, "What shows pneumonia here?", "Pneumonia.", "leak.answer"),
    (ILL, "What is the patient's name?", "It is unknown.", "unseen.unseen"),
    (ILL, "When was this image taken?", "It was winter.", "unseen.unseen"),
    (ILL, "How old is the patient?", "An adult.", "unseen.unseen"),
    (ILL, "Does the patient smoke?", "Yes.", "unseen.unseen"),
    (ILL, "What is the most common cause of pneumonia?", "Bacteria.", "unseen.general"),
    (ILL, "What is pneumonia?", "Pneumonia of the chest.", "unseen.general"),
    (ILL, "Is there pneumonia?", "No.", "contradiction.denied"),
    (ILL, "Is pneumonia absent?", "Yes.", "contradiction.denied"),
    (ILL, "What is seen?", "No pleural effusion is seen.", "contradiction.denied"),
    (NORMAL, "What is seen?", "There is a consolidation.", "contradiction.stated"),
    (REPORT, "What is seen?", "A pleural effusion.", "contradiction.stated"),
    (ILL, "Is it normal?", "Yes, there is no abnormality.", "contradiction.normal"),
    (ILL, "What modality is this?", "It is an MRI.", "contradiction.modality"),
    (ORGANS, "What part is it?", "It is the head.", "contradiction.region"),
    (ILL, "Which view is this?", "It is an AP view.", "contradiction.view"),
    (REPORT, "How large is the nodule?", "The nodule measures 2 cm.", "invented.measurement"),
    (ILL, "What is seen?", "There are three nodules.", "invented.count"),
    (ILL, "How many opacities are seen?", "Four.", "invented.count"),
    (ILL, "What is seen?", "The effusion is unchanged since the prior film.", "invented.prior"),
    (ORGANS, "Which kidney is seen?", "The right kidney.", "invented.wrong side"),
    (REPORT, "On which side is the nodule?", "Right.", "invented.wrong side"),
    (ILL, "Where is the effusion?", "The effusion is on the left.", "invented.side"),
    (ILL, "What is seen?", "Pneumonia in a 60-year-old man.", "invented.patient"),
    (ILL, "What is seen?", "There is a pneumothorax.", "unsupported.finding"),
    (ILL, "Is there a pneumothorax?", "No.", "unsupported.denial"),
    (REPORT, "What is seen?", "There is atelectasis.", "unsupported.sure"),
    ("A CT of the chest.", "What is seen?", "No abnormality is seen.", "unsupported.normal"),
    (ORGANS, "What is seen?", "A cirrhosis.", "unsupported.disease"),
    (ORGANS, "What is seen?", "The spleen.", "unsupported.organ"),
    (ORGANS, "What is seen?", "A speckled shadow with feathery rims, jagged and notched.", "unsupported.coverage"),
    (ILL, "What helps?", "Amoxicillin 500 mg twice daily.", "unsafe.dose"),
    (ILL, "What now?", "The pneumonia is mild, there is no need to see a doctor.", "unsafe.no doctor"),
    (ILL, "What now?", "No follow-up is needed.", "unsafe.no doctor"),
    (ILL, "What now?", "The patient should undergo surgery.", "unsafe.order"),
    (ILL, "What is seen?", "This is definitely pneumonia.", "unsafe.certain"),
]
KEPT = [
    (ILL, "What abnormalities are seen?", "There is pneumonia with a pleural effusion."),
    (ILL, "Describe this film.", "This is a frontal PA radiograph of the chest. It demonstrates pneumonia and a pleural effusion."),
    (ILL, "Is there an opacity?", "Yes, there is an opacity."),
    (NORMAL, "Is there a pneumothorax?", "No."),
    (NORMAL, "Is the heart enlarged?", "No, the heart is not enlarged."),
    (NORMAL, "What is seen in this film?", "The lungs are clear and no abnormality is seen."),
    (ORGANS, "Which kidney is visible?", "The left kidney."),
    (ORGANS, "What modality is this?", "A computed tomography scan."),
    (REPORT, "How large is the nodule?", "The nodule measures 1.2 cm."),
    (REPORT, "Where is the nodule?", "It is a nodule in the left upper lobe."),
    (REPORT, "Is there atelectasis?", "Atelectasis is possible."),
    (NORMAL, "Pneumothorax?", "No."),
    (NORMAL, "Is this sentence right for the image? There is no pneumothorax.", "Yes."),
    (NORMAL, "Give its place in shares of width and height of this image.", "None, no abnormality is seen."),
    (NORMAL, "What part of the body does this film show?", "The chest cavity."),
    ("A chest radiograph with pneumonia; lungs of normal size.", "How many lungs are seen?", "There are two lungs, with pneumonia."),
]


@pytest.mark.parametrize(("caption", "question", "answer", "reason"), DROPPED, ids=[f"{n} {case[3]}" for n, case in enumerate(DROPPED)])
def test_a_fault_is_found_with_its_words(caption, question, answer, reason):
    found = _found(caption, question, answer)
    assert reason in found
    one = found[reason]
    text = {"question": question, "answer": answer}[one.field]
    assert 0 <= one.span[0] <= one.span[1] <= len(text)
    assert one.quote == text[slice(*one.span)][:160]


@pytest.mark.parametrize(("caption", "question", "answer"), KEPT)
def test_a_sound_item_meets_no_objection(caption, question, answer):
    assert _found(caption, question, answer) == {}


def test_what_a_report_leaves_out_may_be_denied():
    assert "unsupported.denial" not in _found(REPORT, "Is there a pneumothorax?", "No.", silent=True)
    assert "unsupported.denial" in _found(REPORT, "Is there a pneumothorax?", "No.")


def test_a_change_may_be_told_where_the_earlier_film_is_known():
    assert "invented.prior" not in _found(ILL, "What changed?", "The effusion has worsened.", prior="A small effusion.")


def test_a_differential_may_name_other_diseases_but_give_no_dose():
    asked = "What is the differential diagnosis?"
    assert _found(ILL, asked, "Cirrhosis: could cause an effusion.", beyond=True) == {}
    assert "unsafe.dose" in _found(ILL, asked, "Pneumonia: give 500 mg of it.", beyond=True)


def test_without_a_caption_only_the_other_filters_are_asked():
    assert _found(None, "What is seen?", "There is a pneumothorax.") == {}
    assert "unsafe.dose" in _found(None, "What is seen?", "Take 20 mg.")


def test_a_text_that_breaks_patterns_is_read_in_time():
    for text in ("a " * 3000, "no " * 2000, "left " * 2000, "(" * 6000, "\u202e\x00" * 500, "1 x " * 2000):
        _found(ILL, text, text)


def test_filters_are_chosen_by_name():
    assert [one.name for one in chosen(only=("unsafe", "leak"))] == ["leak", "unsafe"]
    assert "leak" not in [one.name for one in chosen(without=("leak",))]
    with pytest.raises(UnknownName, match="did you mean 'leak'"):
        chosen(only=("leek",))
