import pytest

from tests.evaluate_miniature import IMAGES, slake
from vesalius.data.base import dataset
from vesalius.errors import InvalidValue, UnknownName
from vesalius.evaluate import baselines, plan, task


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return slake(tmp_path_factory.mktemp("root"))


def _visits(root, **how):
    return plan.plan(plan.suite("slake"), dataset("slake"), root, **how)


def _ids(visits):
    return {asking.exchange.id for visit in visits for asking in visit.askings}


def test_an_unknown_suite_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'slake'"):
        plan.suite("slak")


@pytest.mark.parametrize(
    ("suite", "fitted"),
    [("slake", list(baselines.TABLE)), ("nih-cxr", ["majority", "question-only"]), ("path-vqa", ["majority"]), ("pmc-vqa", ["majority"])],
)
def test_baselines_too_large_for_a_suite_are_fitted_only_when_named(suite, fitted):
    chosen = plan.suite(suite)
    assert task._baseline_names(chosen, True) == fitted
    assert task._baseline_names(chosen, False) == []
    assert task._baseline_names(chosen, ["question-only", "kernel-svm"]) == ["question-only", "kernel-svm"]


def test_only_sets_too_large_for_a_trust_suite_have_a_limit_there():
    assert {name for name, suite in plan.SUITES.items() if suite.trust_limit is not None} == {"path-vqa", "pmc-vqa"}


def test_every_test_and_development_row_is_asked_once(root):
    visits = _visits(root)
    tests = [a for v in visits for a in v.askings if "official/test" in a.parts]
    assert len(tests) == IMAGES
    assert len({a.exchange.id for v in visits for a in v.askings}) == sum(len(v.askings) for v in visits)
    assert not any("train" in part for v in visits for a in v.askings for part in a.parts)
    assert len({v.image for v in visits}) == len(visits)


def test_the_other_image_is_never_of_the_same_cluster(root):
    for visit in _visits(root):
        assert visit.swap is not None
        assert visit.swap != visit.image
        assert visit.swap_rule == "same modality and body part"


def test_a_limit_keeps_a_part_of_the_same_plan(root):
    small, larger = _visits(root, limit=5), _visits(root, limit=9)
    assert len([a for v in small for a in v.askings if "official/test" in a.parts]) == 5
    assert _ids(small) < _ids(larger)
    swaps = {v.image: v.swap for v in _visits(root)}
    assert all(swaps[v.image] == v.swap for v in small)


def test_rewordings_go_to_a_stated_number_of_test_items(root):
    reworded = [a for v in _visits(root, reworded=4) for a in v.askings if a.rewordings is not None]
    assert len(reworded) == 4
    assert all(a.rewordings and "official/test" in a.parts for a in reworded)


@pytest.mark.parametrize("how", [{"limit": 0}, {"limit": -3}, {"reworded": -1}])
def test_numbers_out_of_range_are_refused(root, how):
    with pytest.raises(InvalidValue):
        _visits(root, **how)


def test_an_unknown_protocol_is_refused(root):
    with pytest.raises(UnknownName, match="official"):
        _visits(root, protocols=["oficial"])


@pytest.mark.data
def test_vqa_rad_finds_the_same_question_on_other_images_where_the_test_part_repeats_it_too_seldom(data_root):
    visits = plan.plan(plan.suite("vqa-rad"), dataset("vqa-rad"), data_root)
    askings = [a for v in visits for a in v.askings]
    assert len([a for a in askings if "official/test" in a.parts]) == 451
    assert len([a for a in askings if "image_disjoint/test" in a.parts]) == 418
    partnered = [a for a in askings if a.partners]
    assert len(partnered) > 50
    assert all(p.cluster != a.exchange.cluster for a in partnered for p in a.partners)
