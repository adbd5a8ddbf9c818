"""Fetching from the hub, against a real server: what is asked for, what is kept, what is refused."""

import json
import shutil
from collections import namedtuple

import pytest
import torch

from tests.checkpoints import llava_med, llava_med_v1
from tests.hub_server import serve
from vesalius.errors import ConfigError, InterruptedWork, UnknownName, UserError, WeightsError
from vesalius.models import hub, obtain, sources
from vesalius.models import llava_med_v1 as v1
from vesalius.models.known import CARDS

NAME, REPOSITORY = "llava-med-1.5-7b", "microsoft/llava-med-v1.5-mistral-7b"
SHARD = "model-00002-of-00004.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = llava_med.official(tmp_path_factory.mktemp("published"))
    (folder / "README.md").write_text("words")
    (folder / "modeling.py").write_text("code")
    for name in ("pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"):
        (folder / name).write_bytes(b"the same tensors again")
    return folder


@pytest.fixture
def there(published, monkeypatch):
    for name in ("VESALIUS_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with serve({REPOSITORY: published}) as (address, made):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
        yield made


def test_what_the_loader_needs_comes_and_nothing_else(there, published, tmp_path):
    done = obtain.fetch(NAME, tmp_path / "m")
    names = {p.relative_to(tmp_path / "m").as_posix() for p in (tmp_path / "m").rglob("*") if p.is_file()}
    shards = {f"model-0000{i}-of-00004.safetensors" for i in (1, 2, 3, 4)}
    assert names == {*shards, "model.safetensors.index.json", "config.json", "tokenizer.model", "tower/config.json", "vesalius.json"}
    assert all((published / n).read_bytes() == (tmp_path / "m" / n).read_bytes() for n in names - {"vesalius.json"})
    assert (done.files, done.fetched) == (8, 8)


def test_the_record_says_what_came_from_which_commit(there, tmp_path):
    obtain.fetch(NAME, tmp_path / "m")
    record = json.loads((tmp_path / "m" / "vesalius.json").read_text())
    part = record["parts"]["weights"]
    assert record["model"] == NAME
    assert (part["repository"], part["revision"], part["commit"]) == (REPOSITORY, "91bb16c1", there.commit(REPOSITORY))
    assert len(part["commit"]) == 40
    shard = next(f for f in part["files"] if f["path"] == SHARD)
    assert shard["size"] == (tmp_path / "m" / SHARD).stat().st_size
    assert shard["digest"].startswith("sha256:")
    assert next(f for f in part["files"] if f["path"] == "config.json")["digest"].startswith("git:")


def test_the_commit_that_is_named_comes_when_there_are_newer_ones(there, tmp_path):
    there.newer = True
    obtain.fetch(NAME, tmp_path / "m")
    assert json.loads((tmp_path / "m" / "vesalius.json").read_text())["parts"]["weights"]["commit"] == there.commit(REPOSITORY)
    with pytest.raises(WeightsError, match="does not give it"):  # the server keeps one commit only
        obtain.fetch(NAME, tmp_path / "n", revision="main")


def test_a_whole_folder_is_checked_and_nobody_is_asked(there, tmp_path):
    obtain.fetch(NAME, tmp_path / "m")
    there.requests.clear()
    assert obtain.fetch(NAME, tmp_path / "m").fetched == 0
    assert there.requests == []


def test_a_folder_filled_by_hand_is_taken_over(there, published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "m")
    assert obtain.fetch(NAME, folder).fetched == 0
    assert not [r for r in there.requests if not r[1].startswith("facts")]


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b"\0" + b[1:], lambda b: b""], ids=["cut", "changed", "empty"])
@pytest.mark.parametrize("name", [SHARD, "config.json"])
def test_a_damaged_file_is_fetched_again(there, published, tmp_path, spoil, name):
    obtain.fetch(NAME, tmp_path / "m")
    path = tmp_path / "m" / name
    path.write_bytes(spoil(path.read_bytes()))
    there.requests.clear()
    assert obtain.fetch(NAME, tmp_path / "m").fetched == 1
    assert there.requests == [("GET", name, None)]
    assert path.read_bytes() == (published / name).read_bytes()


