import re

import numpy as np
import pytest

pytest.importorskip("rapidocr", reason="needs the extra deidentify")
pytest.importorskip("onnxruntime", reason="needs the extra deidentify")

from tests.unit.formats.deidentify.burned.drawn import box, letters
from vesalius.errors import InvalidValue, MissingExtra
from vesalius.formats.deidentify.burned.reading import Box, Reader, _ended, _told, judged

SHAPE = (512, 512)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def said(reader: Reader, grey: np.ndarray) -> str:
    return " ".join(b.text for b in reader.read(grey) if b.score >= 0.5)


def test_a_name_and_a_date_are_read_where_they_stand(reader):
    boxes = [b for b in reader.read(letters("DOE, JOHN 12.03.1970", cols=320, at=(40, 50))) if b.score >= 0.5]
    assert re.sub("[ ,]", "", boxes[0].text) == "DOEJOHN12.03.1970"
    assert boxes[0].score > 0.9
    assert boxes[0].polygon.shape == (4, 2)
    left, top = boxes[0].polygon.min(axis=0)
    assert 30 < left < 50
    assert 40 < top < 62


@pytest.mark.parametrize("turns", [1, 2])
def test_turned_text_is_read(reader, turns):
    assert "1970" in said(reader, np.rot90(letters("DOE JOHN 1970", cols=256), turns))


def test_what_has_not_changed_is_not_looked_at_again(reader, monkeypatch):
    grey = letters("ROE MARY 1971", cols=256)
    first = reader.read(grey)
    monkeypatch.setattr(reader, "_detected", lambda _: pytest.fail("looked again"))
    monkeypatch.setattr(reader, "_worded", lambda _: pytest.fail("read again"))
    assert [(b.text, b.score) for b in reader.read(grey.copy())] == [(b.text, b.score) for b in first]


def test_a_small_text_is_followed_beyond_a_box_that_ends_too_early(reader):
    grey = letters("DAVIDSON HOSPITAL 12345", cols=320, at=(20, 50), size=14)
    part = np.array([(18.0, 50.0), (68.0, 50.0), (68.0, 67.0), (18.0, 67.0)])
    box = Box(part, *reader._best(grey, part))
    assert 3 <= len(box.text) < 12
    followed = reader._followed(grey, box)
    assert len(followed.text) > len(box.text) + 4
    assert followed.polygon[:, 0].max() > 100
    assert followed.polygon[:, 0].min() == 18
    ended = _ended(followed)  # one height at each end
    assert (ended.polygon[:, 0].min(), ended.polygon[:, 0].max()) == (1, followed.polygon[:, 0].max() + 17)


def test_a_large_text_is_not_followed(reader):
    grey = letters("DAVIDSON 12345", cols=640, at=(20, 40), size=40)
    part = np.array([(18.0, 40.0), (200.0, 40.0), (200.0, 84.0), (18.0, 84.0)])
    box = Box(part, *reader._best(grey, part))
    assert box.score > 0.7
    assert reader._followed(grey, box) is box


def test_what_lies_in_a_text_and_reads_like_a_part_of_it_is_told_already():
    def there(text, left, top, right, bottom):
        return Box(np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float), text, 0.9)

    name = there("TAMARDO HOSPITAL", 111, 550, 388, 585)
    assert _told(there("AMARDO HOSP1TAL", 128, 544, 384, 608), name)
    assert not _told(there("MRN 12345", 128, 544, 384, 608), name)  # another line in the same place
    assert not _told(there("TAMARDO HOSPITAL 1970", 111, 550, 560, 585), there("TAMARDO", 111, 550, 230, 585))  # it tells more
    assert not _told(there("HOSPITAL", 128, 644, 384, 680), name)  # the same word elsewhere


def test_a_large_text_on_real_noise_is_filled_once_and_closely(reader):
    grey = letters("TAMARDO HOSPITAL", rows=480, cols=640, at=(30, 46), size=32, ground=200, level=140, noise=3)
    boxes = [b for b in reader.read(grey) if b.score >= 0.5]
    assert boxes
    assert max(b.polygon[:, 1].max() - b.polygon[:, 1].min() for b in boxes) < 50


def test_dark_and_faint_text_is_read(reader):
    assert "DOE" in said(reader, letters("DOE JOHN 1970", ground=180, level=20))
    assert "1970" in said(reader, letters("DOE JOHN 1970", ground=60, level=72, noise=3))


def test_nothing_is_read_in_noise_and_in_an_even_picture(reader):
    assert reader.read(np.full((100, 100), 7, np.uint8)) == ()
    assert said(reader, np.random.default_rng(0).integers(40, 60, (128, 128)).astype(np.uint8)) == ""


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (7, 7), (8, 8), (9, 200), (8, 60000)])
def test_tiny_and_narrow_pictures_are_read(reader, shape):
    assert isinstance(reader.read(np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)), tuple)


@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8)), np.zeros(8, np.uint8)])
def test_other_than_grey_bytes_is_refused(reader, wrong):
    with pytest.raises(InvalidValue, match="grey picture"):
        reader.read(wrong)


def test_without_its_packages_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtra, match="rapidocr"):
        Reader().read(letters("DOE"))


def test_a_single_letter_counts_little_unless_a_text_stands_beside_it():
    alone = judged([box(10, 10, 22, 22, "O")], SHAPE)
    assert alone[0].score < 0.3
    name, initial = judged([box(10, 10, 80, 22, "DOE JO"), box(84, 10, 94, 22, "H")], SHAPE)
    assert min(name.score, initial.score) > 0.9


def test_short_readings_need_to_be_sure():
    assert judged([box(10, 10, 30, 22, "AP", 0.98)], SHAPE)[0].score == 0.98
    assert judged([box(10, 10, 30, 22, "AP", 0.7)], SHAPE)[0].score == pytest.approx(0.28)
    assert judged([box(10, 10, 40, 22, "SES", 0.7)], SHAPE)[0].score == pytest.approx(0.35)
    assert judged([box(10, 10, 40, 22, "TTT", 0.9)], SHAPE)[0].score < 0.3
    assert judged([box(10, 10, 60, 22, "DOE JO", 0.7)], SHAPE)[0].score == pytest.approx(0.42)


def test_letters_of_impossible_shape_count_little():
    assert judged([box(100, 100, 390, 228, "5000", 0.95)], SHAPE)[0].score < 0.3
    assert judged([box(10, 10, 110, 40, "5000", 0.95)], (128, 128))[0].score == 0.95
    assert judged([box(0, 0, 500, 300, "LUNGS")], SHAPE)[0].score < 0.3
    row = [box(10, 10, 500, 75, text, score) for text, score in (("606日日日日日日", 0.82), ("000000000", 0.9), ("33:33289", 0.7), ("0006", 0.81))]
    assert all(one.score < 0.4 for one in judged(row, SHAPE))  # slices of a mosaic
    assert judged([box(10, 10, 310, 75, "MRN 10000001", 0.9)], (640, 640))[0].score == 0.9 * 0.25
    assert judged([box(10, 10, 510, 55, "MRN 10000001", 0.9)], (640, 640))[0].score == 0.9
    assert judged([box(10, 10, 510, 75, "MRN 89339930", 0.9)], (640, 640))[0].score == 0.9
    assert judged([box(10, 10, 310, 40, "DOE JANE 1970", 0.99)], (64, 640))[0].score == 0.99  # a banner
    assert judged([box(10, 10, 310, 40, "DOE JANE 1970", 0.9)], (64, 640))[0].score < 0.3
    assert judged([box(0, 0, 500, 20, "RIBS")], SHAPE)[0].score < 0.3
