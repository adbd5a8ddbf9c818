"""Parquet shards: the records of the tars in the same order from any place; a killed writer goes on; what is damaged or hostile is refused in a sentence."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from tests.unit.data.shards.test_bad import disguise as disguised
from tests.unit.data.shards.test_write_read import contents, records
from vesalius.data import shards
from vesalius.data.shards import Form, Record, ShardError, Shards, table
from vesalius.errors import InvalidValue, MissingExtra
from vesalius.provenance import sha256_file

SCHEMA = table._schema(pyarrow)


def write(made, out, **how):
    return shards.write(made, out, form=Form.PARQUET, **{"shard_size": 10, "about": {"licence": "CC0-1.0"}, **how})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same 103 records as tars and as Parquet."""
    tar, table = tmp_path_factory.mktemp("tar"), tmp_path_factory.mktemp("parquet")
    shards.write(records(103), tar, shard_size=10, about={"licence": "CC0-1.0"})
    write(records(103), table)
    return tar, table


@pytest.fixture
def folder(tmp_path):
    write(records(30), tmp_path)
    return tmp_path


def disguise(folder):
    """Make the index agree with a second shard that was changed."""
    path = folder / "shard-000001.parquet"
    path.rename(folder / "shard-000001.tar")
    disguised(folder)
    (folder / "shard-000001.tar").rename(path)


def replace(folder, columns, schema=SCHEMA, **how):
    given = {"compression": "NONE", "use_dictionary": False, "store_schema": False, **how}
    parquet.write_table(pyarrow.table(columns, schema=schema), folder / "shard-000001.parquet", **given)
    disguise(folder)


def columns(**other):
    held = list(records(30))[10:20]
    plain = {"key": [r.key for r in held], "suffix": ["png"] * 10, "image": [r.image for r in held], "facts": [r.text().decode() for r in held]}
    return {**plain, **other}


def refused(folder, match):
    with pytest.raises(ShardError, match=match) as caught:
        list(Shards(folder).stream())
    assert "shard-000001.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)
    verdict = shards.verify(folder)
    assert len(verdict.problems) == 1
    assert "shard-000001.parquet" in verdict.problems[0]


@pytest.mark.parametrize("picture", [True, False])
def test_what_is_written_is_read(tmp_path, picture):
    made = list(records(45, picture=picture))
    index = write(made, tmp_path, shard_size=40)
    assert [record for _, record in Shards(tmp_path).stream()] == made
    assert ([s.name for s in index.shards], index.records) == (["shard-000000.parquet", "shard-000001.parquet"], 45)
    assert shards.verify(tmp_path).ok


def test_pictures_and_texts_alone_mix(tmp_path):
    made = [Record("a", {"n": 1}, b"x", "png"), Record("b", {"n": 2}), Record("c", {}, b"y", "dcm")]
    write(made, tmp_path)
    assert [record for _, record in Shards(tmp_path).stream()] == made


@pytest.mark.parametrize("how", [{}, {"seed": 3}, {"seed": 3, "buffer": 7}, {"seed": 5, "epoch": 2, "buffer": 40}])
@pytest.mark.parametrize("start", [0, 41, 102, 103])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_order_is_that_of_the_tars_from_any_place_for_any_number_of_workers(folders, how, start, workers):
    tar, made = folders
    whole = list(Shards(tar).stream(**how))[start:]
    parts = [Shards(made).stream(start=start, share=(i, workers), **how) for i in range(workers)]
    assert sorted((item for part in parts for item in part), key=lambda item: item[0]) == whole


def test_the_same_records_give_the_same_bytes(folders, tmp_path):
    write(records(103), tmp_path)
    assert contents(tmp_path) == contents(folders[1])


def test_any_reader_of_parquet_finds_four_columns(folders):
    held = pyarrow.concat_tables([parquet.read_table(path) for path in sorted(folders[1].glob("*.parquet"))]).to_pylist()
    assert [(row["key"], row["suffix"], row["image"], json.loads(row["facts"])) for row in held] == [(r.key, "png", r.image, r.facts) for r in records(103)]


