import dataclasses

import pytest

from vesalius.domain.exchange import Answer, Outcome
from vesalius.errors import ConfigError, InvalidValue
from vesalius.metrics.calibration import Platt, Temperature
from vesalius.safety.policy import AuditedGap, Calibrations, Limit, default_policy, read_policy
from vesalius.safety.signals import bias_score

LIMIT = '{ caveat = 0.1, refer = 0.2, missing = "caveated", message = "look" }'
MINIMAL = f"""
name = "site"
version = "3"
max_missing = 2
always_refer = [{{ finding = "x", words = ["x"] }}]
[limits]
uncertainty = {LIMIT}
flip_rate = {LIMIT}
image_reliance = {LIMIT.replace("0.1", "0.3")}
hallucination_risk = {LIMIT}
bias_score = {LIMIT}
out_of_scope = {LIMIT}
"""
TABLES = """
[calibration]
source = "development split"
closed = { kind = "temperature", temperature = 2 }
open = { kind = "platt", slope = 1.0, intercept = -0.5 }
[audit]
source = "audit of May"
[audit.gaps.sex]
F = { gap = 0.12, n = 300 }
[scope]
modalities = ["CR"]
quality = { side = [200, 100] }
"""


def _write(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_default_limits_are_the_documented_ones():
    limits = default_policy().limits
    assert (limits.uncertainty.refer, limits.bias_score.refer, limits.hallucination_risk.refer) == (0.7, 0.1, 0.2)
    for limit in (limits.uncertainty, limits.bias_score, limits.hallucination_risk):
        assert limit.message == "High uncertainty: physician review required"


def test_everything_is_read(tmp_path):
    policy = read_policy(_write(tmp_path, MINIMAL + TABLES))
    assert (policy.name, policy.version, policy.max_missing) == ("site", "3", 2)
    assert policy.calibrator(Answer("yes", Outcome.YES)) == Temperature(2)
    assert policy.calibrator(Answer("left", Outcome.TEXT)) == Platt(1.0, -0.5)
    assert bias_score({"sex": "F"}, policy.gaps()).value == 0.12
    assert policy.scope.modalities == ("CR",)
    assert policy.scope.quality.side == (200, 100)
    assert len(policy.digest()) == 64


def test_absent_tables_are_none(tmp_path):
    policy = read_policy(_write(tmp_path, MINIMAL))
    assert policy.calibrator(Answer("yes", Outcome.YES)) is None
    assert policy.gaps() == {}
    assert policy.scope is None


def test_digest_follows_values_not_layout(tmp_path):
    policy = read_policy(_write(tmp_path, MINIMAL))
    commented = read_policy(_write(tmp_path, "# a comment\n" + MINIMAL.replace("max_missing = 2", "max_missing   =   2")))
    assert policy.digest() == commented.digest()
    changed = read_policy(_write(tmp_path, MINIMAL), overrides=["limits.flip_rate.refer=0.21"])
    assert changed.limits.flip_rate.refer == 0.21
    assert changed.digest() != policy.digest()
    assert policy.identity() == {"name": "site", "version": "3", "sha256": policy.digest()}
    assert dataclasses.replace(policy, version="4").digest() != policy.digest()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_missing", "max_mising", "max_missing"),
        ("flip_rate =", "flip_rat =", "flip_rate"),
        (f"bias_score = {LIMIT}", "", "bias_score"),
        ("refer = 0.2", "refer = 1.2", r"\[0, 1\]"),
        ("refer = 0.2", "refer = 0.05", "milder"),
        ("refer = 0.2", 'refer = "high"', "not float"),
        ("refer = 0.2", "refer = nan", r"\[0, 1\]"),
        ('"caveated"', '"released"', "may not release"),
        ('"caveated"', '"maybe"', "one of"),
        ('"look"', '""', "message"),
        ("caveat = 0.3", "caveat = 0.1", "image_reliance"),
        ('"site"', '" "', "name"),
        ("max_missing = 2", "max_missing = -1", "negative"),
        ('words = ["x"]', "words = []", "at least one word"),
        ('version = "3"', "", "version"),
        ('version = "3"', "version = 3", "not str"),
        ("[limits]", "[limits", "TOML"),
        ("temperature = 2", "temperature = -2", "positive"),
        ('kind = "platt"', 'kind = "plat"', "plat"),
        ("gap = 0.12", "gap = 12", r"\[0, 1\]"),
        ("n = 300", "n = -1", "negative"),
        ("[200, 100]", "[100, 200]", "side"),
    ],
)
def test_a_wrong_policy_is_refused_in_words(tmp_path, old, new, words):
    text = MINIMAL + TABLES
    assert old in text
    with pytest.raises(ConfigError, match=words):
        read_policy(_write(tmp_path, text.replace(old, new)))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_policy(tmp_path / "none.toml")


def test_parts_cannot_be_built_wrong():
    with pytest.raises(InvalidValue):
        AuditedGap(float("nan"), 3)
    with pytest.raises(InvalidValue):
        Calibrations(closed={"kind": "temperature"})
    with pytest.raises(InvalidValue):
        Limit(0.1, float("inf"), default_policy().limits.uncertainty.missing, "x")


def test_a_calibration_serves_only_the_model_it_was_fitted_for(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(MINIMAL + TABLES.replace('source = "development split"', 'source = "development split"\nmodel = "pocket"'), encoding="utf-8")
    policy = read_policy(path)
    assert policy.calibrator(Answer("yes", Outcome.YES), "pocket") == Temperature(2)
    assert policy.calibrator(Answer("yes", Outcome.YES), "another") is None
