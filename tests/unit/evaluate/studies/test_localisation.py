import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests import evaluate_miniature
from tests.standin import CARD, StandIn
from tests.unit.data import credentialed
from vesalius.domain.exchange import Answer, Outcome
from vesalius.domain.finding import Region
from vesalius.errors import InvalidValue
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.probe import Prober
from vesalius.evaluate.studies.localisation import STUDY, measure
from vesalius.evaluate.study import Bench, Skip
from vesalius.models.base import Task

SCORER = Scorer(replicates=200, seed=0)
AT_SPOT = [13, 12, 8, 8]  # of 48 x 40 pixels; StandIn's spot lies at (17.3, 16)
ELSEWHERE = [38, 30, 8, 8]


class Boxer(StandIn):
    """Names the box that it was given, refuses one method, and finds the other's map flat."""

    def __init__(self, said="", **more):
        super().__init__(**more)
        self.said = said
        self.card = CARD if not said else type(CARD)(**{**CARD.__dict__, "tasks": (Task.VQA, Task.GROUNDING)})
        self.located = []

    def saliency(self, study, question, answer, *, method="occlusion"):
        if method == "rollout":
            raise InvalidValue("attention cannot be followed", remedy="look by occlusion")
        if method == "flat":
            return np.zeros((study.image.rows, study.image.cols), np.float32), "nothing"
        return super().saliency(study, question, answer, method=method)

    def _one(self, seen, question, sampling):
        if question.text.startswith("Please locate"):
            self.located.append(question.text)
            return Answer(self.said, Outcome.TEXT)
        return super()._one(seen, question, sampling)


@pytest.fixture
def root(tmp_path):
    evaluate_miniature.slake(tmp_path)
    for number in range(16, 24):
        marks = [{"Liver": AT_SPOT}, {"Mass": ELSEWHERE}]
        (tmp_path / f"slake/imgs/xmlab{number}/detection.json").write_text(json.dumps(marks))
    return tmp_path


def bench(root, model, **settings):
    limit = settings.pop("limit", None)
    return Bench(root, Prober(model, root), limit=limit, settings={"methods": ("gradient",), "costly": (), **settings})


def rows_of(made):
    return json.loads(json.dumps(list(STUDY.collect(made, lambda *_: None)), allow_nan=False))


def test_what_the_spot_hits_and_what_it_misses(root):
    rows = rows_of(bench(root, StandIn()))
    found = STUDY.score(rows, Bench(), SCORER)
    assert (found["places"], found["pictures"]) == (16, 8)
    organ, lesion = (found["groups"][f"slake, {kind}"]["maps"]["gradient"] for kind in ("organ", "lesion"))
    assert (organ["hit"]["value"], lesion["hit"]["value"]) == (1.0, 0.0)
    share = 64 / (48 * 40)
    assert organ["chance"]["value"] == pytest.approx(share)
    assert organ["above_chance"]["value"] == pytest.approx(1 - share)
    assert lesion["above_chance"]["value"] == pytest.approx(-share)
    assert organ["cnr_signed"]["value"] > 0 > lesion["cnr_signed"]["value"]
    assert organ["cnr"]["value"] > 0
    assert lesion["cnr"]["value"] > 0
    assert organ["energy"]["value"] > share > lesion["energy"]["value"]
    assert organ["miou"]["value"] > organ["iou_of_whole_picture"]["value"] == pytest.approx(share)
    both = found["groups"]["all"]["maps"]["gradient"]
    assert (both["hit"]["value"], both["hit"]["clusters"]) == (0.5, 8)
    assert both["by"] == ["a drawn spot"]


def test_right_answers_are_told_apart_by_their_place_and_a_blank_picture_is_asked_too(root):
    group = STUDY.score(rows_of(bench(root, StandIn())), Bench(), SCORER)["groups"]["all"]
    assert (group["yes"]["value"], group["yes_of_blank"]["value"]) == (1.0, 0.0)
    reasons = group["maps"]["gradient"]["reasons"]
    assert [reasons[name] for name in ("right_place", "wrong_place", "saw_but_erred", "neither", "n")] == [8, 8, 0, 0, 16]
    assert reasons["place_given_right"]["value"] == 0.5
    assert reasons["place_given_wrong"]["value"] is None
    blind = STUDY.score(rows_of(bench(root, StandIn("blind"))), Bench(), SCORER)["groups"]["all"]
    assert blind["yes_of_blank"]["value"] == 1.0


def test_a_flat_map_is_counted_and_earns_the_chance_level(root):
    rows = rows_of(bench(root, Boxer(), methods=("flat",)))
    figures = STUDY.score(rows, Bench(), SCORER)["groups"]["all"]["maps"]["flat"]
    assert figures["flat"] == {"count": 16, "n": 16}
    assert figures["hit"]["value"] == pytest.approx(figures["chance"]["value"])
    assert figures["cnr"]["value"] is None
    assert figures["miou"]["value"] is None
    assert figures["energy"]["value"] is None
    assert figures["reasons"]["n"] == 0


