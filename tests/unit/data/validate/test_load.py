import json

import numpy as np
import pytest
from PIL import Image as Picture

from tests.unit.data.validate import made
from vesalius.data.validate import ClinicalValidator
from vesalius.data.validate.load import MAX_TEXT, load
from vesalius.errors import UnreadableStudy


def _dicom(path, **elements):
    dataset = made.header(**{"PixelData": np.arange(64, dtype=np.uint16).tobytes(), **elements})
    dataset.save_as(path, enforce_file_format=True)
    return path


def _trouble(case):
    return None if case.trouble is None else (str(case.trouble.severity), case.trouble.message)


def test_files_of_every_kind_become_cases(tmp_path):
    _dicom(tmp_path / "a.dcm")
    Picture.fromarray(made.film().astype(np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "c.txt").write_text("The lungs are clear.")
    (tmp_path / "d.jsonl").write_text(json.dumps({"id": "one", "report": "Clear.", "image": "b.png", "labels": {"Edema": "absent"}}) + "\n")
    first, second, third, fourth = load([tmp_path])
    assert first.header is not None
    assert first.image.rows == 8
    assert second.image.rows == 256
    assert third.report == "The lungs are clear."
    assert (fourth.id, fourth.report, fourth.labels["edema"], fourth.image.rows) == ("one", "Clear.", "absent", 256)
    assert all(case.trouble is None for case in (first, second, third, fourth))


def test_a_report_belongs_to_the_first_image_which_knows_of_the_others(tmp_path):
    _dicom(tmp_path / "1.dcm", ViewPosition="AP")
    _dicom(tmp_path / "2.dcm", ViewPosition="AP")
    (tmp_path / "r").write_text("PA and lateral views. Three views of the chest.")
    first, second, other = load([tmp_path], tmp_path / "r")
    assert (first.views, first.images, second.report, _trouble(other)[0]) == (("AP", "AP"), 2, None, "note")
    found = {r.rule for r in ClinicalValidator()(first).remarks}
    assert {"report.view", "report.count"} <= found


def test_a_report_without_images_is_a_case_of_its_own(tmp_path):
    (tmp_path / "r.txt").write_text("Clear.")
    assert [c.report for c in load([], tmp_path / "r.txt")] == ["Clear."]


def test_what_cannot_be_read_is_a_case_with_its_trouble(tmp_path):
    whole = _dicom(tmp_path / "whole.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-40])
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "no.txt").write_bytes(b"\0\0")
    (tmp_path / "large.txt").write_bytes(b"a" * (MAX_TEXT + 1))
    (tmp_path / "x.bin").write_bytes(b"hello")
    cases = {c.id.rsplit("/", 1)[1]: c for c in load([tmp_path])}
    assert {name: (_trouble(c) or ("",))[0] for name, c in cases.items()} == {
        "cut.dcm": "error",
        "empty.dcm": "error",
        "large.txt": "error",
        "no.txt": "error",
        "whole.dcm": "",
        "x.bin": "note",
    }
    assert cases["cut.dcm"].header is not None  # its header is checked all the same
    assert [_trouble(c)[0] for c in load([tmp_path / "x.bin"])] == ["error"]  # named, so it was meant


@pytest.mark.parametrize(
    "row",
    [
        "{",
        "[]",
        "7",
        '{"reprot": "a"}',
        '{"report": 7}',
        '{"labels": {"Nothing": "present"}}',
        '{"labels": {"Edema": "maybe"}}',
        '{"labels": []}',
        '{"sex": "X"}',
        '{"findings": [{"name": "Edema", "box": [5, 5, 1, 1]}]}',
        '{"study_date": "yesterday"}',
        '{"images": true}',
        '{"image": "gone.png", "views": 3}',
        "[" * 3000,
    ],
)
def test_a_bad_row_is_told_and_the_others_are_read(tmp_path, row):
    (tmp_path / "t.jsonl").write_text(f'{{"report": "Clear."}}\n\n{row}\n{{"report": "Clear."}}\n')
    first, bad, last = load([tmp_path / "t.jsonl"])
    assert first.report == last.report == "Clear."
    assert bad.id.endswith("t.jsonl:3")
    assert _trouble(bad)[0] == "error"


def test_an_image_that_a_row_names_and_that_is_absent_is_its_trouble(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"image": "gone.png", "report": "Clear."}\n')
    (case,) = load([tmp_path / "t.jsonl"])
    assert case.report == "Clear."
    assert "gone.png" in _trouble(case)[1]


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UnreadableStudy, match="check the path"):
        list(load([tmp_path / "gone"]))
    with pytest.raises(UnreadableStudy):
        list(load([tmp_path], tmp_path / "gone.txt"))


def test_the_files_that_ship_with_pydicom_are_checked_without_an_exception():
    from pathlib import Path

    import pydicom.data

    root = Path(pydicom.data.__file__).parent / "test_files"
    check = ClinicalValidator(today=made.TODAY)
    names = ("badVR.dcm", "MR_truncated.dcm", "CT_small.dcm", "examples_overlay.dcm", "rtplan.dcm", "reportsi.dcm", "no_meta.dcm", "empty_charset_LEI.dcm")
    found = {Path(c.id).name: {r.rule for r in check(c).remarks} for c in load([root / n for n in names if (root / n).is_file()])}
    assert found["MR_truncated.dcm"] >= {"file.readable", "header.pixels"}
    assert "header.age" in found["examples_overlay.dcm"]  # born in the twelfth century
    assert found["CT_small.dcm"] == set()
