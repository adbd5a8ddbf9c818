"""From a file of items to a queue, to answers, to a decision."""

import csv
import json
import shutil
import subprocess
import zipfile

import PIL.Image
import pytest

from vesalius.errors import InvalidValue
from vesalius.instruct.filters.items import InputError
from vesalius.instruct.review import answers, page, queue, report, sheets
from vesalius.instruct.review.queue import ReviewError


def _items(path, n=40):
    tasks = ["report" if i % 4 == 0 else "conversation" for i in range(n)]
    rows = [
        {"id": f"r{i}", "image": f"{i % 3}.png", "task": task, "turns": [{"question": f"What is {i}?", "answer": f"It is {i}."}]}
        for i, task in enumerate(tasks)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def drawn(tmp_path):
    made = queue.draw(_items(tmp_path / "items.jsonl"), n=12, seed=3)
    queue.write(made, tmp_path / "q")
    return made


def _page_file(path, made, verdicts, reader="A", **change):
    rows = [{"id": e.id, "sha256": e.sha256, "verdict": v, "comment": ""} for e, v in zip(made.entries, verdicts, strict=False)]
    path.write_text(json.dumps({"format": 1, "queue": made.id, "reader": reader, "answers": rows} | change))
    return path


def test_a_sample_is_drawn_in_proportion_and_does_not_depend_on_the_order_of_the_file(tmp_path, drawn):
    assert drawn.strata == {"conversation": (30, 9), "report": (10, 3)}
    lines = (tmp_path / "items.jsonl").read_text().splitlines()
    (tmp_path / "turned.jsonl").write_text("\n".join(reversed(lines)) + "\n")
    turned = queue.draw(tmp_path / "turned.jsonl", n=12, seed=3)
    assert [e.id for e in turned.entries] == [e.id for e in drawn.entries]
    assert [e.id for e in queue.draw(tmp_path / "items.jsonl", n=12, seed=4).entries] != [e.id for e in drawn.entries]


def test_so_many_of_each_stratum_makes_lots(tmp_path):
    made = queue.draw(_items(tmp_path / "i.jsonl"), each=15, by=("task",))
    assert made.lots
    assert made.strata == {"conversation": (30, 15), "report": (10, 10)}


def test_every_item_has_the_same_chance(tmp_path):
    path = _items(tmp_path / "i.jsonl", 20)
    counts = dict.fromkeys((f"r{i}" for i in range(20)), 0)
    for seed in range(200):
        for entry in queue.draw(path, n=5, by=(), seed=seed).entries:
            counts[entry.id] += 1
    assert all(25 <= n <= 80 for n in counts.values())  # 50 expected, 6 standard deviation


def test_a_file_that_is_no_list_of_items_is_refused(tmp_path):
    (tmp_path / "bad.jsonl").write_text("{torn\n")
    with pytest.raises(InputError, match="line 1 is no item"):
        queue.draw(tmp_path / "bad.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no item"):
        queue.draw(tmp_path / "empty.jsonl")
    with pytest.raises(InvalidValue):
        queue.draw(_items(tmp_path / "i.jsonl"), n=0)
    (tmp_path / "twice.jsonl").write_text((tmp_path / "i.jsonl").read_text() * 2)
    with pytest.raises(InputError, match="twice"):
        queue.draw(tmp_path / "twice.jsonl", n=80)


def test_a_queue_is_read_as_it_was_written_and_a_changed_one_is_refused(tmp_path, drawn):
    assert queue.read(tmp_path / "q") == drawn
    place = tmp_path / "q" / "queue.json"
    whole = place.read_text()
    for broken in (whole[:200], "", "[]", whole.replace("It is", "It was", 1), whole.replace('"seed": 3', '"seed": 4')):
        place.write_text(broken)
        with pytest.raises(ReviewError, match=r"damaged|by hand"):
            queue.read(tmp_path / "q")
    with pytest.raises(ReviewError, match="holds no queue"):
        queue.read(tmp_path / "none")


def test_another_queue_is_not_written_over(tmp_path, drawn):
    with pytest.raises(ReviewError, match="another queue"):
        queue.write(queue.draw(tmp_path / "items.jsonl", n=11), tmp_path / "q")
    queue.write(drawn, tmp_path / "q")


def test_answers_of_the_page_and_of_a_sheet_are_taken(tmp_path, drawn):
    got = answers.take(_page_file(tmp_path / "a.json", drawn, ["right"] * 10), drawn, tmp_path / "q")
    assert (got.reader, got.new, len(got.missing)) == ("A", 10, 2)
    assert answers.take(tmp_path / "a.json", drawn, tmp_path / "q").known == 10
    for name, writer in (("s.csv", sheets.write_csv), ("s.xlsx", sheets.write_xlsx)):
        if name.endswith("x"):
            pytest.importorskip("openpyxl")
        writer(drawn, tmp_path / name)
        _fill(tmp_path / name)
        got = answers.take(tmp_path / name, drawn, tmp_path / "q", reader=name)
        assert (got.new, got.missing) == (12, ())
    assert {one.verdict for one in answers.read(tmp_path / "q", drawn)} == {"right", "wrong"}


def _fill(path):
    if path.suffix == ".csv":
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(keepends=True)))
        for row in rows[1:]:
            row[4] = "Wrong"
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, delimiter=";").writerows(rows)
        return
    import openpyxl

    book = openpyxl.load_workbook(path)
    for i in range(2, book.active.max_row + 1):
        book.active.cell(i, 5).value = "wrong"
    book.save(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queue": "0" * 16}, "answers the queue"),
        ({"reader": ""}, "does not say who"),
        ({"answers": []}, "holds no verdict"),
        ({"answers": [{"id": "zz", "sha256": "", "verdict": "right"}]}, "zz not in the queue"),
        ({"answers": [{"id": ["r1"], "sha256": "", "verdict": "right"}]}, "not in the queue|no file of answers"),
        ({"answers": 3}, "no file of answers"),
    ],
)
def test_faulty_answers_are_refused_as_a_whole(tmp_path, drawn, change, words):
    path = _page_file(tmp_path / "a.json", drawn, ["right"] * 3, **change)
    with pytest.raises(ReviewError, match=words):
        answers.take(path, drawn, tmp_path / "q")
    assert not (tmp_path / "q" / answers.ANSWERS).exists()


