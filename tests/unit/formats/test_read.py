"""`read`: files, directories and lists become one study in order; everything else is refused in one sentence."""

from __future__ import annotations

import builtins
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from pydicom.data import get_testdata_file

from tests.unit.formats import drawn
from vesalius import formats
from vesalius.domain.study import Modality
from vesalius.errors import InvalidValue, MixedPatients, UnknownName, UnreadableStudy
from vesalius.formats import bounds
from vesalius.formats.collect import natural, sniff
from vesalius.formats.header import NotAnImage


def refused(path: Path | str | list[Path], words: str, kind: type[Exception] = UnreadableStudy, **options: object) -> str:
    """The one sentence by which a path is refused."""
    with pytest.raises(kind) as caught:
        formats.read(path, **options)  # type: ignore[arg-type]
    assert type(caught.value) is kind
    text = str(caught.value)
    assert words in text
    assert "\n" not in text
    return text


def test_importing_loads_neither_pydicom_nor_pillow() -> None:
    code = (
        "import sys, vesalius.formats, vesalius.formats.pixels, vesalius.formats.dicom, vesalius.formats.picture; print({'pydicom', 'PIL'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_missing_file(tmp_path: Path) -> None:
    assert str(tmp_path / "no.dcm") in refused(tmp_path / "no.dcm", "cannot be read (no such file or directory): check the path")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e.dcm").touch()
    refused(tmp_path / "e.dcm", "is empty")


def test_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "t.dcm").write_text("a letter, whatever its name says")
    refused(tmp_path / "t.dcm", "is not an image", NotAnImage)


