import base64
import io

from PIL import Image as Picture

from tests.evaluate_miniature import draw
from tests.unit.evaluate.answers import item, said
from vesalius.evaluate.card.worst import worst


def _wrong(number, confidence, blank, **more):
    return item(number, "yes", said("no", confidence=confidence), blank=blank, **more)


def test_what_stays_without_the_picture_comes_first_then_what_is_surest():
    items = [_wrong(1, 0.9, "yes"), _wrong(2, 0.5, "no"), _wrong(3, 0.7, "no"), item(4, "yes", said("yes", confidence=1.0))]
    assert [w.id for w in worst({"slake": items})] == ["x3", "x2", "x1"]
    assert [w.stays for w in worst({"slake": items})] == [True, True, False]
    assert [w.id for w in worst({"slake": items[::-1]})] == ["x3", "x2", "x1"]
    assert len(worst({"slake": items}, most=1)) == 1


def test_an_answer_without_confidence_or_control_is_shown_too():
    only = item(1, "yes", "no")
    (shown,) = worst({"slake": [only]})
    assert shown.confidence is None
    assert shown.flips is None


def test_a_picture_is_put_in_on_demand_and_its_absence_is_told(tmp_path):
    draw(tmp_path / "slake" / "imgs" / "i1.png", 1)
    items = [_wrong(1, 0.9, "no"), _wrong(2, 0.8, "no")]
    for one, name in zip(items, ("slake/imgs/i1.png", "slake/imgs/i2.png"), strict=True):
        object.__setattr__(one.exchange, "image", name)
    there, absent = worst({"slake": items}, root=tmp_path)
    assert there.picture.startswith("data:image/png;base64,")
    assert Picture.open(io.BytesIO(base64.b64decode(there.picture.partition(",")[2]))).size[0] <= 240
    assert absent.picture is None
    assert absent.why_none
    assert worst({"slake": items}, root=tmp_path)[0].picture == there.picture
    assert worst({"slake": items})[0].picture is None