def test_a_method_that_the_model_refuses_is_left_out_with_its_reason(root):
    found = STUDY.score(rows_of(bench(root, Boxer(), methods=("gradient", "rollout"))), Bench(), SCORER)
    assert set(found["groups"]["all"]["maps"]) == {"gradient"}
    assert found["skipped"]["rollout"]["count"] == 16
    assert "cannot be followed" in found["skipped"]["rollout"]["why"]


def test_costly_methods_look_at_one_place_of_the_first_pictures(root):
    rows = rows_of(bench(root, StandIn(), costly=("occlusion",), costly_images=3))
    costly = [row["image"] for row in rows if "occlusion" in row["maps"]]
    assert len(costly) == len(set(costly)) == 3
    assert costly == list(dict.fromkeys(row["image"] for row in rows))[:3]


def test_boxes_that_are_named_are_matched(root):
    right = "<|ref|>liver<|/ref|><|box|>(27,30),(44,50)<|/box|>"  # 13..21 of 48, 12..20 of 40
    model = Boxer(right)
    found = STUDY.score(rows_of(bench(root, model)), Bench(), SCORER)["groups"]
    assert "Please locate the following phrase: liver" in model.located
    organ, lesion = found["slake, organ"]["boxes"], found["slake, lesion"]["boxes"]
    assert (organ["precision"]["value"], organ["recall"]["value"], organ["f1"]["value"], organ["pointing"]["value"]) == (1, 1, 1, 1)
    assert (lesion["f1"]["value"], lesion["pointing"]["value"], lesion["without"]["count"]) == (0, 0, 0)


def test_boxes_that_cannot_be_read_are_counted_and_never_repaired(root):
    rows = rows_of(bench(root, Boxer("<|ref|>liver<|/ref|><|box|>(44,50),(27,30)<|/box|>")))
    found = STUDY.score(rows, Bench(), SCORER)["groups"]["all"]["boxes"]
    assert (found["unreadable"], found["without"]) == ({"count": 16, "n": 16}, {"count": 16, "n": 16})
    assert found["recall"]["value"] == 0
    assert found["precision"]["value"] is None


def test_a_model_without_maps_and_boxes_is_skipped_and_so_is_a_root_without_boxes(root, tmp_path_factory):
    assert "can neither" in STUDY.collect(bench(root, evaluate_miniature.FakeModel()), lambda *_: None).why
    empty = tmp_path_factory.mktemp("empty")
    assert isinstance(STUDY.collect(bench(empty, StandIn()), lambda *_: None), Skip)
    assert isinstance(STUDY.collect(Bench(), lambda *_: None), Skip)


def test_rows_that_are_there_are_not_made_again(root):
    made = bench(root, StandIn())
    rows = rows_of(made)
    again = Bench(root, made.prober, done=frozenset(row["id"] for row in rows[:-1]), settings=made.settings)
    asked = made.prober.asked
    assert [row["id"] for row in rows_of(again)] == [rows[-1]["id"]]
    assert made.prober.asked == asked


def test_a_limit_is_of_pictures(root):
    assert len({row["image"] for row in rows_of(bench(root, StandIn(), limit=2))}) == 2


def test_unreadable_answers_are_counted_and_reason_nothing(root):
    group = STUDY.score(rows_of(bench(root, StandIn("mute"))), Bench(), SCORER)["groups"]["all"]
    assert group["unreadable"] == {"count": 16, "n": 16}
    assert group["yes"]["value"] == 0
    assert group["maps"]["gradient"]["reasons"]["n"] == 0


def test_boxes_of_another_size_are_fitted_to_the_picture(tmp_path):
    rows = rows_of(bench(credentialed.ms_cxr(tmp_path), StandIn()))
    heart = next(row for row in rows if row["name"] == "Cardiomegaly")
    assert heart["gold"] == [[10, 12, 22, 24]]  # of 64 pixels, on a film of 32
    assert heart["share"] == pytest.approx(144 / 1024)


def test_a_map_of_another_size_is_measured_in_its_own_pixels():
    study = SimpleNamespace(image=SimpleNamespace(rows=40, cols=80))
    heat = np.zeros((10, 20), np.float32)
    heat[5, 10] = 1
    figures = measure(heat, [Region(40, 20, 48, 28)], study, 0.0)
    assert (figures["hit"], figures["share"]) == (1, 4 / 200)
    assert measure(heat, [Region(44, 24, 48, 28)], study, 0.0)["hit"] == 0
    assert measure(heat, [Region(44, 24, 48, 28)], study, 0.1)["hit_near"] == 1


def test_no_rows_are_no_groups():
    assert STUDY.score([], Bench(), SCORER)["groups"] == {}


@pytest.mark.data
@pytest.mark.weights
def test_pocket_on_a_few_places(data_root):
    from vesalius.models import cards

    made = bench(data_root, cards.load("pocket"), methods=("gradient", "rollout"), limit=1)
    found = STUDY.score(rows_of(made), Bench(), SCORER)
    assert set(found["groups"]["all"]["maps"]) == {"gradient", "rollout"}
    assert found["groups"]["all"]["share"]["value"] > 0