@pytest.mark.parametrize(("head", "words"), [(b"\x1f\x8b\x08", "gzip archive"), (b"PK\x03\x04", "zip archive"), (b"%PDF-1.4", "PDF document")])
def test_archives_are_named(head: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(head + b"xxxx")
    refused(tmp_path / "a", words, NotAnImage)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drawn.write(tmp_path / "x.dcm")
    original = Path.open

    def forbid(self: Path, *args: object, **kwargs: object) -> object:  # tests may run as root, whom no mode stops
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", forbid)
    refused(path, "cannot be read (permission denied): give yourself the right to read it")


def test_a_file_that_becomes_unreadable_after_it_was_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drawn.write(tmp_path / "x.dcm")
    original = builtins.open

    def forbid(name: object, *args: object, **kwargs: object) -> object:
        if str(name) == str(path):
            raise PermissionError(13, "Permission denied", str(name))
        return original(name, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", forbid)  # as pydicom opens it
    refused(path, "permission denied")


def test_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    refused(tmp_path / "a", "cannot be read (too many levels of symbolic links)")


def test_a_null_character_in_a_path() -> None:
    refused("a\0b", "is not a path")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is not a regular file", NotAnImage)


def test_directory_without_a_readable_image(tmp_path: Path) -> None:
    refused(tmp_path, "holds no files")
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").write_text("text")
    refused(tmp_path, "none of its 2 files is a readable image (2 x is not an image)")


def test_directory_of_damaged_images_only(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "d" / "x.dcm")
    path.write_bytes(path.read_bytes()[:-10])
    refused(tmp_path / "d", "none of its 1 files is a readable image (1 x is truncated")


def test_directory_of_mixed_patients(tmp_path: Path) -> None:
    drawn.write(tmp_path / "a.dcm", PatientID="A")
    drawn.write(tmp_path / "b.dcm", PatientID="B")
    text = refused(tmp_path, "holds images of 2 patients: give the files of one patient", MixedPatients)
    assert "A," not in text
    refused([tmp_path / "a.dcm", tmp_path / "b.dcm"], "2 patients", MixedPatients)


def test_the_same_identifier_of_another_hospital_is_another_patient(tmp_path: Path) -> None:
    drawn.write(tmp_path / "a.dcm", IssuerOfPatientID="X")
    drawn.write(tmp_path / "b.dcm", IssuerOfPatientID="Y")
    refused(tmp_path, "2 patients", MixedPatients)


def test_patients_without_identifier_are_told_apart_by_name(tmp_path: Path) -> None:
    drawn.write(tmp_path / "a.dcm", PatientID="", PatientName="Vesal^Andries")
    drawn.write(tmp_path / "b.dcm", PatientID="", PatientName="Vesling^Johann")
    assert "Ves" not in refused(tmp_path, "2 patients", MixedPatients).replace(str(tmp_path), "")


def test_several_studies_of_one_patient_are_refused_with_the_way_out(tmp_path: Path) -> None:
    drawn.write(tmp_path / "a.dcm", StudyInstanceUID="1.2.10")
    drawn.write(tmp_path / "b.dcm", StudyInstanceUID="1.2.11", Modality="CR")
    text = refused(tmp_path, "holds 2 studies of one patient")
    assert "study=UID (--study UID)" in text
    assert "1.2.10 (1 files)" in text
    assert formats.read(tmp_path, study="1.2.11").modality is Modality.CR
    refused(tmp_path, "holds no study '9': choose one of: 1.2.10, 1.2.11", study="9")


def test_a_directory_is_read_with_its_series_in_order_and_the_rest_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    axial = [1, 0, 0, 0, 1, 0]
    for name, height, number in (("s2/c.dcm", 5.0, 1), ("s2/b.dcm", -5.0, 2), ("s2/a.dcm", 0.0, 3)):
        drawn.write(
            tmp_path / name,
            SeriesInstanceUID="1.2.3.20",
            SeriesNumber=2,
            ImageOrientationPatient=axial,
            ImagePositionPatient=[0, 0, height],
            InstanceNumber=number,
        )
    for name, number in (("s1/x10.dcm", 2), ("s1/x9.dcm", 1)):
        drawn.write(tmp_path / name, SeriesInstanceUID="1.2.3.10", SeriesNumber=1, InstanceNumber=number)
    (tmp_path / "README").write_text("text")
    (tmp_path / ".hidden").write_text("text")
    drawn.write(tmp_path / ".git" / "other.dcm", PatientID="SOMEONE ELSE")
    Pillow.new("L", (3, 3)).save(tmp_path / "thumb.png")
    broken = drawn.write(tmp_path / "s1" / "broken.dcm")
    broken.write_bytes(broken.read_bytes()[:-8])
    (tmp_path / "s2" / "up").symlink_to(tmp_path)
    with caplog.at_level(logging.INFO, logger="vesalius.formats"):
        found = formats.gather(tmp_path)
    assert [s.number for s in found.study.series] == [1, 2]
    assert [i.source for i in found.study.images] == ["x9.dcm", "x10.dcm", "b.dcm", "a.dcm", "c.dcm"]
    assert {s.path.name: s.damaged for s in found.skipped} == {"README": False, "thumb.png": False, "broken.dcm": True}
    assert "1 of 8 files are damaged" in caplog.text
    assert "left out 2 of 8 files that are no images" in caplog.text


def test_a_directory_index_is_skipped() -> None:
    root = Path(str(get_testdata_file("dicomdirtests/77654033/CR1/6154", download=False))).parents[2]
    refused(root / "DICOMDIR", "is a DICOMDIR, an index of files: give the folder that holds it", NotAnImage)
    refused(root, "patients", MixedPatients)
    assert len(formats.read(root / "98892003" / "MR700").images) == 7
    refused(root / "77654033", "holds 2 studies of one patient")
    study = formats.read(root / "77654033" / "CT2")
    heights = [i.position[2] for i in study.images if i.position]
    assert heights == sorted(heights)
    assert len(heights) == 4


def test_a_list_must_be_readable_as_a_whole(tmp_path: Path) -> None:
    good, text = drawn.write(tmp_path / "a.dcm"), tmp_path / "t.txt"
    text.write_text("text")
    refused([good, text], "is not an image", NotAnImage)
    Pillow.new("L", (3, 3)).save(tmp_path / "p.png")
    refused([good, tmp_path / "p.png"], "is a picture among DICOM files")
    refused([], "no file was given", InvalidValue)
    assert len(formats.read([good, drawn.write(tmp_path / "b.dcm")]).images) == 2


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(3):
        (tmp_path / str(k)).touch()
    monkeypatch.setattr(bounds, "MAX_FILES", 2)
    refused(tmp_path, "holds more than 2 files")


def test_a_study_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn.write(tmp_path / "a.dcm")
    drawn.write(tmp_path / "b.dcm")
    monkeypatch.setattr(bounds, "MAX_STUDY_VALUES", 39)
    refused(tmp_path, "the study holds more than 39 pixel values")


def test_deidentified_only_when_every_file_says_so(tmp_path: Path) -> None:
    drawn.write(tmp_path / "a.dcm", PatientIdentityRemoved="YES")
    assert formats.read(tmp_path).deidentified
    drawn.write(tmp_path / "b.dcm")
    assert not formats.read(tmp_path).deidentified


def test_declared_facts(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "a.dcm", BodyPartExamined="THORAX")
    image = formats.read(path, modality="mr", body_part="chest", view="pa").image
    assert (image.modality, image.body_part, image.view) == (Modality.MR, "CHEST", "PA")
    refused(path, "the header says MR, you declare CT", InvalidValue, modality="CT")
    assert formats.read(drawn.write(tmp_path / "b.dcm", Modality=None), modality="CT").modality is Modality.CT
    refused(path, "did you mean 'CT'", UnknownName, modality="CTT")
    refused(path, "is not a plain term", InvalidValue, body_part="<b>")


def test_the_first_bytes_decide_not_the_name(tmp_path: Path) -> None:
    assert sniff(drawn.write(tmp_path / "image.png")) == "dicom"
    Pillow.new("L", (3, 3)).save(tmp_path / "x.png")
    assert sniff((tmp_path / "x.png").rename(tmp_path / "x.dcm")) == "picture"


def test_names_sort_as_people_count() -> None:
    assert sorted(["s10", "s9", "s9a", "a²"], key=natural) == ["a²", "s9", "s9a", "s10"]


def test_the_study_is_immutable_and_small(tmp_path: Path) -> None:
    image = formats.read(drawn.write(tmp_path / "a.dcm")).image
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0] = 1
    np.testing.assert_array_equal(image.pixels[0], drawn.RAMP)
