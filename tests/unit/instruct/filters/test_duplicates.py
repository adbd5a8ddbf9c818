"""What counts as said before."""

import dataclasses
import itertools

import pytest

from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.duplicates import NEAR, Seen, _banded, _jaccard, _runs
from vesalius.instruct.filters.items import Facts, Record, Turn

LONG = (
    "This chest film shows an opacity in the lower zone with a blunted angle, a heart of ordinary size, no sign of free air, and a trachea that lies in the "
    "middle of the upper chest; the bones are intact and soft tissue is inconspicuous"
)


@pytest.fixture
def seen(tmp_path):
    found = Seen(tmp_path)
    yield found
    found.close()


_names = itertools.count()


def _case(question, answer, *, image="i", caption="", name=None):
    facts = Facts(caption) if caption else None
    return Case(Record(1, name or f"n{next(_names)}", (image,), "", "", (Turn(question, answer),), facts))


def _codes(seen, case):
    return [one.code for one in seen.objections(case)]


def test_the_same_words_about_one_image_are_a_repetition_and_case_does_not_matter(seen):
    seen.add(_case("What is seen here?", "A nodule in the lung."))
    assert _codes(seen, _case("what is SEEN here", "a nodule in the lung")) == ["text"]
    assert _codes(seen, _case("What is seen here?", "A nodule in the lung.", image="j")) == []


def test_a_question_in_other_words_is_a_repetition_left_is_not_right(seen):
    seen.add(_case("Is there a pneumothorax?", "No"))
    assert _codes(seen, _case("Is there evidence of a pneumothorax?", "No, there is none.")) == ["question"]
    seen.add(_case("Is the left lung collapsed?", "No"))
    assert _codes(seen, _case("Is the right lung collapsed?", "No")) == []


def test_questions_of_one_form_about_other_things_are_no_repetition(seen):
    seen.add(_case("Does the picture contain kidney?", "Yes"))
    seen.add(_case("What is the largest organ in the picture?", "Brain"))
    assert _codes(seen, _case("Does the picture contain liver?", "Yes")) == []
    assert _codes(seen, _case("What is the main organ in the image?", "Brain")) == []


def test_a_conversation_with_one_new_question_is_kept(seen):
    seen.add(_case("Is there a pneumothorax?", "No"))
    both = Record(1, "b", ("i",), "", "", (Turn("Is there a pneumothorax?", "No."), Turn("Which lobe holds the mass?", "The lower one.")))
    assert _codes(seen, Case(both)) == []


def test_a_long_text_for_another_image_is_a_repetition_only_if_the_captions_differ(seen):
    seen.add(_case("Describe this film.", LONG, image="i", caption="One thing."))
    assert _codes(seen, _case("Describe this film.", LONG, image="j", caption="Another thing.")) == ["text"]
    assert _codes(seen, _case("Describe this film.", LONG, image="j", caption="One thing.")) == []


def test_a_near_text_is_found_unless_a_side_a_number_or_a_denial_differs(seen):
    seen.add(_case("Describe this film.", LONG))
    assert _codes(seen, _case("Describe this film.", LONG.replace("inconspicuous", "plain"))) == ["near"]
    assert _codes(seen, _case("Tell of the left chest.", LONG.replace("lower", "upper"))) == []


def test_wordings_that_were_made_on_purpose_are_none(seen):
    first, again = (dataclasses.replace(_case(f"Is there {what}?", "no").record, group="g") for what in ("a pneumothorax", "evidence of a pneumothorax"))
    seen.add(Case(first))
    assert _codes(seen, Case(again)) == []
    assert _codes(seen, Case(dataclasses.replace(again, group="h"))) == ["question"]


def test_one_id_is_used_once(seen):
    seen.add(_case("What is seen here?", "A nodule.", name="x"))
    assert _codes(seen, _case("Which lobe is it in?", "The lower.", name="x", image="k")) == ["id"]


def test_asking_does_not_remember(seen):
    case = _case("What is seen here?", "A nodule.")
    assert _codes(seen, case) == _codes(seen, case) == []


def test_bands_find_near_texts_far_more_often_than_far_ones():
    words = [f"w{i}" for i in range(60)]
    base = " ".join(words)
    near = [" ".join([*words[:k], "new", *words[k + 1 :]]) for k in range(60)]
    far = [" ".join(f"w{i}" if i % 5 else f"x{k}" for i in range(60)) for k in range(60)]

    def found(texts):
        mine = _banded(_runs(base))
        return sum(any(a == b for a, b in zip(mine, _banded(_runs(text)), strict=True)) for text in texts)

    assert all(_jaccard(_runs(base), _runs(text)) >= NEAR for text in near)
    assert found(near) >= 58
    assert found(far) <= 20
