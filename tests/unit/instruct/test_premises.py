from vesalius.instruct import premises
from vesalius.metrics.text import is_yes_no_question


def test_an_organ_of_another_part_of_the_body_is_taken():
    for name in ("a", "b", "c", "d"):
        trap = premises.traps(name, "CHEST")[0]
        assert trap.kind == premises.ORGAN
        assert trap.about in premises.ELSEWHERE["CHEST"]
        assert trap.about in trap.question
        assert is_yes_no_question(trap.exists)


def test_an_organ_that_is_annotated_is_never_said_to_be_elsewhere():
    shown = [organ.title() for organ in premises.ELSEWHERE["NECK"][1:]]
    assert {premises.traps(str(i), "NECK", shown=shown)[0].about for i in range(20)} == {premises.ELSEWHERE["NECK"][0]}
    everything = premises.ELSEWHERE["NECK"]
    assert premises.ORGAN not in {t.kind for t in premises.traps("x", "NECK", shown=everything)}


def test_only_absent_findings_are_taken_for_granted_and_present_ones_are_the_control():
    for name in map(str, range(30)):
        met = {t.kind: t for t in premises.traps(name, "CHEST", {"Effusion", "Mass"})}
        assert met[premises.LESION].about in {"Pneumothorax", "Cardiomegaly"}
        assert met[premises.PRESENT].about in {"Effusion", "Mass"}


def test_unknown_findings_make_no_question_of_a_finding():
    kinds = [t.kind for t in premises.traps("x", "CHEST", None)]
    assert premises.LESION not in kinds
    assert premises.PRESENT not in kinds
    assert premises.PRESENT not in [t.kind for t in premises.traps("x", "CHEST", set())]
    assert premises.LESION in [t.kind for t in premises.traps("x", "CHEST", set())]


def test_no_on_growth_does_not_reject_the_earlier_examination():
    prior = [t for t in premises.traps("x", None) if t.kind == premises.PRIOR]
    assert [t.no_rejects for t in prior] == [False, True]


def test_the_choice_is_fixed_by_the_name():
    assert premises.traps("film", "HEAD") == premises.traps("film", "HEAD")
    assert len({premises.traps(str(i), "HEAD")[0].question for i in range(40)}) > 5


def test_names_of_data_sets_become_names_of_findings():
    assert premises.canonical(["Infiltrate", "Lung Cancer", "Left Lung", "Nodule"]) == {"Infiltration", "Mass", "Nodule"}


def test_an_answer_is_put_back_with_both_polarities():
    (right, yes), (wrong, no) = premises.put_back("Is there a mass?", "No.")
    assert (yes, no) == (True, False)
    assert "Answer: No." in right
    assert is_yes_no_question(right)
    assert is_yes_no_question(wrong)
