"""`vesalius data check --leaks`, `shard` and `verify` as they are typed."""

import json
import subprocess
import sys

import pytest

from tests.unit.data import layout
from tests.unit.data.leaks.drawn import CHANGES, film, save
from vesalius.data import base
from vesalius.data.shards import Shards

SETS = ("vqa-rad", "slake", "nih-cxr")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Three miniature sets that are whole by cards of their size."""
    home = layout.slake(layout.nih_cxr(layout.vqa_rad(tmp_path / "data")))
    for seed, path in enumerate(sorted(home.rglob("*.jpg"))):
        save(film(seed), path)
    for name in SETS:
        chosen, card = base.dataset(name), base.dataset(name).card
        counts = {p.name: {s: len(chosen.exchanges(home, s, p.name)) for s in p.counts} for p in card.protocols}
        protocols = tuple(base.SplitProtocol(p.name, p.disjoint_by, counts[p.name], p.note) for p in card.protocols)
        small = base.dataclasses.replace(card, images=len(chosen.files(home)[1]), protocols=protocols)
        monkeypatch.setattr(type(chosen), "card", small)
    return home


def test_a_check_says_whole_licensed_and_leaking(vesalius, root):
    said = vesalius("data", "check", root, *SETS, "--leaks")
    rows = {line.split()[0]: line.split() for line in said.out.partition("\n\n")[0].splitlines()[1:]}
    assert (rows["nih-cxr"][4:], rows["vqa-rad"][4:6]) == (["yes", "none", "whole"], ["yes", "serious"])
    assert "trainset.json, testset.json" in said.out
    assert said.code == 3


def test_without_leaks_nothing_is_said(vesalius, root):
    said = vesalius("data", "check", root, "nih-cxr", "--leaks")
    assert (said.code, len(said.out.splitlines())) == (0, 2)
    said = vesalius("data", "check", root, *SETS)
    assert (said.code, "serious" in said.out) == (0, False)


def test_leaks_as_json(vesalius, root):
    save(CHANGES["all at once"](film(0)), root / "slake/imgs/xmlab2/source.jpg")
    said = vesalius("data", "check", root, *SETS, "--leaks", "--json")
    leaks = said.json["leaks"]
    assert said.code == 3
    assert said.json["slake"]["ok"] is True
    assert leaks["leaks"] is True
    assert {f["where"] for f in leaks["findings"] if f["kind"] == "image"} >= {"nih-cxr, slake"}


def test_a_damaged_set_is_a_mistake_before_it_is_a_leak(vesalius, root):
    (root / "vqa_rad/images/b.jpg").write_bytes(b"")
    said = vesalius("data", "check", root, *SETS, "--leaks")
    assert said.code == 2
    assert "b.jpg" in said.err


def test_a_set_as_shards_verified(vesalius, root, tmp_path):
    out = tmp_path / "out"
    said = vesalius("data", "shard", "vqa-rad", "-o", out, "--data", root, "--split", "test", "--shard-size", 1)
    assert (said.code, said.out.strip()) == (0, str(out))
    assert [r.facts["exchanges"][0]["gold"] for _, r in Shards(out).stream()] == ["yes"]
    verified = vesalius("data", "verify", out, "--json")
    assert (verified.code, verified.json["ok"], verified.json["about"]["split"]) == (0, True, "test")
    shard = out / "shard-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-1])
    said = vesalius("data", "verify", out)
    assert said.code == 3
    assert "shard-000000.tar" in said.out


def test_a_set_as_parquet_verified(vesalius, root, tmp_path):
    out = tmp_path / "out"
    words = ("data", "shard", "vqa-rad", "-o", out, "--data", root, "--split", "test", "--shard-size", 1)
    assert vesalius(*words, "--format", "parquet").code == 0
    assert [r.facts["exchanges"][0]["gold"] for _, r in Shards(out).stream()] == ["yes"]
    assert vesalius("data", "verify", out).code == 0
    assert "other options" in vesalius(*words).err  # as tars
    shard = out / "shard-000000.parquet"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    said = vesalius("data", "verify", out)
    assert (said.code, "SHA-256 differs" in said.out) == (3, True)
    shard.unlink()
    said = vesalius("data", "verify", out)
    assert (said.code, "cannot be read" in said.out) == (3, True)
    assert "'orc' is not one of" in vesalius(*words, "--format", "orc").err


def test_a_folder_as_shards(vesalius, tmp_path):
    save(film(1), tmp_path / "clean" / "a.png")
    (tmp_path / "clean" / "a.json").write_text(json.dumps({"view": "PA"}))
    assert vesalius("data", "shard", tmp_path / "clean", "-o", tmp_path / "out").code == 0
    ((_, record),) = Shards(tmp_path / "out").stream()
    assert record.facts == {"source": "a.png", "view": "PA"}
    again = vesalius("data", "shard", tmp_path / "clean", "-o", tmp_path / "out", "--shard-size", 5)
    assert again.code == 2
    assert "other options" in again.err


def test_a_set_that_must_not_be_trained_on_says_so(vesalius, tmp_path):
    layout.iu_reports(tmp_path)
    said = vesalius("data", "shard", "path-vqa", "-o", tmp_path / "out", "--data", tmp_path)
    assert "may not be trained on" in said.err
    assert said.code == 2  # it is not there


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("data", "shard", "vqarad", "-o", "x"), "did you mean 'vqa-rad'"),
        (("data", "shard", "vqa-rad", "-o", "x", "--protocol", "offical"), "did you mean 'official'"),
        (("data", "shard", "vqa-rad"), "Missing option '-o'"),
        (("data", "shard", "vqa-rad", "-o", "x", "--split", "valid"), "'valid' is not one of"),
        (("data", "verify", "/nowhere"), "is not a folder of shards"),
        (("data", "verfy", "x"), "did you mean 'verify'"),
    ],
)
def test_mistakes(vesalius, monkeypatch, tmp_path, words, answer):
    monkeypatch.chdir(tmp_path)
    said = vesalius(*words)
    assert (said.code, said.out) == (2, "")
    assert answer in said.err
    assert list(tmp_path.iterdir()) == []


def test_the_list_stays_light():
    heavy = ("PIL", "torch", "pyarrow", "pydicom")
    code = f"import sys; from vesalius.cli import main; main(['data', 'list']); print(*(m for m in {heavy!r} if m in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.split() == []


@pytest.mark.data
def test_the_leak_of_vqa_rad_is_found_and_printed(vesalius, data_root):
    said = vesalius("data", "check", data_root, "vqa-rad", "--leaks")
    assert said.code == 3
    (line,) = (line for line in said.out.splitlines() if " origin " in line)
    assert "284 of 451" in line
    assert "same answer: 284" in line
    assert "same answer in the last such row: 277" in line
    assert "203 of 203" in said.out
