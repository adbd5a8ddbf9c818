import gzip
import json

import pytest

from vesalius.data import base, records
from vesalius.errors import DataMissing

CARD = base.dataset("radqa").card


@pytest.mark.parametrize("name", ["a.jpg", "train/patient1/a b.jpg", "…/ñ.png"])
def test_a_plain_name_stays_as_it_is(name):
    assert records.below(name) == name


@pytest.mark.parametrize("name", ["", "..", "../a.jpg", "a/../../b.jpg", "/etc/passwd", "C:a.jpg", "a\\..\\b.jpg", "a\0.jpg", "a\nb.jpg", "file:///a"])
def test_a_name_that_may_lead_elsewhere_is_refused(name):
    with pytest.raises(ValueError, match="no path below"):
        records.below(name)


def test_lists_and_lines_give_the_same_rows_however_they_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_CHUNK", 7)
    rows = [{"a": n, "b": {"c": "],[{\u2028 ü" * n}} for n in range(6)]
    (tmp_path / "a.json").write_text("\ufeff \n" + json.dumps(rows, indent=2) + "\n ", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    for name in ("a.json", "b.jsonl", "c.json.gz"):
        assert list(records.json_rows(tmp_path / name, CARD)) == rows


@pytest.mark.parametrize(
    "text", ['[{"a": 1}', '[{"a": 1},]', '[{"a": 1} {"b": 2}]', "[{}] more", '[{"a": }]', "[1]", "{}\n[]", "{", '{"a": 1}\n{"a"', "null", " "]
)
def test_what_is_no_list_of_records_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(base.DataFormatError):
        list(records.json_rows(tmp_path / "a.json", CARD))


def test_a_record_or_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LONGEST", 1000)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"a": "' + b"x" * 5000 + b'"}\n'))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"x" * 5000))
    (tmp_path / "a.json").write_text('[{"a": "' + "x" * 5000)
    for name, read in (("a.jsonl.gz", records.json_rows), ("a.csv.gz", records.csv_rows)):
        with pytest.raises(base.DataFormatError, match="more than 1,000 characters"):
            list(read(tmp_path / name, CARD))
    with pytest.raises(base.DataFormatError):
        list(records.json_rows(tmp_path / "a.json", CARD, longest=1000))


def test_a_name_that_is_there_twice_is_refused_and_not_overwritten(tmp_path):
    (tmp_path / "a.json").write_text('{"1": {"x": 1}, "1": {"x": 2}}')
    with pytest.raises(base.DataFormatError, match="'1' is there twice"):
        records.json_whole(tmp_path / "a.json", CARD)


def test_a_whole_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LARGEST", 10)
    (tmp_path / "a.json").write_text('{"a": "longer than ten"}')
    with pytest.raises(base.DataFormatError, match="more than 10"):
        records.json_whole(tmp_path / "a.json", CARD)


def test_cells_may_hold_line_ends_and_rows_must_be_complete(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffid, text\r\n1,"two\nlines\u2028, and ""more"""\r\n\r\n2,x\r\n'.encode())
    assert [row["text"] for row in records.csv_rows(path, CARD, needs=("id", "text"))] == ['two\nlines\u2028, and "more"', "x"]
    for text, match in (("id,text\n1\n", "row 1 has 1 cells"), ("id,text\n1,2,3\n", "has 3 cells"), ("a,b\n", "no column 'id'"), ("", "no column 'id'")):
        path.write_text(text)
        with pytest.raises(base.DataFormatError, match=match):
            list(records.csv_rows(path, CARD, needs=("id",)))


def test_other_encodings_and_broken_archives_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes("id\nfühl\n".encode("latin-1"))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"id\n1\n" * 100)[:-12])
    (tmp_path / "c.csv.gz").write_bytes(b"no archive")
    for name, match in (("a.csv", "UTF-8"), ("b.csv.gz", "no whole archive"), ("c.csv.gz", "no whole archive")):
        with pytest.raises(base.DataFormatError, match=match):
            list(records.csv_rows(tmp_path / name, CARD))
    for name in ("absent.csv", "."):
        with pytest.raises(DataMissing, match="cannot be read"):
            list(records.csv_rows(tmp_path / name, CARD))


def test_parquet_without_a_column_or_its_end_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"a": [1, 2]}), path)
    assert list(records.parquet_rows([path, path], CARD, ["a"])) == [{"a": 1}, {"a": 2}] * 2
    with pytest.raises(base.DataFormatError, match="no column 'b'"):
        list(records.parquet_rows([path], CARD, ["b"]))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(base.DataFormatError, match="no whole parquet file"):
        list(records.parquet_rows([path], CARD, ["a"]))
