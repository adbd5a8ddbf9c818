import csv
import re
import shutil

import pytest

from tests.unit.data.public_vqa import FIRST, SECOND, pmc_row, pmc_vqa, pmc_vqa_2, write_csv
from tests.unit.evaluate.answers import said
from vesalius.data import base, splits
from vesalius.data.base import DataFormatError
from vesalius.data.pmc_vqa import CARD, DATASET
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing
from vesalius.evaluate.accuracy import is_right
from vesalius.metrics.text import is_yes_no_question

OPTIONS = ("Diffuse uptake", "Focal uptake", "No uptake", "Cannot be told")


def _test(root, rows, columns=FIRST):
    """Replace the checked test part."""
    write_csv(root / "pmc_vqa/test_clean.csv", columns, rows)
    return root


@pytest.fixture
def root(tmp_path):
    return pmc_vqa(tmp_path)


def test_choices_lose_their_letters_and_keep_their_order(root):
    rows = DATASET.exchanges(root, Split.TEST)
    assert [x.id for x in rows] == ["pmc-vqa:test_clean:0", "pmc-vqa:test_clean:1", "pmc-vqa:test_clean:2"]
    assert {x.question.options for x in rows} == {OPTIONS}
    assert [x.gold for x in rows] == ["Focal uptake", "No uptake", "Cannot be told"]
    assert rows[0].question.text == "Which organ is shown in 0? Answer with one of these: Diffuse uptake; Focal uptake; No uptake; Cannot be told"
    assert rows[0].image == "pmc_vqa/images/PMC200_F1.jpg"
    assert DATASET.image_path(root, rows[0].image).is_file()


def test_a_choice_among_words_is_closed_and_no_yes_no_question(root):
    _test(root, [pmc_row("PMC200_F1.jpg", "Is the uptake focal?", "A", ("Yes", "No", "Both", "Neither"))])
    (row,) = DATASET.exchanges(root, Split.TEST)
    assert row.closed is True
    assert not is_yes_no_question(row.question.text)


def test_no_letter_is_shown_so_none_is_read_as_a_choice(root):
    row = DATASET.exchanges(root, Split.TEST)[0]
    assert not re.search(r"(^|[\s(;])[A-D]\s*[.:)]", row.question.text)
    assert row.gold == row.question.options[1]
    assert is_right(said("focal uptake."), row)
    assert not any(is_right(said(text), row) for text in ("B", "B.", "(b)", "2", "B: Focal uptake"))  # nobody was told which choice is B


def test_a_choice_that_is_itself_a_letter_is_read_as_its_words(root):
    _test(root, [pmc_row("PMC200_F1.jpg", "Which panel shows it?", "A", ("B", "C", "D", "A"))])
    (row,) = DATASET.exchanges(root, Split.TEST)
    assert is_right(said("B"), row)
    assert not is_right(said("A"), row)  # though it is choice A


def test_nothing_that_is_asked_depends_on_the_answers(root):
    def asked():
        found = {split: DATASET.exchanges(root, split) for split in Split}
        rows = [x for part in found.values() for x in part]
        return [(x.id, x.image, x.question, x.closed, x.cluster, x.split, dict(x.tags)) for x in rows], [x.gold for x in rows]

    before = asked()
    for name in ("train", "test_clean"):
        path = root / f"pmc_vqa/{name}.csv"
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            row["Answer_label"] = "BCDA"["ABCD".index(row["Answer_label"])]
            row["Answer"] = row[f"Choice {row['Answer_label']}"].strip()
        write_csv(path, FIRST, rows)
    after = asked()
    assert before[0] == after[0]
    assert all(one != other for one, other in zip(before[1], after[1], strict=True))


def test_development_is_cut_from_training_by_article(root):
    parts = {split: DATASET.exchanges(root, split) for split in (Split.TRAIN, Split.DEVELOPMENT)}
    assert {split: len(rows) for split, rows in parts.items()} == {Split.TRAIN: 18, Split.DEVELOPMENT: 2}
    splits.assert_disjoint(*parts.values())
    assert len({x.cluster for x in parts[Split.DEVELOPMENT]}) == 1
    assert {x.id for x in DATASET.exchanges(root, Split.DEVELOPMENT, "version_1")} == {x.id for x in parts[Split.DEVELOPMENT]}


def test_the_development_part_has_exactly_the_documented_rows_where_there_are_enough(tmp_path):
    rows = [pmc_row(f"PMC{n // 3}_F{n % 3}.jpg", f"What is seen in {n}?", "A") for n in range(20_998)]
    alone = [pmc_row(f"PMC{n}_F1.jpg", "And here?", "B") for n in (9_999_998, 9_999_999)]  # two articles fill what whole ones of three rows leave
    write_csv(tmp_path / "pmc_vqa/train.csv", FIRST, [*rows, *alone])
    assert len(DATASET.exchanges(tmp_path, Split.DEVELOPMENT)) == 2000 == CARD.protocol().counts[Split.DEVELOPMENT]


def test_each_protocol_tests_on_its_own_table(root):
    pmc_vqa_2(root)
    assert {name: len(DATASET.exchanges(root, Split.TEST, name)) for name in ("verified", "version_1", "version_2")} == {
        "verified": 3,
        "version_1": 4,
        "version_2": 12,
    }