def test_an_item_twice_a_strange_verdict_and_a_changed_item_are_refused(tmp_path, drawn):
    first = drawn.entries[0]
    row = {"id": first.id, "sha256": first.sha256, "verdict": "right"}
    for rows, words in (([row, row], "answered twice"), ([row | {"verdict": "good"}], "judged 'good'"), ([row | {"sha256": "0"}], "not as exported")):
        with pytest.raises(ReviewError, match=words):
            answers.take(_page_file(tmp_path / "a.json", drawn, [], answers=rows), drawn, tmp_path / "q")


def test_a_new_verdict_replaces_an_old_one_only_when_told(tmp_path, drawn):
    answers.take(_page_file(tmp_path / "a.json", drawn, ["right"] * 12), drawn, tmp_path / "q")
    other = _page_file(tmp_path / "b.json", drawn, ["wrong"])
    with pytest.raises(ReviewError, match="otherwise before"):
        answers.take(other, drawn, tmp_path / "q")
    answers.take(other, drawn, tmp_path / "q", replace=True)
    kept = answers.read(tmp_path / "q", drawn)
    assert [one.verdict for one in kept].count("wrong") == 1
    assert len(kept) == 12


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"PK\x03\x04", b"id,verdict\n1,right\n", b"[" * 100_000])
@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.xlsx"])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, drawn, name, body):
    if name.endswith("x"):
        pytest.importorskip("openpyxl")
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ReviewError):
        answers.take(tmp_path / name, drawn, tmp_path / "q", reader="A")


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, drawn):
    pytest.importorskip("openpyxl")
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * (40 << 20))
    with pytest.raises(ReviewError, match="unpacks to more"):
        answers.take(tmp_path / "bomb.xlsx", drawn, tmp_path / "q", reader="A")


def test_no_cell_of_a_sheet_is_a_formula(tmp_path):
    row = {"id": "=1+1", "image": "@x", "turns": [{"question": "What is seen?", "answer": "x"}]}
    (tmp_path / "i.jsonl").write_text(json.dumps(row) + "\n")
    made = queue.draw(tmp_path / "i.jsonl", n=1)
    assert all(not cell.startswith(("=", "+", "-", "@")) for cell in sheets.rows(made)[0])
    queue.write(made, tmp_path / "q")
    sheets.write_csv(made, tmp_path / "s.csv")
    _fill(tmp_path / "s.csv")
    assert answers.take(tmp_path / "s.csv", made, tmp_path / "q", reader="A").new == 1


