"""`vesalius validate PATH...`: does a case fit itself: header, image, report, labels; what does not becomes a remark with its evidence.

In: DICOM files, pictures, report texts, rows of cases (JSON lines), folders. Out: remarks as text or as one JSON object; exit 3 when one is an error.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vesalius.cli.table import columns

if TYPE_CHECKING:
    from vesalius.data.validate import Checked

FOUND = 3
_GRAVITY = ("note", "warning", "error")


@click.command("validate", short_help="Check images, headers, reports and labels against one another.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="The report (text) of all the images together.")
@click.option("--rule", "rules", multiple=True, metavar="NAME", help="Ask this rule only; may be repeated.")
@click.option("--fail-on", type=click.Choice((*_GRAVITY, "never")), default="error", show_default=True, help="Exit 3 from this severity upwards.")
@click.option("--list", "listed", is_flag=True, help="List the rules and what each needs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def validate(paths: tuple[Path, ...], report: Path | None, rules: tuple[str, ...], fail_on: str, listed: bool, as_json: bool) -> None:
    """Check cases: DICOM files, pictures, report texts (.txt), rows of cases (.jsonl), and folders of them.

    A rule whose facts are unknown is not applied, and is told as such. Nothing is changed.

    \b
    Exit codes: 0 no remark from --fail-on upwards; 3 there is one;
    2 a path or an option cannot be used; 1 a bug.
    """  # noqa: D301 - click reads the character \b, not the two letters
    from vesalius.data.validate import RULES, ClinicalValidator
    from vesalius.data.validate.load import load

    if listed:
        click.echo(columns(("RULE", "LOOKS FOR", "NEEDS"), [(r.name, r.summary, ", ".join(r.needs) or "-") for r in RULES]))
        return
    if not paths and report is None:
        raise click.UsageError("nothing is given to check: add a PATH, --report FILE or --list", click.get_current_context())
    check = ClinicalValidator(rules or None)
    done: list[Checked] = []
    for case in load(paths, report):
        checked = check(case)
        done.append(checked)
        if not as_json and checked.remarks:
            click.echo(_text(checked))
    summary = _summary(done)
    click.echo(json.dumps({"cases": [c.to_json() for c in done], "summary": summary}, indent=1, allow_nan=False) if as_json else _told(summary))
    if fail_on != "never" and any(summary["remarks"][s] for s in _GRAVITY[_GRAVITY.index(fail_on) :]):
        click.get_current_context().exit(FOUND)


def _text(checked: Checked) -> str:
    lines = [checked.case]
    for remark in checked.remarks:
        lines.append(f"  {remark.severity:8}{remark.rule:20} {remark.message}")
        for one in remark.evidence:
            place = f" [{one.span[0]}:{one.span[1]}]" if one.span else ""
            lines.append(f"{'':31}{one.source} {one.name}{place}{'' if one.value is None else f': {one.value}'}")
    return "\n".join(lines)


def _summary(done: list[Checked]) -> dict[str, Any]:
    severities = Counter(str(r.severity) for c in done for r in c.remarks)
    by_rule = Counter(r.rule for c in done for r in c.remarks)
    lacking = Counter(name for c in done for name in c.left_out)
    return {
        "cases": len(done),
        "without_remark": sum(not c.remarks for c in done),
        "remarks": {s: severities[s] for s in _GRAVITY},
        "rules": dict(sorted(by_rule.items())),
        "not_applied": dict(sorted(lacking.items())),
    }


def _told(summary: dict[str, Any]) -> str:
    count = summary["remarks"]
    never = [name for name, n in summary["not_applied"].items() if n == summary["cases"]]
    lines = [
        f"{summary['cases']:,} cases, {summary['without_remark']:,} without a remark; "
        f"{count['error']:,} errors, {count['warning']:,} warnings, {count['note']:,} notes.",
    ]
    if never:
        lines.append(f"Never applied, for want of facts: {', '.join(never)}.")
    return "\n".join(lines)
