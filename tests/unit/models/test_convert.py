"""Conversion between layouts: nothing changes but names, there and back."""

import json

import pytest
import torch

from tests.checkpoints import llava_med as tiny
from vesalius.errors import ConfigError, WeightsError
from vesalius.models import checkpoint, convert, llava, llava_med
from vesalius.models.layouts import files


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("official"))


def _logits(folder):
    model = llava_med.load(weights=folder, dtype=torch.float32)
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    return llava.logits(model.composition, [[1, llava.IMAGE, 300, 301]], pixels)[0]


def test_there_and_back_is_the_same_to_the_bit(official, tmp_path):
    there = convert.convert(official, tmp_path / "there", "transformers")
    back = convert.convert(there, tmp_path / "back", "official")
    first, last = checkpoint.read(official), checkpoint.read(back)
    assert first.keys() == last.keys()
    assert all(torch.equal(first[n], last[n]) for n in first)
    rows = tiny.Size().rows
    assert torch.equal(_logits(there)[:, :rows], _logits(official))
    assert torch.equal(_logits(back), _logits(official))
    assert json.loads((back / "config.json").read_text())["vocab_size"] == rows


def test_transformers_itself_loads_what_is_written(official, tmp_path):
    from transformers import LlavaForConditionalGeneration

    there = convert.convert(official, tmp_path / "there", "transformers")
    model, info = LlavaForConditionalGeneration.from_pretrained(there, dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([[1, *[tiny.Size().rows] * 4, 300, 301]])
    with torch.no_grad():
        theirs = model(input_ids=ids, pixel_values=pixels).logits[0]
    torch.testing.assert_close(_logits(there), theirs, atol=1e-5, rtol=0)


def test_large_checkpoints_are_written_in_shards(tmp_path):
    files.write(tmp_path, {"a": torch.zeros(10), "b": torch.ones(10), "c": torch.zeros(1)}, size=44)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    assert checkpoint.read(tmp_path).keys() == {"a", "b", "c"}


def test_mistakes_are_told_and_leave_nothing(official, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'official'"):
        convert.convert(official, tmp_path / "x", "offical")
    with pytest.raises(ConfigError, match="exists already"):
        convert.convert(official, official, "transformers")
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        convert.convert(tmp_path / "absent", tmp_path / "x", "transformers")
    assert not (tmp_path / "x").exists()