def test_row_groups_stay_small_by_number_and_by_bytes(tmp_path):
    write([*records(70), *(Record(f"big{i}", {}, bytes(3 << 20), "dcm") for i in range(3))], tmp_path, shard_size=100)
    held = parquet.ParquetFile(tmp_path / "shard-000000.parquet").metadata
    assert [held.row_group(i).num_rows for i in range(held.num_row_groups)] == [32, 32, 8, 1]


def test_a_reader_keeps_few_row_groups(tmp_path, monkeypatch):
    write([Record(f"r{i:03d}", {"n": i}, bytes([i % 256]) * 10_000, "png") for i in range(320)], tmp_path, shard_size=320)
    groups, read = table.Groups(700_000), []
    own = table.Groups._read
    monkeypatch.setattr(table.Groups, "_read", lambda self, path, number: read.append(number) or own(self, path, number))
    path = tmp_path / "shard-000000.parquet"
    cells = table.entries(path, Shards(tmp_path).index.shards[0])
    for cell in cells:
        assert groups.parts(path, cell)[0] == bytes([int(cell.key[1:]) % 256]) * 10_000
    assert read == list(range(10))  # in order, each is read once
    assert groups._size == sum(held.nbytes for held in groups._held.values()) <= 700_000


def test_a_stopped_writer_goes_on(folders, tmp_path):
    def stopping():
        yield from list(records(103))[:57]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(stopping(), tmp_path)
    assert shards.written(tmp_path) == 50
    with pytest.raises(ShardError, match="other options"):
        shards.write(records(103), tmp_path, shard_size=10, about={"licence": "CC0-1.0"})  # as tars
    write(list(records(103))[50:], tmp_path, first=50)
    assert contents(tmp_path) == contents(folders[1])


SLOW = """
import sys, time
from pathlib import Path
from tests.unit.data.shards.test_table import write
from tests.unit.data.shards.test_write_read import records
def slow():
    for record in records(103):
        time.sleep(0.006)
        yield record
write(slow(), Path(sys.argv[1]))
"""


def test_a_killed_writer_loses_nothing(folders, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)])
    while not shards.written(tmp_path) and process.poll() is None:
        time.sleep(0.002)
    time.sleep(0.03)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 0 < shards.written(tmp_path) < 103
    write(records(103), tmp_path)
    assert contents(tmp_path) == contents(folders[1])
    assert shards.verify(tmp_path).ok


def test_a_key_twice_and_facts_that_are_no_json_are_refused_when_written(tmp_path):
    with pytest.raises(InvalidValue, match="two records"):
        write([*records(2), *records(1)], tmp_path / "a")
    with pytest.raises(InvalidValue, match="cannot be written as JSON"):
        write([Record("a", {"x": {1}})], tmp_path / "b")
    assert shards.written(tmp_path / "b") == 0


def test_without_pyarrow_nothing_is_begun_and_the_extra_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"vesalius\[parquet\]"):
        write(records(3), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(MissingExtra, match="reading Parquet shards"):
        list(Shards(folder).stream())


def test_a_truncated_shard(folder):
    path = folder / "shard-000001.parquet"
    path.write_bytes(path.read_bytes()[:700])
    refused(folder, "has 700 bytes")
    disguise(folder)  # even if the index had been made to agree
    refused(folder, "not a whole Parquet file")


def test_a_shard_that_is_gone(folder):
    (folder / "shard-000001.parquet").unlink()
    refused(folder, "cannot be read")


def test_a_changed_bit(folder):
    path = folder / "shard-000001.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    refused(folder, "SHA-256 differs")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table at all", b"PAR1" + b"\xff" * 500 + b"PAR1", b"PAR1" + b"\x7f\xff\xff\x7f" * 9 + b"PAR1"])
def test_what_is_no_parquet(folder, content):
    (folder / "shard-000001.parquet").write_bytes(content)
    disguise(folder)
    refused(folder, "not a whole Parquet file")


