"""Looking at the picture: what is hidden, where else, of which questions, and what follows from the answers."""

import numpy as np
import pytest

from vesalius.domain.exchange import Answer, Outcome
from vesalius.domain.finding import Region
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.record import answer_json
from vesalius.evaluate.studies.image_reliance import STUDY, about, cover, elsewhere
from vesalius.evaluate.study import Bench, Skip


def _study(rows=60, cols=80):
    pixels = np.random.default_rng(0).uniform(0, 100, (1, rows, cols)).astype(np.float32)
    return single(Image(pixels, Intensity.RELATIVE, Modality.CT))


@pytest.mark.parametrize(
    ("question", "region", "is_about"),
    [
        ("Does the picture contain liver?", "Liver", True),
        ("How many kidneys in this image?", "Left Kidney", True),
        ("Does the picture contain spleen?", "Liver", False),
        ("Is the lung healthy?", "Pneumonia", True),
        ("Are there abnormalities in this image?", "Brain Edema", True),
        ("What modality is used to take this image?", "Brain Edema", False),
        ("Where is the brain enhancing tumor?", "Brain Enhancing Tumor", True),
    ],
)
def test_which_questions_are_about_a_box(question, region, is_about):
    assert about(question, region) is is_about


def test_a_box_is_hidden_behind_the_mean_and_nothing_else_is_touched():
    study, box = _study(), Region(10, 20, 30, 50)
    hidden = cover(study, [box]).image.pixels[0]
    assert np.allclose(hidden[20:50, 10:30], study.image.pixels.mean())
    outside = np.ones((60, 80), bool)
    outside[20:50, 10:30] = False
    assert np.array_equal(hidden[outside], study.image.pixels[0][outside])


@pytest.mark.parametrize("seed", range(8))
def test_another_place_has_the_same_area_and_touches_no_box_where_there_is_room(seed):
    boxes = [Region(0, 0, 20, 20), Region(50, 30, 75, 55)]
    places = elsewhere(_study(), boxes, f"key {seed}")
    assert [p.area for p in places] == pytest.approx([b.area for b in boxes])
    for place in places:
        assert 0 <= place.x0 < place.x1 <= 80
        assert 0 <= place.y0 < place.y1 <= 60
        for box in boxes:
            assert place.x1 <= box.x0 or box.x1 <= place.x0 or place.y1 <= box.y0 or box.y1 <= place.y0
    assert places == elsewhere(_study(), boxes, f"key {seed}")


def test_a_box_that_fills_the_picture_has_no_other_place():
    (place,) = elsewhere(_study(), [Region(0, 0, 80, 60)], "k")
    assert place == Region(0, 0, 80, 60)


def _row(number, target, other, region="Liver"):
    answers = {"answer": "yes", "target": target, "elsewhere": other}
    said = {name: answer_json(Answer(text, Outcome(text) if text in ("yes", "no") else Outcome.UNPARSED), "r") for name, text in answers.items()}
    return {"id": f"occlusion:{number}", "kind": "occlusion", "image": f"{number}", "cluster": f"{number // 2}", "region": region, "gold": "yes", **said}


def test_target_and_elsewhere_are_compared_pair_by_pair():
    rows = [_row(0, "no", "yes"), _row(1, "no", "yes"), _row(2, "no", "no"), _row(3, "yes", "yes"), _row(4, "", "yes")]
    rows += [_row(5, "no", "yes", "Brain Edema")]
    found = STUDY.score(rows, Bench(), Scorer(replicates=100, seed=0))["occlusion"]
    assert found["unreadable"] == 1
    assert found["target_changed"]["value"] == pytest.approx(4 / 5)
    assert found["elsewhere_changed"]["value"] == pytest.approx(1 / 5)
    assert found["difference"]["value"] == pytest.approx(3 / 5)
    assert found["difference"]["clusters"] == 3
    assert found["by"]["lesions"]["target_changed"]["n"] == 1
    assert found["by"]["organs"]["target_changed"]["n"] == 4


def test_without_a_model_and_without_controls_it_says_so():
    said = STUDY.collect(Bench(), lambda now, total: None)
    assert isinstance(said, Skip)
    assert "no model to ask" in said.why
