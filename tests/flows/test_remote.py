"""`remote:NAME` against a real server process: what it sends, what it survives, what it refuses."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from vesalius.domain.exchange import Question
from vesalius.errors import ConfigError, UserError
from vesalius.formats import read
from vesalius.models import cards
from vesalius.models.base import Sampling
from vesalius.models.endpoint import Client, Endpoint, EndpointError
from vesalius.models.remote import Remote

ROOT = Path(__file__).resolve().parents[2]
QUESTION = Question("Is there a lesion in the liver?")


@contextlib.contextmanager
def server(*options):
    process = subprocess.Popen([sys.executable, "-m", "tests.endpoint_server", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def remote(url, **settings):
    waits = []
    endpoint = Endpoint(url, "m", **{"per_minute": 60_000, "timeout": 30.0, **settings})
    return Remote("test", endpoint, Client(endpoint, sleep=waits.append)), waits


@pytest.fixture(scope="module")
def cleared(tmp_path_factory):
    """A real study whose header says that its identity was removed."""
    path = tmp_path_factory.mktemp("cleared") / "mr.dcm"
    dataset = dcmread(get_testdata_file("examples_overlay.dcm", download=False))
    dataset.PatientIdentityRemoved = "YES"
    dataset.save_as(path)
    return path


@pytest.fixture(scope="module")
def up():
    with server() as url:
        yield url


def test_a_study_that_is_not_marked_stays_here(up):
    model, _ = remote(up)
    study = read(get_testdata_file("examples_overlay.dcm", download=False))
    assert not study.deidentified
    with pytest.raises(UserError, match="not marked as de-identified"):
        model.encode(study)
    assert model.client.requests == 0


def test_answers_come_in_order_with_their_probabilities(up, cleared):
    model, _ = remote(up, input_price=10.0, output_price=30.0)
    encoded = model.encode(read(cleared))
    questions = [QUESTION, Question("Is the liver free of lesions?")] * 3
    answers = model.answer(encoded, questions, Sampling(0.0, 8, 1))
    assert [a.text for a in answers] == ["yes", "no"] * 3
    assert answers[0].p_yes > 0.5 > answers[1].p_yes
    assert answers[0].confidence is not None
    assert model.identity["requests"] == 6
    assert model.identity["cost"] == "0.0064 USD"  # 6 x (100 x 10 + 2 x 30) / 1e6
    assert "".join(model.stream(encoded, QUESTION)) == "yes"
    with pytest.raises(UserError, match="cannot score"):
        model.score(encoded, QUESTION, ["yes", "no"])


def test_without_log_probabilities_nothing_is_invented(cleared):
    with server("--plain") as url:
        model, _ = remote(url)
        answer = model.answer(model.encode(read(cleared)), [QUESTION])[0]
    assert answer.text == "yes"
    assert (answer.confidence, answer.p_yes, answer.logprob) == (None, None, None)


def test_trouble_that_passes_is_waited_for(cleared):
    with server("--fail", "503,429,hang") as url:
        model, waits = remote(url, timeout=1.0, retries=3)
        assert model.answer(model.encode(read(cleared)), [QUESTION])[0].text == "yes"
    assert model.client.requests == 4
    assert waits.count(0.0) == 2  # as the server asked
    assert max(waits) == 4.0


@pytest.mark.parametrize(
    ("trouble", "says"),
    [("500,500", "status 500: made to fail"), ("400", "status 400"), ("garbage", "not JSON"), ("empty", "no chat completion")],
)
def test_trouble_that_stays_is_told(cleared, trouble, says):
    with server("--fail", trouble) as url:
        model, _ = remote(url, retries=1)
        with pytest.raises(EndpointError, match=says):
            model.answer(model.encode(read(cleared)), [QUESTION])


def test_nobody_there(cleared):
    model, waits = remote("http://127.0.0.1:9/v1", retries=2, timeout=2.0)
    with pytest.raises(EndpointError, match="cannot be reached"):
        model.answer(model.encode(read(cleared)), [QUESTION])
    assert [w for w in waits if w > 0.5] == [1.0, 2.0]


def test_keys_come_from_the_environment_and_are_never_shown(cleared, monkeypatch):
    with server("--key", "sesame") as url:
        monkeypatch.setenv("SOME_KEY", "wrong")
        model, _ = remote(url, key_variable="SOME_KEY")
        with pytest.raises(EndpointError, match="status 401: no such key") as caught:
            model.answer(model.encode(read(cleared)), [QUESTION])
        assert "wrong" not in str(caught.value)
        monkeypatch.setenv("SOME_KEY", "sesame")
        model, _ = remote(url, key_variable="SOME_KEY")
        assert model.answer(model.encode(read(cleared)), [QUESTION])[0].text == "yes"
        assert "sesame" not in str(model.identity)
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(ConfigError, match="SOME_KEY"):
        remote(url, key_variable="SOME_KEY")


def test_a_budget_is_kept_and_requests_leave_evenly(up, cleared):
    model, waits = remote(up, per_minute=60, parallel=1, input_price=10_000.0, budget=1.5)
    encoded = model.encode(read(cleared))
    model.answer(encoded, [QUESTION, QUESTION])
    assert waits
    assert 0 < waits[0] <= 1.0  # a second apart, less what the first request took
    with pytest.raises(EndpointError, match=r"budget of 1\.5 USD is spent"):
        model.answer(encoded, [QUESTION])


def test_the_whole_gate_over_the_network(vesalius, up, cleared, tmp_path, monkeypatch):
    file = tmp_path / "endpoints.toml"
    file.write_text(f'[endpoints.ward]\nurl = "{up}"\nmodel = "m"\nper_minute = 60000\n')
    monkeypatch.setenv("VESALIUS_ENDPOINTS", str(file))
    said = vesalius("ask", cleared, QUESTION.text, "--model", "remote:ward", "--json")
    assert said.code in (0, 3)
    assert said.json["answer"] == "yes"
    assert said.json["model"]["endpoint"] == up
    assert said.json["signals"]["flip_rate"]["value"] is not None
    assert said.json["model"]["requests"] > 10
    refused = vesalius("ask", get_testdata_file("examples_overlay.dcm", download=False), QUESTION.text, "--model", "remote:ward")
    assert refused.code == 2
    assert "not marked as de-identified" in refused.err
    missing = vesalius("ask", cleared, QUESTION.text, "--model", "remote:wrad")
    assert missing.code == 2
    assert "did you mean 'ward'" in missing.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[endpoints.a]\nurl = "ftp://x"\nmodel = "m"', "no web address"),
        ('[endpoints.a]\nurl = "http://x"\nmodel = "m"\nparallel = 0', "above 0"),
        ("[endpoints]", "no endpoint"),
    ],
)
def test_a_file_that_is_wrong_is_told(tmp_path, monkeypatch, text, says):
    file = tmp_path / "endpoints.toml"
    file.write_text(text)
    monkeypatch.setenv("VESALIUS_ENDPOINTS", str(file))
    with pytest.raises(ConfigError, match=says):
        cards.check("remote:a")
    monkeypatch.setenv("VESALIUS_ENDPOINTS", str(tmp_path / "absent.toml"))
    with pytest.raises(ConfigError, match=r"there is no .*absent\.toml: describe it there"):
        cards.check("remote:a")
    with pytest.raises(ConfigError, match="write remote:NAME"):
        cards.check("remote")
