import pytest

from tests.unit.instruct import build_roots as small
from vesalius.instruct.build import boxes
from vesalius.instruct.build.run import Build
from vesalius.instruct.build.study import How
from vesalius.metrics.labels import Status, label_report


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return small.mimic(small.slake(tmp_path_factory.mktemp("tasks")))


def built(root, name, task, **how):
    made = Build(root, (name,), (task,), How(**how), licensed=("mimic-cxr",))
    return list(made), made.counts[name, task].left_out


def test_films_without_a_view_are_counted_once(root):
    rows, left = built(root, "slake", "view")
    assert not rows
    assert 30 < left["the view is not stated"] < 40  # some of the forty images are for development


def test_several_films_of_a_study_are_shown_in_their_order(root):
    rows, _ = built(root, "mimic-cxr", "view")
    several = [row for row in rows if row.equivalence == "views"]
    assert {row.answer for row in several} == {"PA, lateral"}
    assert all("pa.jpg" in row.images[0] and "lateral.jpg" in row.images[1] for row in several)


def test_a_report_that_speaks_of_an_earlier_film_is_shown_with_it(root):
    rows, left = built(root, "mimic-cxr", "section")
    compared = [row for row in rows if "prior film" in row.answer]
    assert compared
    assert all(len(row.images) == 3 and "first 2 of 3 films are from an earlier study" in row.question for row in compared)
    assert all(len({image.rpartition("/")[0] for image in row.images}) == 1 for row in rows if "earlier study" not in row.question)
    assert left["a section with blanked words"]
    assert left["speaks of an earlier film that is not there"]
    assert not [row for row in rows if "___" in row.answer + row.question]


def test_the_indication_is_told_and_the_text_is_as_written(root):
    rows, _ = built(root, "mimic-cxr", "section")
    assert all("Indication: Drawn cough." in row.question for row in rows)
    assert "The heart is enlarged, drawn so." in {row.answer for row in rows}


def test_an_impression_that_knows_more_than_its_findings_is_no_summary(root):
    rows, _ = built(root, "mimic-cxr", "summary")
    assert rows
    assert not [row for row in rows if row.images]
    assert all(row.question.partition("Findings: ")[2] for row in rows)


def test_change_is_read_from_the_later_report(root):
    rows, _ = built(root, "mimic-cxr", "temporal")
    assert {row.answer for row in rows} == {"improving", "stable", "worsening"}
    for row in rows:
        text = row.provenance["fact"]
        assert "heart" not in text  # enlarged, which is no change
        turned = text.endswith("films exchanged")
        wanted = "worsening" if ("increased" in text) != turned else "improving"
        assert row.answer == ("stable" if "unchanged" in text or "Stable" in text else wanted)


def test_three_premises_of_each_hypothesis_and_the_labeler_agrees(root):
    rows, _ = built(root, "mimic-cxr", "nli")
    by_template = {}
    for row in rows:
        premise, _, rest = row.question.removeprefix("Premise: ").partition("\nHypothesis: ")
        finding, form = row.equivalence.split(":")[1:]
        assert label_report(rest)[finding] is (Status.POSITIVE if form == "stated" else Status.NEGATIVE)
        status = label_report(premise)[finding]
        same = status is (Status.POSITIVE if form == "stated" else Status.NEGATIVE)
        assert row.answer == ("neutral" if status is Status.NOT_MENTIONED else "entailment" if same else "contradiction")
        by_template.setdefault(row.template, []).append(row.answer)
    assert by_template
    assert all(len(set(answers)) == 3 and len(answers) % 3 == 0 for answers in by_template.values())


def test_that_a_mass_is_denied_does_not_deny_a_lesion(tmp_path):
    rows, left = built(small.nih(tmp_path), "nih-cxr", "nli")
    assert "nli:lung_lesion" not in {row.equivalence.rpartition(":")[0] for row in rows}
    assert left["something narrower is denied: that follows for it alone"]


def test_a_sentence_fits_one_image_and_contradicts_the_other(root):
    rows, _ = built(root, "slake", "match")
    groups = {}
    for row in rows:
        yes = (row.answer == "yes") == (row.polarity == 1)
        groups.setdefault((row.images, row.question), set()).add(yes)
        head = int(row.images[0].split("xmlab")[1].split("/")[0]) % 2 == 0
        assert yes == (("MRI of the head" in row.question) == head)
    assert all(len(answers) == 1 for answers in groups.values())


def test_a_name_is_denied_only_on_images_that_cannot_show_it(root):
    rows, _ = built(root, "slake", "grounding")
    none = [row for row in rows if row.answer == boxes.NONE]
    assert none
    for row in none:
        head = int(row.images[0].split("xmlab")[1].split("/")[0]) % 2 == 0
        assert head != any(word in row.equivalence for word in ("brain", "eye"))
    assert len(none) * 2 == sum(row.equivalence.startswith("where") for row in rows)


def test_a_box_is_not_called_what_it_may_also_be(root):
    rows, _ = built(root, "slake", "grounding")
    asked = [row for row in rows if row.equivalence == "what-is-at"]
    assert asked
    assert not [row for row in asked if row.answer == "liver cancer" and "liver" in row.choices]
    assert all(len(row.choices) == 4 and row.answer in row.choices for row in asked)
    assert not [row for row in asked if row.boxes[0].region.x1 > row.boxes[0].size[0]]


def test_own_questions_keep_their_words_and_get_others(root):
    rows, _ = built(root, "slake", "vqa", wordings=3)
    first = [row for row in rows if row.template == "own/0"]
    assert {row.question for row in first} == {"Is there a liver?", "What is shown?"}
    assert len([row for row in rows if row.question.startswith("What is shown")]) == len({row.group for row in rows if row.answer in ("Brain", "Abdomen")})
    assert {row.provenance["family"] for row in rows} > {"template"}
