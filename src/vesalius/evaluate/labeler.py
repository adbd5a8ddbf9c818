"""How well the labeler of chest reports reads: against the MeSH index of the Indiana University reports, on the half on which no rule was made.

In: a data root. Out: precision, recall and F1 of each finding, micro and macro, with intervals over reports. `python -m vesalius.evaluate.labeler --data ROOT`.
The index says what is stated to be present, likely things included, so both readings of "uncertain" are given. It never says what is denied or in doubt:
whether a negation is told from an assertion shows in precision; whether "uncertain" is told from "positive" is not measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.data import base
from vesalius.data.iu_reports import DATASET, Report
from vesalius.domain.exchange import Split
from vesalius.errors import UserError
from vesalius.metrics import agreement
from vesalius.metrics.labels import CHEXPERT, CHEXPERT_FIVE, FINDINGS, Status, label_report

_LISTS = {"all": FINDINGS, "chexpert": CHEXPERT, "chexpert_five": CHEXPERT_FIVE}


def validate(root: Path, part: Split = Split.TEST, *, replicates: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Scores on one half of the reports.

    Returns:
        n, left_out (not indexed, or no text), and for "uncertain_positive" and "uncertain_negative": by_finding, and micro, macro and macro_over of each list.

    Raises:
        DataMissing, DataFormatError: the reports.
    """
    every = [report for report in DATASET.reports(root) if report.split is part]
    reports = [report for report in every if report.stated is not None]
    labels = [label_report(report.text) for report in reports]
    stated = np.asarray([[finding in (report.stated or ()) for finding in FINDINGS] for report in reports], dtype=bool).reshape(len(reports), len(FINDINGS))
    found: dict[str, Any] = {"part": str(part), "n": len(reports), "left_out": len(every) - len(reports)}
    for name, positive in (
        ("uncertain_positive", {Status.POSITIVE, Status.UNCERTAIN}),
        ("uncertain_negative", {Status.POSITIVE}),
    ):
        said = np.asarray([[label[finding] in positive for finding in FINDINGS] for label in labels], dtype=bool).reshape(stated.shape)
        found[name] = _scored(stated, said, reports, replicates, seed)
    return found


def _scored(stated: Any, said: Any, reports: Sequence[Report], replicates: int, seed: int) -> dict[str, Any]:  # noqa: ANN401 - boolean arrays
    clusters = [report.id for report in reports]
    by_finding = {
        finding: agreement.scores(stated[:, [i]], said[:, [i]], clusters, replicates=replicates, seed=seed).to_json() for i, finding in enumerate(FINDINGS)
    }
    lists = {}
    for name, listed in _LISTS.items():
        places = [FINDINGS.index(finding) for finding in listed]
        macro, over = agreement.macro_f1(stated[:, places], said[:, places], clusters, replicates=replicates, seed=seed)
        micro = agreement.scores(stated[:, places], said[:, places], clusters, replicates=replicates, seed=seed)
        lists[name] = {"micro": micro.to_json(), "macro": macro.to_json(), "macro_over": over}
    return {"by_finding": by_finding, **lists}


def table(found: Mapping[str, Any]) -> str:
    """The scores in Markdown."""
    lines = []
    for name in ("uncertain_positive", "uncertain_negative"):
        lines += [
            f"{name.replace('_', ' counts as ')}: {found['n']:,} reports of the {found['part']} half ({found['left_out']} without index or text left out)",
            "",
        ]
        lines += ["| finding | stated | said | precision | recall | F1 |", "|---|---|---|---|---|---|"]
        rows = [(finding.replace("_", " "), scores) for finding, scores in found[name]["by_finding"].items()]
        rows += [(f"**micro, {key.replace('_', ' ')}**", found[name][key]["micro"]) for key in _LISTS]
        lines += [f"| {title} | {s['stated']} | {s['said']} | {_shown(s['precision'])} | {_shown(s['recall'])} | {_shown(s['f1'])} |" for title, s in rows]
        for key in _LISTS:
            lines.append(f"| **macro, {key.replace('_', ' ')}** ({found[name][key]['macro_over']} findings) | | | | | {_shown(found[name][key]['macro'])} |")
        lines.append("")
    return "\n".join(lines)


def _shown(interval: Mapping[str, Any]) -> str:
    if interval["value"] is None:
        return "-"
    ends = "" if interval["low"] is None else f" ({interval['low']:.2f} to {interval['high']:.2f})"
    return f"{interval['value']:.3f}{ends}"


def main(arguments: Sequence[str]) -> int:
    """Print the scores; 2 when the reports cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m vesalius.evaluate.labeler", description="Validate the labeler of chest reports on the Indiana reports.")
    parser.add_argument("--data", default=os.environ.get(base.ENVIRONMENT), help=f"data root; by default {base.ENVIRONMENT}")
    parser.add_argument("--part", choices=("test", "development"), default="test", help="rules were made on the development half; quote the test half only")
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        found = validate(base.data_root(given.data), Split(given.part), replicates=given.replicates)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write((json.dumps(found, indent=1) if given.json else table(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
