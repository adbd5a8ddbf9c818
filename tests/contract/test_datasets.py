"""Registered means tested: every data set of the table keeps its card's promises on the real files."""

import pytest

from vesalius.data import base, splits
from vesalius.domain.exchange import Split

PROTOCOLS = [(name, protocol.name) for name in base.TABLE for protocol in base.dataset(name).card.protocols]


@pytest.mark.parametrize("name", sorted(base.TABLE))
def test_cards_are_complete(name):
    dataset = base.dataset(name)
    assert isinstance(dataset, base.Dataset)
    card = dataset.card
    assert dataset.name == card.name == name
    for text in (card.licence, card.attribution, card.how_to_obtain, card.citation, card.summary):
        assert text.strip()
    assert card.url.startswith("https://")
    assert card.protocol() is card.protocols[0]
    for protocol in card.protocols:
        assert set(protocol.counts) == set(Split)
        assert protocol.disjoint_by in ("cluster", "id")


@pytest.fixture(scope="module", params=PROTOCOLS, ids=lambda p: f"{p[0]}-{p[1]}")
def split_set(request, data_root):
    name, protocol = request.param
    dataset = base.dataset(name)
    if not (data_root / dataset.card.folder).is_dir():
        pytest.skip(f"needs {name} below the data root")
    return dataset, dataset.card.protocol(protocol), {s: dataset.exchanges(data_root, s, protocol) for s in Split}


@pytest.mark.data
def test_counts_are_the_documented_ones(split_set, data_root):
    dataset, protocol, _ = split_set
    if protocol.counted == base.UNCOUNTED:
        pytest.skip("nobody has fixed a number")
    assert {s: base.size(dataset, data_root, s, protocol.name) for s in Split} == dict(protocol.counts)


@pytest.mark.data
def test_rows_are_sound(split_set, data_root):
    _, _, parts = split_set
    rows = [x for part in parts.values() for x in part]
    assert len({x.id for x in rows}) == len(rows)
    assert all(x.gold.strip() == x.gold != "" for x in rows)
    assert all(x.split is split for split, part in parts.items() for x in part)
    for image in {x.image for x in rows}:
        assert base.image_path(data_root, image).stat().st_size > 0


@pytest.mark.data
def test_parts_are_disjoint_as_promised(split_set):
    _, protocol, parts = split_set
    splits.assert_disjoint(*parts.values(), by="id")
    splits.assert_disjoint(*parts.values(), by=protocol.disjoint_by)
    splits.assert_disjoint(parts[Split.TRAIN], parts[Split.DEVELOPMENT])  # what is chosen by is never trained on


@pytest.mark.data
def test_a_promise_by_id_only_is_needed(split_set):
    _, protocol, parts = split_set
    if protocol.disjoint_by == "id":
        with pytest.raises(splits.SplitOverlap):
            splits.assert_disjoint(*parts.values())
