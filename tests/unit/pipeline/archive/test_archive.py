"""A source becomes a release: nothing that identifies is in it, what belongs together stays together, and whatever cannot be proven clean is set apart."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pydicom
import pytest

from tests.unit.pipeline.archive.made import NAMES, archive, copied, everything, key_file, planted
from vesalius.errors import ConfigError, UserError
from vesalius.formats.deidentify import Key, Profile
from vesalius.pipeline.archive import Pixels, Plan, Summary, deidentify_archive, manifest
from vesalius.pipeline.archive import study as studies

PLAN = Plan(header=Profile(retain_longitudinal_modified_dates=True), pixels=Pixels(read="nothing"))  # reading has its own tests, and takes seconds


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    source = archive(folder)
    before = everything(source)
    summary = deidentify_archive(source, folder / "out", key_file(folder), PLAN)
    assert everything(source) == before  # the source is only read
    return folder, summary


def test_all_of_a_clean_archive_is_released(done):
    _, summary = done
    assert summary == Summary({"released": 2}, {"released": 3, "apart": 0, "left out": 0}, 0, 0)
    assert summary.whole


def test_no_byte_of_the_release_names_anybody(done):
    folder, _ = done
    low = everything(folder / "out" / "release").lower()
    for word in (b"ludlow", b"margaret", b"55102", b"okonkwo", b"chidi", b"90233", b"blythe", b"acc551", b"1.3.6.1.4.1.5962"):
        assert word not in low, word


def test_the_report_keeps_what_it_says_and_lies_beside_its_study(done):
    folder, _ = done
    (report,) = (folder / "out" / "release").rglob("reports/*.txt")
    text = report.read_text()
    assert "Kerley B lines. No effusion." in text
    held = json.loads((report.parents[1] / manifest.NAME).read_text())
    assert {Path(one["name"]).suffix for one in held["files"]} == {".dcm", ".txt"}


def test_the_private_folder_is_its_owners_alone(done):
    folder, _ = done
    assert (folder / "out" / "private").stat().st_mode & 0o077 == 0


def test_the_files_are_sound_and_say_that_they_are_deidentified(done):
    folder, _ = done
    for path in (folder / "out" / "release").rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.pixel_array.size
        assert path.parents[1].name == dataset.StudyInstanceUID
        assert path.parents[2].name == dataset.PatientID


def test_the_manifest_is_signed_and_a_changed_file_is_found(done, tmp_path):
    folder, _ = done
    key = Key.read(folder / "site.key")
    release = folder / "out" / "release"
    assert manifest.check(release, key) == []
    assert all("signed with another key" in line for line in manifest.check(release, Key(b"z" * 32)))
    target = tmp_path / "release"
    subprocess.run(["cp", "-r", release, target], check=True)
    image = next(target.rglob("*.dcm"))
    image.write_bytes(image.read_bytes() + b"\0\0")
    (image.parent / "stray.dcm").write_bytes(b"x")
    next(target.rglob("reports/*.txt")).unlink()
    wrong = " ".join(manifest.check(target, key))
    assert all(words in wrong for words in ("was changed", "is in no manifest", "is missing"))


def test_each_action_has_its_rule_a_digest_and_what_stands_there_now(done):
    folder, _ = done
    rows = [json.loads(line) for path in (folder / "out" / "release").rglob("actions.jsonl") for line in path.read_text().splitlines()]
    names = [row for row in rows if row["at"] == "(0010,0010)"]
    assert len(names) == 2
    assert all(len(row["before"]) == 32 and row["rule"].startswith("basic") and row["after"].startswith("P") for row in names)


def test_a_second_time_nothing_is_done_and_another_plan_does_it_again(tmp_path):
    source, key = archive(tmp_path), key_file(tmp_path)
    deidentify_archive(source, tmp_path / "out", key, PLAN)
    before = everything(tmp_path / "out" / "release")
    again = deidentify_archive(source, tmp_path / "out", key, PLAN)
    assert again.before == 2
    assert everything(tmp_path / "out" / "release") == before
    other = deidentify_archive(source, tmp_path / "out", key, Plan(pixels=Pixels(read="nothing")))
    assert other.before == 0
    assert everything(tmp_path / "out" / "release") != before


def test_a_changed_file_is_done_again_alone(tmp_path):
    source, key = archive(tmp_path), key_file(tmp_path)
    deidentify_archive(source, tmp_path / "out", key, PLAN)
    planted("MR_small.dcm", source / "b" / "two.dcm", SeriesNumber=77)
    assert deidentify_archive(source, tmp_path / "out", key, PLAN).before == 1


def test_progress_counts_files_and_never_falls(tmp_path):
    source, key, told = archive(tmp_path), key_file(tmp_path), []
    for name, workers in (("one", 1), ("two", 2)):
        deidentify_archive(source, tmp_path / name, key, PLAN, workers=workers, tell=lambda *said: told.append(said))
        steps = [(done, total) for done, total, what in told if what == "files"]
        assert steps[-1] == (2, 2)
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        told.clear()


def test_two_workers_write_the_same_bytes_as_one(tmp_path):
    source, key = archive(tmp_path), key_file(tmp_path)
    deidentify_archive(source, tmp_path / "one", key, PLAN)
    deidentify_archive(source, tmp_path / "two", key, PLAN, workers=2)
    assert [p.read_bytes() for p in sorted((tmp_path / "one" / "release").rglob("*.dcm"))] == [
        p.read_bytes() for p in sorted((tmp_path / "two" / "release").rglob("*.dcm"))
    ]


def test_a_dry_run_leaves_nothing(tmp_path):
    source = archive(tmp_path)
    summary = deidentify_archive(source, tmp_path / "out", key_file(tmp_path), PLAN, dry=True)
    assert summary.files["released"] == 3
    assert not (tmp_path / "out").exists()


def test_what_is_not_proven_clean_is_set_apart_whole(tmp_path, monkeypatch):
    source, key = archive(tmp_path), key_file(tmp_path)

    def careless(dataset, *args, **rest):
        clean, actions = real(dataset, *args, **rest)
        if "Okonkwo" in str(dataset.PatientName):
            clean.ImageComments = "spoke to Mr Okonkwo"
        return clean, actions

    real = studies.deidentify
    monkeypatch.setattr(studies, "deidentify", careless)
    summary = deidentify_archive(source, tmp_path / "out", key, PLAN)
    assert summary.studies == {"released": 1, "set apart": 1}
    assert not summary.whole
    assert b"okonkwo" not in everything(tmp_path / "out" / "release").lower()
    told = (tmp_path / "out" / "private" / "set_apart.csv").read_text()
    assert "b/two.dcm" in told
    assert "a name that was removed at (0010,0010) was found at (0020,4000)" in told


BAD = {
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "truncated": (lambda p: p.write_bytes(copied("MR_small.dcm", p).read_bytes()[:3000]), "cut off"),
    "picture": (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100), "nobody can say whose it is"),
    "noise": (lambda p: p.write_bytes(bytes(range(256)) * 40), "is not an image"),
    "stray text": (lambda p: p.write_text("A report of nobody."), "belongs to no study"),
    "pdf": (lambda p: p.write_bytes(b"%PDF-1.7\n" + b"\0" * 100), "PDF"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_and_loses_nothing_else(tmp_path, name):
    make, reason = BAD[name]
    source = tmp_path / "source"
    planted("CT_small.dcm", source / "a" / "one.dcm")
    (source / "c").mkdir()
    make(source / "c" / "bad")
    summary = deidentify_archive(source, tmp_path / "out", key_file(tmp_path), PLAN)
    assert summary.studies["released"] == 1
    told = "".join((tmp_path / "out" / "private" / f"{name}.csv").read_text() for name in ("left_out", "set_apart"))
    assert "c/bad" in told
    assert reason is None or reason in told
    assert b"c/bad" not in everything(tmp_path / "out" / "release")


def test_a_report_finds_its_study_by_its_accession_number(tmp_path):
    source = tmp_path / "source"
    planted("CT_small.dcm", source / "images" / "one.dcm")
    planted("MR_small.dcm", source / "images" / "two.dcm")
    (source / "reports").mkdir()
    (source / "reports" / "r1.txt").write_text("Accession ACC90233X. Normal brain.")
    deidentify_archive(source, tmp_path / "out", key_file(tmp_path), PLAN)
    (report,) = (tmp_path / "out" / "release").rglob("reports/*.txt")
    modality = pydicom.dcmread(next(report.parents[1].rglob("*.dcm"))).Modality
    assert modality == "MR"


def test_secondary_captures_are_set_apart_unless_the_plan_reads_them(tmp_path):
    source = tmp_path / "source"
    planted("CT_small.dcm", source / "one.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.7", ConversionType="WSD")
    summary = deidentify_archive(source, tmp_path / "out", key_file(tmp_path), Plan())
    assert summary.studies == {"nothing left": 1}


def test_heads_are_set_apart_where_the_plan_says_so(tmp_path):
    source = tmp_path / "source"
    planted("CT_small.dcm", source / "one.dcm", BodyPartExamined="HEAD")
    planted("MR_small.dcm", source / "two.dcm", BodyPartExamined="KNEE", StudyDescription="knee", SeriesDescription="t2")
    for faces, told in (("mark", {"released": 2}), ("refuse", {"released": 1, "nothing left": 1})):
        plan = Plan(pixels=Pixels(read="nothing", faces=faces))
        assert deidentify_archive(source, tmp_path / faces, key_file(tmp_path), plan).studies == told
    assert "a face may be recognised" in (tmp_path / "refuse" / "private" / "set_apart.csv").read_text()


def test_files_of_two_patients_that_call_themselves_one_study_are_set_apart(tmp_path):
    source = tmp_path / "source"
    planted("CT_small.dcm", source / "one.dcm")
    planted("CT_small.dcm", source / "two.dcm", PatientID="another", SOPInstanceUID="1.2.3.4")
    summary = deidentify_archive(source, tmp_path / "out", key_file(tmp_path), PLAN)
    assert summary.studies == {"set apart": 1}
    told = (tmp_path / "out" / "private" / "set_apart.csv").read_text()
    assert "one.dcm,files of several patients" in told
    assert "two.dcm,files of several patients" in told


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_file_name_that_is_no_text_is_read_too(tmp_path):
    source = tmp_path / "source"
    planted("CT_small.dcm", source / b"caf\xe9\xff.dcm".decode("utf-8", "surrogateescape"))
    assert deidentify_archive(source, tmp_path / "out", key_file(tmp_path), PLAN).whole


def test_members_of_a_zip_are_studies_too(tmp_path):
    source = archive(tmp_path)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        for path in source.rglob("*.dcm"):
            packed.write(path, str(path.relative_to(source)))
    summary = deidentify_archive(tmp_path / "in.zip", tmp_path / "out", key_file(tmp_path), PLAN)
    assert summary.files == {"released": 2, "apart": 0, "left out": 0}


def test_a_source_and_a_destination_within_one_another_are_refused(tmp_path):
    source, key = archive(tmp_path), key_file(tmp_path)
    for destination in (source, source / "out", tmp_path):
        with pytest.raises(UserError, match="within one another"):
            deidentify_archive(source, destination, key, PLAN)
    with pytest.raises(UserError, match="0 workers"):
        deidentify_archive(source, tmp_path / "out", key, PLAN, workers=0)


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("pixels", {"read": "trage"}),
        ("pixels", {"limit": 1.5}),
        ("pixels", {"faces": "keep"}),
        ("text", {"finder": "presdio"}),
        ("header", {"clean_graphics": True}),
    ],
)
def test_a_plan_that_says_nothing_known_is_refused(tmp_path, table, wrong):
    path = tmp_path / "plan.toml"
    path.write_text(f"[{table}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in wrong.items()))
    with pytest.raises(ConfigError):
        Plan.read(path)


def test_killed_at_any_moment_it_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    source, key = archive(tmp_path), key_file(tmp_path)
    deidentify_archive(source, tmp_path / "whole", key, PLAN)
    words = [sys.executable, "-m", "vesalius", "deidentify", str(source), str(tmp_path / "out"), "--key-file", str(key)]
    words += ["--set", "header.retain_longitudinal_modified_dates=true", "--set", "pixels.read=nothing"]
    for wait in (0.7, 1.3, 2.1):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(words, check=True, capture_output=True, env={**os.environ})
    same = [p.relative_to(tmp_path / "whole" / "release") for p in sorted((tmp_path / "whole" / "release").rglob("*")) if p.is_file()]
    assert same == [p.relative_to(tmp_path / "out" / "release") for p in sorted((tmp_path / "out" / "release").rglob("*")) if p.is_file()]
    assert all((tmp_path / "whole" / "release" / p).read_bytes() == (tmp_path / "out" / "release" / p).read_bytes() for p in same)
    assert not (tmp_path / "out" / "private" / "staging").exists()


def test_names_stand_in_no_message_of_a_failure(tmp_path, capsys):
    source = archive(tmp_path)
    broken = source / "a" / "one.dcm"
    broken.write_bytes(broken.read_bytes()[:1500])
    deidentify_archive(source, tmp_path / "out", key_file(tmp_path), PLAN)
    told = capsys.readouterr()
    assert not any(part in told.out + told.err for person, number in NAMES.values() for part in (*person.split("^")[:1], number))
