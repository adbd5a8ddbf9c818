"""The picture sheet and the command: every operation that the image admits, at three values, with what was done written above."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Picture

from vesalius.cli.augment import augment
from vesalius.data.augment import OPERATIONS, Box, kind_of, sheet
from vesalius.data.phantoms import phantom
from vesalius.domain.finding import Region
from vesalius.domain.study import Modality
from vesalius.errors import InvalidValue, UserError

FILM = phantom("CR", "CHEST", 0)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sheet") / "film.png"
    Picture.fromarray(FILM.pixels[0].astype(np.uint8)).save(path)
    return path


def cells(drawn, side, rows):
    """[rows, 4, side, side] grey."""
    grey = np.asarray(drawn.convert("L")).astype(int)
    return [[grey[8 + r * (side + 28) + 20 :, 150 + c * (side + 8) :][:side, :side] for c in range(4)] for r in range(rows)]


def test_each_operation_has_a_row_and_the_ends_differ_most_from_the_image():
    names = [n for n, each in OPERATIONS.items() if kind_of(FILM) in each.ranges]
    drawn = sheet.draw(FILM, cell=256)
    assert drawn.size == (150 + 4 * 264, len(names) * 284 + 8)
    for name, (as_is, low, mid, high) in zip(names, cells(drawn, 256, len(names)), strict=True):
        gaps = [np.abs(c - as_is).mean() for c in (low, mid, high)]
        assert gaps[2] > 0, name
        assert gaps[2] > gaps[1] * 0.99, name


def test_levels_go_from_end_to_end():
    rotation = OPERATIONS["rotation"].ranges["film"]
    assert sheet.levels("rotation", rotation) == (-7, 3.5, 7)
    assert sheet.levels("crop", OPERATIONS["crop"].ranges["film"]) == pytest.approx((0.2 / 3, 0.4 / 3, 0.2))
    assert sheet.levels("quantum_noise", OPERATIONS["quantum_noise"].ranges["film"]) == pytest.approx((750, 375, 250))


def test_boxes_move_along():
    box = Box("a", Region(100, 100, 140, 140))
    moved = sheet.shown_at(FILM, "shift", 10, [box]).boxes[0].region
    assert (moved.x0, moved.y0) == (110, 110)


def test_an_image_that_admits_nothing_is_told():
    with pytest.raises(InvalidValue, match="nothing is augmented on ECG"):
        sheet.draw(phantom(Modality.ECG, None))
    with pytest.raises(InvalidValue, match="64 to 1024"):
        sheet.draw(FILM, cell=10)


def test_the_command_writes_the_same_sheet_twice(file, tmp_path):
    out = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in out:
        words = ["sheet", str(file), "-o", str(path), "--modality", "CR", "--body-part", "CHEST", "--box", "10,10,90,90", "--cell", "64"]
        result = CliRunner().invoke(augment, words, catch_exceptions=False)
        assert result.exit_code == 0
        assert result.output.strip() == str(path)
    assert out[0].read_bytes() == out[1].read_bytes()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["-o", "x.jpg"], "no PNG"),
        (["-o", "x.png", "--box", "1,2,3"], "four numbers"),
        (["-o", "x.png", "--box", "5,5,2,9"], "x1 must exceed"),
        (["-o", "x.png", "--box", "900,900,990,990"], "outside"),
        (["-o", "no/such/folder/x.png"], "cannot be written"),
    ],
)
def test_bad_words_are_refused(file, tmp_path, monkeypatch, words, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=match):
        CliRunner().invoke(augment, ["sheet", str(file), "--modality", "CR", "--cell", "64", *words], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_image_is_refused(tmp_path):
    for name, content in (("empty.png", b""), ("cut.png", b"\x89PNG\r\n\x1a\n\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            CliRunner().invoke(augment, ["sheet", str(tmp_path / name), "-o", str(tmp_path / "o.png")], catch_exceptions=False)


def test_the_table_of_ranges_has_a_reason_for_each(file):
    told = json.loads(CliRunner().invoke(augment, ["ranges", "--json"]).output)
    assert {row["operation"] for row in told} == set(OPERATIONS)
    assert all(row["reason"] and row["kinds"] and row["unit"] for row in told)
    assert "quantum_noise" in CliRunner().invoke(augment, ["ranges"]).output
