"""`vesalius evaluate trust --workers N`: the same records whoever does the work, and what is said when a worker, or the keyboard, ends it."""

import importlib.util
import signal

import pytest

from tests.slow_runs import Place, asks


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("workers"))
    code, told = place.finish("one")
    assert code == 0, told
    return place


def same(place, name):
    return place.records(name) == place.records("one") and place.rows(name) == place.rows("one")


def test_two_workers_make_the_same_records_with_the_same_questions(place):
    code, told = place.finish("two", "--workers", 2)
    assert code == 0, told
    assert same(place, "two")
    assert asks(place.calls("two")) == asks(place.calls("one"))
    assert "image_reliance" in told


def test_the_keyboard_ends_all_workers_and_the_run_goes_on_with_another_number(place):
    process = place.begin("stopped", "--workers", 3, pause=0.05)
    place.wait_for_calls(process, "stopped", len(place.calls("one")) // 2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "was stopped: give the same command again, with --resume" in told
    assert "Traceback" not in told
    begun = len(place.calls("stopped"))
    assert begun < len(place.calls("one"))
    code, told = place.finish("stopped")
    assert code == 0, told
    assert same(place, "stopped")


def test_a_worker_that_dies_is_told_in_a_sentence_and_the_others_go_on(place):
    code, told = place.finish("died", "--workers", 2, VESALIUS_TEST_FATE="senior radiologist=die")
    assert code == 2
    assert "a worker died at sycophancy (killed by SIGKILL); what was done is kept: give the same command again with --resume, and fewer" in told
    assert "Traceback" not in told
    for other in ("image_reliance.jsonl", "hallucination.jsonl"):
        assert place.rows("died")[other] == place.rows("one")[other]
    code, told = place.finish("died", "--workers", 2)
    assert code == 0, told
    assert same(place, "died")


def test_a_bug_in_a_worker_shows_its_traceback(place):
    code, told = place.finish("bug", "--workers", 2, VESALIUS_TEST_FATE="pleural=bug")
    assert code == 1
    assert "a worker failed at slake" in told
    assert 'slow_standin.py", line' in told
    assert "ZeroDivisionError: a mistake in the middle" in told


def test_what_cannot_be_shared_is_refused(typed, place, tmp_path):
    for words in (("trust", "--workers", 0), ("slake", "--workers", 2), ("trust", "--predictions", "x", "--workers", 2), ("slake", "--ray", "auto")):
        said = typed("evaluate", *words, "--out", tmp_path / "run", "--data", place.folder / "root")
        assert said.code == 2
        assert "--workers" in said.err
    assert not (tmp_path / "run").exists()


def test_a_cluster_makes_the_same_records(place):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra ray: pip install 'vesalius[ray]'")
    code, told = place.finish("cluster", "--workers", 2, "--ray", "local", timeout=180)
    assert code == 0, told
    assert same(place, "cluster")
    code, told = place.finish("nowhere", "--ray", "127.0.0.1:9")
    assert code == 2
    assert "no Ray cluster answers at '127.0.0.1:9'" in told
    code, told = place.finish("lost", "--workers", 2, "--ray", "local", timeout=180, VESALIUS_TEST_FATE="senior radiologist=die")
    assert code == 2, told
    assert "a worker died at sycophancy" in told


def test_without_ray_the_extra_is_named(place):
    if importlib.util.find_spec("ray") is not None:
        pytest.skip("Ray is installed")
    code, told = place.finish("absent", "--workers", 2, "--ray", "local")
    assert code == 2
    assert "needs the Python package 'ray': run: pip install 'vesalius[ray]'." in told
