"""Mixtures as a whole: exact counts, copies, leaks, licences, what is missing, a kill at any stage, the same bytes again."""

import dataclasses
import json
import sqlite3

import pytest

from tests.unit.data import published as small
from tests.unit.data.leaks.drawn import CHANGES, film, save
from tests.unit.instruct import build_roots
from tests.unit.instruct.mix import roots
from tests.unit.instruct.mix.roots import file, job, learned, made, row
from vesalius.data.shards import Shards, verify
from vesalius.domain.exchange import Split
from vesalius.errors import UserError
from vesalius.instruct.mix import recipe as recipes
from vesalius.instruct.mix import run as runs
from vesalius.instruct.mix.recipe import Built, Part, Pictures, Unit
from vesalius.instruct.mix.run import Mix, Short, mix
from vesalius.instruct.record import RecordError


@pytest.fixture
def two(tmp_path):
    """A root, and two files of 40 and 10 rows."""
    root = tmp_path / "data"
    big = file(tmp_path / "big.jsonl", roots.rows(root, 40, prefix="big", per_picture=10))
    little = file(tmp_path / "little.jsonl", roots.rows(root, 10, prefix="little", first=200, per_picture=5))
    return root, Part("big", path=str(big)), Part("little", path=str(little))


def counts(card):
    return {part["name"]: part["taken"] for part in card["parts"]}


def test_counts_are_exact_and_the_rest_is_shared(two, tmp_path):
    root, big, little = two
    card = mix(job(root, dataclasses.replace(big, count=7), little), tmp_path / "a")
    assert counts(card) == {"big": 7, "little": 10}
    card = mix(job(root, big, little, total=30, temperature=2), tmp_path / "b")
    assert counts(card) == {"big": 20, "little": 10}
    assert [part["expected"] for part in card["parts"]] == [20, 10]
    card = mix(job(root, dataclasses.replace(big, cap=10), little, total=12), tmp_path / "c")
    assert counts(card) == {"big": 6, "little": 6}
    rows = made(tmp_path / "b")
    assert len({each.id for each in rows}) == 30
    assert {each.provenance["mix"] for each in rows} == {"big", "little"}


def test_the_same_words_give_the_same_bytes_and_another_seed_other_rows(two, tmp_path):
    root, *parts = two
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        mix(job(root, *parts, total=20, seed=seed), tmp_path / name)
    texts = [(tmp_path / name / "instructions.jsonl").read_bytes() for name in "abc"]
    assert texts[0] == texts[1] != texts[2]
    again = (tmp_path / "a" / "card.json").stat().st_mtime_ns
    mix(job(root, *parts, total=20, seed=1), tmp_path / "a")  # finished: nothing is done
    assert (tmp_path / "a" / "card.json").stat().st_mtime_ns == again
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["card.json", "card.md", "instructions.jsonl", "plan.json"]


@pytest.mark.parametrize("place", ["_read", "_compare", "_screen", "_share", "_write"])
@pytest.mark.parametrize("shards", [False, True])
def test_a_killed_run_goes_on_and_gives_the_same(two, tmp_path, monkeypatch, place, shards):
    root, *parts = two
    whole = mix(job(root, *parts, total=20, shards=shards), tmp_path / "whole")
    calls, real = [], getattr(runs, place)

    def killed(*args):
        calls.append(1)
        done = real(*args)
        if len(calls) == (2 if place == "_read" else 1):
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(runs, place, killed)
    with pytest.raises(KeyboardInterrupt):
        mix(job(root, *parts, total=20, shards=shards), tmp_path / "killed")
    assert not (tmp_path / "killed/card.json").exists()
    card = mix(job(root, *parts, total=20, shards=shards), tmp_path / "killed")
    assert len(calls) == {"_read": 3}.get(place, 2)  # the first source was not read again
    assert card["output"] == whole["output"]
    assert counts(card) == counts(whole)