def test_a_connection_that_breaks_is_taken_up_where_it_broke(there, published, tmp_path):
    there.cut[SHARD] = 50_000
    obtain.fetch(NAME, tmp_path / "m")
    first, again = there.gets(SHARD)
    assert first is None
    assert again == f"bytes={50_000 // 1024 * 1024}-"
    assert (tmp_path / "m" / SHARD).read_bytes() == (published / SHARD).read_bytes()


def _stop_at(share):
    def progress(done, total, what):
        if done > share * total:
            raise KeyboardInterrupt

    return progress


def test_what_came_before_a_stop_is_kept_and_continued(there, published, tmp_path):
    with pytest.raises(InterruptedWork, match=r"what has come of .* is kept.*same command again") as stopped:
        obtain.fetch(NAME, tmp_path / "m", progress=_stop_at(0.9))
    assert stopped.value.exit_code == 130
    (left,) = (tmp_path / "m").glob(".*.part")
    begun = left.stat().st_size
    assert begun >= 1024
    there.requests.clear()
    obtain.fetch(NAME, tmp_path / "m")
    assert [wanted for _, _, wanted in there.requests] == [f"bytes={begun}-"]
    assert not list((tmp_path / "m").glob(".*.part"))
    assert all((tmp_path / "m" / n).read_bytes() == (published / n).read_bytes() for n in there.files(REPOSITORY) if n.endswith(".safetensors"))


def test_a_server_that_knows_no_ranges_starts_over(there, published, tmp_path):
    with pytest.raises(InterruptedWork):
        obtain.fetch(NAME, tmp_path / "m", progress=_stop_at(0.9))
    there.ranges = False
    seen = []
    obtain.fetch(NAME, tmp_path / "m", progress=lambda done, total, what: seen.append((done, total)))
    assert (tmp_path / "m" / SHARD).read_bytes() == (published / SHARD).read_bytes()
    assert seen[-1][0] == seen[-1][1]


def test_a_partial_file_of_rubbish_is_started_over(there, published, tmp_path):
    with pytest.raises(InterruptedWork):
        obtain.fetch(NAME, tmp_path / "m", progress=_stop_at(0.9))
    (left,) = (tmp_path / "m").glob(".*.part")
    left.write_bytes(b"?" * left.stat().st_size)
    obtain.fetch(NAME, tmp_path / "m")
    assert all((tmp_path / "m" / n).read_bytes() == (published / n).read_bytes() for n in there.files(REPOSITORY) if n.endswith(".safetensors"))


def test_a_corrupted_file_comes_twice_and_is_then_refused(there, published, tmp_path):
    there.spoilt[SHARD] = 1
    obtain.fetch(NAME, tmp_path / "m")
    assert there.gets(SHARD) == [None, None]
    assert (tmp_path / "m" / SHARD).read_bytes() == (published / SHARD).read_bytes()
    (tmp_path / "m" / SHARD).unlink()
    there.spoilt[SHARD] = 2
    with pytest.raises(WeightsError, match=rf"{SHARD} of {REPOSITORY} that is not what it lists, twice"):
        obtain.fetch(NAME, tmp_path / "m")
    assert not (tmp_path / "m" / SHARD).exists()
    assert not list((tmp_path / "m").glob(".*.part"))


@pytest.mark.parametrize("token", [None, "another"])
def test_a_gated_repository_says_where_to_accept(there, tmp_path, monkeypatch, token):
    there.gated.add(REPOSITORY)
    there.token = "right"
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(WeightsError, match=rf"accepts? .*terms: accept them at http.*/{REPOSITORY} in a browser, then set HF_TOKEN"):
        obtain.fetch(NAME, tmp_path / "m")
    monkeypatch.setenv("HF_TOKEN", "right")
    assert obtain.fetch(NAME, tmp_path / "m").fetched == 8


def test_what_is_not_there_is_named(there, tmp_path):
    with pytest.raises(WeightsError, match="has no revision 'other'"):
        obtain.fetch(NAME, tmp_path / "m", revision="other")
    with pytest.raises(WeightsError, match="has no commit beginning with 'abcdef0'"):
        obtain.fetch(NAME, tmp_path / "m", revision="abcdef0")
    with pytest.raises(WeightsError, match=r"google/medgemma-4b-it is not there, or not for everybody: .*HF_TOKEN"):
        obtain.fetch("medgemma-4b", tmp_path / "n")
    there.absent.add(SHARD)
    with pytest.raises(WeightsError, match=f"lists {SHARD} and does not give it"):
        obtain.fetch(NAME, tmp_path / "o")
    there.status["config.json"] = [503]
    with pytest.raises(WeightsError, match=r"config\.json of .* could not be had .*503.*same command again"):
        obtain.fetch(NAME, tmp_path / "p")
    assert not (tmp_path / "m").exists()


