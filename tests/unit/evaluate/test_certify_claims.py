"""Reports cut to the claims that can be kept, on reports by hand and on real references with a stand-in for the model that writes."""

import json
import math

import numpy as np
import pytest

from tests.unit.data import layout
from vesalius.cli import main
from vesalius.data.iu_reports import DATASET
from vesalius.errors import InvalidValue
from vesalius.evaluate.certify_claims import cut, parts, write
from vesalius.evaluate.certify_reports import read
from vesalius.evaluate.record import RecordFormatError
from vesalius.metrics.labels import FINDINGS, Status, label_report

SAYS = {Status.POSITIVE: "There is {}.", Status.NEGATIVE: "There is no {}.", Status.UNCERTAIN: "Possible {}."}
TOLD = tuple(f for f in FINDINGS if label_report(f"There is {f.replace('_', ' ')}.")[f] is Status.POSITIVE)  # those that their own name names


def _file(tmp_path, rows):
    path = tmp_path / "reports.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _claims(*pairs):
    return [{"score": score, "right": right} for score, right in pairs]


def _reports(n, rng=None, *, start=0, wrong=0.3, **more):
    """Claims whose chance of being wrong falls with their score."""
    rng = rng or np.random.default_rng(start)
    rows = []
    for i in range(start, start + n):
        scores = rng.random(int(rng.integers(1, 8))).round(2)
        rows.append({"id": f"r{i}", "claims": _claims(*((float(s), bool(rng.random() > wrong * (1 - s) ** 2)) for s in scores)), **more})
    return rows


def _say(statuses):
    return " ".join(SAYS[status].format(finding.replace("_", " ")) for finding, status in statuses.items())


def stand_in(references, *, seed, samples=5, kind="samples"):
    """Reports as an imperfect model would write them beside these references, in sentences of our own.

    Each report has a difficulty; each finding that the reference speaks of is misread with a chance that grows with it, and again in each sample; now and then
    a finding is misread the same way every time, or one is made up.
    """
    for place, reference in enumerate(references):
        rng = np.random.default_rng([seed, place])
        hard, labels = rng.random() ** 2, label_report(reference)
        beliefs = {}
        for finding in TOLD:
            stated = labels[finding]
            if stated is Status.NOT_MENTIONED and rng.random() > 0.02 * hard:
                continue
            truth = Status.NEGATIVE if stated is Status.NOT_MENTIONED else stated
            others = [status for status in SAYS if status is not truth]
            mistaken = stated is Status.NOT_MENTIONED or rng.random() < 0.004
            beliefs[finding] = (truth, others[int(rng.integers(2))], 0.8 if mistaken else 0.25 * hard * rng.random())
        drawn = [{f: other if rng.random() < chance else truth for f, (truth, other, chance) in beliefs.items()} for _ in range(samples + 1)]
        row = {"id": f"{seed}-{place}", "reference": reference, "hypothesis": _say(drawn[0])}
        if kind == "samples":
            yield row | {"samples": [_say(sample) for sample in drawn[1:]]}
        else:
            noise = rng.normal(0, 0.1, len(FINDINGS))
            yield row | {"claim_scores": {f: float(1 - beliefs.get(f, (0, 0, 0.1))[2] + noise[i]) for i, f in enumerate(FINDINGS)}}


def test_by_hand(tmp_path):
    rows = [{"id": f"d{i}", "split": "development", "claims": _claims((0.9, True), (i / 20, False))} for i in range(9)]
    rows.append({"id": "t", "split": "test", "claims": _claims((0.9, True), (0.41, True), (0.4, False), (0.1, True))})
    rows.append({"id": "n", "claims": [{"score": 0.5, "text": "The heart is large."}, {"score": 0.3}]})
    found = cut(_file(tmp_path, rows))
    assert found.report["cut"] == 0.4  # of nine reports the largest score of a wrong claim
    assert found.report["keeps"] == "claims above the cut"
    assert found.report["reports"] == {"calibration": 9, "held out": 1, "new": 1, "not counted": 0}
    held = found.report["held_out"]
    assert (held["claims"], held["kept"], held["wrong"], held["wrong_kept"]) == (4, 2, 1, 0)
    assert (held["holds"]["value"], held["holds_uncut"]["value"]) == (1.0, 0.0)
    new = found.rows[-1]
    assert (new["part"], new["kept"], new["struck"]) == ("new", [{"score": 0.5, "text": "The heart is large."}], [{"score": 0.3}])


