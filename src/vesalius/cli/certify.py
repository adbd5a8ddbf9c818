"""`vesalius certify RUN`: a gate whose accepted answers are wrong at most so often, proved on recorded development cases, or the reason why none can be.

In: the folder of an evaluation, a risk and a confidence. Out: what was proved as text or as one JSON object; with --out a policy for `vesalius ask --policy`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vesalius.cli.console import Steps
from vesalius.cli.table import columns
from vesalius.errors import UserError

if TYPE_CHECKING:
    from vesalius.safety.policy import Policy

NOTHING = 4
METHODS, SCORES = ("walk", "grid"), ("combined", "uncertainty")  # of modules that take long to import


@click.command("certify", short_help="Prove how often a gate's accepted answers are wrong.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--risk", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.10, show_default=True, help="At most this share wrong.")
@click.option("--confidence", type=click.FloatRange(0.5, 1, min_open=True, max_open=True), default=0.95, show_default=True, help="How surely.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the certified policy (TOML) here.")
@click.option("--suite", metavar="NAME", help="Of a run that holds several evaluations, this one; by default all together.")
@click.option("--group", "groups", multiple=True, metavar="TAG", help="Also tell the risk by this tag (sex, age, modality, view are told); may be repeated.")
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True, help="How thresholds are tested.")
@click.option(
    "--score", type=click.Choice(SCORES), default=SCORES[0], show_default=True, help="All recorded signals, half of the cases to fit; or one, all cases."
)
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="The policy to certify (TOML); by default the one that ships.")
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="First read the cases through the gate, for every signal; asks the model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def certify(run: Path, out: Path | None, data: Path | None, policy: Path | None, suite: str | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Certify a gate on RUN, the folder of 'vesalius evaluate': among accepted answers at most --risk are wrong, with --confidence.

    Uses development items alone, one a patient or image. Decide on --risk, --score and --method before you look: trying several spends the confidence.

    \b
    Exit codes: 0 certified; 4 nothing can be certified, and no policy is written;
    2 the run or an option cannot be used; 1 a bug.
    """  # noqa: D301 - click reads the character \b, not the two letters
    from vesalius.evaluate import certify as work
    from vesalius.evaluate import certify_policy
    from vesalius.safety.policy import read_policy

    if out is not None and out.exists():
        raise UserError(f"{out} exists already", remedy="give --out another file, or remove it")
    request = work.Request(options["risk"], options["confidence"], options["method"], options["score"], tuple(options["groups"]))
    rules = None if policy is None else read_policy(policy)
    if data is not None:
        _read(run, suite, request.score, data, rules)
    found = work.certify(run, request, suite=suite, policy=rules)
    if found.policy is not None and out is not None:
        certify_policy.write(found.policy, out)
    click.echo(json.dumps(found.report, indent=1, allow_nan=False) if as_json else _text(found.report, out))
    if found.policy is None:
        click.get_current_context().exit(NOTHING)


def _read(run: Path, suite: str | None, score: str, data: Path, rules: Policy | None) -> None:
    from vesalius.data.base import data_root
    from vesalius.evaluate import certify_cases as recorded
    from vesalius.evaluate.task import model_identity
    from vesalius.models import cards
    from vesalius.reader import Reader, bank_of
    from vesalius.safety.policy import default_policy

    root, folders = data_root(data), recorded.read(run, suite)
    called = str(folders[0].model.get("called"))
    cards.check(called)

    def reader() -> Reader:
        model = cards.load(called)
        told = model_identity(called, model)
        for name in ("name", "revision"):
            if told.get(name) != folders[0].model.get(name):
                raise UserError(f"{run} holds answers of {name} {folders[0].model.get(name)}, not {told.get(name)}", remedy="evaluate again")
        if (told["identity"].get("weights")) != (folders[0].model.get("identity") or {}).get("weights"):
            raise UserError(f"{run} holds answers of other weights of {called}", remedy="evaluate again")
        return Reader(model, rules or default_policy(), bank=bank_of(root))

    with Steps() as steps:
        recorded.read_through(recorded.split(folders, fit=score == SCORES[0]), reader, root, steps.share)