def test_version_2_gives_the_answer_by_letter_and_never_its_caption(root):
    rows = DATASET.exchanges(pmc_vqa_2(root), Split.TEST, "version_2")
    assert [x.gold for x in rows[:2]] == ["Focal uptake", "No uptake"]
    assert rows[0].image == "pmc_vqa/figures/PMC400_Fig1_0.jpg"
    assert DATASET.image_path(root, rows[0].image).is_file()
    assert not any("breast" in x.question.text or "breast" in str(dict(x.tags)) for x in rows)


def test_an_archive_unpacked_one_folder_deeper_is_found(root):
    home = root / "pmc_vqa"
    home.joinpath("images").rename(home / "inner")
    home.joinpath("images").mkdir()
    home.joinpath("inner").rename(home / "images/images")
    row = DATASET.exchanges(root, Split.TEST)[0]
    assert row.image == "pmc_vqa/images/images/PMC200_F1.jpg"


def test_files_are_those_of_the_versions_that_are_there(root):
    tables, images = DATASET.files(root)
    assert [path.name for path in tables] == ["train.csv", "test_clean.csv", "test.csv"]
    assert len(images) == 24
    tables, images = DATASET.files(pmc_vqa_2(root))
    assert [path.name for path in tables[3:]] == ["train_2.csv", "test_2.csv"]
    assert len(images) == 48
    assert base.check(root, "pmc-vqa").missing == base.check(root, "pmc-vqa").corrupt == ()


def test_a_missing_image_is_found_and_refused(root):
    (root / "pmc_vqa/images/PMC200_F1.jpg").unlink()
    assert "pmc_vqa/images/PMC200_F1.jpg" in base.check(root, "pmc-vqa").missing
    with pytest.raises(DataMissing, match="is not below"):
        DATASET.image_path(root, DATASET.exchanges(root, Split.TEST)[0].image)


def test_tables_without_any_image_are_read_all_the_same(root):
    shutil.rmtree(root / "pmc_vqa/images")
    assert DATASET.exchanges(root, Split.TEST)[0].image == "pmc_vqa/images/PMC200_F1.jpg"
    assert len(base.check(root, "pmc-vqa").missing) == 24


@pytest.mark.parametrize("figure", ["../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b.jpg", "..\\x.jpg", "C:x.jpg"])
def test_an_image_that_is_no_plain_name_is_refused(root, figure):
    _test(root, [pmc_row("PMC200_F1.jpg", "What is seen?", "A"), pmc_row(figure, "What is seen?", "A")])
    with pytest.raises(DataFormatError, match="row 1 names the image"):
        DATASET.exchanges(root, Split.TEST)
    assert all(path.parent == root / "pmc_vqa/images" for path in DATASET.files(root)[1])
    assert any("no plain file name" in text for text in base.check(root, "pmc-vqa").corrupt)


@pytest.mark.parametrize("absent", FIRST)
def test_a_missing_column_is_named(root, absent):
    columns = [name for name in FIRST if name != absent]
    row = pmc_row("PMC200_F1.jpg", "What is seen?", "A")
    _test(root, [{name: row[name] for name in columns}], columns)
    with pytest.raises(DataFormatError, match=f"has no column '{absent}'"):
        DATASET.exchanges(root, Split.TEST)


@pytest.mark.parametrize("absent", [name for name in SECOND if name not in ("index", "Caption", "split")])
def test_a_missing_column_of_version_2_is_named(tmp_path, absent):
    path = pmc_vqa_2(tmp_path) / "pmc_vqa/test_2.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [{key: value for key, value in row.items() if key != absent} for row in csv.DictReader(stream)]
    write_csv(path, list(rows[0]), rows)
    with pytest.raises(DataFormatError, match=f"has no column '{absent}'"):
        DATASET.exchanges(tmp_path, Split.TEST, "version_2")


def test_a_table_cut_short_is_refused(root):
    path = root / "pmc_vqa/test_clean.csv"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataFormatError, match="row 2 has not as many fields"):
        DATASET.exchanges(root, Split.TEST)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "has no column 'Figure_path'"),
        (",".join(FIRST).encode(), "holds no question"),
        (b"\xff\xfe\x00", "UTF-8"),
        (",".join(FIRST).encode() + b'\n"' + b"x" * 200_000, "is no table"),
    ],
)
def test_a_file_that_is_no_table_is_refused(root, content, match):
    (root / "pmc_vqa/test_clean.csv").write_bytes(content)
    with pytest.raises(DataFormatError, match=match):
        DATASET.exchanges(root, Split.TEST)


@pytest.mark.parametrize("change", [{"Question": " "}, {"Choice C": " C: "}, {"Answer_label": "'", "Answer": "nothing of these"}, {"Question": "long " * 400}])
def test_a_row_that_cannot_be_asked_is_left_out(root, change):
    _test(root, [{**pmc_row("PMC200_F1.jpg", "What is seen?", "A"), **change}, pmc_row("PMC201_F1.jpg", "What is seen?", "B")])
    assert [x.id for x in DATASET.exchanges(root, Split.TEST)] == ["pmc-vqa:test_clean:1"]


def test_a_broken_letter_is_mended_by_the_words_of_the_answer(root):
    _test(root, [pmc_row("PMC200_F1.jpg", "What is seen?", "'")])
    assert [x.gold for x in DATASET.exchanges(root, Split.TEST)] == ["Focal uptake"]


def test_an_empty_folder_says_how_to_obtain_the_set(tmp_path):
    (tmp_path / "pmc_vqa").mkdir()
    with pytest.raises(DataMissing) as caught:
        DATASET.exchanges(tmp_path, Split.TEST)
    assert caught.value.remedy == CARD.how_to_obtain