def test_a_list_that_leaves_its_folder_is_refused(there, tmp_path):
    there.lists_outside = True
    with pytest.raises(WeightsError, match=r"outside its folder \('../outside.json'\)"):
        obtain.fetch(NAME, tmp_path / "m")


def test_a_record_that_leaves_its_folder_is_not_believed(there, tmp_path):
    obtain.fetch(NAME, tmp_path / "m")
    path = tmp_path / "m" / "vesalius.json"
    path.write_text(path.read_text().replace("tower/config.json", "../../stolen.json"))
    obtain.fetch(NAME, tmp_path / "m")
    assert not list(tmp_path.parent.glob("stolen.json"))
    assert "tower/config.json" in path.read_text()


def test_a_repository_without_weights_is_refused(there, published, tmp_path):
    folder = tmp_path / "words"
    folder.mkdir()
    there.folders[REPOSITORY] = folder
    with pytest.raises(WeightsError, match=r"holds no config\.json at this revision"):
        obtain.fetch(NAME, tmp_path / "m")
    shutil.copy(published / "config.json", folder)
    with pytest.raises(WeightsError, match=r"holds no model\*\.safetensors or pytorch_model\*\.bin"):
        obtain.fetch(NAME, tmp_path / "m")
    shutil.copy(published / "pytorch_model-00001-of-00001.bin", folder)
    assert obtain.fetch(NAME, tmp_path / "m").fetched == 2


