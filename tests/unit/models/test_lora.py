"""LoRA adapters: merged as PEFT merges them, refused where they cannot be."""

import pytest
import torch

from tests.checkpoints import med_alpaca as builder
from vesalius.errors import WeightsError
from vesalius.models import checkpoint, llama, lora, med_alpaca_7b
from vesalius.models.decoder import Causal


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return builder.official(tmp_path_factory.mktemp("seven"))


@pytest.fixture
def seven(folder):
    return med_alpaca_7b.load(weights=folder, dtype=torch.float32)


def test_the_adapter_is_added_as_peft_adds_it(folder, seven):
    peft = pytest.importorskip("peft")
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = med_alpaca_7b._language_config(folder)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        rms_norm_eps=shape.eps,
        attn_implementation="eager",
    )
    theirs = LlamaForCausalLM(config)
    theirs.load_state_dict(checkpoint.read(folder))
    theirs = peft.PeftModel.from_pretrained(theirs, str(folder / "adapter")).eval()
    ids = torch.tensor([[1, 20, 33, 47, 5, 60]])
    ours = seven.engine.composition
    with torch.inference_mode():
        wanted = theirs(ids).logits
        hidden = ours.decoder.states(ours.decoder.embed(ids), torch.arange(6)[None], Causal())
        assert torch.allclose(ours.decoder.logits(hidden), wanted, atol=1e-4)
        with theirs.disable_adapter():
            assert not torch.allclose(theirs(ids).logits, wanted, atol=1e-2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"peft_type": "IA3"}, "not a plain LoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"tensors": {}}, "empty"),
        ({"r": 8}, "halves"),
        ({"target_modules": ["q_proj"]}, "belongs to no matrix"),
    ],
)
def test_an_adapter_that_cannot_be_merged_is_refused(folder, tmp_path, changed, said):
    lm = llama.Llama(med_alpaca_7b._language_config(folder))
    made = builder.adapter(tmp_path, **changed)
    with pytest.raises(WeightsError, match=said):
        lora.merge(lm, *lora.read_adapter(made), where="here")


def test_half_an_adapter_is_refused(folder, tmp_path):
    tensors = {n: t for n, t in builder.adapter_tensors().items() if "layers.0.self_attn.q_proj.lora_B" not in n}
    config, held = lora.read_adapter(builder.adapter(tmp_path, tensors=tensors))
    with pytest.raises(WeightsError, match="halves"):
        lora.merge(llama.Llama(med_alpaca_7b._language_config(folder)), config, held, where="here")
