"""What must hold of every file that is built, whatever the seed."""

import dataclasses
import json
from collections import Counter, defaultdict

import pytest

from tests.unit.instruct import build_roots as small
from vesalius.data import mimic_cxr, nih_cxr, slake
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing, InvalidValue, UnknownName
from vesalius.instruct import record
from vesalius.instruct.build import boxes, run, sources
from vesalius.instruct.build.run import Build
from vesalius.instruct.build.study import How
from vesalius.instruct.build.tasks import FAMILIES

SETS = ("nih-cxr", "slake", "mimic-cxr")
FLIPPED = {"yes": "no", "no": "yes"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    place = tmp_path_factory.mktemp("root")
    return small.mimic(small.slake(small.nih(place)))


def built(root, seed=0, *, sets=SETS, tasks=tuple(FAMILIES), wordings=2, **how):
    return list(Build(root, sets, tasks, How(seed, wordings, **how), licensed=("mimic-cxr",)))


@pytest.fixture(scope="module", params=[0, 7])
def rows(root, request):
    return built(root, request.param)


def test_every_family_makes_something(rows):
    assert {row.task for row in rows} == set(FAMILIES)


def test_equal_seeds_give_equal_bytes_and_others_do_not(root, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        record.write(Build(root, ("nih-cxr", "slake"), how=How(seed)), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_nothing_of_another_part_gets_in(root, rows):
    films = [*nih_cxr.DATASET.films(root), *mimic_cxr.DATASET.films(root)]
    held = {name for film in films if film.split != Split.TRAIN for name in (film.image, film.patient)}
    held |= {name for part in (Split.TEST, Split.DEVELOPMENT) for x in slake.DATASET.exchanges(root, part) for name in (x.image, x.cluster)}
    assert held
    assert not held & {name for row in rows for name in (row.cluster, *row.images)}
    assert {row.split for row in rows} == {Split.TRAIN}


def test_an_instruction_of_another_part_is_our_mistake_and_stops_the_build(root):
    row = built(root, sets=("slake",), tasks=("vqa",))[0]
    material = dataclasses.replace(sources.read("slake", root), held=frozenset(row.images))
    with pytest.raises(ValueError, match="not for training"):
        run._sound(row, material, set())
    with pytest.raises(ValueError, match="twice"):
        run._sound(row, sources.read("slake", root), {row.id})


def test_polarity_says_how_the_wordings_of_a_question_answer(rows):
    groups = defaultdict(set)
    for row in rows:
        if row.answer in FLIPPED:
            groups[row.group].add(row.answer if row.polarity == 1 else FLIPPED[row.answer])
    assert any(row.polarity == -1 for row in rows)
    assert {len(answers) for answers in groups.values()} == {1}


def test_no_wording_and_no_finding_tells_the_answer(rows):
    by_template, by_class = defaultdict(Counter), defaultdict(Counter)
    for row in rows:
        if row.answer in FLIPPED and row.task != "vqa":
            by_template[row.template][row.answer] += 1
            by_class[row.equivalence][row.answer if row.polarity == 1 else FLIPPED[row.answer]] += 1
    for counts in (*by_template.values(), *by_class.values()):
        assert counts["yes"] == counts["no"]


def test_answers_are_balanced_within_two_per_cent(rows):
    for task, answers in (("finding", 2), ("match", 2), ("vqa", 2), ("nli", 3)):
        counts = Counter(row.answer for row in rows if row.task == task and (row.choices or row.answer in FLIPPED))
        shares = [number / counts.total() for number in counts.values()]
        assert len(counts) == answers
        assert max(shares) - min(shares) <= 0.02


def test_negatives_have_the_view_and_sex_of_the_positives(root):
    films = {f"nih-cxr:{film.id}": (film.view, film.sex) for film in nih_cxr.DATASET.films(root)}
    counts = defaultdict(Counter)
    for row in built(root, sets=("nih-cxr",), tasks=("finding",), wordings=1):
        study = row.group.partition(":finding:")[0]
        counts[row.equivalence, films[study]][row.answer if row.polarity == 1 else FLIPPED[row.answer]] += 1
    assert counts
    assert all(each["yes"] == each["no"] for each in counts.values())


def test_what_is_uncertain_or_silent_is_not_asked(root, rows):
    states = {(film.study, name): state for film in mimic_cxr.DATASET.films(root) for name, state in film.labels.items()}
    assert "uncertain" in {str(state) for state in states.values()}
    asked = [row for row in rows if row.source == "mimic-cxr" and row.task in ("finding", "findings")]
    assert asked
    assert not [row for row in asked if "pneumonia" in row.equivalence or "pneumonia" in row.choices]


def test_boxes_survive_being_written(rows):
    seen = 0
    for row in rows:
        if row.task != "grounding" or not row.boxes or row.choices:
            continue
        width, height = row.boxes[0].size
        again = boxes.read(row.answer, width, height)
        for box, region in zip(sorted(row.boxes, key=lambda b: (b.region.x0, b.region.y0, b.region.x1, b.region.y1)), again, strict=True):
            for name, side in (("x0", width), ("y0", height), ("x1", width), ("y1", height)):
                assert abs(getattr(box.region, name) - getattr(region, name)) <= 0.0005 * side + 1e-9
                seen += 1
    assert seen


def test_ids_are_unique_and_right_choices_are_offered(rows):
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        if row.choices:
            assert len(set(row.choices)) == len(row.choices)
            assert set(row.answer.split(", ")) <= {*row.choices, "none"}


def test_every_change_is_asked_in_both_orders(rows):
    weak = [row for row in rows if row.task == "temporal" and row.answer == "stable" and row.source == "nih-cxr"]
    assert all(row.provenance["origin"].startswith("weak") for row in weak)
    counts = Counter(row.answer for row in rows if row.task == "temporal")
    assert counts["improving"] == counts["worsening"] > 0
    assert all(len(row.images) > 1 for row in rows if row.task == "temporal")


def test_weak_change_can_be_left_out(root):
    made = Build(root, ("nih-cxr",), ("temporal",), How(weak=False))
    assert {row.answer for row in made} == {"improving", "worsening"}
    assert made.counts["nih-cxr", "temporal"].left_out["both films have it: change unknown"]


def test_a_family_that_is_held_out_does_not_occur(root):
    made = built(root, sets=("nih-cxr",), tasks=("finding", "view", "match"), families=("syntax", "lexical"), wordings=9)
    assert {row.provenance["family"] for row in made} <= {"template", "syntax", "lexical"}
    assert {row.polarity for row in made} == {1}


def test_more_wordings_of_a_question_are_one_group(root):
    made = built(root, sets=("nih-cxr",), tasks=("finding",), wordings=3)
    assert set(Counter(row.group for row in made).values()) == {3}


def test_the_limit_keeps_whole_pairs_of_every_question(root):
    made = Build(root, ("nih-cxr",), ("finding",), How(most=2))
    counts = Counter(row.equivalence for row in made)
    assert set(counts.values()) <= {2, 4}
    assert len(counts) > 3
    assert made.counts["nih-cxr", "finding"].left_out["more than were asked for"]


def test_counts_say_what_was_made_and_what_was_not(root):
    made = Build(root, SETS, how=How(), licensed=("mimic-cxr",))
    rows = list(made)
    told = made.to_json()
    assert told["made"] == len(rows)
    for count in told["counts"]:
        assert sum(count["answers"].values()) == count["made"]
    left = {(count["set"], count["task"]): count["left_out"] for count in told["counts"]}
    assert left["nih-cxr", "section"] == {"no report": len([film for film in nih_cxr.DATASET.films(root) if film.split == Split.TRAIN])}
    assert any("uncertain" in reason for reason in left["mimic-cxr", "finding"])
    json.dumps(told)


def test_a_missing_picture_is_left_out_and_counted(tmp_path):
    root = small.nih(tmp_path)
    gone = next(film for film in nih_cxr.DATASET.films(root) if film.split == Split.TRAIN)
    (root / gone.image).unlink()
    made = Build(root, ("nih-cxr",), ("view", "temporal"))
    assert gone.image not in {image for row in made for image in row.images}
    assert made.unused["nih-cxr"] == {"a picture is missing": 1}


def test_a_picture_that_is_none_stops_the_build_with_its_name(tmp_path):
    root = small.slake(tmp_path)
    for path in (root / "slake/imgs").glob("*/source.jpg"):
        path.write_bytes(b"drawn")
    with pytest.raises(DataMissing, match=r"source\.jpg"):
        list(Build(root, ("slake",), ("grounding",)))


def test_wrong_names_and_numbers_are_told(root, tmp_path):
    for given in ({"sets": ("nih-cxx",)}, {"tasks": ("findingz",)}, {"families": ("negatoin",)}):
        with pytest.raises(UnknownName, match="did you mean"):
            built(root, **given)
    for given in ({"sets": ()}, {"wordings": 0}, {"most": 0}):
        with pytest.raises(InvalidValue):
            built(root, **given)
    with pytest.raises(DataMissing):
        built(tmp_path, sets=("nih-cxr",))


@pytest.mark.data
def test_the_real_sets_give_balanced_answers_and_name_no_held_image(data_root):
    made = Build(data_root, ("nih-cxr", "hannover"), ("view", "finding", "temporal"), How(1))
    rows = list(made)
    assert len(rows) > 2000
    yes, no = (sum(row.answer == answer for row in rows) for answer in ("yes", "no"))
    assert yes == no
    held = {film.image for film in nih_cxr.DATASET.films(data_root) if film.split != Split.TRAIN}
    assert not held & {image for row in rows for image in row.images}
