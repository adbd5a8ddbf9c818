"""Which dtype a device computes in, and the adapter for the library's models."""

import pytest
import torch

from tests.invariant.tiny import hosted
from vesalius.models.decoder import Causal, TransformersDecoder, default_dtype


@pytest.mark.parametrize(("avx512", "amx", "dtype"), [(False, False, torch.float32), (True, False, torch.bfloat16), (False, True, torch.bfloat16)])
def test_bfloat16_only_where_the_processor_has_it(monkeypatch, avx512, amx, dtype):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert default_dtype() == default_dtype(torch.device("cpu")) == dtype


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_without_bfloat16_takes_float16(monkeypatch, native, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native)
    assert default_dtype("cuda") == dtype


def test_other_devices_take_float32():
    assert default_dtype("mps") == torch.float32


def test_the_adapter_gives_the_librarys_own_states():
    ids, positions = torch.arange(8)[None], torch.arange(8)[None]
    plain, wrapped = hosted(), TransformersDecoder(hosted())
    with torch.no_grad():
        truth = plain.model(input_ids=ids).last_hidden_state
        states = wrapped.states(wrapped.embed(ids), positions, Causal())
        torch.testing.assert_close(states, truth, atol=1e-5, rtol=0)
        torch.testing.assert_close(wrapped.states(wrapped.embed(ids), positions, Causal(), torch.tensor([2, 7])), truth[:, [2, 7]], atol=1e-5, rtol=0)
        torch.testing.assert_close(wrapped.logits(states), plain(input_ids=ids).logits, atol=1e-5, rtol=0)
        torch.testing.assert_close(wrapped.lm(input_ids=ids).logits, plain(input_ids=ids).logits, atol=1e-5, rtol=0)  # still usable as it was