def test_agreement_disagreement_and_a_third_reader(tmp_path, drawn):
    folder = tmp_path / "q"
    answers.take(_page_file(tmp_path / "a.json", drawn, ["right"] * 12, "A"), drawn, folder)
    answers.take(_page_file(tmp_path / "b.json", drawn, ["wrong", "partly", *["right"] * 9], "B"), drawn, folder)
    both = answers.read(folder, drawn)
    found = report.report(drawn, both, target=0.05, replicates=50)
    assert found.readers == {"A": 12, "B": 11}
    assert found.agreement["percent agreement"].value == pytest.approx(9 / 11)
    assert found.whole.verdicts == {"right": 10, "partly": 0, "wrong": 0, "unsafe": 0, "open": 2}
    assert found.whole.decision.wrong == 2
    again = report.disagreements(drawn, both)
    assert [len(again.entries), again.role, again.parent] == [2, "adjudication", drawn.id]
    assert {verdict for verdict, _ in again.entries[0].earlier} >= {"right"}
    queue.write(again, tmp_path / "third")
    answers.take(_page_file(tmp_path / "c.json", again, ["right", "wrong"], "C"), again, tmp_path / "third")
    settled = report.report(drawn, both, answers.read(tmp_path / "third", again), replicates=50)
    assert settled.whole.verdicts["open"] == 0
    assert settled.whole.verdicts["right"] == 11
    assert set(settled.settled) == set(settled.disagreed)


def test_who_judged_before_does_not_settle_and_without_answers_there_is_no_report(drawn):
    mine = [answers.Answer(drawn.entries[0].id, "A", "right")]
    with pytest.raises(ReviewError, match="settles them"):
        report.report(drawn, mine, mine)
    with pytest.raises(ReviewError, match="nobody has answered"):
        report.report(drawn, [])
    with pytest.raises(ReviewError, match="do not disagree"):
        report.disagreements(drawn, mine)


def test_partly_counts_as_wrong_when_told(drawn):
    given = [answers.Answer(e.id, "A", "partly") for e in drawn.entries]
    assert report.report(drawn, given, target=0.2).whole.decision.wrong == 0
    assert report.report(drawn, given, target=0.2, partly=True).whole.decision.wrong == 12


def test_the_page_holds_everything_and_shows_texts_as_texts(tmp_path):
    evil = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)>'
    rows = [{"id": "e", "images": ["a.png", "../../secret.png", "lost.png"], "turns": [{"question": "What is " + evil, "answer": evil}]}]
    (tmp_path / "i.jsonl").write_text(json.dumps(rows[0]) + "\n")
    (tmp_path / "root").mkdir()
    PIL.Image.new("L", (2000, 10), 90).save(tmp_path / "root" / "a.png")
    PIL.Image.new("L", (4, 4)).save(tmp_path / "secret.png")
    made = queue.draw(tmp_path / "i.jsonl", n=1)
    assert page.write(made, tmp_path / "p.html", tmp_path / "root" / "x" / "..") == 2
    text = (tmp_path / "p.html").read_text()
    assert evil not in text
    assert text.count("data:image/jpeg;base64,") == 1
    assert "http://" not in text
    assert "https://" not in text


def test_the_page_works_in_a_browser(tmp_path, drawn):
    browser = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("needs a Chromium browser")
    page.write(drawn, tmp_path / "p.html", None)
    steps = """<script>
    document.querySelectorAll(".item")[0].querySelector("[value=wrong]").click();
    document.querySelectorAll(".item")[1].querySelector("[value=right]").click();
    document.querySelectorAll(".item")[1].querySelector("[value=right]").click();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "4" }));
    const box = document.querySelectorAll("textarea")[0]; box.value = "left, not right"; box.dispatchEvent(new Event("input"));
    document.getElementById("save").click(); const note = document.getElementById("note").textContent;
    document.getElementById("reader").value = "Dr A"; document.getElementById("reader").dispatchEvent(new Event("input"));
    let file = null; HTMLAnchorElement.prototype.click = function () { file = [this.download, decodeURIComponent(this.href.split(",").slice(1).join(","))]; };
    document.getElementById("save").click();
    const out = document.createElement("pre"); out.id = "told";
    out.textContent = JSON.stringify([note, document.getElementById("count").textContent, ...file]); document.body.append(out);
    </script></body>"""
    text = (tmp_path / "p.html").read_text()
    (tmp_path / "p.html").write_text(text.replace("</body>", steps))
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "p.html").as_uri()]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False).stdout
    note, count, name, body = json.loads(shown.partition('<pre id="told">')[2].partition("</pre>")[0])
    assert note == "Write your name or initials first."
    assert count == "1 of 12 judged"
    assert name == f"answers-Dr_A-{drawn.id}.json"
    (tmp_path / "a.json").write_text(body)
    got = answers.take(tmp_path / "a.json", drawn, tmp_path / "q")
    assert (got.reader, got.new) == ("Dr A", 1)
    kept = answers.read(tmp_path / "q", drawn)[0]
    assert (kept.id, kept.verdict, kept.comment) == (drawn.entries[0].id, "unsafe", "left, not right")
