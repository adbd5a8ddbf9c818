"""Written reports: what is asked, how pairs are read and what follows from them."""

import dataclasses
import json

import pytest

from tests.evaluate_miniature import draw
from tests.standin import StandIn
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.probe import Prober
from vesalius.evaluate.record import RecordFormatError
from vesalius.evaluate.studies.report import STUDY, main, read_pairs
from vesalius.evaluate.study import Bench, Skip
from vesalius.metrics.labels import FINDINGS
from vesalius.models.base import Task

SCORER = Scorer(replicates=50, seed=0)


def _row(number, reference, hypothesis, **more):
    return {"id": str(number), "cluster": f"patient {number // 2}", "reference": reference, "hypothesis": hypothesis, **more}


ROWS = [
    _row(0, "Small pleural effusion. No pneumothorax.", "Small pleural effusion. No pneumothorax."),
    _row(1, "Mild cardiomegaly.", "The cardiac silhouette is mildly enlarged."),
    _row(2, "No pleural effusion.", "Pleural effusion."),
    _row(3, "Possible pneumonia.", "Pneumonia."),
    _row(4, "Left basilar atelectasis.", "The lungs are clear."),
    _row(5, "Calcified granuloma.", ""),
]


def _score(rows, **settings):
    return STUDY.score(rows, Bench(settings=settings), SCORER)


class Writer(StandIn):
    """A stand-in that writes the same sentence of every film."""

    def __init__(self):
        super().__init__("wordy")
        self.card = dataclasses.replace(self.card, tasks=(Task.VQA, Task.REPORT))


@pytest.fixture
def root(tmp_path):
    lines = []
    for number in range(4):
        draw(tmp_path / "films" / f"{number}.png", number)
        lines.append(json.dumps({"id": f"film {number}", "cluster": "p", "image": f"films/{number}.png", "reference": "Small effusion."}))
    (tmp_path / "films" / "references.jsonl").write_text("\n".join(lines))
    return tmp_path


def _collect(root, model, **more):
    bench = Bench(root, Prober(model, root), settings={"references": "films/references.jsonl"}, **more)
    rows = STUDY.collect(bench, lambda done, total: None)
    return rows if isinstance(rows, Skip) else list(rows)


def test_findings_made_up_and_left_out():
    found = _score(ROWS)["sections"]["report"]
    errors = found["errors"]
    assert errors["hallucinated"]["value"] == 1 / 4  # of effusion, cardiomegaly, effusion, pneumonia: the second effusion
    assert errors["contradicted"]["value"] == 1 / 4
    assert errors["omitted"]["value"] == 2 / 4  # of effusion, cardiomegaly, atelectasis, granuloma: the last two
    assert errors["hallucinated_reports"]["value"] == 1 / 6
    assert errors["omitted_reports"]["value"] == 2 / 6
    assert found["by_finding"]["pleural_effusion"]["hallucinated"] == 1
    assert found["by_finding"]["granuloma"]["omitted"] == 1


def test_the_same_finding_in_other_words_counts_and_its_denial_does_not():
    found = _score(ROWS)["sections"]["report"]
    by_finding = found["by_finding"]
    assert by_finding["cardiomegaly"]["f1"]["value"] == 1
    assert by_finding["pleural_effusion"]["precision"]["value"] == 1 / 2
    assert by_finding["pneumothorax"]["f1"]["value"] is None  # denied twice, never present
    assert _score(ROWS[1:2])["sections"]["report"]["overlap"]["bleu_4"]["value"] in (0, None)


def test_what_is_uncertain_counts_as_the_name_says():
    found = _score([ROWS[3], ROWS[0]])["sections"]["report"]["f1"]
    assert found["uncertain_positive"]["all"]["micro"]["f1"]["value"] == 1
    assert found["uncertain_negative"]["all"]["micro"]["precision"]["value"] == 1 / 2


def test_a_report_that_says_the_same_of_everybody_stands_beside():
    written = "The lungs are clear. There is no pleural effusion or pneumothorax."
    found = _score([_row(n, written, "Large mass.") for n in range(4)])["sections"]["report"]
    assert found["constant"]["overlap"]["rouge_l"]["value"] > 0.7
    assert found["constant"]["chexpert_micro_f1"]["value"] == 1
    assert found["f1"]["uncertain_positive"]["abnormal"]["micro"]["f1"]["value"] == 0


