"""Reports that a model writes, against reports of people: overlap of words, findings stated, made up and left out.

In: rows {"id", "cluster", "reference", "hypothesis"}, optionally {"section"}: "report" (the default), "findings" or "impression". A model that writes reports
is asked for them (needs films with reference reports: none of the data sets at hand has both); or they are somebody else's pairs:
`python -m vesalius.evaluate.studies.report PAIRS.jsonl`. Whole reports that both have headings are scored by section too. What `score` gives:

    pairs {count, empty, no_reference}     rows; hypotheses without a word (scored: all is omitted); references without one (left out)
    read_as {tokenisation, bleu_smoothing, meteor, labeler, positive}
    sections.<report|findings|impression>
        n, clusters, empty                 counts
        overlap.{bleu_1..bleu_4, sentence_bleu_4, rouge_l, meteor}            intervals
        f1.<uncertain_positive|uncertain_negative>.<all|abnormal|chexpert|chexpert_five>            "abnormal": all but "no finding"
            micro {precision, recall, f1, stated, said}, macro (interval), macro_over (findings in the mean)
        by_finding.<finding> {precision, recall, f1, stated, said, hallucinated, omitted}      uncertain counts as positive; the last two are counts
        errors {hallucinated, contradicted, omitted, hallucinated_reports, omitted_reports}    intervals, without "no finding"
        constant {text, overlap, chexpert_micro_f1}    the same for one normal report in place of every hypothesis: what looking at nothing earns
        extras.<name>                      interval by key, or {"why": "..."}; only those named in the settings
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Question
from vesalius.errors import InvalidValue, UserError
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.probe import Probe, Shown
from vesalius.evaluate.record import RecordFormatError, answer_json
from vesalius.evaluate.report_extras import extra
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics import agreement, report
from vesalius.metrics.labels import CHEXPERT, CHEXPERT_FIVE, FINDINGS, NO_FINDING, Status, label_report, sections
from vesalius.metrics.statistics import cluster_mean
from vesalius.models.base import Sampling, Task

ASK = "Write the findings section of the report of this chest X-ray."
_SALT = "report"
_TOKENS = 320
_ABNORMAL = tuple(finding for finding in FINDINGS if finding != NO_FINDING)
_LISTS = {"all": FINDINGS, "abnormal": _ABNORMAL, "chexpert": CHEXPERT, "chexpert_five": CHEXPERT_FIVE}
NORMAL_REPORT = "The heart and mediastinum are normal. The lungs are clear. There is no pleural effusion or pneumothorax."  # the baseline: it looks at nothing
_NAMES = ("report", "findings", "impression")
_READ_AS = {
    "tokenisation": "lower case, runs of a-z and 0-9",
    "bleu_smoothing": "corpus: none; sentence: exponential, effective order (sacrebleu)",
    "meteor": "exact and stem stages, no synonyms",
    "labeler": "vesalius.metrics.labels, 28 findings",
    "positive": "a finding said to be present; uncertain counts as the name says",
}


@dataclasses.dataclass(frozen=True)
class Pair:
    """What was written and what should have been, of one section."""

    section: str
    reference: str
    hypothesis: str
    cluster: str


class ReportStudy:
    """See the module."""

    name = "report"
    title = "Written reports"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """Ask for a report of each film that has a reference.

        The setting `references` names a file of JSON lines below the data root: {"id", "image", "cluster", "reference"}, `image` relative to the root.
        """
        if bench.prober is None or bench.root is None:
            return Skip("there is no model to ask, only recorded answers")
        card = bench.prober.model.card
        if Task.REPORT not in card.tasks:
            return Skip(f"{card.name} writes no reports (its card names: {', '.join(card.tasks)})")
        named = bench.settings.get("references")
        if not named:
            return Skip("no data set at hand holds films with their reports; name a file of references below the data root in the settings of this study")
        rows = read_pairs(bench.root / str(named), needs=("image", "reference"))
        chosen = sorted(rows, key=lambda row: unit_hash(str(row["image"]), salt=_SALT))[: bench.limit]
        return self._ask(bench, chosen, tell)

    def _ask(self, bench: Bench, rows: Sequence[Row], tell: Tell) -> Iterator[Row]:
        assert bench.prober is not None
        sampling = Sampling(max_new_tokens=int(bench.settings.get("max_new_tokens", _TOKENS)))
        question = Question(str(bench.settings.get("ask", ASK)))
        for done, row in enumerate(rows):
            tell(done, len(rows))
            if str(row["id"]) in bench.done:
                continue
            [answer] = bench.prober.ask([Probe(Shown(row["image"], (("body_part", "CHEST"),)), question, sampling)])
            yield {
                **{key: row[key] for key in ("id", "image", "cluster", "reference", "section")},
                "hypothesis": answer.text,
                "answer": answer_json(answer, str(row["id"])),
            }

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:
        """Figures of the pairs; the structure stands in the module's docstring."""
        whole = [row for row in rows if report.tokens(row["reference"])]
        pairs = [pair for row in whole for pair in _split(row)]
        extras = tuple(bench.settings.get("extras", ()))
        return {
            "pairs": {
                "count": len(rows),
                "empty": sum(not report.tokens(row["hypothesis"]) for row in rows),
                "no_reference": len(rows) - len(whole),
            },
            "read_as": dict(_READ_AS),
            "sections": {name: _section(here, extras, scorer) for name in _NAMES if (here := [pair for pair in pairs if pair.section == name])},
        }