@pytest.mark.parametrize(
    "how", [{"compression": "zstd"}, {"compression": "gzip"}, {"use_dictionary": ["facts"]}, {"column_encoding": {"key": "DELTA_BYTE_ARRAY"}}]
)
def test_what_could_unpack_to_more_than_it_is(folder, how):
    replace(folder, columns(facts=['{"a": "' + "a" * 100_000 + '"}'] * 10), **how)
    assert (folder / "shard-000001.parquet").stat().st_size < 1_200_000
    refused(folder, "compressed, too large, or not as")


def test_a_row_group_of_more_than_we_write(folder):
    many = [f"k{i}" for i in range(40)]
    replace(folder, {"key": many, "suffix": [""] * 40, "image": [None] * 40, "facts": ["{}"] * 40})
    rows = [json.loads(line) for line in (folder / "shards.jsonl").read_text().splitlines()]
    rows[1] |= {"records": 40}
    rows[2] |= {"first": 50}
    (folder / "shards.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**whole, "records": 60, "lines": sha256_file(folder / "shards.jsonl")}))
    refused(folder, "too large")


def test_no_damage_ends_the_process(folder):
    """Bytes of the description and of the pages changed at random, with an index that agrees: read or refused, no other end."""
    path = folder / "shard-000001.parquet"
    whole, random = path.read_bytes(), np.random.default_rng(1)
    shard = Shards(folder).index.shards[1]
    ends = Counter()
    for _ in range(300):
        data = bytearray(whole)
        for place in random.integers(len(data) - 600, len(data), random.integers(1, 6)):
            data[place] = random.integers(256)
        path.write_bytes(data)
        try:
            groups = table.Groups()
            for cell in table.entries(path, shard, digest=False):
                groups.parts(path, cell)
            ends["read"] += 1
        except ShardError:
            ends["refused"] += 1
    assert ends["refused"] > 200


def test_other_columns(folder):
    replace(folder, {"key": [str(i) for i in range(10)], "code": [b"import os"] * 10}, schema=None)
    refused(folder, "other columns")


def test_other_or_fewer_records(folder):
    replace(folder, columns(key=[f"x{i}" for i in range(10)]))
    refused(folder, "other records")
    replace(folder, {name: held[:9] for name, held in columns().items()})
    refused(folder, "other records")


def test_a_record_twice(folder):
    replace(folder, columns(key=["r00010"] * 10))
    refused(folder, "twice")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "../../outside"),
        ("key", "/etc/passwd"),
        ("key", ""),
        ("key", "a\n"),
        ("key", "a.b"),
        ("suffix", "pkl"),
        ("suffix", "json"),
        ("suffix", "png.pkl"),
    ],
)
def test_keys_and_suffixes_that_no_shard_has(folder, name, value):
    held = columns()[name]
    replace(folder, columns(**{name: [value, *held[1:]]}))
    refused(folder, "has no place in a shard")


@pytest.mark.parametrize("change", [{"suffix": [""] * 10}, {"image": [None] * 10}, {"image": [b""] * 10}])
def test_a_picture_without_suffix_and_the_reverse(folder, change):
    replace(folder, columns(**change))
    refused(folder, "suffix without a picture")


@pytest.mark.parametrize("text", ["{", "[]", "3", ""])
def test_facts_that_are_no_mapping(folder, text):
    replace(folder, columns(facts=[text] * 10))
    refused(folder, "not JSON|no mapping")


def test_facts_that_are_no_text(folder):
    wild = pyarrow.array([b'{"a": "\xff\xfe"}'] * 10, pyarrow.binary()).view(pyarrow.string())
    replace(folder, columns(facts=wild))
    refused(folder, "not JSON")


def test_all_that_is_wrong_is_told(folder):
    (folder / "stray.txt").write_text("")
    (folder / "shard-000002.parquet").unlink()
    problems = shards.verify(folder).problems
    assert [p.partition(" ")[2][:10] for p in problems] == ["cannot be ", "belongs to"]
