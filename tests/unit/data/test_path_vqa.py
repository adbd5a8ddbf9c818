import hashlib
import json
import os
import sys

import pytest

from tests.unit.data.public_vqa import PATH_ROWS, jpeg, path_vqa, path_vqa_parquet
from vesalius.data import base, splits
from vesalius.data.base import DataFormatError
from vesalius.data.path_vqa import CARD, DATASET, unpack
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing, MissingExtra

COUNTS = {Split.TRAIN: 3, Split.DEVELOPMENT: 1, Split.TEST: 3}


def _index(root):
    return root / "path_vqa" / "questions.jsonl"


def _broken(root, change):
    """Change the second record of the exported table."""
    lines = _index(root).read_text().splitlines()
    record = json.loads(lines[1])
    change(record)
    _index(root).write_text("\n".join([lines[0], json.dumps(record), *lines[2:]]))
    return root


@pytest.fixture
def parquet():
    pytest.importorskip("pyarrow")


def test_an_export_is_read_in_its_order(tmp_path):
    rows = DATASET.exchanges(path_vqa(tmp_path), Split.TRAIN)
    assert [(x.id, x.question.text, x.gold) for x in rows] == [
        ("path-vqa:train:0", "what is present?", "liver"),
        ("path-vqa:train:1", "is liver present?", "yes"),
        ("path-vqa:train:2", "is necrosis present?", "no"),
    ]
    assert {s: len(DATASET.exchanges(tmp_path, s)) for s in Split} == COUNTS
    assert all(DATASET.image_path(tmp_path, x.image).is_file() for x in rows)


def test_questions_about_one_picture_share_its_file_and_cluster(tmp_path):
    first, second, other = DATASET.exchanges(path_vqa(tmp_path), Split.TRAIN)
    assert first.image == second.image != other.image
    assert first.cluster == second.cluster != other.cluster
    splits.assert_disjoint(*(DATASET.exchanges(tmp_path, s) for s in Split))


def test_the_hub_release_gives_the_same_questions(tmp_path, parquet):
    path_vqa_parquet(tmp_path / "hub")
    path_vqa(tmp_path / "export")
    for split in Split:
        hub, export = (DATASET.exchanges(tmp_path / name, split) for name in ("hub", "export"))
        assert [(x.id, x.question, x.gold) for x in hub] == [(x.id, x.question, x.gold) for x in export]
        for one, other in zip(hub, export, strict=True):
            assert DATASET.image_path(tmp_path / "hub", one.image).read_bytes() == DATASET.image_path(tmp_path / "export", other.image).read_bytes()


def test_each_picture_is_written_once_under_its_hash(tmp_path, parquet):
    DATASET.exchanges(path_vqa_parquet(tmp_path), Split.TEST)
    written = {path.name for path in (tmp_path / "path_vqa/images").iterdir()}
    assert written == {f"{hashlib.sha256(jpeg(value)).hexdigest()}.jpg" for rows in PATH_ROWS.values() for value, _, _ in rows}
    assert len(written) == 5


def test_an_unpacked_copy_needs_neither_shards_nor_pyarrow(tmp_path, parquet, monkeypatch):
    before = DATASET.exchanges(path_vqa_parquet(tmp_path), Split.TEST)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "path_vqa/images").iterdir()}
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for shard in (tmp_path / "path_vqa/data").iterdir():
        shard.unlink()
    assert DATASET.exchanges(tmp_path, Split.TEST) == before
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert DATASET.files(tmp_path)[0] == (_index(tmp_path),)


def test_other_shards_are_unpacked_anew(tmp_path, parquet):
    assert len(DATASET.exchanges(path_vqa_parquet(tmp_path), Split.TRAIN)) == 3
    for shard in (tmp_path / "path_vqa/data").iterdir():
        shard.unlink()
    path_vqa_parquet(tmp_path, {**PATH_ROWS, "train": [*PATH_ROWS["train"], (60, "is bone present?", "no")]})
    assert len(DATASET.exchanges(tmp_path, Split.TRAIN)) == 4


def test_an_export_of_ones_own_is_not_replaced(tmp_path, parquet):
    path_vqa_parquet(path_vqa(tmp_path), {**PATH_ROWS, "train": [(60, "is bone present?", "no")]})
    text = _index(tmp_path).read_text()
    assert len(DATASET.exchanges(tmp_path, Split.TRAIN)) == 3
    assert _index(tmp_path).read_text() == text


