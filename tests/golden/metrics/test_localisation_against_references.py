"""Places and changes against scikit-learn, networkx and the standard library, to 1e-9."""

import statistics

import numpy as np
import pytest

from vesalius.domain.finding import Region
from vesalius.metrics.localisation import cnr, energy, grounding, heat_iou, iou, mask_of, mean_iou, near, pointing
from vesalius.metrics.temporal import Change, macro_accuracy


def _boxes(rng, count, side=40):
    corners = rng.integers(0, side - 1, size=(count, 2))
    sizes = rng.integers(1, side // 2, size=(count, 2))
    return [Region(x, y, min(x + w, side), min(y + h, side)) for (x, y), (w, h) in zip(corners.tolist(), sizes.tolist(), strict=True)]


def test_overlap_is_jaccard_of_pixels():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    for a, b in zip(_boxes(rng, 30), _boxes(rng, 30), strict=True):
        theirs = metrics.jaccard_score(mask_of([a], 40, 40).ravel(), mask_of([b], 40, 40).ravel())
        assert iou(a, b) == pytest.approx(theirs, abs=1e-9)


def test_maps_against_jaccard_and_the_standard_library():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    for box in _boxes(rng, 12):
        heat, mask = rng.random((40, 40)), mask_of([box], 40, 40)
        theirs = [metrics.jaccard_score(mask.ravel(), (heat >= t * heat.max()).ravel()) for t in (0.1, 0.2, 0.3, 0.4, 0.5)]
        assert [heat_iou(heat, mask, t) for t in (0.1, 0.2, 0.3, 0.4, 0.5)] == pytest.approx(theirs, abs=1e-9)
        assert mean_iou(heat, mask) == pytest.approx(statistics.fmean(theirs), abs=1e-9)
        inside, outside = heat[mask].tolist(), heat[~mask].tolist()
        noise = (statistics.pvariance(inside) + statistics.pvariance(outside)) ** 0.5
        assert cnr(heat, mask) == pytest.approx(abs(statistics.fmean(inside) - statistics.fmean(outside)) / noise, abs=1e-9)
        assert energy(heat, mask) == pytest.approx(sum(inside) / (sum(inside) + sum(outside)), abs=1e-9)


def test_tolerance_is_the_distance_to_the_nearest_pixel():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    rng = np.random.default_rng(2)
    every = np.argwhere(np.ones((40, 40)))
    for box in _boxes(rng, 6):
        mask = mask_of([box], 40, 40)
        away = pairwise.euclidean_distances(every, np.argwhere(mask)).min(1).reshape(40, 40)
        for tolerance in (0, 1, 2.5, 7):
            assert np.array_equal(near(mask, tolerance), away <= tolerance)
            heat = rng.random((40, 40))
            assert pointing(heat, mask, tolerance=tolerance) == (away.ravel()[heat.argmax()] <= tolerance)


def test_matching_is_as_large_as_the_largest_of_a_bipartite_graph():
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(3)
    for _ in range(60):
        found, gold = _boxes(rng, int(rng.integers(1, 6)), 12), _boxes(rng, int(rng.integers(1, 6)), 12)
        graph = networkx.Graph()
        graph.add_weighted_edges_from((("f", i), ("g", j), iou(a, b)) for i, a in enumerate(found) for j, b in enumerate(gold) if iou(a, b) >= 0.3)
        theirs = networkx.max_weight_matching(graph, maxcardinality=True)
        ours = grounding(found, gold, threshold=0.3)
        assert ours.matched == len(theirs)
        if theirs:
            assert ours.overlap == pytest.approx(statistics.fmean(graph.edges[edge]["weight"] for edge in theirs), abs=1e-9)


def test_macro_accuracy_is_balanced_accuracy():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(4)
    for _ in range(20):
        gold, said = ([list(Change)[i] for i in rng.integers(0, 3, 50)] for _ in range(2))
        assert macro_accuracy(gold, said) == pytest.approx(metrics.balanced_accuracy_score([str(g) for g in gold], [str(s) for s in said]), abs=1e-9)
