import pytest

from tests.unit.data.published import mimic_cxr
from vesalius.data.base import DataFormatError
from vesalius.data.mimic_cxr import DATASET
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Certainty
from vesalius.errors import DataMissing


@pytest.mark.parametrize("packed", [False, True])
def test_doubt_is_not_silence_and_neither_is_asked_about(tmp_path, packed):
    root = mimic_cxr(tmp_path, packed=packed)
    films = {film.id: film for film in DATASET.films(root)}
    labels = films["aa"].labels
    assert [labels[name] for name in ("Edema", "Pneumonia", "Atelectasis", "Fracture")] == [
        Certainty.PRESENT,
        Certainty.ABSENT,
        Certainty.UNCERTAIN,
        Certainty.UNMENTIONED,
    ]
    assert set(films["cc"].labels.values()) == {Certainty.UNMENTIONED}  # a study without labels
    asked = {(x.image.rpartition("/")[2], x.tags["finding"]): x.gold for x in DATASET.exchanges(root, Split.TRAIN)}
    assert asked == {("aa.jpg", "Pneumonia"): "no", ("aa.jpg", "Edema"): "yes", ("bb.jpg", "Pneumonia"): "no", ("bb.jpg", "Edema"): "yes"}


def test_films_lie_where_ms_cxr_has_them_and_are_kept_together_by_patient(tmp_path):
    root = mimic_cxr(tmp_path)
    film = next(DATASET.films(root))
    assert film.image == "mimic_cxr_jpg/files/p10/p10000001/s50000001/aa.jpg"
    assert (film.patient, film.view, film.date) == ("mimic-cxr:p10000001", "PA", "21800506")
    assert [DATASET.size(root, split) for split in Split] == [2, 1, 1]
    assert DATASET.check(root).missing == ()


def test_a_report_is_cut_at_its_headings_and_loses_no_word(tmp_path):
    root = mimic_cxr(tmp_path)
    found = DATASET.report(root, next(DATASET.films(root))).sections
    assert set(found) == {"preamble", "examination", "indication", "findings", "impression"}
    assert (found["preamble"], found["impression"]) == ("FINAL REPORT", "Nothing drawn.")
    assert found["indication"] == "___F with drawn cough // at 10:30, eval"
    assert found["findings"] == "No drawn consolidation. NOTE: seen at 3:45."


def test_an_absent_report_is_missing_and_an_empty_one_damaged(tmp_path):
    root = mimic_cxr(tmp_path)
    film = next(DATASET.films(root))
    path = root / "mimic_cxr" / film.report
    path.write_text(" \n")
    with pytest.raises(DataFormatError, match="empty report"):
        DATASET.report(root, film)
    path.unlink()
    with pytest.raises(DataMissing):
        DATASET.report(root, film)
    assert DATASET.check(root).missing == (f"mimic_cxr/{film.report}",)


def test_the_other_labeler_is_read_when_asked_for(tmp_path):
    root = mimic_cxr(tmp_path)
    with pytest.raises(DataMissing):
        list(DATASET.films(root, labeler="negbio"))
    table = root / "mimic_cxr/mimic-cxr-2.0.0-chexpert.csv"
    table.with_name("mimic-cxr-2.0.0-negbio.csv").write_text(table.read_text().replace("-1.0", "1.0"))
    assert next(DATASET.films(root, labeler="negbio")).labels["Atelectasis"] is Certainty.PRESENT
    with pytest.raises(DataFormatError, match="nobody"):
        list(DATASET.films(root, labeler="nobody"))


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("metadata", "aa,10000001", "../../../../aa,10000001"),
        ("metadata", "bb,10000001", "aa,10000001"),
        ("metadata", "ViewPosition", "View"),
        ("metadata", "aa,10000001", "aa,../1"),
        ("split", "aa,", "zz,"),
        ("split", "validate", "val"),
        ("chexpert", "-1.0", "-2.0"),
        ("chexpert", "Edema", "Oedema"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, table, old, new):
    root = mimic_cxr(tmp_path)
    for name in ("metadata", "split") if table == "metadata" and new.startswith("..") else (table,):
        path = root / f"mimic_cxr/mimic-cxr-2.0.0-{name}.csv"
        path.write_text(path.read_text().replace(old if name == table else "aa,", new if name == table else "../../../../aa,"))
    with pytest.raises(DataFormatError):
        list(DATASET.films(root))