def _text(report: Mapping[str, Any], out: Path | None) -> str:
    """The report for a person."""
    asked, split, made = report["request"], report["split"], report["certificate"]
    goal = f"a risk of at most {asked['risk']:.1%} with {asked['confidence']:.0%} confidence"
    lines = [f"Certified: {goal}." if made else f"Nothing can be certified: {goal}.", ""]
    lines += [
        f"  cases     {split['cases']} to certify on, one a patient or image, of {split['development_items']:,} development items of {split['clusters']} "
        f"({', '.join(report['suites'])}); {split['fit_cases']} to fit on",
        f"  signals   as {'the gate measures them' if report['measured'] == 'gate' else 'plain answers have them'}: " + _weights(report["signals"]),
    ]
    if made:
        lines += [
            f"  proved    {made['errors']} of {made['accepted']} accepted cases are wrong, bound {made['bound']:.1%}; coverage {made['coverage']:.1%}",
            f"  accepts   estimated risk at most {made['threshold']:.4f}",
        ]
        lines += ["", *_groups(made["groups"]), "", "It is void for", *(f"  - {text}" for text in made["conditions"])]
    else:
        lines += [f"  why       {report['nothing']['why']}", f"  needed    {_needed(report['nothing'])}"]
    lines += ["", *_compared(report)]
    lines += [f"note: {note}." for note in report["notes"]]
    if out is not None:
        lines += ["", str(out) if made else "No policy was written."]
    return "\n".join(lines)


def _weights(signals: Mapping[str, Any]) -> str:
    told = [(name.replace("_", " "), row) for name, row in signals.items() if isinstance(row, Mapping)]
    parts = [f"{name} {row['weight']:.2f}" if row["weight"] is not None else f"{name} absent ({row['why']})" for name, row in told]
    return ", ".join(parts) + (f"; {signals['fitted']}" if "fitted" in signals else "")


def _needed(nothing: Mapping[str, Any]) -> str:
    least = f"at least {nothing['least_accepted_without_error']} accepted cases without an error"
    if nothing["observed"] is None:
        return least
    k, e = nothing["observed"]
    more = nothing["accepted_needed"]
    rate = f"at the error rate seen ({e} of {k})"
    return f"{least}; {rate} " + (f"about {more:,} accepted cases" if more else "no number of cases would do: the answers are not good enough")


def _groups(groups: list[Mapping[str, Any]]) -> list[str]:
    rows = [
        (g["tag"], g["value"], str(g["n"]), str(g["accepted"]), str(g["errors"]), "-" if g["low"] is None else f"{g['low']:.1%} to {g['high']:.1%}")
        for g in groups
    ]
    return [columns(("GROUP", "", "CASES", "ACCEPTED", "WRONG", "RISK (95 %, NOT CERTIFIED)"), rows)] if rows else ["No groups are recorded."]


def _compared(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, found in report["compare"].items():
        test = report["test"].get(name)
        case = "nothing" if found["accepted"] is None else f"{found['coverage']:.1%}, {found['errors']} of {found['accepted']} wrong"
        rows.append((name, case, "-" if found["bound"] is None else f"{found['bound']:.1%}", *(_share(test, key) for key in _TEST)))
    return [columns(("RULE", "ACCEPTED", "BOUND", "TEST: COVERAGE", "RISK", "RISK, IMAGE NEEDED"), rows)]


_TEST = ("coverage", "accepted_risk", "accepted_risk_image_needed")


def _share(test: Mapping[str, Any] | None, key: str) -> str:
    if test is None or test[key]["value"] is None:
        return "-"
    low, high = test[key]["low"], test[key]["high"]
    return f"{test[key]['value']:.1%}" + ("" if low is None else f" ({low:.1%} to {high:.1%})")
