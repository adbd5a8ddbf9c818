"""The Phi decoder against the library's, and configurations that are not of its shape."""

import pytest
import torch

from vesalius.errors import WeightsError
from vesalius.models import phi
from vesalius.models.decoder import Causal, Tap

CONFIG = {
    "vocab_size": 64,
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "partial_rotary_factor": 0.4,
    "rope_theta": 500.0,
    "hidden_act": "gelu_new",
}
ROWS = torch.randint(0, 64, (2, 9), generator=torch.Generator().manual_seed(1))
POSITIONS = torch.arange(9).expand(2, -1)


def hosted(**changes):
    """A random `PhiForCausalLM` in which no bias is zero."""
    from transformers import PhiConfig, PhiForCausalLM

    torch.manual_seed(0)
    model = PhiForCausalLM(PhiConfig(**{**CONFIG, **changes}, attn_implementation="eager")).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("layernorm.weight" in name), std=0.2)
    return model


def native(plain):
    own = phi.Phi(phi.read_shape(plain.config.to_dict()))
    own.load_state_dict(plain.state_dict())
    return own.eval()


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 1}, {"partial_rotary_factor": 1.0}])
def test_hidden_states_and_logits_equal_the_library(changes):
    plain = hosted(**changes)
    own = native(plain)
    with torch.no_grad():
        hidden = own.states(own.embed(ROWS), POSITIONS, Causal())
        torch.testing.assert_close(own.logits(hidden), plain(input_ids=ROWS).logits, atol=1e-5, rtol=0)
        torch.testing.assert_close(hidden, plain.model(input_ids=ROWS).last_hidden_state, atol=1e-5, rtol=0)


class _Kept(Causal):
    """Causal attention that serves some positions only."""

    def __init__(self, keep):
        self.keep = keep

    def read(self, layer, queries, *, kept=False):
        if not kept:
            return super().read(layer, queries)
        seen = torch.arange(self._keys.shape[2]) <= self.keep[:, None]
        return torch.nn.functional.scaled_dot_product_attention(queries, self._keys, self._values, attn_mask=seen)


def test_kept_positions_are_those_of_the_whole():
    own, keep = native(hosted()), torch.tensor([3, 8])
    with torch.no_grad():
        whole = own.states(own.embed(ROWS), POSITIONS, Causal())
        kept = own.states(own.embed(ROWS), POSITIONS, _Kept(keep), keep)
        none = own.states(own.embed(ROWS), POSITIONS, Causal(), torch.empty(0, dtype=torch.long))
    torch.testing.assert_close(kept, whole[:, keep], atol=1e-5, rtol=0)
    assert none.shape == (2, 0, 40)


def test_layers_can_be_run_in_two_parts_and_tapped():
    own, tap = native(hosted()), Tap(1)
    with torch.no_grad():
        embeds = own.embed(ROWS)
        whole = own.layers_between(embeds, POSITIONS, Causal(), 0, 3, tap=tap)
        below = own.layers_between(embeds, POSITIONS, Causal(), 0, 1)
        above = own.layers_between(below, POSITIONS, Causal(), 1, 3)
    assert torch.equal(tap.states, below)
    assert torch.equal(above, whole)


def test_the_published_size_is_that_of_phi_2():
    published = {"vocab_size": 51200, "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 32, "num_attention_heads": 32}
    shape = phi.read_shape({**published, "max_position_embeddings": 2048, "partial_rotary_factor": 0.4})
    assert (shape.head_dim, shape.rotary, shape.kv_heads) == (80, 32, 32)
    with torch.device("meta"):
        assert sum(p.numel() for p in phi.Phi(shape).parameters()) == 2_779_683_840


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "'linear' positions"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "'yarn' positions"),
        ({"hidden_act": "relu"}, "activation 'relu'"),
        ({"qk_layernorm": True}, "not of the plain Phi-2 shape"),
        ({"tie_word_embeddings": True}, "not of the plain Phi-2 shape"),
        ({"hidden_size": None}, "not of a Phi model"),
        ({"num_attention_heads": 0}, "not of a Phi model"),
        ({"vocab_size": "many"}, "not of a Phi model"),
        ({"num_attention_heads": 3}, "do not divide"),
        ({"partial_rotary_factor": 0.35}, "of which 7 dimensions"),
    ],
)
def test_another_shape_is_refused_in_words(changes, says):
    with pytest.raises(WeightsError, match=says):
        phi.read_shape({**CONFIG, **changes})
