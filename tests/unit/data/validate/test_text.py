from vesalius.data.validate.text import LONGEST, cut

REPORT = "TECHNIQUE: PA and lateral.\n\nFINDINGS: Heart 1.5 times normal. No effusion!\n- Left nodule\n\nIMPRESSION: Nodule. "


def test_sections_and_sentences_know_their_place():
    text = cut(REPORT)
    assert [s.name for s in text.sections] == ["technique", "findings", "impression"]
    assert [(s.section, s.text) for s in text.sentences] == [
        ("technique", "PA and lateral"),
        ("findings", "Heart 1.5 times normal"),
        ("findings", "No effusion"),
        ("findings", "Left nodule"),
        ("impression", "Nodule"),
    ]
    assert all(REPORT[s.start : s.end] == s.text for s in text.sentences)
    assert text.body("technique") == "PA and lateral."
    assert text.body("comparison") is None


def test_only_sections_that_state_are_labelled():
    text = cut("INDICATION: Pneumonia?\nFINDINGS: Left pneumonia.")
    assert dict(text.sentences[0].says) == {}
    assert "pneumonia" in text.sentences[1].says
    assert [s.text for s in text.found] == ["Left pneumonia"]


def test_text_without_headings_is_one_section():
    text = cut("The lungs are clear")
    assert [(s.section, s.start, s.end) for s in text.sentences] == [("", 0, 19)]


def test_empty_text_has_nothing():
    assert cut("").sentences == ()
    assert cut(" \n ").sections == ()


def test_what_is_too_long_is_counted():
    assert cut("a" * (LONGEST + 5)).unread == 5