def test_another_recipe_or_other_data_is_refused_in_the_same_folder(two, tmp_path):
    root, big, little = two
    mix(job(root, big, little, total=20), tmp_path / "a")
    with pytest.raises(UserError, match="begun with another recipe"):
        mix(job(root, big, little, total=21), tmp_path / "a")
    file(tmp_path / "little.jsonl", [row("x", question="Another one?")])
    with pytest.raises(UserError, match="other data"):
        mix(job(root, big, little, total=20), tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x").touch()
    with pytest.raises(UserError, match="holds something else"):
        mix(job(root, big), tmp_path / "b")
    (tmp_path / "c").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        mix(job(root, big), tmp_path / "c")


def test_two_at_once_in_one_folder_are_refused(two, tmp_path):
    root, big, _ = two
    (tmp_path / "a").mkdir()
    runs._begin(tmp_path / "a", runs._plan(job(root, big), (big,)))
    other = sqlite3.connect(tmp_path / "a/pool.sqlite", isolation_level=None)
    other.executescript("pragma locking_mode = exclusive; create table x (y); begin exclusive;")
    with pytest.raises(UserError, match="cannot be worked on"):
        mix(job(root, big), tmp_path / "a")
    other.close()


def test_conversations_are_counted_and_taken_whole(tmp_path):
    root = small.llava_med(tmp_path / "data")
    for seed, name in enumerate(("1001_F1", "1001_F2", "1002_F1")):
        save(film(seed), root / f"llava_med/images/{name}.jpg")
    part = Part("l", set="llava-med", count=2, unit=Unit.GROUPS)
    card = mix(job(root, part, rights=["llava-med"]), tmp_path / "out")
    rows = made(tmp_path / "out")
    assert len({each.group for each in rows}) == 2
    assert {each.group for each in rows if each.id.endswith("1001_F1:0")} == {each.group for each in rows if each.id.endswith("1001_F1:1")}
    assert (card["parts"][0]["usable"], card["parts"][0]["groups"], card["parts"][0]["unit"]) == (3, 2, "groups")


def test_wordings_of_a_question_are_taken_together(tmp_path):
    root = tmp_path / "data"
    save(film(1), root / "a.png")
    rows = [row(f"{g}:{n}", "a.png", f"Is number {g} there, way {n}?", group=f"g{g}") for n in range(3) for g in range(6)]
    mix(job(root, Part("a", path=str(file(tmp_path / "a.jsonl", rows)), count=7)), tmp_path / "out")
    sizes = sorted(sum(each.group == f"g{g}" for each in made(tmp_path / "out")) for g in range(6))
    assert sizes == [0, 0, 0, 1, 3, 3]


def test_development_is_apart_by_patient_and_by_picture(tmp_path):
    root = tmp_path / "data"
    rows = roots.rows(root, 28, prefix="own", per_picture=2)
    for n in range(0, 14, 3):  # copies of the first pictures, under other patients
        save(CHANGES["recompressed"](film(100 + n).resize((120, 132))), root / f"twin/{n}.png")
        rows.append(row(f"twin:{n}", f"twin/{n}.png", "Is it a twin?", cluster=f"twin:{n}"))
    card = mix(job(root, Part("a", path=str(file(tmp_path / "a.jsonl", rows))), development=0.4, seed=5), tmp_path / "out")
    held = [each for each in made(tmp_path / "out") if each.split is Split.DEVELOPMENT]
    trained = learned(tmp_path / "out")
    assert 5 < len(held) < 25
    assert not {each.cluster for each in held} & {each.cluster for each in trained}
    shown = {each.images[0].replace("twin", "own") for each in held}
    assert not shown & {each.images[0].replace("twin", "own") for each in trained}
    assert card["parts"][0]["left_out"]["its picture is held out for development"] > 0
    assert card["parts"][0]["development"] == len(held)


def test_too_few_rows_are_told_and_only_taken_with_a_word(two, tmp_path):
    root, big, little = two
    wanted = dataclasses.replace(little, count=15), dataclasses.replace(big, count=60)
    with pytest.raises(Short, match=r"little has 10 of 15; big has 40 of 60 usable: add --short"):
        mix(job(root, *wanted), tmp_path / "a")
    card = mix(job(root, *wanted, short=True), tmp_path / "b")
    assert [(part["wanted"], part["taken"], part["short"]) for part in card["parts"]] == [(15, 10, 5), (60, 40, 20)]
    assert "**little falls 5 rows short" in (tmp_path / "b/card.md").read_text()
    with pytest.raises(Short, match="the others have 50 of 51 rows"):
        mix(job(root, big, little, total=51), tmp_path / "c")


def test_nothing_left_is_no_mixture(tmp_path):
    own = file(tmp_path / "a.jsonl", [row(split=Split.TEST)])
    with pytest.raises(Short, match="nothing is left: the reasons: 1 it is of a test part"):
        mix(job(tmp_path, Part("a", path=str(own))), tmp_path / "out")


def test_a_damaged_file_leaves_no_card(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row("x", "").to_json()) + "\n" + '{"format": 1, "id"')
    with pytest.raises(RecordError, match="line 2"):
        mix(job(tmp_path, Part("a", path=str(path))), tmp_path / "out")
    assert not (tmp_path / "out/card.json").exists()


