"""A name in a text that the standard's table does not name does not keep a study from being released."""

import pydicom

from tests.unit.pipeline.archive.made import everything, key_file, planted
from vesalius.pipeline.archive import Pixels, Plan, deidentify_archive


def test_the_default_plan_takes_the_name_out_and_releases_the_study(tmp_path):
    planted("CT_small.dcm", tmp_path / "source" / "one.dcm", WindowCenterWidthExplanation="LUNG Ludlow, Margaret", Manufacturer="Ludwig Imaging, Inc.")
    summary = deidentify_archive(tmp_path / "source", tmp_path / "out", key_file(tmp_path), Plan(pixels=Pixels(read="nothing")))
    assert summary.studies == {"released": 1}
    (path,) = (tmp_path / "out" / "release").rglob("*.dcm")
    dataset = pydicom.dcmread(path)
    assert dataset.WindowCenterWidthExplanation.startswith("LUNG ")
    assert dataset.Manufacturer == "Ludwig Imaging, Inc."
    assert b"ludlow" not in everything(tmp_path / "out" / "release").lower()


def test_words_of_every_hospital_stay_where_the_hospital_itself_goes(tmp_path):
    folder = tmp_path / "source"
    planted("CT_small.dcm", folder / "one.dcm", InstitutionName="Rudinen Medical Center", Manufacturer="GE MEDICAL SYSTEMS")
    text = "Margaret Ludlow, Rudinen Medical Center. Past medical history: none. A line in the center of the heart. Seen at RUDINEN.\n"
    (folder / "report.txt").write_text(text, encoding="utf-8")
    summary = deidentify_archive(folder, tmp_path / "out", key_file(tmp_path), Plan(pixels=Pixels(read="nothing")))
    assert summary.studies == {"released": 1}
    (report,) = (tmp_path / "out" / "release").rglob("reports/*.txt")
    assert "Past medical history: none. A line in the center of the heart." in report.read_text()
    assert b"rudinen" not in everything(tmp_path / "out" / "release").lower()
