"""An archive is de-identified from the command line as a data manager would do it: a key, a dry run, a run, a check, and every mistake told in one sentence."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tests.unit.pipeline.archive.made import archive, everything

PLAN = ("--set", "header.retain_longitudinal_modified_dates=true", "--set", "pixels.read=nothing")


def vesalius(*words):
    return subprocess.run([sys.executable, "-m", "vesalius", *map(str, words)], capture_output=True, text=True, check=False)


def test_from_a_new_key_to_a_checked_release(tmp_path):
    source, out, key = archive(tmp_path), tmp_path / "out", tmp_path / "k"
    dry = vesalius("deidentify", source, out, "--key-file", key, "--new-key", "--dry-run", *PLAN)
    assert (dry.returncode, out.exists()) == (0, False)
    assert "this was a dry run" in dry.stdout
    done = vesalius("deidentify", source, out, "--key-file", key, *PLAN)
    assert done.returncode == 0, done.stderr
    assert "2 released" in done.stdout
    assert "3 released, 0 apart, 0 left out" in done.stdout
    assert vesalius("deidentify", "--check", out, "--key-file", key).stdout == "every file is what its manifest says\n"
    image = next((out / "release").rglob("*.dcm"))
    image.write_bytes(image.read_bytes()[:-2])
    checked = vesalius("deidentify", "--check", out, "--key-file", key, "--json")
    assert checked.returncode == 3
    assert json.loads(checked.stdout)["wrong"] == [f"{image.relative_to(out / 'release')}: was changed"]


def test_what_is_set_apart_is_an_exit_code_of_its_own(tmp_path):
    source = archive(tmp_path)
    bad = source / "a" / "cut.dcm"
    bad.write_bytes((source / "a" / "one.dcm").read_bytes()[:9000])
    done = vesalius("deidentify", source, tmp_path / "out", "--key-file", tmp_path / "k", "--new-key", "--json", *PLAN)
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert (said["whole"], said["files"]["apart"]) == (False, 1)
    assert "a/cut.dcm" in (tmp_path / "out" / "private" / "set_apart.csv").read_text()
    assert b"a/cut.dcm" not in everything(tmp_path / "out" / "release")


def test_a_cluster_releases_the_same_bytes(tmp_path):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra ray: pip install 'vesalius[ray]'")
    source, key = archive(tmp_path), tmp_path / "k"
    for name, hands in (("one", ("--new-key",)), ("many", ("--ray", "local", "--workers", 2))):
        done = vesalius("deidentify", source, tmp_path / name, "--key-file", key, *hands, *PLAN)
        assert done.returncode == 0, done.stderr
    one, many = ({p.relative_to(d): p.read_bytes() for p in d.rglob("*") if p.is_file()} for d in (tmp_path / "one" / "release", tmp_path / "many" / "release"))
    assert one == many
    assert one


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere", "OUT", "--key-file", "KEY", "--new-key"), "does not exist"),
        (("SRC", "OUT", "--key-file", "missing"), "cannot be read"),
        (("SRC", "SRC/inside", "--key-file", "KEY", "--new-key"), "within one another"),
        (("SRC", "OUT", "--key-file", "KEY", "--new-key", "--set", "pixels.raed=all"), "did you mean 'read'"),
        (("SRC", "OUT", "--key-file", "KEY", "--new-key", "--profile", "none.toml"), "none.toml: cannot be read"),
        (("SRC", "OUT", "--key-file", "KEY", "--new-key", "--workers", "0"), "0 workers cannot work"),
        (("SRC", "--key-file", "KEY"), "give SOURCE and DESTINATION"),
        (("--check", "nowhere", "--key-file", "KEY"), "cannot be read"),
    ],
)
def test_every_mistake_is_one_sentence(tmp_path, words, told):
    source = archive(tmp_path)
    names = {"SRC": source, "OUT": tmp_path / "out", "KEY": tmp_path / "k", "SRC/inside": source / "inside"}
    done = vesalius("deidentify", *(names.get(word, word) for word in words))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("vesalius: ")]) <= 2


@pytest.mark.parametrize("command", ["deidentify", "prepare"])
@pytest.mark.parametrize("mistake", [("nowhere", "OUT"), ("SRC", "OUT", "--set", "pixels.raed=all"), ("SRC", "OUT", "--profile", "none.toml")])
def test_a_mistyped_word_leaves_no_key_behind(tmp_path, command, mistake):
    names = {"SRC": archive(tmp_path), "OUT": tmp_path / "out"}
    done = vesalius(command, *(names.get(word, word) for word in mistake), "--key-file", tmp_path / "k", "--new-key")
    assert (done.returncode, (tmp_path / "k").exists()) == (2, False)


def test_a_release_that_is_not_there_cannot_be_checked(tmp_path):
    assert vesalius("deidentify", "--key-file", tmp_path / "k", "--new-key").returncode == 0
    done = vesalius("deidentify", "--check", tmp_path / "nowhere", "--key-file", tmp_path / "k")
    assert done.returncode == 2
    assert "is no folder" in done.stderr


def test_a_source_without_a_study_is_told(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "film.dcm").write_text("# not DICOM at all")
    done = vesalius("deidentify", tmp_path / "src", tmp_path / "out", "--key-file", tmp_path / "k", "--new-key")
    assert done.returncode == 2
    assert "no DICOM study was found" in done.stderr
    assert "film.dcm" in (tmp_path / "out" / "private" / "left_out.csv").read_text()


def test_a_key_that_others_can_read_is_refused(tmp_path):
    source, key = archive(tmp_path), tmp_path / "k"
    assert vesalius("deidentify", "--key-file", key, "--new-key").returncode == 0
    key.chmod(0o644)
    done = vesalius("deidentify", source, tmp_path / "out", "--key-file", key, *PLAN)
    assert (done.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "chmod 600" in done.stderr