def _split(row: Row) -> list[Pair]:
    """The pair as it is and, of two whole reports with headings, the pair of each section that the reference has."""
    cluster, name = str(row["cluster"]), str(row.get("section") or "report")
    reference, hypothesis = sections(row["reference"]), sections(row["hypothesis"])
    found = [Pair(name, "\n\n".join(reference.values()), "\n\n".join(hypothesis.values()), cluster)]
    if name == "report" and hypothesis.keys() - {""}:
        found += [Pair(part, reference[part], hypothesis.get(part, ""), cluster) for part in _NAMES[1:] if part in reference]
    return found


def _section(pairs: Sequence[Pair], extras: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    clusters = [pair.cluster for pair in pairs]
    stated, said = (np.asarray([_codes(text) for text in texts]) for texts in ([p.reference for p in pairs], [p.hypothesis for p in pairs]))
    result: dict[str, Any] = {
        "n": len(pairs),
        "clusters": len(set(clusters)),
        "empty": sum(not report.tokens(pair.hypothesis) for pair in pairs),
        "overlap": _overlap(pairs, clusters, scorer),
        "f1": {
            "uncertain_positive": _f1(stated >= _UNCERTAIN, said >= _UNCERTAIN, clusters, scorer),
            "uncertain_negative": _f1(stated == _POSITIVE, said == _POSITIVE, clusters, scorer),
        },
        "by_finding": _by_finding(stated, said, clusters, scorer),
        "errors": _errors(stated, said, clusters, scorer),
        "constant": _constant(pairs, stated, clusters, scorer),
    }
    return {**result, "extras": {name: _extra(name, pairs, clusters, scorer) for name in extras}} if extras else result


_CODE = {Status.NOT_MENTIONED: 0, Status.NEGATIVE: 1, Status.UNCERTAIN: 2, Status.POSITIVE: 3}
_NEGATIVE, _UNCERTAIN, _POSITIVE = 1, 2, 3
Codes = NDArray[np.int64]


def _codes(text: str) -> list[int]:
    return [_CODE[status] for status in label_report(text).values()]


def _overlap(pairs: Sequence[Pair], clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    counts = np.asarray([report.bleu_counts(pair.hypothesis, pair.reference) for pair in pairs])
    how = {"replicates": scorer.replicates, "seed": scorer.seed}
    found: dict[str, Any] = {
        f"bleu_{order}": agreement.of_sums(lambda sums, order=order: report.corpus_bleu(sums, order), counts, clusters, **how).to_json()  # type: ignore[misc]
        for order in range(1, report.ORDER + 1)
    }
    for name, measure in (("sentence_bleu_4", report.sentence_bleu), ("rouge_l", report.rouge_l), ("meteor", report.meteor)):
        found[name] = cluster_mean([measure(pair.hypothesis, pair.reference) for pair in pairs], clusters, **how).to_json()
    return found


def _f1(stated: NDArray[np.bool_], said: NDArray[np.bool_], clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    how = {"replicates": scorer.replicates, "seed": scorer.seed}
    found = {}
    for name, listed in _LISTS.items():
        places = [FINDINGS.index(finding) for finding in listed]
        macro, over = agreement.macro_f1(stated[:, places], said[:, places], clusters, **how)
        micro = agreement.scores(stated[:, places], said[:, places], clusters, **how)
        found[name] = {"micro": micro.to_json(), "macro": macro.to_json(), "macro_over": over}
    return found


def _by_finding(stated: Codes, said: Codes, clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    found = {}
    for place, finding in enumerate(FINDINGS):
        first, second = stated[:, place], said[:, place]
        one = agreement.scores(first[:, None] >= _UNCERTAIN, second[:, None] >= _UNCERTAIN, clusters, replicates=scorer.replicates, seed=scorer.seed)
        wrong = {
            "hallucinated": int(((second == _POSITIVE) & (first < _UNCERTAIN)).sum()),
            "omitted": int(((first == _POSITIVE) & (second < _UNCERTAIN)).sum()),
        }
        found[finding] = {**one.to_json(), **wrong}
    return found


def _errors(stated: Codes, said: Codes, clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    kept = [FINDINGS.index(finding) for finding in _ABNORMAL]
    first, second = stated[:, kept], said[:, kept]
    return agreement.errors(
        first == _POSITIVE,
        second == _POSITIVE,
        stated_doubted=first == _UNCERTAIN,
        said_doubted=second == _UNCERTAIN,
        stated_denied=first == _NEGATIVE,
        clusters=clusters,
        replicates=scorer.replicates,
        seed=scorer.seed,
    ).to_json()


def _constant(pairs: Sequence[Pair], stated: Codes, clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    """What a report earns that says the same of everybody."""
    same = [dataclasses.replace(pair, hypothesis=NORMAL_REPORT) for pair in pairs]
    places = [FINDINGS.index(finding) for finding in CHEXPERT]
    said = np.asarray([_codes(NORMAL_REPORT)] * len(pairs))[:, places] >= _UNCERTAIN
    micro = agreement.scores(stated[:, places] >= _UNCERTAIN, said, clusters, replicates=scorer.replicates, seed=scorer.seed)
    return {"text": NORMAL_REPORT, "overlap": _overlap(same, clusters, scorer), "chexpert_micro_f1": micro.f1.to_json()}


def _extra(name: str, pairs: Sequence[Pair], clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    try:
        found = extra(name, [pair.hypothesis for pair in pairs], [pair.reference for pair in pairs])
    except UserError as error:
        return {"why": str(error)}
    return {key: cluster_mean(values, clusters, replicates=scorer.replicates, seed=scorer.seed).to_json() for key, values in found.items()}


def read_pairs(path: Path, *, needs: Sequence[str] = ("reference", "hypothesis")) -> list[dict[str, Any]]:
    """Rows of a file of JSON lines, ready for `score`: an absent `id` becomes the line's number, an absent `cluster` the id, an absent `section` "report".

    Raises:
        RecordFormatError: the file cannot be read, a line is no JSON object, a needed text is absent or no text, a section is not known, an id recurs.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordFormatError(f"{path}: cannot be read ({error})", remedy="give a file of JSON lines in UTF-8") from error
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _pair(json.loads(line), number, needs)
        except ValueError as error:
            raise RecordFormatError(
                f"{path}: line {number} is no pair ({error})", remedy='write {"reference": "...", "hypothesis": "..."} in each line'
            ) from error
        if row["id"] in rows:
            raise RecordFormatError(f"{path}: line {number} repeats the id {row['id']!r}", remedy="give each pair an id of its own")
        rows[row["id"]] = row
    return list(rows.values())


def _pair(row: Any, number: int, needs: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if not isinstance(row, dict):
        raise InvalidValue("not an object", remedy="write an object")
    for key in needs:
        if not isinstance(row.get(key), str):
            raise InvalidValue(f"{key!r} is absent or no text", remedy="write it as text")
    name = str(row.get("id", number))
    section = row.get("section") or "report"
    if section not in _NAMES:
        raise InvalidValue(f"the section {section!r} is none of {', '.join(_NAMES)}", remedy="leave it out for a whole report")
    return {**row, "id": name, "cluster": str(row.get("cluster", name)), "section": section}


def main(arguments: Sequence[str]) -> int:
    """Score a file of pairs; prints JSON. 2 when it cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m vesalius.evaluate.studies.report", description="Score written reports against references.")
    parser.add_argument("pairs", type=Path, help='JSON lines: {"id", "cluster", "section", "reference", "hypothesis"}')
    parser.add_argument("--extra", action="append", default=[], help="bertscore, radgraph, f1chexbert, green, ratescore; needs its library")
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        rows = read_pairs(given.pairs)
        result = STUDY.score(rows, Bench(settings={"extras": given.extra}), Scorer(replicates=given.replicates, seed=given.seed))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0


STUDY = ReportStudy()

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
