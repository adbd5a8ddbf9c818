"""What every reader of a published layout must do, on miniature copies: keep its promises, and refuse what is damaged without crashing."""

import pytest

from tests.unit.data.published import BUILDERS
from vesalius.data import base, splits
from vesalius.data.text_questions import TextOnly
from vesalius.domain.exchange import Split
from vesalius.errors import UserError

NAMES = sorted(BUILDERS)
TEXT_ONLY = [name for name in NAMES if isinstance(base.dataset(name), TextOnly)]


def parts(dataset, root, protocol):
    ask = dataset.questions if isinstance(dataset, TextOnly) else dataset.exchanges
    return {split: ask(root, split, protocol) for split in Split}


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_all_parts_are_sound(tmp_path, name):
    root, dataset = BUILDERS[name](tmp_path), base.dataset(name)
    chosen = dataset.card.protocols[0]
    found = parts(dataset, root, chosen.name)
    rows = [row for part in found.values() for row in part]
    assert rows
    assert len({row.id for row in rows}) == len(rows)
    assert all(row.split is split for split, part in found.items() for row in part)
    splits.assert_disjoint(*found.values(), by=chosen.disjoint_by) if name not in TEXT_ONLY else None
    if chosen.disjoint_by == "id":
        with pytest.raises(splits.SplitOverlap):
            splits.assert_disjoint(*found.values())
    if name in TEXT_ONLY:
        clusters = [{row.cluster for row in part} for part in found.values()]
        assert sum(len(part) for part in clusters) == len(set.union(*clusters))
        assert not any(dataset.exchanges(root, split) for split in Split)
    else:
        assert all(row.gold.strip() == row.gold != "" for row in rows)
        assert all(dataset.image_path(root, row.image).stat().st_size > 0 for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_copy_lacks_nothing_but_the_published_numbers(tmp_path, name):
    root, dataset = BUILDERS[name](tmp_path), base.dataset(name)
    found = dataset.check(root)
    assert (found.missing, found.corrupt) == ((), ())
    counted = any(protocol.counted != base.UNCOUNTED for protocol in dataset.card.protocols)
    assert found.ok is not counted
    assert sum(found.counts.values()) > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TEXT_ONLY])
def test_a_missing_picture_is_counted_and_not_raised(tmp_path, name):
    root, dataset = BUILDERS[name](tmp_path), base.dataset(name)
    before = {split: dataset.exchanges(root, split) for split in Split}
    picture = dataset.files(root)[1][0]
    picture.unlink()
    assert {split: dataset.exchanges(root, split) for split in Split} == before
    found = dataset.check(root)
    assert found.missing == (str(picture.relative_to(root)),)
    assert not found.ok


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00nothing", b"[", b'{"a": ', b"[[[]]]", b"\x80\x04\x95", b"[" * 200_000, b"PK\x03\x04 no archive"])
def test_a_file_of_another_kind_is_refused_with_a_remedy(tmp_path, name, content):
    root, dataset = BUILDERS[name](tmp_path), base.dataset(name)
    dataset.files(root)[0][0].write_bytes(content)
    with pytest.raises(UserError) as caught:
        parts(dataset, root, None)
    assert caught.value.remedy
    assert dataset.check(root).corrupt


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_file_is_refused_or_loses_no_row_silently(tmp_path, name):
    root, dataset = BUILDERS[name](tmp_path), base.dataset(name)
    path = dataset.files(root)[0][0]
    content = path.read_bytes()
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        try:
            parts(dataset, root, None)
        except UserError:
            continue
        assert path.suffix in (".txt", ".csv"), "a list without its end must not be read as whole"
        assert not dataset.check(root).ok  # the numbers tell it where the form cannot