def test_a_share_of_kept_claims_may_be_asked_for(tmp_path):
    rows = [{"id": f"{i}", "split": "development", "claims": _claims((0.9, True), (0.8, True), (0.7, True), (0.6, False), (0.5, False))} for i in range(9)]
    path = _file(tmp_path, rows)
    assert cut(path).report["cut"] == 0.6
    assert cut(path, share=0.75).report["cut"] == 0.5
    assert cut(path, share=0.6).report["keeps"] == "every claim"


def test_nothing_can_be_kept_and_why(tmp_path):
    few = cut(_file(tmp_path, _reports(16)))
    assert (few.keeps, few.report["why"], few.report["at_least"]) == (False, "8 reports set the cut, and 9 are the fewest", None)
    sure = [{"id": f"{i}", "split": "development", "claims": _claims((1.0, i > 3), (0.5, True))} for i in range(20)]
    found = cut(_file(tmp_path, sure))
    assert found.report["why"] == "in 4 of 20 reports a claim that fails them has the highest score there is (1), and 1 may"
    assert found.report["keeps"] == "nothing"
    assert found.report["calibration"]["kept"] == 0
    json.dumps(found.report, allow_nan=False)


def test_reports_without_an_error_keep_everything(tmp_path):
    found = cut(_file(tmp_path, _reports(60, wrong=0.0)))
    assert (found.report["keeps"], found.report["cut"]) == ("every claim", None)
    assert found.report["held_out"]["kept"] == found.report["held_out"]["claims"] > 0
    json.dumps(found.report, allow_nan=False)


def test_one_report_a_patient_counts_and_halves_share_none(tmp_path):
    rows = [{**row, "cluster": f"p{i % 40}"} for i, row in enumerate(_reports(120))]
    reports = read(_file(tmp_path, rows))
    part = parts(reports)
    at = {name: [r.cluster for r in reports if part[r.id] == name] for name in ("calibration", "held out", "not counted")}
    assert [len(at[name]) for name in at] == [20, 20, 80]
    assert len(set(at["calibration"]) | set(at["held out"])) == 40
    assert parts(list(reversed(reports))) == part


def test_the_parts_read_no_claim(tmp_path):
    rows = _reports(50)
    turned = [{**row, "claims": _claims(*((1 - c["score"], not c["right"]) for c in row["claims"]))} for row in rows]
    assert parts(read(_file(tmp_path, rows))) == parts(read(_file(tmp_path, turned)))


def test_test_reports_of_patients_that_set_the_cut_are_not_counted(tmp_path):
    rows = _reports(30, split="development", cluster="a") + _reports(5, start=30, split="test", cluster="a") + _reports(5, start=40, split="test")
    part = list(parts(read(_file(tmp_path, rows + _reports(5, start=50, split="train")))).values())
    assert [part.count(name) for name in ("calibration", "held out", "not counted")] == [1, 5, 39]


def test_claims_are_read_from_the_texts(tmp_path):
    row = {
        "hypothesis": "FINDINGS: Large pleural effusion. No pneumothorax. Possible pneumonia. Cardiomegaly.",
        "reference": "FINDINGS: Small pleural effusion. Pneumonia. Heart size is normal.",
        "samples": ["There is pleural effusion and cardiomegaly.", "No pneumothorax. Pleural effusion.", "No pleural effusion. Pneumonia.", ""],
    }
    [report] = read(_file(tmp_path, [row]))
    assert {c.finding: (c.status, c.right, c.score) for c in report.claims} == {
        "cardiomegaly": ("positive", False, 0.25),
        "pneumonia": ("uncertain", False, 0.0),  # the reference is sure
        "pneumothorax": ("negative", True, 0.25),  # not mentioned is absent
        "pleural_effusion": ("positive", True, 0.5),
    }
    assert (report.judged, report.samples, report.source) == (True, 4, "support among samples")


def test_an_all_clear_is_a_claim(tmp_path):
    rows = [{"hypothesis": "No acute disease.", "reference": text, "claim_scores": {"no_finding": 0.5}} for text in ("Pneumonia.", "Normal chest.")]
    assert [[(c.finding, c.right) for c in r.claims] for r in read(_file(tmp_path, rows))] == [[("no_finding", False)], [("no_finding", True)]]


