"""Retrieval: exact, in a stated order, the same after saving; what cannot be compared is refused."""

import builtins

import numpy as np
import pytest
from safetensors.numpy import save_file

from vesalius.errors import DataMissing, InvalidValue, MissingExtra
from vesalius.models.retrieval import Index


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def index(rng):
    return Index(rng.standard_normal((200, 24)) * rng.uniform(0.1, 9, (200, 1)), [f"study {i}" for i in range(200)], model="m")


def _brute(index, queries, k):
    units = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return np.argsort(-(units @ index.vectors.astype(float).T), axis=1, kind="stable")[:, :k]


def test_the_search_is_exact(index, rng):
    pytest.importorskip("usearch")
    queries = rng.standard_normal((7, 24))
    found = index.search(queries, 9)
    assert [[m.row for m in row] for row in found] == _brute(index, queries, 9).tolist()
    assert all(m.label == f"study {m.row}" for row in found for m in row)
    units = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    expected = [[units[q] @ index.vectors[m.row].astype(float) for m in row] for q, row in enumerate(found)]
    np.testing.assert_allclose([[m.cosine for m in row] for row in found], expected, rtol=0, atol=1e-6)


def test_one_query_and_a_small_index(index):
    pytest.importorskip("usearch")
    (found,) = index.search(index.vectors[3], 1)
    assert found[0].row == 3
    assert found[0].cosine == pytest.approx(1)
    assert [len(row) for row in index.search(index.vectors[:2], 999)] == [200, 200]


def test_of_equally_near_ones_the_earlier_comes_first():
    pytest.importorskip("usearch")
    same = Index(np.ones((6, 4)), list("abcdef"))
    assert [m.label for m in same.search(np.ones((1, 4)), 6)[0]] == list("abcdef")


def test_saved_and_loaded_it_finds_the_same(index, rng, tmp_path):
    index.save(tmp_path / "index")
    other = Index.load(tmp_path / "index", model="m")
    assert (other.labels, other.model, len(other)) == (index.labels, "m", 200)
    np.testing.assert_array_equal(other.vectors, index.vectors)
    with pytest.raises(InvalidValue, match="was built with 'm', not 'n'"):
        Index.load(tmp_path / "index", model="n")
    pytest.importorskip("usearch")
    queries = rng.standard_normal((5, 24))
    assert other.search(queries, 4) == index.search(queries, 4)


def _write(path, **metadata):
    save_file({"vectors": np.ones((2, 3), np.float32)}, path, metadata=metadata or None)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: None,
        lambda p: p.write_bytes(b"cut"),
        _write,
        lambda p: _write(p, format="other", labels="[]", model=""),
        lambda p: _write(p, format="vesalius-index-1", labels="{", model=""),
        lambda p: _write(p, format="vesalius-index-1", labels='["a", "b"]'),
    ],
)
def test_what_is_no_index_is_refused(tmp_path, make):
    make(tmp_path / "index")
    with pytest.raises(DataMissing, match="cannot be read as an index"):
        Index.load(tmp_path / "index")


@pytest.mark.parametrize(
    ("vectors", "labels"),
    [
        (np.zeros((0, 3)), []),
        (np.zeros((2, 0)), ["a", "b"]),
        (np.ones((2, 3)), ["a"]),
        (np.array([[1.0, 0], [0, 0]]), ["a", "b"]),
        (np.array([[1.0, np.nan]]), ["a"]),
        (np.ones((1, 1, 3)), ["a"]),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(vectors, labels):
    with pytest.raises(InvalidValue):
        Index(vectors, labels)


def test_a_search_of_the_wrong_kind_is_refused(index):
    with pytest.raises(InvalidValue, match="k must be at least 1"):
        index.search(np.ones(24), 0)
    with pytest.raises(InvalidValue, match="width 23 cannot be searched in an index of width 24"):
        index.search(np.ones(23))
    with pytest.raises(InvalidValue, match="zero or not finite"):
        index.search(np.zeros(24))


def test_without_the_library_it_says_what_to_install(index, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("usearch"):
            raise ModuleNotFoundError(name=name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="'usearch'"):
        index.search(np.ones(24))
