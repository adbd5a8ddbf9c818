import pytest

from tests.unit.data import credentialed, layout
from vesalius.domain.exchange import Split
from vesalius.evaluate.followups import GOLD, of_root, weak_change
from vesalius.metrics.temporal import Change


def nih(root, patients=60):
    """Three follow-ups a patient: nothing, a pneumonia, a pneumonia and an effusion."""
    layout.nih_cxr(root)
    rows = ""
    for patient in range(1, patients + 1):
        for number, label in enumerate(("No Finding", "Pneumonia", "Pneumonia|Effusion")):
            name = f"{patient:08d}_{number:03d}"
            rows += f"N,{name}.png,{label},{number},{patient},40,F,{'PA' if number else 'AP'},2048,2048,0.168,0.168,,\n"
            layout.picture(root / f"nih_cxr/images/{name}.jpg", value=60 + 60 * number)
    (root / "nih_cxr/metadata.csv").write_text(layout.NIH_HEADER + rows)
    (root / "nih_cxr/bbox_1024px.csv").write_text("Image Index,Finding Label,x,y,w,h\n00000001_001.png,Mass,2,4,10,12\n")
    return root


def test_what_two_labels_are_taken_for():
    assert [weak_change(*pair) for pair in ((True, False), (False, True), (True, True))] == [Change.IMPROVING, Change.WORSENING, Change.STABLE]


def test_neighbouring_films_of_one_patient_with_what_either_names(tmp_path):
    pairs = of_root(nih(tmp_path))
    assert {p.split for p in pairs} == {Split.TEST, Split.DEVELOPMENT}
    first = next(p for p in pairs if p.prior.endswith("_000.jpg"))
    second = next(p for p in pairs if p.cluster == first.cluster and p is not first)
    assert first.current == second.prior
    assert (dict(first.gold), first.same_view) == ({"Pneumonia": Change.WORSENING}, False)
    assert (dict(second.gold), second.same_view) == ({"Effusion": Change.WORSENING, "Pneumonia": Change.STABLE}, True)
    assert second.asked["Effusion"][0] == "pleural effusion"
    assert second.asked["Effusion"][1].text == "Is there evidence of a pleural effusion?"


def test_no_patient_is_in_both_parts_and_none_of_training(tmp_path):
    pairs = of_root(nih(tmp_path))
    parts = [{p.cluster for p in pairs if p.split == split} for split in (Split.TEST, Split.DEVELOPMENT)]
    assert not parts[0] & parts[1]
    assert not [p for p in pairs if p.split == Split.TRAIN]


def test_a_limit_is_of_pairs_of_each_part(tmp_path):
    pairs = of_root(nih(tmp_path), 3)
    assert sorted(p.split for p in pairs) == ["development"] * 3 + ["test"] * 3
    assert {p.id for p in pairs} < {p.id for p in of_root(tmp_path)}


def test_days_order_films_of_which_nothing_else_is_known(tmp_path, monkeypatch):
    layout.hannover(tmp_path)
    monkeypatch.setattr("vesalius.data.hannover.splits.part", lambda *_, **__: Split.TEST)
    (tmp_path / "hannover_cxr/data.csv").touch()
    (pair,) = of_root(tmp_path)
    assert (pair.prior, pair.current) == ("hannover_cxr/images/early.jpg", "hannover_cxr/images/late.jpg")
    assert (pair.days, dict(pair.gold), pair.same_view) == (12.0, {}, False)


def test_expert_labels_of_the_credentialed_set(tmp_path):
    first, second = sorted(of_root(credentialed.ms_cxr_t(tmp_path)), key=lambda p: p.prior)
    assert dict(first.gold) == {"edema": Change.WORSENING, "pleural_effusion": Change.STABLE}
    assert first.asked["edema"][0] == "pulmonary edema"
    assert first.current == second.prior
    assert {p.source for p in (first, second)} < set(GOLD)


@pytest.mark.data
def test_pairs_of_the_real_films(data_root):
    pairs = of_root(data_root)
    nih_pairs = [p for p in pairs if p.source == "nih-cxr" and p.split == Split.TEST]
    assert (len(nih_pairs), sum(len(p.gold) for p in nih_pairs)) == (18, 40)
    assert len([p for p in pairs if p.source == "hannover"]) == 11
