"""`vesalius models fetch` from a real server: after it the model loads from the folder and answers; a stopped download goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.checkpoints import biomedclip, chexagent, chexagent_8b, llava_med, llava_med_v1, llava_rad, med_flamingo, stock
from tests.hub_server import serve
from vesalius.domain.exchange import Question
from vesalius.models import cards, sources
from vesalius.models.base import Sampling, Task
from vesalius.models.known import CARDS

ROOT = Path(__file__).resolve().parents[2]


def _flamingo(folder):
    made = med_flamingo.official(folder / "whole")
    for part in ("llama", "clip"):
        (made / part).rename(folder / part)
    return [made, folder / "llama", folder / "clip"]


def _version_one(folder):
    delta = llava_med_v1.delta(folder / "delta")
    llava_med_v1.reconfigure(delta, mm_vision_tower="openai/clip-vit-large-patch14")
    return [delta, llava_med_v1.base(folder / "base"), llava_med_v1.tower(folder / "clip")]


def _rad(folder):
    made = llava_rad.official(folder / "whole")
    (made / "base").rename(folder / "base")
    return [made, folder / "base"]


PUBLISHED = {
    "llava-med-1.5-7b": llava_med.official,
    "llava-med-1.0-7b": _version_one,
    "chexagent-2-3b": chexagent.official,
    "chexagent-8b": chexagent_8b.official,
    "llava-rad-7b": _rad,
    "med-flamingo-9b": _flamingo,
    "biomedclip": biomedclip.official,
    "medgemma-4b": stock.gemma,
    "lingshu-7b": stock.qwen,
    "medsiglip": stock.siglip,
}


@pytest.fixture(params=sorted(PUBLISHED))
def family(request, tmp_path, monkeypatch):
    """A model's name, its repositories served."""
    made = PUBLISHED[request.param](tmp_path / "hub")
    folders = made if isinstance(made, list) else [made]
    names = [part.repository for part in sources.plan(request.param).parts]
    with serve(dict(zip(names, folders, strict=True))) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield request.param


def test_what_was_fetched_loads_and_answers(vesalius, family, tmp_path):
    folder = tmp_path / "mine"
    said = vesalius("models", "fetch", family, folder)
    assert said.code == 0, said.err
    assert said.out.strip() == str(folder)
    assert "files are whole" in said.err
    model = cards.MODELS.load(family)(weights=folder, dtype=torch.float32)
    study = stock.study()
    assert f"--model {family}:{folder}" in said.err
    (answer,) = model.answer(model.encode(study), [Question("Is there a mass in the liver?")], Sampling(0, 4))
    assert isinstance(answer.text, str)
    if Task.EMBEDDING in CARDS[family].tasks:
        np.testing.assert_allclose(np.linalg.norm(model.embed_images([study]), axis=1), 1, atol=1e-5)
    again = vesalius("models", "fetch", family, folder)
    assert " 0 of them fetched now" in again.err


def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(tmp_path, monkeypatch, typed):
    folder = tmp_path / "hub"
    llava_med.official(folder)
    shard = "model-00005-of-00005.safetensors"
    save_file({"more": torch.zeros(6_000_000)}, folder / shard)  # more than the client hands on at once
    name = "llava-med-1.5-7b"
    with serve({sources.plan(name).parts[0].repository: folder}) as (address, hub):
        hub.stalled[shard] = 23_000_000
        environment = {**os.environ, "HF_ENDPOINT": address, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
        command = [sys.executable, "-m", "vesalius", "models", "fetch", name, str(tmp_path / "mine")]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            until = time.monotonic() + 60
            while not any(part.stat().st_size >= 20_000_000 for part in (tmp_path / "mine").glob(f".{shard}.*.part")):
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert (process.returncode, out) == (130, "")
        assert f"what has come of {name} is kept in {tmp_path / 'mine'}: give the same command again to go on." in err
        assert "Traceback" not in err
        hub.go_on.set()
        hub.requests.clear()
        monkeypatch.setenv("HF_ENDPOINT", address)
        done = typed("models", "fetch", name, tmp_path / "mine")
        assert done.code == 0, done.err
        (wanted,) = hub.gets(shard)
        assert 20_000_000 <= int(wanted.removeprefix("bytes=").removesuffix("-")) <= 23_000_000
    assert (tmp_path / "mine" / shard).read_bytes() == (folder / shard).read_bytes()


def test_failures_are_one_sentence(vesalius, tmp_path, monkeypatch):
    for words, said in (
        (("pocket",), "pocket comes with this package: use it as it is."),
        (("llava-med-13b",), "no such weights were ever released"),
        (("medgema-4b",), "did you mean 'medgemma-4b'"),
    ):
        told = vesalius("models", "fetch", *words, tmp_path / "m")
        assert told.code == 2
        assert said in told.err
        assert len(told.err.strip().splitlines()) == 1
    with serve({}) as (address, hub):
        monkeypatch.setenv("HF_ENDPOINT", address)
        told = vesalius("models", "fetch", "medgemma-4b", tmp_path / "m")
        assert told.code == 2
        assert "is not there, or not for everybody" in told.err
        hub.folders["google/medgemma-4b-it"] = stock.gemma(tmp_path / "hub")
        hub.gated.add("google/medgemma-4b-it")
        told = vesalius("models", "fetch", "medgemma-4b", tmp_path / "m")
        assert told.code == 2
        assert f"accept them at {address}/google/medgemma-4b-it in a browser, then set HF_TOKEN" in told.err
        monkeypatch.setenv("VESALIUS_OFFLINE", "1")
        told = vesalius("models", "fetch", "lingshu-7b", tmp_path / "n")
        assert (told.code, "VESALIUS_OFFLINE forbids the network" in told.err) == (2, True)
