"""Shards that are not as they were written are refused in a sentence, and verified to the last."""

import dataclasses
import io
import json
import pickle
import tarfile

import pytest

from tests.unit.data.shards.test_write_read import records
from vesalius.data import shards
from vesalius.data.shards import ShardError, Shards
from vesalius.provenance import sha256_file


@pytest.fixture
def folder(tmp_path):
    shards.write(records(30), tmp_path, shard_size=10)
    return tmp_path


def disguise(folder, number=1, *, keep_keys=True):
    """Make the index agree with a shard that was changed, so that only its inside can betray it."""
    path = folder / f"shard-{number:06d}.tar"
    rows = [json.loads(line) for line in (folder / "shards.jsonl").read_text().splitlines()]
    rows[number] |= {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    (folder / "shards.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = json.loads((folder / "index.json").read_text())
    whole |= {"bytes": sum(row["bytes"] for row in rows), "lines": sha256_file(folder / "shards.jsonl")}
    (folder / "index.json").write_text(json.dumps(whole))


def tar(path, members):
    with tarfile.open(path, "w") as archive:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            if data:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def refused(folder, match):
    with pytest.raises(ShardError, match=match) as caught:
        list(Shards(folder).stream())
    assert "shard-000001.tar" in str(caught.value)
    verdict = shards.verify(folder)
    assert len(verdict.problems) == 1
    assert verdict.to_json()["ok"] is False


def test_a_truncated_shard(folder):
    path = folder / "shard-000001.tar"
    path.write_bytes(path.read_bytes()[:2000])
    refused(folder, "has 2,000 bytes")


def test_a_shard_that_is_gone(folder):
    (folder / "shard-000001.tar").unlink()
    refused(folder, "cannot be read")


def test_a_changed_bit(folder):
    path = folder / "shard-000001.tar"
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    refused(folder, "SHA-256 differs")
    assert len(list(Shards(folder, check=False).stream())) == 30  # without the hash it goes unseen, as documented


@pytest.mark.parametrize("content", [b"", b"not a tar at all", b"\x1f\x8b" + b"0" * 2000])
def test_what_is_no_tar(folder, content):
    (folder / "shard-000001.tar").write_bytes(content)
    disguise(folder)
    refused(folder, "not a whole tar|other records")


LINK = tarfile.TarInfo("a.json")
LINK.type, LINK.linkname = tarfile.SYMTYPE, "/etc/passwd"
HARD = tarfile.TarInfo("a.json")
HARD.type, HARD.linkname = tarfile.LNKTYPE, "../../secret"
DEVICE = tarfile.TarInfo("a.png")
DEVICE.type = tarfile.CHRTYPE
FOLDER = tarfile.TarInfo("a.json")
FOLDER.type = tarfile.DIRTYPE


@pytest.mark.parametrize(
    "member",
    [
        ("../../outside.json", b"{}"),
        ("/etc/cron.d/job.json", b"{}"),
        ("a/b.json", b"{}"),
        ("a.pkl", pickle.dumps({})),
        ("a.pickle", pickle.dumps({})),
        ("a.pyd", pickle.dumps({})),
        ("a.pth", b"weights"),
        ("a.json.pkl", b"x"),
        (".json", b"{}"),
        ("a", b"{}"),
        ("a\n.json", b"{}"),
        ("-" * 95 + ".json", b"{}"),
        LINK,
        HARD,
        DEVICE,
        FOLDER,
    ],
    ids=lambda m: repr(m[0])[:20] if isinstance(m, tuple) else str(m.type),
)
def test_hostile_members(folder, member):
    tar(folder / "shard-000001.tar", [("r00010.json", b"{}"), member])
    disguise(folder)
    refused(folder, "has no place in a shard")


def test_doubled_and_torn_records(folder):
    tar(folder / "shard-000001.tar", [("a.json", b"{}"), ("a.json", b"{}")])
    disguise(folder)
    refused(folder, "twice")
    tar(folder / "shard-000001.tar", [("a.png", b"1")])
    disguise(folder)
    refused(folder, "no facts")


def test_records_that_the_index_does_not_know(folder):
    tar(folder / "shard-000001.tar", [(f"x{i}.json", b"{}") for i in range(10)])
    disguise(folder)
    refused(folder, "other records")


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff\xfe", b"3"])
def test_facts_that_are_no_mapping(folder, text):
    tar(folder / "shard-000001.tar", [(f"r{i:05d}.json", text) for i in range(10, 20)])
    disguise(folder)
    refused(folder, "not JSON|no mapping")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("index.json", "", "cannot be read"),
        ("index.json", "[]", "no index"),
        ("index.json", '{"schema": 99}', "schema 99"),
        ("shards.jsonl", "nonsense\n", "line 1"),
        ("shards.jsonl", "", "disagree"),
    ],
)
def test_a_damaged_index(folder, name, content, match):
    (folder / name).write_text(content)
    with pytest.raises(ShardError, match=match):
        Shards(folder)


@pytest.mark.parametrize("change", [{"name": "../../etc/passwd"}, {"name": "/etc/passwd"}, {"records": -1}, {"records": "10"}, {"first": 3}])
def test_a_hostile_index(folder, change):
    rows = [json.loads(line) for line in (folder / "shards.jsonl").read_text().splitlines()]
    rows[1] |= change
    (folder / "shards.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ShardError, match="line 2"):
        Shards(folder)


def test_what_is_no_folder_of_shards(tmp_path):
    with pytest.raises(ShardError, match="holds no shards"):
        Shards(tmp_path)
    with pytest.raises(ShardError, match="not a folder"):
        Shards(tmp_path / "nowhere")


def test_all_that_is_wrong_is_told(folder):
    for number in (0, 2):
        (folder / f"shard-{number:06d}.tar").unlink()
    (folder / "stray.txt").write_text("")
    problems = shards.verify(folder).problems
    assert len(problems) == 3
    assert "stray.txt belongs to no shard" in problems[-1]


def test_a_key_in_two_shards(tmp_path):
    twice = [*records(10), *(dataclasses.replace(r, key=r.key.replace("r00000", "r00003")) for r in records(2))]
    shards.write(twice, tmp_path, shard_size=10)
    assert shards.verify(tmp_path).problems == ("2 records have a key that another shard has too",)