def test_a_stopped_unpacking_goes_on_and_leaves_no_half_file(tmp_path, parquet, monkeypatch):
    path_vqa_parquet(tmp_path)
    replace, calls = type(tmp_path).replace, []

    def stop(self, target):
        calls.append(target)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(type(tmp_path), "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path)
    assert not _index(tmp_path).exists()
    kept = [path for path in (tmp_path / "path_vqa/images").iterdir() if path.suffix == ".jpg"]
    assert len(kept) == 2
    assert {s: len(DATASET.exchanges(tmp_path, s)) for s in Split} == COUNTS


def test_a_root_that_cannot_be_written_says_what_to_do(tmp_path, parquet):
    path_vqa_parquet(tmp_path)
    (tmp_path / "path_vqa/images").write_text("in the way")  # a folder without permission stops only those who are not root
    with pytest.raises(DataMissing, match=r"cannot be written .*vesalius data check ROOT path-vqa"):
        DATASET.exchanges(tmp_path, Split.TEST)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_unpacked_copy_is_read_where_nothing_can_be_written(tmp_path):
    path_vqa(tmp_path)
    (tmp_path / "path_vqa").chmod(0o555)
    try:
        assert len(DATASET.exchanges(tmp_path, Split.TEST)) == 3
    finally:
        (tmp_path / "path_vqa").chmod(0o755)


def test_shards_without_pyarrow_name_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("train", "validation", "test"):
        shard = tmp_path / f"path_vqa/data/{name}-00000-of-00001.parquet"
        shard.parent.mkdir(parents=True, exist_ok=True)
        shard.write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r"'pyarrow': run: pip install 'vesalius\[parquet\]'"):
        DATASET.exchanges(tmp_path, Split.TEST)
    assert any("pyarrow" in text for text in base.check(tmp_path, "path-vqa").corrupt)


@pytest.mark.parametrize("name", ["train-00001-of-00002", "validation-00000-of-00001"])
def test_a_missing_shard_is_named(tmp_path, parquet, name):
    path_vqa_parquet(tmp_path)
    next((tmp_path / "path_vqa/data").glob(f"{name}*")).unlink()
    with pytest.raises(DataMissing, match=name[: name.index("-of")]):
        DATASET.exchanges(tmp_path, Split.TRAIN)
    assert not _index(tmp_path).exists()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_a_shard_that_is_none_is_refused(tmp_path, parquet, content):
    path_vqa_parquet(tmp_path)
    next((tmp_path / "path_vqa/data").glob("test-*")).write_bytes(content)
    with pytest.raises(DataFormatError, match="is no whole parquet file"):
        DATASET.exchanges(tmp_path, Split.TEST)
    assert not _index(tmp_path).exists()


def test_a_shard_cut_short_is_refused(tmp_path, parquet):
    path_vqa_parquet(tmp_path)
    shard = next((tmp_path / "path_vqa/data").glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DataFormatError, match="is no whole parquet file"):
        DATASET.exchanges(tmp_path, Split.TEST)


@pytest.mark.parametrize("absent", ["image", "question", "answer"])
def test_a_shard_with_other_columns_is_refused(tmp_path, parquet, absent):
    from pyarrow import parquet as files

    path_vqa_parquet(tmp_path)
    shard = next((tmp_path / "path_vqa/data").glob("test-*"))
    files.write_table(files.read_table(shard).drop_columns([absent]), shard)
    with pytest.raises(DataFormatError, match=f"has no column '{absent}'"):
        DATASET.exchanges(tmp_path, Split.TEST)


def test_pictures_that_are_only_named_are_refused(tmp_path, parquet):
    path_vqa_parquet(tmp_path, {**PATH_ROWS, "test": [(None, "is fat present?", "no")]})
    with pytest.raises(DataFormatError, match="a row has no picture"):
        DATASET.exchanges(tmp_path, Split.TEST)
    import pyarrow as pa
    from pyarrow import parquet as files

    shard = next((tmp_path / "path_vqa/data").glob("test-*"))
    files.write_table(pa.table({"image": ["../../etc/passwd"], "question": ["is fat present?"], "answer": ["no"]}), shard)
    with pytest.raises(DataFormatError, match="holds no bytes"):
        DATASET.exchanges(tmp_path, Split.TEST)


