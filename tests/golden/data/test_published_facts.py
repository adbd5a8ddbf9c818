"""Facts that were counted on the published files; a reader that changes them is wrong."""

from collections import Counter
from itertools import pairwise

import pytest

from vesalius.data import base
from vesalius.domain.exchange import Split

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def root(data_root):
    return data_root


def test_vqa_rad(root):
    rad = base.dataset("vqa-rad")
    test = rad.exchanges(root, Split.TEST)
    assert Counter(x.closed for x in test) == {True: 272, False: 179}
    golds = Counter(x.gold.lower() for x in test if x.closed)
    assert (golds["no"], golds["yes"]) == (133, 118)
    clean = [x for s in (Split.TRAIN, Split.DEVELOPMENT) for x in rad.exchanges(root, s)]
    assert Counter(x.phrase for x in clean) == {"freeform": 1206, "para": 591}
    leaked = [x for s in (Split.TRAIN, Split.DEVELOPMENT) for x in rad.exchanges(root, s, "leaked")]
    assert len(leaked) == 3064
    images = {x.image for x in test}
    assert len(images) == 203
    assert len(images & {x.image for x in leaked}) == 203
    assert len(images & {x.image for x in clean}) == 202  # one test image is known to training by its templates only


def test_vqa_rad_pairs(root):
    pairs = base.dataset("vqa-rad").pairs(root)
    assert Counter(p.relation for p in pairs) == {"strict": 569, "conversion": 66, "subsumes": 60, "inversion": 12, "other": 3}
    test = [p for p in pairs if p.split is Split.TEST]
    assert (len(test), sum(p.relation == "strict" for p in test)) == (137, 105)
    assert all(p.golds[0].lower() != p.golds[1].lower() for p in pairs if p.relation == "inversion")
    assert sum(p.golds[0].lower() != p.golds[1].lower() for p in pairs if p.relation == "strict") == 2


def test_slake(root):
    slake = base.dataset("slake")
    test = slake.exchanges(root, Split.TEST)
    assert Counter(x.closed for x in test) == {False: 631, True: 422}
    attributes = [a for s in Split for a in slake.attributes(root, s)]
    assert len(attributes) == 546
    assert Counter(a.modality for a in attributes).keys() == {"CT", "MR", "CR"}
    assert sum(len(a.regions) for a in attributes) == 1391
    assert len(slake.knowledge(root)) == 2600


def test_nih_cxr(root):
    films = base.dataset("nih-cxr").films(root)
    assert (len(films), len({f.patient for f in films})) == (704, 475)
    assert sum("Pneumonia" in f.labels for f in films) == 332
    assert sum(f.normal for f in films) == 372
    assert sum(len(f.regions) for f in films) == 39
    assert all(region.x1 <= 512.5 and region.y1 <= 512.5 for f in films for _, region in f.regions)
    assert sum(bool(f.expert) for f in films) == 20


def test_hannover(root):
    hannover = base.dataset("hannover")
    films = hannover.films(root)
    assert Counter(f.view for f in films) == {"AP": 102, "PA": 36}
    assert len({f.patient for f in films}) == 43
    assert all(a.day <= b.day for rows in hannover.sequences(root).values() for a, b in pairwise(rows))
