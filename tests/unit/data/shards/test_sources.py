"""Records of data sets and of folders."""

import json

import pytest

from tests.unit.data import layout
from vesalius.data.shards import Shards, write
from vesalius.data.shards.sources import about_set, of_folder, of_set
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing, UnknownName, UserError


def test_a_picture_with_all_that_is_asked_about_it(tmp_path):
    layout.vqa_rad(tmp_path)
    record, *others = of_set("vqa-rad", tmp_path, Split.TEST)
    assert others == []
    assert record.image == (tmp_path / "vqa_rad/images/a.jpg").read_bytes()
    asked = record.facts["exchanges"]
    assert [e["question"] for e in asked] == ["Are the lungs clear?", "Is there an opacity?"]
    assert (asked[0]["id"], asked[0]["gold"], asked[0]["split"], asked[0]["closed"]) == ("vqa-rad:4", "yes", "test", True)
    assert asked[0]["tags"]["body_part"] == "CHEST"


def test_what_may_be_done_with_it():
    about = about_set("iu-reports", Split.TEST)
    assert about["train_allowed"] is False
    assert about["licence"].startswith("CC-BY-NC-ND")
    with pytest.raises(UnknownName):
        about_set("vqa-rad", Split.TRAIN, "no such")


def test_a_missing_picture_is_not_passed_over(tmp_path):
    layout.vqa_rad(tmp_path)
    (tmp_path / "vqa_rad/images/a.jpg").unlink()
    with pytest.raises(DataMissing):
        list(of_set("vqa-rad", tmp_path, Split.TEST))


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "clean"
    (home / "b" / "c").mkdir(parents=True)
    (home / "a.png").write_bytes(b"picture a")
    (home / "a.json").write_text('{"view": "PA"}')
    (home / "a.txt").write_text("Clear lungs.")
    (home / "b" / "c" / "d.JPG").write_bytes(b"picture d")
    (home / "b" / "only.txt").write_text("A report alone.")
    return home


def test_a_folder(folder):
    found = list(of_folder(folder))
    assert [r.facts["source"] for r in found] == ["a.png", "b/only", "b/c/d.JPG"]
    assert found[0].facts == {"view": "PA", "report": "Clear lungs.", "source": "a.png"}
    assert (found[1].image, found[1].facts["report"]) == (None, "A report alone.")
    assert (found[2].image, found[2].suffix) == (b"picture d", "jpg")


def test_links_and_other_files_are_left_out_and_counted(folder, tmp_path, caplog):
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "manifest.xml").write_text("<a/>")
    (folder / ".hidden.png").write_bytes(b"x")
    assert len(list(of_folder(folder))) == 3
    assert "3 files" in caplog.text


@pytest.mark.parametrize(("name", "content"), [("a.json", b"{"), ("a.json", b"[1]"), ("a.json", b"[" * 100_000), ("a.txt", b"\xff\xff"), ("a.png", b"")])
def test_bad_files_are_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        list(of_folder(folder))


def test_no_folder(tmp_path):
    with pytest.raises(DataMissing):
        of_folder(tmp_path / "nowhere")


def test_a_folder_as_shards(folder, tmp_path):
    write(of_folder(folder), tmp_path / "out")
    assert [r for _, r in Shards(tmp_path / "out").stream()] == list(of_folder(folder))
    assert json.loads((tmp_path / "out" / "index.json").read_text())["records"] == 3
