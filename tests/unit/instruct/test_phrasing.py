"""Rewording keeps the meaning, says so by its polarity, and declines what it does not understand."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.instruct import vocabulary
from vesalius.instruct.phrasing import FAMILIES, reword, same_meaning

QUESTIONS = (
    "Is there evidence of a pneumothorax?",
    "Is there a nodule in the right upper lobe?",
    "Are there any rib fractures on the left side?",
    "Can pleural effusion be observed on the lower left lung in this picture?",
    "Does the patient have cardiomegaly?",
    "Are the lungs clear?",
    "Is the heart enlarged?",
    "Is the liver normal?",
    "Does the brain look abnormal?",
    "Are the ventricles symmetric?",
    "Is the lesion in the left lobe?",
    "Are both kidneys visible?",
    "Does the picture contain spleen?",
    "Is this an MRI?",
    "Is this a chest X-ray?",
    "Is this a coronal plane?",
    "Is this a study of the abdomen?",
    "Where is the lesion located?",
    "Which lobe is the mass in?",
    "How many kidneys are there in this image?",
    "What imaging modality was used?",
    "In what plane was this image taken?",
    "What color is the liver in the picture?",
    "Are there more than 5 nodules in the right lung?",
    "Is the left kidney larger than the right kidney?",
    "Is the mass cystic or solid?",
    "Is there a 3 cm mass in the left breast?",
    "Is there no pneumothorax?",
    "Can a skull fracture be ruled out?",
    "Why is the right kidney enlarged?",
)
SAME_WORD = (
    ("pneumothorax", "ptx"),
    ("cardiomegaly", "cardiac enlargement"),
    ("kidney", "kidneys"),
    ("mass", "masses"),
    ("chest", "cxr"),
)


def plain(text):
    return re.sub(r"[^a-z0-9<>]+", " ", text.lower()).strip()


@pytest.mark.parametrize("question", QUESTIONS)
def test_same_seed_same_rewordings_all_distinct_and_none_the_question(question):
    made = reword(question, most=50, seed=3)
    assert made == reword(question, most=50, seed=3)
    texts = [plain(r.text) for r in made]
    assert len(set(texts)) == len(texts)
    assert plain(question) not in texts


@pytest.mark.parametrize("question", QUESTIONS)
def test_fields_are_in_range_and_texts_end_as_questions(question):
    for r in reword(question, most=50):
        assert r.family in FAMILIES
        assert r.rule
        assert re.fullmatch(r"[A-Za-z0-9].*[A-Za-z0-9)]\?", r.text), r.text
        assert "  " not in r.text
        assert (r.polarity == -1) == (r.family == "negation") or same_meaning(question, r.text) == r.polarity


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_side_no_number_and_no_finding_is_lost(question, seed):
    clinical = vocabulary.FINDINGS | vocabulary.ANATOMY | {"left", "right", "both", "upper", "lower", "than", "larger", "more", "or"}
    kept = [w for w in re.findall(r"[a-z]+|\d+", question.lower()) if w in clinical or w.isdigit()]
    for r in reword(question, most=50, seed=seed):
        if r.family == "typo":
            continue
        text = r.text.lower()
        for word in kept:
            other = next((pair for pair in SAME_WORD if word in pair), (word,))
            assert any(re.search(rf"\b{form}\b", text) for form in other), (question, r)
        for side in ("left", "right"):
            assert len(re.findall(rf"\b{side}\b", text)) == len(re.findall(rf"\b{side}\b", question.lower()))


@pytest.mark.parametrize("question", QUESTIONS)
def test_twice_reworded_the_polarities_multiply(question):
    read = 0
    for first in reword(question, most=12):
        for second in reword(first.text, most=12, seed=1):
            said = same_meaning(question, second.text)
            assert said in (None, first.polarity * second.polarity), (question, first, second)
            read += said is not None
    assert read > 0 or question.startswith("Why")  # a "why" has one exchange of words, and that has none


def test_families_come_before_seconds():
    families = [r.family for r in reword("Is there evidence of a pneumothorax?", most=7)]
    assert sorted(families) == sorted(FAMILIES)


def test_most_bounds_the_number():
    assert len(reword("Is the heart enlarged?", most=3)) == 3
    assert reword("Is the heart enlarged?", most=0) == ()
    with pytest.raises(InvalidValue, match="-1"):
        reword("Is the heart enlarged?", most=-1)


@pytest.mark.parametrize("question", [q for q in QUESTIONS if re.match(r"(?:wh|how|in what)", q.lower()) or " or " in q])
def test_open_and_either_or_questions_are_never_reversed(question):
    made = reword(question, most=50)
    assert made
    assert {r.polarity for r in made} == {1}


@pytest.mark.parametrize(
    "question",
    [
        "Are both kidneys visible?",
        "Are all ribs intact?",
        "Are there more than 5 nodules in the right lung?",
        "Is the left kidney larger than the right kidney?",
        "Are there fractures in any of the ribs?",
        "Are the heart and lungs normal?",
        "Is there a 3 cm mass in the left breast?",
        "Is the appendix non-enlarged?",
    ],
)
def test_quantities_comparisons_and_conjunctions_are_not_reversed(question):
    assert {r.polarity for r in reword(question, most=50)} <= {1}


@pytest.mark.parametrize("question", ["Can a pneumothorax be ruled out?", "Is a pneumothorax absent?", "Is it true that there is no pneumothorax?"])
def test_a_reversed_question_is_reversed_back(question):
    made = {r.text: r.polarity for r in reword(question, most=50)}
    asked = [t for t in made if t in ("Is there a pneumothorax?", "Is there pneumothorax?")]
    assert len(asked) == 1
    assert made[asked[0]] == -1
    others = [t for t in made if "ruled out" in t or "absent" in t]
    assert others
    assert all(made[t] == 1 for t in others)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "   ",
        "?",
        "a" * 2000,
        "Is there a mass? " * 120,
        "Is there a \U0001fac1 mass?",
        "这张图像是什么模态?",
        "Is there a mass? Where is it?",
        "{json: 1}",
        "Is there\x00 a mass?",
        "12 34",
    ],
)
def test_what_is_not_one_plain_english_question_gets_none(question):
    assert reword(question) == ()


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_text_is_survived(text):
    for r in reword(text):
        assert plain(r.text) != plain(text)


@given(
    st.lists(
        st.sampled_from(["is", "there", "no", "the", "left", "lung", "mass", "in", "or", "not", "any", "normal", "both", "or", "than", "a", "of", "visible"]),
        min_size=2,
        max_size=9,
    )
)
@settings(max_examples=300, deadline=None)
def test_word_salad_is_survived_and_read_back(words):
    text = " ".join(words) + "?"
    for r in reword(text, most=20):
        if r.family != "typo":
            assert same_meaning(text, r.text) == r.polarity


def test_articles_follow_the_sound():
    texts = [r.text for q in ("Is this an MRI?", "Is there a pneumothorax?", "Is this a CT?") for r in reword(q, most=50)]
    assert not [t for t in texts if re.search(r"\ba (?:MRI|X-ray|[aeio])|\ban (?:CT|PTX|[bcdfgjklmnpqrstvwz])", t)]
    assert any("a magnetic resonance imaging scan" in t for t in texts)
    assert any("a PTX" in t for t in texts)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("Is the heart enlarged?", "Is there cardiomegaly?", 1),
        ("Is the trachea deviated?", "Is there any tracheal deviation present?", 1),
        ("Is there a pleural effusion?", "Can a pleural effusion be ruled out?", -1),
        ("Are the lungs normal?", "Are there abnormalities in the lungs?", -1),
        ("Where is the mass?", "What is the location of the mass?", 1),
        ("Is there a mass in the left lung?", "Is there a mass in the right lung?", None),
        ("Is there a mass in the left lung and the right kidney?", "Is there a mass in the right lung and the left kidney?", None),
        ("Is the liver larger than the spleen?", "Is the spleen larger than the liver?", None),
        ("Where is the mass in relation to the kidney?", "Where is the kidney in relation to the mass?", None),
        ("Is there a cyst in the mass?", "Is there a mass in the cyst?", None),
        ("Is there air above the diaphragm?", "Is there air in the diaphragm?", None),
        ("Are both kidneys visible?", "Are both kidneys absent?", None),
        ("Is the lesion hyperdense?", "Is the lesion hypodense?", None),
        ("Is the lesion cystic or solid?", "Is the lesion solid or cystic?", None),
        ("Where is the lesion?", "Is there a lesion?", None),
        ("Are there 2 nodules?", "Are there 3 nodules?", None),
        ("", "Is there a lesion?", None),
    ],
)
def test_same_meaning(a, b, expected):
    assert same_meaning(a, b) == expected
    assert same_meaning(b, a) == expected


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_slip_changes_one_word_and_leaves_sides_and_numbers(question):
    for seed in range(20):
        for r in reword(question, most=50, seed=seed):
            if r.family != "typo":
                continue
            before, after = re.findall(r"[\w'-]+", question), re.findall(r"[\w'-]+", r.text)
            changed = [(x, y) for x, y in zip(before, after, strict=True) if x != y]
            assert len(changed) == 1
            assert changed[0][0].lower() not in {"left", "right", "no", "both", "than", "larger", "more"}
            assert changed[0][1].lower() not in vocabulary.NOUNS | vocabulary.REAL_WORDS | vocabulary.DESCRIPTORS
