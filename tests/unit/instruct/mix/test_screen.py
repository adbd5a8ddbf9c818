"""What is left out of a mixture and why: copies between sources, what tests hold, strange rows, what a recipe does not want."""

from tests.unit.data.leaks.drawn import CHANGES, film, save
from tests.unit.instruct.mix import roots
from tests.unit.instruct.mix.roots import file, job, made, row
from vesalius.domain.exchange import Split
from vesalius.instruct.mix.recipe import Keep, Part, Pictures
from vesalius.instruct.mix.run import mix


def test_copies_between_sources(tmp_path):
    root = tmp_path / "data"
    save(film(1), root / "a/0.png")
    save(CHANGES["all at once"](film(1)), root / "b/0.png")
    first = [row("a:0", "a/0.png", "Is there a drawn lung?", "yes"), row("a:1", "a/0.png", "Where is the drawn kidney located?", "left side")]
    second = [
        row("b:0", "b/0.png", "Is there a drawn lung?", "yes"),
        row("b:1", "b/0.png", "Is there the drawn lung?", "no"),
        row("b:2", "b/0.png", "Where is the kidney that is drawn?", "left side"),
        row("b:3", "b/0.png", "Is the spleen large?", "no"),
        row("a:0", "b/0.png", "Which colour has it?", "grey"),
        row("b:4", "", "What is a lung?", "an organ"),
        row("b:5", "", "What is a  Lung?", "An organ."),
    ]
    parts = [Part(name, path=str(file(tmp_path / f"{name}.jsonl", rows))) for name, rows in (("a", first), ("b", second))]
    card = mix(job(root, *parts), tmp_path / "out")
    assert card["parts"][1]["left_out"] == {
        "copy: its question": 2,
        "copy: its question, with another answer": 1,
        "copy: its question in other words": 1,
        "copy: its id": 1,
    }
    assert {each.id for each in made(tmp_path / "out")} == {"a:0", "a:1", "b:3", "b:4"}
    assert card["parts"][1]["examples"]["copy: its question in other words"] == ["b:2 = a:1: Where is the drawn kidney located?"]
    by_bytes = mix(job(root, *parts, pictures=Pictures.BYTES), tmp_path / "bytes")
    assert by_bytes["parts"][1]["left_out"] == dict.fromkeys(("copy: its question, with another answer", "copy: its id", "copy: its question"), 1)


def test_wordings_of_a_group_and_questions_about_neighbouring_slices_stay(tmp_path):
    root = tmp_path / "data"
    for name in ("1", "2"):
        save(CHANGES["recompressed" if name == "2" else "as it is"](film(1)), root / f"a/{name}.png")
    rows = [row(f"a:{n}", "a/1.png", text, group="g") for n, text in enumerate(("Is there a line?", "Is there line?", "Is a line there?", "Is there a line?"))]
    rows.append(row("a:4", "a/2.png", "Is there a line?", group="h"))
    card = mix(job(root, Part("a", path=str(file(tmp_path / "a.jsonl", rows)))), tmp_path / "out")
    assert {each.id for each in made(tmp_path / "out")} == {"a:0", "a:1", "a:2", "a:4"}
    assert card["parts"][0]["left_out"] == {"copy: its question": 1}


def test_long_questions_that_differ_in_one_word_are_two(tmp_path):
    root, tail = tmp_path / "data", " in this picture, or say none; write it as shares of width and height, from the upper left corner, with three decimals"
    save(film(1), root / "a.png")
    made_of = {n: [row(n, "a.png", f"Give the box of every {what}{tail}", "none")] for n, what in (("a", "mass"), ("b", "rib"))}
    parts = [Part(n, path=str(file(tmp_path / f"{n}.jsonl", rows))) for n, rows in made_of.items()]
    assert mix(job(root, *parts), tmp_path / "out")["rows"] == 2


def test_what_tests_hold_is_left_out_and_named(tmp_path):
    root = roots.rad(tmp_path / "data")
    save(CHANGES["all at once"](film(0)), root / "own/copy.png")  # of a picture that VQA-RAD tests on
    rows = [row("own:0", "own/copy.png"), row("own:1", "own/other.png", "Is there a pencil?")]
    save(film(9), root / "own/other.png")
    own = Part("own", path=str(file(tmp_path / "own.jsonl", rows)))
    card = mix(job(root, own, Part("rad", set="vqa-rad")), tmp_path / "out")
    assert card["parts"][0]["left_out"] == {"leak: a test picture": 1}
    assert card["parts"][0]["examples"] == {"leak: a test picture": ["own:0 = vqa_rad/images/a.jpg of vqa-rad"]}
    assert card["leaks"]["kept_out"]["leak: a test picture"] == 1
    assert "own:0" not in (tmp_path / "out/instructions.jsonl").read_text()


def test_rows_of_other_parts_and_strange_rows_are_left_out_with_their_reason(tmp_path):
    root = tmp_path / "data"
    save(film(1), root / "a.png")
    (root / "broken.png").write_bytes(b"no picture")
    (tmp_path / "secret.png").write_bytes((root / "a.png").read_bytes())
    names = ("a.png", "a.png", "../secret.png", "/etc/passwd", "none.png", "broken.png", "a\0.png", "x" * 300)
    rows = [row(f"r:{n}", image, f"Is it number {n}?", split=Split.TEST if n == 1 else Split.TRAIN) for n, image in enumerate(names)]
    rows.append(row("r:long", "a.png", "Is it? " * 400))
    card = mix(job(root, Part("a", path=str(file(tmp_path / "a.jsonl", rows)))), tmp_path / "out")
    assert [each.id for each in made(tmp_path / "out")] == ["r:0"]
    left = card["parts"][0]["left_out"]
    assert left == {"it is of a test part": 1, "a picture is missing or cannot be read": 6, "longer than 2,000 and 4,000 characters": 1}
    assert card["parts"][0]["read"] == 9 == sum(left.values()) + 1


def test_filters_of_a_recipe(tmp_path):
    root = tmp_path / "data"
    save(film(1), root / "a.png")
    rows = [
        row("a", "a.png", "What is drawn in this picture?", "A line that runs from left to right.", task="description"),
        row("b", "a.png", "What should be done now?", "Give 500 mg of aspirin at once, no doctor is needed.", task="description"),
        row("c", "a.png"),
        row("d", "", "What is a line?", "A drawn thing.", task="description"),
    ]
    keep = Keep(tasks=("description",), images="with", filters=("unsafe",))
    card = mix(job(root, Part("a", path=str(file(tmp_path / "a.jsonl", rows)), keep=keep)), tmp_path / "out")
    assert [each.id for each in made(tmp_path / "out")] == ["a"]
    left = list(card["parts"][0]["left_out"])
    assert [reason for reason in left if not reason.startswith("filter unsafe.")] == ["not wanted: task vqa", "not wanted: without picture"]
