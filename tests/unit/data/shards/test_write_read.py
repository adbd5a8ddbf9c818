"""Records come back as they were, from any place, in the same order for any number of readers."""

import hashlib
import json
import signal
import subprocess
import sys
import time

import pytest

from vesalius.data import shards
from vesalius.data.shards import Record, ShardError, Shards, archive
from vesalius.errors import InvalidValue


def records(count, *, picture=True):
    for i in range(count):
        image = hashlib.sha256(str(i).encode()).digest() * (1 + i % 7) if picture else None
        yield Record(f"r{i:05d}", {"number": i, "report": f"No effusion, № {i}."}, image, "png" if picture else "")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "index.json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    shards.write(records(103), out, shard_size=10, about={"licence": "CC0-1.0"})
    return out


def test_what_is_written_is_read(folder):
    assert [record for _, record in Shards(folder).stream()] == list(records(103))


def test_the_index_says_what_is_there(folder):
    index = Shards(folder).index
    assert (len(index.shards), index.records) == (11, 103)
    assert [shard.first for shard in index.shards[:3]] == [0, 10, 20]
    assert index.about == {"licence": "CC0-1.0"}
    assert index.provenance["versions"]["vesalius"]
    assert all(hashlib.sha256((folder / s.name).read_bytes()).hexdigest() == s.sha256 for s in index.shards)


def test_records_without_pictures(tmp_path):
    shards.write(records(5, picture=False), tmp_path, shard_size=2)
    assert [record for _, record in Shards(tmp_path).stream()] == list(records(5, picture=False))


def test_nothing_to_write_is_an_empty_whole(tmp_path):
    assert shards.write([], tmp_path).records == 0
    assert list(Shards(tmp_path).stream(seed=1)) == []
    assert shards.verify(tmp_path).ok


@pytest.mark.parametrize("buffer", [1, 7, 40, 1000])
def test_a_shuffle_has_every_record_once_and_repeats(folder, buffer):
    first = [record.key for _, record in Shards(folder).stream(seed=3, buffer=buffer)]
    assert sorted(first) == [r.key for r in records(103)]
    assert first != sorted(first)
    assert first == [record.key for _, record in Shards(folder).stream(seed=3, buffer=buffer)]


def test_each_archive_is_read_once_though_a_window_holds_them_all(folder, monkeypatch):
    read = []
    monkeypatch.setattr(archive, "entries", lambda path, *a, entries=archive.entries, **k: read.append(path.name) or entries(path, *a, **k))
    assert len(list(Shards(folder).stream(seed=1))) == 103
    assert sorted(read) == [f"shard-{i:06d}.tar" for i in range(11)]


def test_epochs_and_seeds_differ(folder):
    orders = {tuple(r.key for _, r in Shards(folder).stream(seed=s, epoch=e, buffer=1000)) for s in (0, 1) for e in (0, 1)}
    assert len(orders) == 4


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("start", [0, 41, 102, 103, 500])
def test_workers_together_give_the_one_order_from_any_place(folder, workers, start):
    whole = list(Shards(folder).stream(seed=5, epoch=2, buffer=16))
    parts = [Shards(folder).stream(seed=5, epoch=2, buffer=16, start=start, share=(i, workers)) for i in range(workers)]
    assert sorted((item for part in parts for item in part), key=lambda item: item[0]) == whole[start:]


@pytest.mark.parametrize("how", [{"start": -1}, {"buffer": 0}, {"share": (2, 2)}, {"seed": -1}, {"epoch": -1}])
def test_numbers_out_of_range_are_refused_at_once(folder, how):
    with pytest.raises(InvalidValue):
        Shards(folder).stream(**how)


def test_the_same_records_give_the_same_bytes(folder, tmp_path):
    shards.write(records(103), tmp_path, shard_size=10, about={"licence": "CC0-1.0"})
    assert contents(tmp_path) == contents(folder)


def test_a_stopped_writer_goes_on(folder, tmp_path):
    def stopping():
        yield from list(records(103))[:57]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(stopping(), tmp_path, shard_size=10, about={"licence": "CC0-1.0"})
    with pytest.raises(ShardError, match="unfinished"):
        Shards(tmp_path)
    assert shards.written(tmp_path) == 50
    rest = list(records(103))[50:]
    shards.write(rest, tmp_path, shard_size=10, about={"licence": "CC0-1.0"}, first=50)
    assert contents(tmp_path) == contents(folder)


def test_a_torn_line_is_written_again(folder, tmp_path):
    def stopping():
        yield from list(records(103))[:57]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(stopping(), tmp_path, shard_size=10, about={"licence": "CC0-1.0"})
    lines = (tmp_path / "shards.jsonl").read_bytes()
    (tmp_path / "shards.jsonl").write_bytes(lines[:-9])
    assert shards.written(tmp_path) == 40
    shards.write(records(103), tmp_path, shard_size=10, about={"licence": "CC0-1.0"})
    assert contents(tmp_path) == contents(folder)


SLOW = """
import sys, time
from pathlib import Path
from tests.unit.data.shards.test_write_read import records
from vesalius.data import shards
def slow():
    for record in records(103):
        time.sleep(0.006)
        yield record
shards.write(slow(), Path(sys.argv[1]), shard_size=10, about={"licence": "CC0-1.0"})
"""


def test_a_writer_killed_at_any_moment_loses_nothing(folder, tmp_path):
    grown = [0]
    for wait in (0.01, 0.03, 0.05):
        process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)])
        while shards.written(tmp_path) == grown[-1] and process.poll() is None:
            time.sleep(0.002)
        time.sleep(wait)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        grown.append(shards.written(tmp_path))
    assert 0 < grown[1] < grown[2] < grown[3] < 103
    shards.write(records(103), tmp_path, shard_size=10, about={"licence": "CC0-1.0"})
    assert contents(tmp_path) == contents(folder)
    assert shards.verify(tmp_path).ok


def test_a_finished_folder_is_left_as_it_is(folder):
    before = contents(folder)
    assert shards.write(iter(()), folder, shard_size=10, about={"licence": "CC0-1.0"}).records == 103
    assert contents(folder) == before


def test_other_records_are_not_mixed_in(tmp_path):
    def stopping():
        yield from list(records(30))[:15]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(stopping(), tmp_path, shard_size=10)
    with pytest.raises(ShardError, match="other records"):
        shards.write(list(records(30))[1:], tmp_path, shard_size=10)
    with pytest.raises(ShardError, match="other options"):
        shards.write(records(30), tmp_path, shard_size=11)
    with pytest.raises(ShardError, match="7 were left out"):
        shards.write(records(30), tmp_path, shard_size=10, first=7)
    (tmp_path / "shard-000000.tar").unlink()
    with pytest.raises(ShardError, match="is gone"):
        shards.write(records(30), tmp_path, shard_size=10)


def test_a_folder_with_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ShardError, match=r"thesis\.txt"):
        shards.write(records(3), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_key_twice_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="two records"):
        shards.write([*records(2), *records(1)], tmp_path)
    with pytest.raises(InvalidValue, match="at least one"):
        shards.write(records(2), tmp_path, shard_size=0)


def test_the_library_webdataset_reads_the_same(folder):
    webdataset = pytest.importorskip("webdataset")
    read = webdataset.WebDataset(sorted(str(path) for path in folder.glob("*.tar")), shardshuffle=False)
    assert [(s["__key__"], s["png"], json.loads(s["json"])) for s in read] == [(r.key, r.image, r.facts) for r in records(103)]
