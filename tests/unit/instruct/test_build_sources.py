import pytest

from tests.unit.data import credentialed, layout, published
from tests.unit.instruct import build_roots as small
from vesalius.data import nih_cxr
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Certainty
from vesalius.errors import UnknownName
from vesalius.instruct.build import names, sources
from vesalius.instruct.build.sources import Refused
from vesalius.metrics.label_words import FINDINGS, NO_FINDING


@pytest.mark.parametrize(
    ("make", "name"),
    [(layout.iu_reports, "iu-reports"), (credentialed.ms_cxr, "ms-cxr"), (credentialed.ms_cxr_t, "ms-cxr-t"), (credentialed.vindr_cxr, "vindr-cxr")],
)
def test_sets_that_are_for_testing_are_refused_whatever_the_user_says(tmp_path, make, name):
    with pytest.raises(Refused, match=name):
        sources.read(name, make(tmp_path), licensed=(name,))


def test_a_set_that_may_not_be_trained_on_needs_the_users_word(tmp_path):
    root = published.chexpert(tmp_path)
    with pytest.raises(Refused, match="--licensed chexpert"):
        sources.read("chexpert", root)
    studies = sources.read("chexpert", root, licensed=("chexpert",)).studies
    assert [study.views for study in studies] == [("AP", "LATERAL"), ("PA",)]
    assert studies[0].states == {
        NO_FINDING: Certainty.PRESENT,
        "edema": Certainty.UNCERTAIN,
        "pneumonia": Certainty.ABSENT,
    }


def test_a_set_without_families_and_a_wrong_name_are_told(tmp_path):
    for name in ("pmc-vqa", "nih"):
        with pytest.raises(UnknownName):
            sources.read(name, tmp_path)


def test_the_names_are_the_28_and_every_label_has_one():
    assert tuple(names.WORDS)
    assert set(names.WORDS) == set(FINDINGS)
    assert len(names.WORDS) == 28
    assert all(names.named(label) for label in nih_cxr.FINDING_QUESTIONS)
    assert names.named("Lung Tumor") is None


def test_silence_beside_what_looks_alike_settles_nothing():
    silence = frozenset({"consolidation", "pneumonia", "pneumothorax"})
    states = names.settled({"pneumonia": Certainty.PRESENT}, silence=silence)
    assert states == {
        NO_FINDING: Certainty.ABSENT,
        "consolidation": Certainty.UNCERTAIN,
        "pneumonia": Certainty.PRESENT,
        "pneumothorax": Certainty.ABSENT,
    }
    assert names.settled({"edema": Certainty.UNMENTIONED, NO_FINDING: Certainty.PRESENT}) == {NO_FINDING: Certainty.PRESENT}
    assert names.settled({"edema": Certainty.PRESENT, NO_FINDING: Certainty.PRESENT})[NO_FINDING] is Certainty.UNCERTAIN
    assert names.settled({"support_devices": Certainty.PRESENT, NO_FINDING: Certainty.PRESENT})[NO_FINDING] is Certainty.PRESENT


def test_experts_are_believed_over_silence_and_not_over_the_report(tmp_path):
    root = small.nih(tmp_path)
    read = {f"nih-cxr:{film.id}": film for film in nih_cxr.DATASET.films(root) if film.expert and film.split == Split.TRAIN}
    studies = [study for study in sources.read("nih-cxr", root).studies if study.id in read]
    assert studies
    assert {study.states["pneumothorax"] for study in studies} == {Certainty.PRESENT}
    assert {study.states["fracture"] for study in studies} == {Certainty.ABSENT}
    assert {study.states[NO_FINDING] for study in studies} == {Certainty.ABSENT}
    assert sources._expert({"Pneumothorax": False}, {"pneumothorax": Certainty.PRESENT}) == {"pneumothorax": Certainty.UNCERTAIN}


def test_neighbouring_parts_of_the_body_are_not_apart_and_an_organ_and_its_lesion_are_confused():
    assert names.apart("HEAD", "CHEST")
    assert names.apart("PELVIS", "CHEST")
    assert not names.apart("ABDOMEN", "CHEST")
    assert not names.apart("HEAD", "HEAD")
    assert not names.apart("", "HEAD")
    assert names.confused("liver", "liver cancer")
    assert names.confused("mass", "nodule")
    assert not names.confused("left kidney", "right kidney")
    assert not names.confused("left lung", "left kidney")


def test_studies_have_all_their_films_and_pairs_are_of_one_patient(tmp_path):
    material = sources.read("mimic-cxr", small.mimic(tmp_path), licensed=("mimic-cxr",))
    assert {len(study.images) for study in material.studies} == {1, 2}
    assert len(material.pairs) == 10
    assert all(pair.prior.cluster == pair.current.cluster and pair.prior.id < pair.current.id for pair in material.pairs)
