import tarfile

import pytest

from tests.unit.data import layout
from vesalius.data import base
from vesalius.data.base import DataFormatError
from vesalius.data.iu_reports import DATASET, stated
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing, UnknownName
from vesalius.metrics.labels import FINDINGS


def _damaged(root):
    path = root / "iu_reports/NLMCXR_reports.tgz"
    path.write_bytes(path.read_bytes()[:-200])


def test_reports_come_in_the_order_of_their_numbers_with_sections_and_index(tmp_path):
    first, second, third, last = DATASET.reports(layout.iu_reports(tmp_path))
    assert [r.id for r in (first, second, third, last)] == ["iu-reports:1", "iu-reports:2", "iu-reports:3", "iu-reports:10"]
    assert (first.findings, first.index) == ("The heart is enlarged. No effusion.", ("Cardiomegaly/mild",))
    assert first.text == "INDICATION: Cough; pneumonia?\n\nFINDINGS: The heart is enlarged. No effusion.\n\nIMPRESSION: Cardiomegaly."
    assert (third.findings, third.impression) == ("", "Small left effusion. Pacemaker.")


def test_the_index_gives_labels_and_a_report_that_was_not_indexed_has_none(tmp_path):
    first, second, third, last = DATASET.reports(layout.iu_reports(tmp_path))
    assert first.stated == {"cardiomegaly"}
    assert second.stated == {"no_finding"}
    assert third.stated == {"pleural_effusion", "support_devices"}
    assert last.stated is None


@pytest.mark.parametrize(
    ("terms", "findings"),
    [
        (("Opacity/lung/base/left/round",), {"lung_opacity", "lung_lesion", "nodule"}),
        (("Cardiac Shadow/enlarged/mild",), {"cardiomegaly"}),
        (("Cardiac Shadow/borderline",), {"no_finding"}),
        (("Thickening/pleura/apex",), {"pleural_other", "pleural_thickening"}),
        (("Calcinosis/aorta",), {"no_finding", "aortic_abnormality"}),
        (("Hydropneumothorax/right",), {"pneumothorax", "pleural_effusion"}),
        (("Lung/hypoinflation", "Spine/degenerative"), {"no_finding", "low_lung_volumes", "spine_degeneration"}),
        (("Shoulder/degenerative",), {"no_finding"}),
        (("Surgical Instruments/mediastinum",), {"no_finding", "support_devices"}),
    ],
)
def test_terms_become_findings(terms, findings):
    assert stated(terms) == findings
    assert stated(terms) <= set(FINDINGS)


def test_nothing_is_asked_about_pictures_and_nothing_is_for_training(tmp_path):
    layout.iu_reports(tmp_path)
    assert all(DATASET.exchanges(tmp_path, split) == () for split in Split)
    assert not DATASET.card.train_allowed
    assert all(report.split is not Split.TRAIN for report in DATASET.reports(tmp_path))
    assert base.check(tmp_path, "iu-reports").ok
    with pytest.raises(UnknownName):
        DATASET.exchanges(tmp_path, Split.TEST, "by_chance")


def test_a_damaged_archive_is_refused(tmp_path):
    _damaged(layout.iu_reports(tmp_path))
    with pytest.raises(DataFormatError, match="no whole archive"):
        DATASET.reports(tmp_path)
    assert not base.check(tmp_path, "iu-reports").ok


def test_an_empty_archive_and_one_of_something_else_are_refused(tmp_path):
    layout.iu_reports(tmp_path, rows=())
    with pytest.raises(DataFormatError, match="holds no report"):
        DATASET.reports(tmp_path)
    path = tmp_path / "iu_reports/NLMCXR_reports.tgz"
    (tmp_path / "1.xml").write_text("<other/>")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "1.xml", "x/1.xml")
    with pytest.raises(DataFormatError, match="has no sections"):
        DATASET.reports(tmp_path)


def test_entities_are_refused(tmp_path):
    (tmp_path / "iu_reports").mkdir()
    (tmp_path / "1.xml").write_text('<!DOCTYPE x [<!ENTITY a "aaaa">]><x><AbstractText Label="FINDINGS">&a;</AbstractText></x>')
    with tarfile.open(tmp_path / "iu_reports/NLMCXR_reports.tgz", "w:gz") as archive:
        archive.add(tmp_path / "1.xml", "x/1.xml")
    with pytest.raises(DataFormatError, match="defines entities"):
        DATASET.reports(tmp_path)


def test_an_absent_set_says_how_to_obtain_it(tmp_path):
    with pytest.raises(DataMissing, match="openi"):
        DATASET.reports(tmp_path)
    (tmp_path / "iu_reports").mkdir()
    with pytest.raises(DataMissing, match="cannot be read"):
        DATASET.reports(tmp_path)
