"""Files through the filters: nothing is lost, nothing changes, the same bytes every time."""

import json
import tracemalloc

import pytest

from vesalius.errors import InvalidValue
from vesalius.instruct.filters import items
from vesalius.instruct.filters.items import InputError, Record, Unread
from vesalius.instruct.filters.run import Settings, filter_file
from vesalius.instruct.generate.lines import OutputError

CAPTION = "An X-ray of the chest showing effusion and pneumonia. The view is PA."


def _row(name, answer="Pneumonia and an effusion.", question="What is seen in this film?", **more):
    return {"id": name, "image": f"{name}.png", "task": "conversation", "turns": [{"question": question, "answer": answer}], **more}


def _write(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def _run(tmp_path, rows, **how):
    path = _write(tmp_path / "items.jsonl", rows)
    report = filter_file(path, tmp_path / "kept.jsonl", tmp_path / "dropped.jsonl", **how)
    return report, (tmp_path / "kept.jsonl").read_text(), [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]


def test_every_line_is_kept_as_it_was_or_dropped_with_its_reasons(tmp_path):
    rows = [_row("a", caption=CAPTION), _row("b", "Take 20 mg.", caption=CAPTION), "{torn", _row("c", "A nodule.", caption=CAPTION), "[1]", '{"id": "d"}']
    report, kept, dropped = _run(tmp_path, rows)
    assert kept == json.dumps(rows[0]) + "\n"
    assert [(row["line"], row["filter"]) for row in dropped] == [(2, "unsafe"), (3, "format"), (4, "unsupported"), (5, "format"), (6, "format")]
    assert dropped[1]["record"] == "{torn"
    assert dropped[0]["record"] == rows[1]
    assert "unsafe" in {one["filter"] for one in dropped[0]["objections"]}
    assert report.records == 6 == report.kept + report.dropped
    assert sum(report.first.values()) == report.dropped == 5
    assert report.any["unsafe"] == 1


def test_the_same_run_gives_the_same_bytes_and_another_seed_other_examples(tmp_path):
    rows = [_row(f"r{n}", f"Take {n + 1} mg of it daily.", caption=CAPTION) for n in range(40)]
    first = _run(tmp_path, rows, settings=Settings(examples=2))
    again = _run(tmp_path, rows, settings=Settings(examples=2))
    other = _run(tmp_path, rows, settings=Settings(examples=2, seed=1))
    assert first == again
    assert first[1:] == other[1:]
    assert first[0].examples != other[0].examples
    assert all(len(shown) <= 2 for shown in first[0].examples.values())


def test_facts_come_from_a_side_file_by_id_with_or_without_the_task(tmp_path):
    side = _write(tmp_path / "input.jsonl", [{"id": "a", "caption": CAPTION}, {"id": "b", "caption": CAPTION}, "{torn"])
    rows = [_row("a:description", "There is a nodule."), _row("b", "There is a nodule."), _row("z", "There is a nodule.")]
    report, kept, dropped = _run(tmp_path, rows, source=side)
    assert [row["id"] for row in dropped] == ["a:description", "b"]
    assert json.loads(kept)["id"] == "z"
    assert report.without_facts == 1
    assert _run(tmp_path, rows, source=side, settings=Settings(unknown=False))[0].kept == 0


def test_a_caption_of_another_version_is_not_taken(tmp_path):
    side = _write(tmp_path / "input.jsonl", [{"id": "a", "caption": CAPTION}])
    report, _, _ = _run(tmp_path, [_row("a:x", "There is a nodule.", meta={"caption_sha256": "0" * 64})], source=side)
    assert (report.without_facts, report.kept) == (1, 1)


def test_a_side_file_must_be_one(tmp_path):
    rows = [_row("a")]
    with pytest.raises(InputError, match="twice"):
        _run(tmp_path, rows, source=_write(tmp_path / "s.jsonl", [{"id": "a", "caption": "x y"}] * 2))
    with pytest.raises(InputError, match="holds no row"):
        _run(tmp_path, rows, source=_write(tmp_path / "s.jsonl", [{"id": "a"}]))
    with pytest.raises(InputError, match="cannot be read"):
        _run(tmp_path, rows, source=tmp_path / "none.jsonl")


def test_three_layouts_are_one_record():
    turns = [{"question": "What is seen?", "answer": "A lung."}]
    generated = items.read(1, json.dumps({"id": "a", "image": "i", "turns": turns}).encode())
    flat = items.read(1, json.dumps({"id": "a", "images": ["i"], "question": "What is seen?", "answer": "A lung."}).encode())
    said = [{"from": "human", "value": "<image>\nWhat is seen?"}, {"from": "gpt", "value": "A lung."}]
    llava = items.read(1, json.dumps({"id": "a", "image": "i", "conversations": said}).encode())
    assert isinstance(generated, Record)
    assert generated == flat == llava


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'"a"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"turns": []}',
        b'{"id": "a", "turns": []}',
        b'{"id": "a", "turns": [{"question": 1, "answer": "x"}]}',
        b'{"id": "a", "turns": [{"question": "\\ud800", "answer": "x"}]}',
        b'{"id": "a", "conversations": [{"from": "gpt", "value": "x"}]}',
        b'{"id": "a", "caption": 3, "turns": [["q", "a"]]}',
        json.dumps({"id": "a", "turns": [{"question": "q", "answer": "a"}] * 65}).encode(),
    ],
)
def test_a_line_that_is_no_record_says_why(line):
    found = items.read(7, line)
    assert isinstance(found, Unread)
    assert found.line == 7
    assert found.reason


def test_a_huge_line_is_dropped_and_the_next_is_read(tmp_path):
    report, kept, dropped = _run(tmp_path, [json.dumps(_row("a", "x" * (3 << 20))), _row("b", caption=CAPTION)])
    assert json.loads(kept)["id"] == "b"
    assert report.reasons == {"format.unreadable": 1}
    assert "more than 1,048,576 bytes" in dropped[0]["objections"][0]["message"]


def test_an_empty_file_and_one_file_for_two_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(InputError, match="holds no line"):
        _run(tmp_path, [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["items.jsonl"]
    path = _write(tmp_path / "items.jsonl", [_row("a")])
    with pytest.raises(InvalidValue, match="different files"):
        filter_file(path, path, tmp_path / "d.jsonl")
    with pytest.raises(OutputError, match="cannot be written"):
        filter_file(path, tmp_path / "no" / "k.jsonl", tmp_path / "d.jsonl")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["items.jsonl"]


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for n in (20, 120):
        path = _write(tmp_path / "items.jsonl", [_row(f"r{i}", f"Pneumonia, variant {i} of it.") for i in range(n)])
        filter_file(path, tmp_path / "k.jsonl", tmp_path / "d.jsonl", settings=Settings(only=("format", "duplicate")))
        tracemalloc.start()
        filter_file(path, tmp_path / "k.jsonl", tmp_path / "d.jsonl", settings=Settings(only=("format", "duplicate")))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 40_000  # the items and the index of the longer file are 0.2 MB more