def test_built_instructions_of_a_set(tmp_path):
    root = build_roots.nih(tmp_path / "data", patients=20)
    for seed, path in enumerate(sorted((root / "nih_cxr/images").glob("*.jpg"))):
        save(film(seed).resize((60, 66)), path)
    part = Part("nih", set="nih-cxr", build=Built(tasks=("finding", "view"), wordings=2))
    card = mix(job(root, part, total=20, pictures=Pictures.BYTES), tmp_path / "out")
    assert card["rows"] == 20
    assert set(card["parts"][0]["tasks"]) == {"finding", "view"}
    assert {each.source for each in made(tmp_path / "out")} == {"nih-cxr"}


def test_shards_hold_every_row_and_every_picture(tmp_path):
    root = tmp_path / "data"
    rows = roots.rows(root, 8, prefix="own", per_picture=2)
    rows += [row("pair", images=("own/prior.png", "own/0.png"), question="Is it better?"), row("text", "", "What is a pen?")]
    save(film(77), root / "own/prior.png")
    own = Part("a", path=str(file(tmp_path / "a.jsonl", rows)))
    card = mix(job(root, own, shards=True), tmp_path / "out")
    assert verify(tmp_path / "out/shards").ok
    records = [record for _, record in Shards(tmp_path / "out/shards").stream()]
    assert (card["output"]["records"], card["rows"]) == (len(records), 10) == (6, 10)
    shown = {record.facts["image"]: len(record.facts["instructions"]) for record in records if record.image}
    assert shown == {"own/0.png": 3, "own/1.png": 2, "own/2.png": 2, "own/3.png": 2, "own/prior.png": 0}
    assert {each["id"] for record in records for each in record.facts["instructions"]} == {each.id for each in rows}
    about = Shards(tmp_path / "out/shards").index.about
    assert (about["kind"], about["train_allowed"]) == ("instructions", True)


@pytest.mark.data
def test_what_is_at_hand_holds_no_test_picture_nor_question(tmp_path, data_root):
    from vesalius.data import base

    mixture = recipes.read("at-hand", overrides=["total=300", "pictures=bytes"])
    few = Built(("view", "vqa"), most=40)
    fewer = tuple(dataclasses.replace(part, build=few) for part in mixture.sources)
    card = mix(Mix(dataclasses.replace(mixture, sources=fewer), data_root), tmp_path / "out")
    rows = made(tmp_path / "out")
    assert (card["rows"], len(rows)) == (300, 300)
    for name, protocol in (("nih-cxr", None), ("slake", None), ("hannover", None), ("vqa-rad", "image_disjoint")):
        tested = {x.image for x in base.dataset(name).exchanges(data_root, Split.TEST, protocol)}
        assert not tested & {image for each in rows for image in each.images}
    asked = {(x.image, x.question.text.lower()) for x in base.dataset("vqa-rad").exchanges(data_root, Split.TEST, "official")}
    assert not asked & {(each.images[0], each.question.lower()) for each in rows if each.images}
