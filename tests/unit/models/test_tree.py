"""Token trees: what is shared, who sees whom, and attention along branches against plain causal attention."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from vesalius.models.tree import Packed, Part, Pool, Trie


def test_shared_beginnings_are_stored_once():
    trie = Trie()
    ends = [trie.add(path) for path in ([1, 2, 3], [1, 2, 4], [1, 2], [1, 2, 3], [2])]
    assert ends == [2, 3, 1, 2, 4]
    assert trie.tokens == [1, 2, 3, 4, 2]
    assert trie.depths == [0, 1, 2, 2, 0]


def test_a_token_sees_itself_and_its_ancestors():
    trie = Trie()
    for path in ([1, 2, 3], [1, 4], [5]):
        trie.add(path)
    expected = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(trie.ancestry(), expected)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (4, 4), (3, 1)])
def test_attention_along_a_branch_equals_causal_attention_over_its_tokens(heads, kv_heads):
    generator = torch.Generator().manual_seed(0)
    prefix, depth = 5, 8
    trie = Trie()
    paths = [[1, 2, 3], [1, 2, 4, 6], [5]]
    ends = [trie.add(path) for path in paths]
    count = len(trie)

    def drawn(number, length):
        return torch.randn(1, number, length, depth, generator=generator)

    before_k, before_v = drawn(kv_heads, prefix), drawn(kv_heads, prefix)
    q, k, v = drawn(heads, count), drawn(kv_heads, count), drawn(kv_heads, count)
    pool = Pool(torch.empty(1, kv_heads, prefix + count + 2, depth), torch.empty(1, kv_heads, prefix + count + 2, depth), prefix=prefix, used=prefix)
    pool.keys[0, :, :prefix], pool.values[0, :, :prefix] = before_k[0], before_v[0]
    part = Part(pool, 0, count, torch.from_numpy(trie.ancestry()), sorted(ends))
    packed = Packed([part])
    packed.store(0, k, v)
    out = packed.read(0, q)
    kept = packed.read(0, q[:, :, sorted(ends)], kept=True)
    torch.testing.assert_close(kept, out[:, :, sorted(ends)])
    ancestry = trie.ancestry()
    for node in range(count):
        line = np.flatnonzero(ancestry[node])
        keys, values = torch.cat((before_k, k[:, :, line]), 2), torch.cat((before_v, v[:, :, line]), 2)
        truth = functional.scaled_dot_product_attention(q[:, :, node : node + 1], keys, values, enable_gqa=heads != kv_heads)
        torch.testing.assert_close(out[:, :, node : node + 1], truth)


def test_children_see_their_parents_line_and_not_each_other():
    trie = Trie()
    trie.add([1, 2])
    trie.add([1, 3])
    pool = Pool(torch.empty(1, 1, 9, 2), torch.empty(1, 1, 9, 2), prefix=0, used=0)
    leaves = Part(pool, 0, 3, torch.from_numpy(trie.ancestry()), [1, 2]).leaves()
    assert pool.used == 3
    grown = leaves.children([0, 0, 1], 4)
    assert (grown.start, grown.stop) == (4, 7)
    np.testing.assert_array_equal(grown.seen, torch.tensor([[1, 1, 0, 1, 0, 0], [1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 0, 1]], dtype=torch.bool))


def test_a_prefix_has_no_leaves():
    part = Part(Pool(torch.empty(1, 1, 2, 2), torch.empty(1, 1, 2, 2), prefix=0, used=0), 0, 2, None)
    with pytest.raises(RuntimeError):
        part.children([0], 0)