def test_claims_of_findings_are_held_against_the_reference_unless_judged(tmp_path):
    claim = {"finding": "edema", "status": "positive"}
    rows = [
        {"claims": [claim | {"score": 1}], "reference": "Edema."},
        {"claims": [claim | {"score": 1, "right": True}], "reference": "No edema."},
        {"claims": [claim | {"score": 0.5}]},
    ]
    assert [(r.judged, r.claims[0].right) for r in read(_file(tmp_path, rows))] == [(True, True), (True, True), (False, None)]
    [counted] = read(_file(tmp_path, [{"claims": [claim], "samples": ["Edema.", "Clear lungs."], "reference": "Edema."}]))
    assert counted.claims[0].score == 0.5


def test_a_report_without_a_claim_counts_where_it_is_judged(tmp_path):
    rows = [{"hypothesis": "", "reference": "Edema.", "samples": [""], "id": f"{i}"} for i in range(30)]
    found = cut(_file(tmp_path, rows))
    assert found.report["keeps"] == "every claim"
    assert (found.report["held_out"]["nothing_said"], found.report["held_out"]["claims"], found.report["score"]) == (15, 0, None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "holds no reports"),
        ("{", "line 1 is no report"),
        ("[1]", "not an object"),
        ("[" * 100_000, "line 1 is no report"),
        ('{"hypothesis": 5, "claim_scores": {}}', "hypothesis is absent or no text"),
        ('{"reference": "a"}', "hypothesis is absent or no text"),
        ('{"hypothesis": "Edema."}', "neither claim_scores nor samples"),
        ('{"hypothesis": "Edema.", "samples": []}', "samples is no list of texts, or empty"),
        ('{"hypothesis": "Edema.", "samples": "Edema."}', "samples is no list of texts"),
        ('{"hypothesis": "Edema.", "claim_scores": {"mass": 1}}', "none for edema"),
        ('{"hypothesis": "Edema.", "claim_scores": [1]}', "claim_scores is no object"),
        ('{"hypothesis": "Edema.", "claims": []}', "cannot both be given"),
        ('{"claims": {}}', "no list of objects"),
        ('{"claims": [1]}', "no list of objects"),
        ('{"claims": [{"score": true}]}', "no finite number"),
        ('{"claims": [{"score": NaN}]}', "NaN is not a number"),
        ('{"claims": [{"score": 1e999}]}', "no finite number"),
        ('{"claims": [{"score": 1' + "0" * 400 + "}]}", "no finite number"),
        ('{"claims": [{"score": "0.5"}]}', "no finite number"),
        ('{"claims": [{"score": 1, "rigth": true}]}', "unknown field 'rigth'"),
        ('{"claims": [{"score": 1, "right": 1}]}', "neither true nor false"),
        ('{"claims": [{"score": 1, "right": true}, {"score": 1}]}', "some are not"),
        ('{"claims": [{"score": 1, "right": true}, {"right": true}]}', "some have none"),
        ('{"claims": [{"right": true}]}', "has no score"),
        ('{"claims": [{"score": 1}], "reference": "Edema."}', "needs a finding and its status"),
        ('{"claims": [{"score": 1, "finding": "edema"}]}', "needs its status"),
        ('{"claims": [{"score": 1, "finding": "edema", "status": "not_mentioned"}]}', "needs its status"),
        ('{"claims": [{"score": 1, "finding": "gout", "status": "positive"}]}', "none of the 28 findings"),
        ('{"claims": [{"score": 1, "finding": "edema", "status": "maybe"}]}', "maybe"),
        ('{"claims": [], "split": "half"}', "half"),
        ('{"claims": [], "split": []}', "line 1 is no report"),
        ('{"claims": [], "id": {}}', "is no name"),
        ('{"claims": [], "id": "a"}\n{"claims": [], "id": "a"}', "repeats the id 'a'"),
        ('{"claims": [{"score": 1}]}\n{"hypothesis": "Edema.", "samples": [""]}', "scores are of two kinds"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, line, why):
    path = tmp_path / "reports.jsonl"
    path.write_text(line)
    with pytest.raises(RecordFormatError, match=why.replace("(", r"\(")):
        read(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "reports.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordFormatError, match="cannot be read"):
        read(path)


def test_levels_and_files_that_set_no_cut_are_refused(tmp_path):
    path = _file(tmp_path, _reports(30))
    for bad in ({"alpha": 0.0}, {"alpha": math.nan}, {"share": 0.0}, {"share": 1.1}, {"confidence": 1.0}):
        with pytest.raises(InvalidValue):
            cut(path, **bad)
    with pytest.raises(InvalidValue, match="no report can set a cut"):
        cut(_file(tmp_path, [{"claims": [{"score": 1}]}]))
    with pytest.raises(InvalidValue, match="no report can set a cut"):
        cut(_file(tmp_path, _reports(30, split="test")))


def test_no_report_is_lost_in_what_is_written(tmp_path):
    rows = [{**row, "cluster": f"p{i % 30}"} for i, row in enumerate(_reports(60))] + [{"id": "new", "claims": [{"score": 0.99}]}]
    found = cut(_file(tmp_path, rows))
    write(found, tmp_path / "out.jsonl")
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == [row["id"] for row in rows]
    assert [len(row["kept"]) + len(row["struck"]) for row in written] == [len(row["claims"]) for row in rows]
    assert all(claim["score"] > found.report["cut"] for row in written for claim in row["kept"])


def test_what_is_kept_holds_as_often_as_promised(tmp_path):
    held, drawn, uncut = 0, 0, []
    for seed in range(12):
        found = cut(_file(tmp_path, _reports(400, start=1000 * seed)), alpha=0.2).report["held_out"]
        held, drawn = held + round(found["holds"]["value"] * found["n"]), drawn + found["n"]
        uncut.append(found["holds_uncut"]["value"])
    noise = 3 * math.sqrt(0.2 * 0.8 * (1 / drawn + 1 / (12 * 200)))  # of what is looked at, and of what set the cuts
    assert 0.8 - noise <= held / drawn <= 0.82 + noise
    assert max(uncut) < 0.75


@pytest.mark.parametrize("kind", ["samples", "claim_scores"])
def test_a_writer_beside_real_references_is_cut_to_what_holds(data_root, tmp_path, kind):
    references = [report.text for report in DATASET.reports(data_root)][::4]
    found = cut(_file(tmp_path, stand_in(references, seed=0, kind=kind)))
    held = found.report["held_out"]
    assert found.keeps
    assert held["n"] == len(references) // 2
    assert held["holds"]["high"] >= 0.9 >= held["holds_uncut"]["high"]
    assert 0.2 < held["kept"] / held["claims"] < 1
    assert held["wrong_kept"] / held["kept"] < held["wrong"] / held["claims"] / 2


def test_the_stand_in_writes_without_the_data_too(tmp_path):
    references = [r.text for r in DATASET.reports(layout.iu_reports(tmp_path))]
    rows = list(stand_in(references, seed=1))
    assert rows == list(stand_in(references, seed=1)) != list(stand_in(references, seed=2))
    assert len(read(_file(tmp_path, rows))) == len(references)


def test_the_command_tells_what_to_keep_and_writes_it(tmp_path, capsys):
    out = tmp_path / "kept.jsonl"
    path = _file(tmp_path, [*_reports(200), {"id": "new", "claims": [{"score": 0.99}]}])
    assert main(["certify", str(path), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Claims to keep: all kept claims are right in at least 90.0% of reports, on average over calibration sets.")
    assert "100 set the cut, one a patient; 100 held out; 1 new; 0 not counted" in said
    assert said.rstrip().endswith(str(out))
    assert len(out.read_text().splitlines()) == 201
    assert main(["certify", str(path), "--json", "--share", "0.5", "--risk", "0.2"]) == 0
    claims = json.loads(capsys.readouterr().out)["claims"]
    assert (claims["alpha"], claims["share"]) == (0.2, 0.5)


def test_the_command_says_when_nothing_can_be_kept(tmp_path, capsys):
    out = tmp_path / "kept.jsonl"
    assert main(["certify", str(_file(tmp_path, _reports(10))), "-o", str(out)]) == 4
    said = capsys.readouterr().out
    assert said.startswith("Nothing can be kept")
    assert "5 reports set the cut, and 9 are the fewest" in said
    assert "No reports were written." in said
    assert not out.exists()


def test_the_command_refuses_options_that_have_no_say(tmp_path, capsys):
    path = _file(tmp_path, _reports(30))
    for words in (["--suite", "slake"], ["--score", "uncertainty"], ["--data", str(tmp_path)], ["--group", "sex"]):
        assert main(["certify", str(path), *words]) == 2
        assert f"{words[0]} has no say on a file of reports" in capsys.readouterr().err
    assert main(["certify", str(tmp_path), "--share", "0.5"]) == 2
    assert "--share has no say on a run" in capsys.readouterr().err