def test_bytes_that_are_no_picture_are_kept_and_found_by_the_check(tmp_path, parquet):
    path_vqa_parquet(tmp_path, {**PATH_ROWS, "test": [(b"no picture", "is fat present?", "no")]})
    (row,) = DATASET.exchanges(tmp_path, Split.TEST)
    assert row.image.endswith(".bin")
    assert row.image in base.check(tmp_path, "path-vqa").corrupt


@pytest.mark.parametrize("place", ["qas/train_vqa.pkl", "qas/train/train_qa.pkl", "pvqa/qas/test/test_qa.pkl"])
def test_pickles_are_not_loaded_and_the_way_out_is_told(tmp_path, place):
    path = tmp_path / "path_vqa" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DataFormatError, match=r"pickles only.*questions\.jsonl"):
        DATASET.exchanges(tmp_path, Split.TRAIN)


def test_an_empty_folder_says_how_to_obtain_the_set(tmp_path):
    (tmp_path / "path_vqa").mkdir()
    with pytest.raises(DataMissing) as caught:
        DATASET.exchanges(tmp_path, Split.TRAIN)
    assert caught.value.remedy == CARD.how_to_obtain


@pytest.mark.parametrize("image", ["../../etc/passwd", "/etc/passwd", "images/../../x.jpg", "..\\x.jpg", "C:/x.jpg", "", None, 7])
def test_an_image_outside_the_folder_is_refused(tmp_path, image):
    _broken(path_vqa(tmp_path), lambda record: record.update(image=image))
    with pytest.raises(DataFormatError, match="line 2 is no question"):
        DATASET.exchanges(tmp_path, Split.TRAIN)
    assert all(path.is_relative_to(tmp_path / "path_vqa") for path in DATASET.files(tmp_path)[1])


@pytest.mark.parametrize("key", ["image", "question", "answer", "split"])
def test_a_record_without_a_field_is_refused(tmp_path, key):
    _broken(path_vqa(tmp_path), lambda record: record.pop(key))
    with pytest.raises(DataFormatError, match=f"line 2 is no question .*{key}"):
        DATASET.exchanges(tmp_path, Split.TRAIN)


@pytest.mark.parametrize(("content", "match"), [("", "holds no question"), ("[]", "line 1"), ('{"image": "a', "line 1"), ("7", "line 1")])
def test_a_table_that_is_none_is_refused(tmp_path, content, match):
    _index(path_vqa(tmp_path)).write_text(content)
    with pytest.raises(DataFormatError, match=match):
        DATASET.exchanges(tmp_path, Split.TRAIN)


def test_other_encodings_and_splits_are_refused(tmp_path):
    _broken(path_vqa(tmp_path), lambda record: record.update(split="dev"))
    with pytest.raises(DataFormatError, match="line 2"):
        DATASET.exchanges(tmp_path, Split.TRAIN)
    _index(tmp_path).write_bytes(b"\xff\xfe")
    with pytest.raises(DataFormatError, match="UTF-8"):
        DATASET.exchanges(tmp_path, Split.TRAIN)


def test_rows_without_answer_are_left_out_and_move_no_number(tmp_path):
    _broken(path_vqa(tmp_path), lambda record: record.update(answer=" "))
    assert [x.id for x in DATASET.exchanges(tmp_path, Split.TRAIN)] == ["path-vqa:train:0", "path-vqa:train:2"]


def test_a_missing_image_is_found_and_refused(tmp_path):
    path_vqa(tmp_path)
    image = DATASET.exchanges(tmp_path, Split.TEST)[0].image
    (tmp_path / image).unlink()
    assert base.check(tmp_path, "path-vqa").missing == (image,)
    with pytest.raises(DataMissing, match="is not below"):
        DATASET.image_path(tmp_path, image)


def test_nothing_that_is_asked_depends_on_the_answers(tmp_path):
    def asked(root):
        rows = [x for s in Split for x in DATASET.exchanges(root, s)]
        return [(x.id, x.image, x.question, x.closed, x.cluster, x.phrase, dict(x.tags)) for x in rows], [x.gold for x in rows]

    before = asked(path_vqa(tmp_path))
    lines = [json.loads(line) for line in _index(tmp_path).read_text().splitlines()]
    golds = [record["answer"] for record in lines]  # moved on by one: a yes becomes a word, and a word a yes
    moved = [{**record, "answer": gold} for record, gold in zip(lines, [*golds[1:], golds[0]], strict=True)]
    _index(tmp_path).write_text("\n".join(map(json.dumps, moved)))
    after = asked(tmp_path)
    assert before[0] == after[0]
    assert before[1] != after[1]
