"""Every file of a source once, nothing outside of it, archives unpacked under numbers, bombs and damage told."""

import os
import tarfile
import zipfile

import pytest

from vesalius.errors import UserError
from vesalius.pipeline.archive import sources
from vesalius.pipeline.archive.sources import archive_kind, entries


def found(source, tmp_path):
    return {e.source: e for e in entries(source, tmp_path / "unpacked")}


def test_files_are_found_at_all_depths_and_in_order(tmp_path):
    for name in ("b.dcm", "a/c.dcm", "a/b/d"):
        path = tmp_path / "s" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert list(found(tmp_path / "s", tmp_path)) == ["b.dcm", "a/c.dcm", "a/b/d"]


def test_links_are_not_followed(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.dcm").write_bytes(b"x")
    (tmp_path / "s" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "s" / "file").symlink_to(tmp_path / "outside" / "secret.dcm")
    (tmp_path / "s" / "loop").symlink_to(tmp_path / "s")
    got = found(tmp_path / "s", tmp_path)
    assert set(got) == {"folder", "file", "loop"}
    assert all(e.path is None and "a link" in e.reason for e in got.values())


def test_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "s").mkdir()
    os.mkfifo(tmp_path / "s" / "pipe")
    assert found(tmp_path / "s", tmp_path)["pipe"].reason == "not a regular file"


def test_members_of_archives_are_numbered_whatever_they_are_called(tmp_path):
    (tmp_path / "s").mkdir()
    with zipfile.ZipFile(tmp_path / "s" / "z.bin", "w") as archive:
        archive.writestr("../../../evil", b"one")
        archive.writestr("/etc/passwd", b"two")
    inner = tmp_path / "inner"
    inner.write_bytes(b"three")
    with tarfile.open(tmp_path / "s" / "t.tgz", "w:gz") as archive:
        archive.add(inner, "..\\..\\evil")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    got = found(tmp_path / "s", tmp_path)
    assert {name: e.path and e.path.read_bytes() for name, e in got.items()} == {
        "t.tgz!..\\..\\evil": b"three", "t.tgz!link": None, "z.bin!../../../evil": b"one", "z.bin!/etc/passwd": b"two",
    }  # fmt: skip
    assert all(tmp_path / "unpacked" in e.path.parents for e in got.values() if e.path)
    assert got["t.tgz!link"].reason == "not a regular member"


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_SMALL", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 8_000_000)
    (entry,) = found(tmp_path / "bomb.zip", tmp_path).values()
    assert "more than is believable" in entry.reason
    assert not [p for p in (tmp_path / "unpacked").rglob("*") if p.is_file()]


@pytest.mark.parametrize("damage", ["cut", "locked", "nested"])
def test_damaged_locked_and_nested_archives_are_told(tmp_path, damage):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"y" * 5000)
        archive.writestr("inner.zip", _zip(tmp_path))
    raw = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(raw[:3000])
    if damage == "locked":  # the bit that says so, in both headers
        raw[6] |= 1
        with zipfile.ZipFile(path) as archive:
            raw[archive.start_dir + 8] |= 1
        path.write_bytes(raw)
    reasons = [e.reason for e in found(path, tmp_path).values() if e.reason]
    assert any({"cut": "is damaged", "locked": "needs a password", "nested": "an archive within an archive"}[damage] in reason for reason in reasons)


def _zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "inner", "w") as archive:
        archive.writestr("z", b"z")
    return (tmp_path / "inner").read_bytes()


def test_a_dicom_file_is_no_archive_whatever_its_preamble_says(tmp_path):
    path = tmp_path / "polyglot"
    path.write_bytes(b"PK\x03\x04".ljust(128, b"\0") + b"DICM")
    assert archive_kind(path) is None


def test_no_source_is_told(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        list(entries(tmp_path / "nowhere", tmp_path))
