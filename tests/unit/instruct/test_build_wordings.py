import pytest

from vesalius.instruct import phrasing, templates
from vesalius.instruct.build import wordings
from vesalius.instruct.build.names import WORDS
from vesalius.metrics.label_words import NO_FINDING
from vesalius.metrics.labels import Status, label_report


@pytest.mark.parametrize("finding", [name for name in WORDS if name != NO_FINDING])
def test_wordings_of_a_finding_are_distinct_and_read_back_with_their_polarity(finding):
    pool = wordings.presence(f"finding:{finding}", WORDS[finding])
    assert len({w.text.lower() for w in pool}) == len({w.id for w in pool}) == len(pool) >= 9
    assert {w.polarity for w in pool} == {1, -1}
    for wording in pool[1:]:
        if wording.family != "typo":
            assert phrasing.same_meaning(pool[0].text, wording.text) in (wording.polarity, None)


def test_families_are_held_out_whole_also_for_names_without_rewordings():
    for words in ("pneumonia", "support devices"):
        kept = wordings.presence("x", words, ("syntax",))
        texts = {w.text.lower() for w in kept}
        assert f"{words}?" not in texts
        assert {w.polarity for w in kept} == {1}
    assert [w.family for w in wordings.presence("x", "support devices", ())] == ["template"]


def test_normality_is_asked_both_ways_round():
    assert {w.text: w.polarity for w in wordings.normality("x")}["Is there any abnormality in this image?"] == -1
    assert {w.polarity for w in wordings.normality("x", ())} == {1}


def test_statements_are_read_as_they_are_meant():
    for words, finding in (("pneumothorax", "pneumothorax"), ("support devices", "support_devices"), ("lung mass", "mass")):
        assert {label_report(text)[finding] for text in templates.statements(words, True)} == {Status.POSITIVE}
        assert {label_report(text)[finding] for text in templates.statements(words, False)} == {Status.NEGATIVE}
    assert templates.statements("support devices", False)[0] == "There are no support devices."
    assert templates.statements("pulmonary nodule", True)[1] == "A pulmonary nodule is seen."
    for wrong in ("", "No Finding"):
        with pytest.raises(ValueError, match="not the name"):
            templates.statements(wrong, True)