@pytest.mark.parametrize("variable", ["VESALIUS_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_a_whole_folder_is_checked_and_another_refused(there, tmp_path, monkeypatch, variable):
    obtain.fetch(NAME, tmp_path / "m")
    monkeypatch.setenv(variable, "1")
    assert obtain.fetch(NAME, tmp_path / "m").fetched == 0
    with pytest.raises(WeightsError, match=f"is not complete here, and {variable} forbids the network: unset {variable}"):
        obtain.fetch(NAME, tmp_path / "n")
    (tmp_path / "m" / SHARD).unlink()
    with pytest.raises(WeightsError, match="is not complete here"):
        obtain.fetch(NAME, tmp_path / "m")


def test_a_hub_that_does_not_answer_is_told(there, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=f"the list of files of {REPOSITORY} could not be had"):
        obtain.fetch(NAME, tmp_path / "m")


def test_room_is_asked_for_before_anything_comes(there, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(obtain.shutil, "disk_usage", lambda place: usage(10, 10, 200_000))
    with pytest.raises(WeightsError, match=r"needs 0\.0 GB more in .* and 0\.0 GB are free"):
        obtain.fetch(NAME, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    monkeypatch.setattr(obtain.shutil, "disk_usage", lambda place: usage(10, 10, 600_000))
    obtain.fetch(NAME, tmp_path / "m")


def test_progress_ends_at_the_whole(there, tmp_path):
    seen = []
    obtain.fetch(NAME, tmp_path / "m", progress=lambda done, total, what: seen.append((done, total, what)))
    done, total, what = seen[-1]
    assert done == total == sum(p.stat().st_size for p in (tmp_path / "m").rglob("*") if p.is_file() and p.name != "vesalius.json")
    assert what == f"fetching {NAME}"
    assert [d for d, *_ in seen] == sorted(d for d, *_ in seen)


def test_a_folder_of_another_model_and_a_file_are_refused(there, tmp_path):
    obtain.fetch(NAME, tmp_path / "m")
    with pytest.raises(ConfigError, match=f"holds {NAME}, not biomedclip"):
        obtain.fetch("biomedclip", tmp_path / "m")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        obtain.fetch(NAME, tmp_path / "file")


def test_a_damaged_record_is_made_anew(there, tmp_path):
    obtain.fetch(NAME, tmp_path / "m")
    for text in ("", "{", "[]", '{"model": "llava-med-1.5-7b", "parts": 3}'):
        (tmp_path / "m" / "vesalius.json").write_text(text)
        assert obtain.fetch(NAME, tmp_path / "m").fetched == 0
        assert json.loads((tmp_path / "m" / "vesalius.json").read_text())["parts"]["weights"]["files"]


@pytest.fixture
def differences(there, tmp_path):
    """LLaMA-7B, the differences and CLIP, each a repository."""
    delta = llava_med_v1.delta(tmp_path / "hub" / "delta")
    llava_med_v1.reconfigure(delta, mm_vision_tower="openai/clip-vit-large-patch14")
    there.folders |= {
        "microsoft/llava-med-7b-delta": delta,
        "huggyllama/llama-7b": llava_med_v1.base(tmp_path / "hub" / "base"),
        "openai/clip-vit-large-patch14": llava_med_v1.tower(tmp_path / "hub" / "clip"),
    }
    return there


def test_differences_are_added_up_and_the_parts_may_go(differences, tmp_path):
    folder = tmp_path / "m"
    done = obtain.fetch("llava-med-1.0-7b", folder)
    assert "licence" in done.note
    model = v1.load(weights=folder, dtype=torch.float32)
    assert model.identity["name"] == "llava-med-1.0-7b"
    shutil.rmtree(folder / "parts")
    differences.requests.clear()
    again = obtain.fetch("llava-med-1.0-7b", folder)
    assert again.fetched == 0
    assert differences.requests == []


def test_a_damaged_sum_is_added_up_again(differences, tmp_path):
    obtain.fetch("llava-med-1.0-7b", tmp_path / "m")
    (path,) = (tmp_path / "m").glob("model-*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert obtain.fetch("llava-med-1.0-7b", tmp_path / "m").fetched == 0
    assert path.read_bytes() == whole


def test_parts_come_one_by_one(differences, tmp_path):
    first = obtain.fetch("llava-med-1.0-7b", tmp_path / "m", parts=["clip"])
    assert first.fetched == 2
    assert not (tmp_path / "m" / "parts").exists()
    obtain.fetch("llava-med-1.0-7b", tmp_path / "m", parts=["delta"])
    assert not list((tmp_path / "m").glob("*.safetensors"))
    obtain.fetch("llava-med-1.0-7b", tmp_path / "m", parts=["llama"])
    assert list((tmp_path / "m").glob("*.safetensors"))
    with pytest.raises(UnknownName, match=r"no part of llava-med-1\.0-7b is called 'lama': did you mean 'llama'"):
        obtain.fetch("llava-med-1.0-7b", tmp_path / "m", parts=["lama"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pocket", "comes with this package"),
        ("visual-med-alpaca-7b", "published no weights"),
        ("llava-med-13b", "no such weights were ever released"),
        ("remote", "has its weights elsewhere"),
    ],
)
def test_what_cannot_be_fetched_says_why(name, said):
    with pytest.raises(UserError, match=f"{name} .*{said}"):
        sources.plan(name)


def test_every_model_is_fetched_or_refused():
    with pytest.raises(UnknownName, match="did you mean 'biomedclip'"):
        sources.plan("biomedclp")
    for name, card in CARDS.items():
        if name in sources.PLANS:
            assert card.source in {f"huggingface.co/{part.repository}" for part in sources.plan(name).parts}
        else:
            assert card.weights != "to be downloaded"
            with pytest.raises(UserError, match=name):
                sources.plan(name)


def test_pinned_revisions_are_those_of_the_cards():
    for name in ("llava-med-1.5-7b", "chexagent-2-3b", "biomedclip"):
        assert sources.plan(name).parts[0].revision == CARDS[name].revision


def test_digests_are_those_of_git_and_of_the_hub(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"hello\n")
    assert hub.matches(path, hub.Remote("x", 6, "git:ce013625030ba8dba906f756967f9e9ca394464a"))
    assert hub.matches(path, hub.Remote("x", 6, "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"))
    assert not hub.matches(path, hub.Remote("x", 7, "git:ce013625030ba8dba906f756967f9e9ca394464a"))
    assert not hub.matches(tmp_path / "y", hub.Remote("y", 6, "git:ce013625030ba8dba906f756967f9e9ca394464a"))
    for path in ("/etc/x", "../x", "a/../../x", "a\\..\\x", "C:x"):
        with pytest.raises(ValueError):
            hub.Remote(path, 1, "git:")
