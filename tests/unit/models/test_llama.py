"""Our decoder against the library's, and files that cannot be loaded."""

import json

import pytest
import torch

from tests.invariant.tiny import hosted, native
from vesalius.errors import WeightsError
from vesalius.models import llama
from vesalius.models.decoder import Causal

CONFIG = {
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}


def save(model, config, folder):
    from safetensors.torch import save_file

    tensors = {n: t.contiguous() for n, t in model.state_dict().items() if not (config["tie_word_embeddings"] and n == "lm_head.weight")}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = llama.Llama(llama.read_shape(CONFIG))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save(model, CONFIG, tmp_path)
    return tmp_path


def test_hidden_states_and_logits_equal_the_library():
    plain = hosted()
    own, ids = native(plain), torch.randint(0, 64, (2, 9), generator=torch.Generator().manual_seed(1))
    positions = torch.arange(9).expand(2, -1)
    with torch.no_grad():
        truth = plain(input_ids=ids)
        hidden = own.states(own.embed(ids), positions, Causal())
        torch.testing.assert_close(own.logits(hidden), truth.logits, atol=1e-5, rtol=0)
        kept = plain.model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(hidden, kept, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["mistral", "qwen2"])
def test_relatives_of_the_shape(kind):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    numbers = {k: v for k, v in CONFIG.items() if k not in ("model_type", "tie_word_embeddings")}
    plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **numbers, tie_word_embeddings=False, rope_theta=5000.0)).eval()
    for name, parameter in plain.named_parameters():
        if name.endswith("bias"):  # the library starts them at zero, which would hide a forgotten one
            torch.nn.init.normal_(parameter)
    own, ids = native(plain), torch.arange(7)[None]
    with torch.no_grad():
        logits = own.logits(own.states(own.embed(ids), torch.arange(7)[None], Causal()))
        torch.testing.assert_close(logits, plain(input_ids=ids).logits, atol=1e-5, rtol=0)


def test_a_saved_model_loads_with_its_tied_head(folder):
    model = llama.load(folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert not model.training
    assert llama.load(folder, dtype=torch.bfloat16).lm_head.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "config.json").unlink(), "no readable language model"),
        (lambda f: (f / "config.json").write_text("{"), "no readable language model"),
        (lambda f: (f / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": None})), "no readable language model"),
        (lambda f: (f / "model.safetensors").unlink(), "no readable language model"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-5]), "no readable language model"),
        (lambda f: (f / "config.json").write_text(json.dumps({**CONFIG, "num_hidden_layers": 3})), "do not fit"),
        (lambda f: (f / "config.json").write_text(json.dumps({**CONFIG, "num_hidden_layers": 1})), "do not fit"),
        (lambda f: (f / "config.json").write_text(json.dumps({**CONFIG, "intermediate_size": 40})), "do not fit"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_words(folder, damage, words):
    damage(folder)
    with pytest.raises(WeightsError, match=words):
        llama.load(folder)


def test_a_new_model_is_drawn_and_repeats_with_the_seed():
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(llama.Llama(llama.read_shape({**CONFIG, "attention_bias": True})).state_dict())
    for name, tensor in made[0].items():
        torch.testing.assert_close(tensor, made[1][name])
        assert tensor.isfinite().all()
    assert made[0]["model.layers.0.mlp.up_proj.weight"].std() == pytest.approx(0.02, rel=0.1)
    assert not made[0]["model.layers.0.self_attn.q_proj.bias"].any()


@pytest.mark.parametrize("change", [{"model_type": "phi"}, {"rope_scaling": {"rope_type": "llama3"}}, {"hidden_act": "gelu"}, {"mlp_bias": True}])
def test_another_architecture_is_refused(change):
    with pytest.raises(WeightsError, match="not of the plain Llama shape"):
        llama.read_shape({**CONFIG, **change})


def test_both_layouts_of_the_configuration_and_the_window():
    assert llama.read_shape({**CONFIG, "rope_theta": 7.0}).rope_theta == 7.0
    assert llama.read_shape({**CONFIG, "rope_parameters": {"rope_theta": 8.0, "rope_type": "default"}}).rope_theta == 8.0
    assert llama.read_shape({**CONFIG, "model_type": "mistral", "sliding_window": 64}).context == 64
    assert llama.read_shape({**CONFIG, "model_type": "qwen2", "sliding_window": 64, "use_sliding_window": False}).context == 128
