import json

import pytest

from tests.unit.data.validate import made
from vesalius.data.validate import RULES, Case, ClinicalValidator, Severity
from vesalius.data.validate.case import Facts
from vesalius.errors import UnknownName

BAD = "FINDINGS: There is a 34 cm nodule in the left lung. Unchanged.\nIMPRESSION: Right nodule. There is no nodule. [side]"


def test_every_need_is_a_fact_and_every_name_is_one():
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        for need in rule.needs:
            assert hasattr(Facts, need), need
        assert rule.summary


def test_a_case_without_anything_is_checked_by_nothing():
    checked = ClinicalValidator()(Case("a"))
    assert checked.remarks == ()
    assert checked.applied == ("file.readable",)
    assert len(checked.left_out) == len(RULES) - 1
    assert checked.left_out["report.side"] == ("report", "side")
    assert checked.worst is None


def test_errors_come_first_and_the_order_is_the_same_every_time():
    check = ClinicalValidator(today=made.TODAY)
    first = check(Case("a", report=BAD, prior=False))
    assert first.worst is Severity.ERROR
    ranks = [made.SEVERITIES.index(str(r.severity)) for r in first.remarks]
    assert ranks == sorted(ranks, reverse=True)
    assert first == check(Case("a", report=BAD, prior=False))


def test_everything_becomes_json_and_spans_point_into_the_report():
    checked = ClinicalValidator(today=made.TODAY)(Case("a", report=BAD, prior=False))
    told = json.loads(json.dumps(checked.to_json(), allow_nan=False))
    assert {r["rule"] for r in told["remarks"]} >= {"report.measurement", "self.side", "self.denied", "self.leftover", "report.prior"}
    for remark in told["remarks"]:
        for one in remark["evidence"]:
            start, end = one.get("span", (0, 1))
            assert 0 <= start < end <= len(BAD)
            assert len(str(one.get("value", ""))) <= 80


def test_only_the_rules_that_are_asked():
    checked = ClinicalValidator(["self.leftover"])(Case("a", report=BAD))
    assert [r.rule for r in checked.remarks] == ["self.leftover"]
    with pytest.raises(UnknownName, match=r"self\.side"):
        ClinicalValidator(["self.sides"])


@pytest.mark.parametrize("report", ["\0\1\2", "a" * 200_000, "No " * 50_000, "1." * 40_000, "[" * 60_000, "FINDINGS:" * 5_000, "é漢😀\u202e", "<" * 50_000])
def test_hostile_text_is_no_exception_and_takes_no_time(report):
    import time

    began = time.process_time()
    ClinicalValidator(today=made.TODAY)(Case("a", report=report, prior=False, images=1, modality="CR", views=("PA",)))
    assert time.process_time() - began < 5


@pytest.mark.data
def test_published_reports_that_put_a_finding_on_two_sides(data_root):
    from vesalius.data.iu_reports import DATASET

    told = {1475, 175, 2818, 3080, 3988}
    some = [r for r in DATASET.reports(data_root) if (number := int(r.id.partition(":")[2])) in told or number < 150]
    check = ClinicalValidator(["self.side", "report.measurement"])
    found = {(r.rule, r.where) for report in some for r in check(Case(report.id, report=report.text)).remarks}
    assert found == {("report.measurement", "iu-reports:3988"), *(("self.side", f"iu-reports:{n}") for n in told - {3988})}
