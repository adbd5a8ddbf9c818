"""The Q-Former: where it looks at the image, what the order of states means, what its configuration may say."""

import pytest
import torch

from vesalius.errors import InvalidValue, WeightsError
from vesalius.models.qformer import QFormer, Shape, read_shape

SMALL = Shape(width=24, inner=40, layers=5, heads=3, every=2, outside=16)


@pytest.fixture(scope="module")
def former():
    torch.manual_seed(0)
    return QFormer(SMALL).eval()


def _random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_published_size():
    with torch.device("meta"):
        whole = QFormer(Shape())
    assert sum(p.numel() for p in whole.parameters()) == 105_137_664
    assert sum("crossattention.attention.query.weight" in n for n, _ in whole.named_parameters()) == 6


def test_every_second_layer_looks_at_the_image(former):
    assert [layer.crossattention is not None for layer in former.encoder.layer] == [True, False, True, False, True]
    assert former.encoder.layer[0].crossattention.attention.key.in_features == SMALL.outside


@torch.no_grad()
def test_any_number_of_states_becomes_the_queries(former):
    queries = _random(1, 7, 24)
    for count in (1, 5, 40):
        assert former(queries, _random(1, count, 16)).shape == (1, 7, 24)


@torch.no_grad()
def test_the_image_is_a_set_of_states(former):
    """No positions are added: what tells states apart is the tower's."""
    queries, image = _random(1, 7, 24), _random(1, 9, 16, seed=2)
    torch.testing.assert_close(former(queries, image), former(queries, image.flip(1)), atol=1e-5, rtol=0)
    torch.testing.assert_close(former(queries, image), former(queries, image.repeat(1, 2, 1)), atol=1e-5, rtol=0)  # twice the same is the same
    assert not torch.allclose(former(queries, image), former(queries, image + 1), atol=1e-3)


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(former):
    queries, image = _random(1, 7, 24), _random(3, 9, 16, seed=3)
    together = former(queries.expand(3, -1, -1), image)
    for i in range(3):
        torch.testing.assert_close(together[i], former(queries, image[i : i + 1])[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_queries_see_each_other(former):
    queries, image = _random(1, 7, 24), _random(1, 9, 16, seed=4)
    moved = queries.clone()
    moved[:, 3] = -moved[:, 3]  # not by a constant, which the norm would take away
    assert (former(queries, image) - former(moved, image)).abs().amax(-1)[0].min() > 1e-4


def test_what_is_left_out_is_as_published():
    assert read_shape({}, outside=1408) == Shape()
    assert read_shape({"encoder_hidden_size": 5, "vocab_size": 30523}, outside=16).outside == 16
    assert read_shape({"cross_attention_frequency": 1, "layer_norm_eps": 1e-5, "num_hidden_layers": 3}, outside=8) == Shape(
        layers=3, every=1, outside=8, eps=1e-5
    )


@pytest.mark.parametrize(
    ("config", "error", "says"),
    [
        ({"hidden_act": "relu"}, WeightsError, "hidden_act 'relu'"),
        ({"position_embedding_type": "relative_key"}, WeightsError, "position_embedding_type 'relative_key'"),
        ({"hidden_size": 50}, InvalidValue, "50 cannot be split into 12 heads"),
        ({"num_attention_heads": 0}, InvalidValue, "into 0 heads"),
        ({"cross_attention_frequency": 0}, InvalidValue, "n cannot be 0"),
    ],
)
def test_another_q_former_is_refused_in_words(config, error, says):
    with pytest.raises(error, match=says):
        read_shape(config, outside=16)