def test_intervals_are_of_patients():
    found = _score(ROWS)["sections"]["report"]
    assert (found["n"], found["clusters"], found["empty"]) == (6, 3, 1)
    rouge = found["overlap"]["rouge_l"]
    assert (rouge["n"], rouge["clusters"]) == (6, 3)
    assert rouge["low"] <= rouge["value"] <= rouge["high"]
    assert set(found["by_finding"]) == set(FINDINGS)
    json.dumps(_score(ROWS), allow_nan=False)


def test_whole_reports_with_headings_are_scored_by_section_too():
    written = "FINDINGS: Small effusion. IMPRESSION: No acute disease."
    found = _score(
        [_row(0, f"INDICATION: Pneumonia. {written}", written), _row(1, written, "Small effusion."), _row(2, "Normal.", "Normal.", section="impression")]
    )
    assert {name: part["n"] for name, part in found["sections"].items()} == {"report": 2, "findings": 1, "impression": 2}
    assert found["sections"]["findings"]["overlap"]["rouge_l"]["value"] == 1
    assert found["sections"]["report"]["by_finding"]["pneumonia"]["stated"] == 0


def test_a_missing_section_is_left_out_text_and_a_missing_reference_is_no_pair():
    found = _score([_row(0, "FINDINGS: Effusion. IMPRESSION: Effusion.", "IMPRESSION: Effusion."), _row(1, " ", "Effusion.")])
    assert found["pairs"] == {"count": 2, "empty": 0, "no_reference": 1}
    assert found["sections"]["findings"]["errors"]["omitted"]["value"] == 1


def test_no_rows_is_no_figures():
    assert _score([])["sections"] == {}


def test_an_extra_that_is_not_there_says_so():
    found = _score(ROWS[:2], extras=["radgraph", "nonsense"])["sections"]["report"]["extras"]
    assert "nonsense" in found["nonsense"]["why"]
    assert "radgraph" in found


def test_a_model_that_writes_no_reports_is_left_out(root):
    assert "writes no reports" in _collect(root, StandIn()).why


def test_without_references_or_a_model_there_is_nothing_to_do(root):
    assert "no data set" in STUDY.collect(Bench(root, Prober(Writer(), root)), lambda done, total: None).why
    assert "no model" in STUDY.collect(Bench(root), lambda done, total: None).why


def test_each_film_is_asked_once_and_what_is_done_is_not_asked_again(root):
    rows = _collect(root, Writer(), limit=3)
    assert len(rows) == 3
    assert all(row["hypothesis"].startswith("There is a small") and row["reference"] == "Small effusion." for row in rows)
    again = _collect(root, Writer(), limit=3, done=frozenset(row["id"] for row in rows[:2]))
    assert [row["id"] for row in again] == [rows[2]["id"]]
    assert _score(rows)["sections"]["report"]["n"] == 3


def test_no_reference_is_shown_to_the_model(root):
    model = Writer()
    asked = []
    model._one = lambda seen, question, sampling: asked.append(question.text) or StandIn._one(model, seen, question, sampling)
    _collect(root, model)
    assert len(asked) == 4
    assert not any("effusion" in text.lower() for text in asked)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"reference": "a"}', "'hypothesis' is absent"),
        ('{"reference": "a", "hypothesis": 3}', "no text"),
        ('{"reference": "a", "hypothesis": "b", "section": "history"}', "history"),
        ("[1]", "not an object"),
        ('{"reference": ', "line 1"),
        ('{"id": 1, "reference": "a", "hypothesis": "b"}\n{"id": 1, "reference": "a", "hypothesis": "b"}', "repeats"),
    ],
)
def test_a_file_that_is_no_file_of_pairs_is_refused(tmp_path, text, why):
    (tmp_path / "pairs.jsonl").write_text(text)
    with pytest.raises(RecordFormatError, match=why):
        read_pairs(tmp_path / "pairs.jsonl")


def test_a_file_of_pairs_is_scored(tmp_path, capsys):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"reference": "Effusion.", "hypothesis": "Effusion."}\n\n{"reference": "No effusion.", "hypothesis": "Clear."}\n')
    assert [row["id"] for row in read_pairs(path)] == ["1", "3"]
    assert main([str(path), "--replicates", "20"]) == 0
    assert json.loads(capsys.readouterr().out)["sections"]["report"]["n"] == 2
    assert main([str(tmp_path / "absent.jsonl")]) == 2
    assert "cannot be read" in capsys.readouterr().err
