"""`vesalius certify RUN`: a gate whose accepted answers are wrong at most so often, proved on recorded development cases, or the reason why none can be.

In: the folder of an evaluation, a risk and a confidence. Out: what was proved as text or as one JSON object; with --out a policy for `vesalius ask --policy`.
Beside the certificate: answer sets. In: a file of reports. Out: the cut above which claims may be kept; with --out the reports without the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vesalius.cli.console import Steps
from vesalius.cli.table import columns
from vesalius.errors import UserError

if TYPE_CHECKING:
    from vesalius.safety.policy import Policy

NOTHING = 4
_OF_RUNS = ("--risk", "--confidence", "--out", "--suite", "--group", "--method", "--score", "--policy", "--data", "--json")
METHODS, SCORES = ("walk", "grid"), ("combined", "uncertainty")  # of modules that take long to import


@click.command("certify", short_help="Prove how often a gate's accepted answers are wrong.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--risk", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.10, show_default=True, help="At most this share wrong.")
@click.option("--confidence", type=click.FloatRange(0.5, 1, min_open=True, max_open=True), default=0.95, show_default=True, help="How surely.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the certified policy (TOML), or the cut reports (JSON lines), here.")
@click.option("--suite", metavar="NAME", help="Of a run that holds several evaluations, this one; by default all together.")
@click.option("--group", "groups", multiple=True, metavar="TAG", help="Also tell the risk by this tag (sex, age, modality, view are told); may be repeated.")
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True, help="How thresholds are tested.")
@click.option(
    "--score", type=click.Choice(SCORES), default=SCORES[0], show_default=True, help="All recorded signals, half of the cases to fit; or one, all cases."
)
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="The policy to certify (TOML); by default the one that ships.")
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="First read the cases through the gate, for every signal; asks the model.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Of a file of reports: right share of the kept claims.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def certify(run: Path, out: Path | None, data: Path | None, policy: Path | None, suite: str | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Certify a gate on RUN, the folder of 'vesalius evaluate': among accepted answers at most --risk are wrong, with --confidence.

    Uses development items alone, one a patient or image. Decide on --risk, --score and --method before you look: trying several spends the confidence.
    Beside it, sets of answers of which at most --risk miss the right one, on average.

    RUN may be a file of reports (JSON lines): tells which of their claims to keep, so that all kept ones are right in all but --risk of the reports,
    on average; docs/studies/certify.md tells what a line holds.

    \b
    Exit codes: 0 certified, or claims can be kept; 4 nothing can be, and no policy and no reports are written;
    2 the run or an option cannot be used; 1 a bug.
    """  # noqa: D301 - click reads the character \b, not the two letters
    if out is not None and out.exists():
        raise UserError(f"{out} exists already", remedy="give --out another file, or remove it")
    if run.is_file():
        _only("--risk", "--confidence", "--share", "--out", "--json", where="on a file of reports")
        found, text = _cut(run, options, out)
    else:
        _only(*_OF_RUNS, where="on a run")
        found, text = _gate(run, out, data, policy, suite, options)
    click.echo(json.dumps(found, indent=1, allow_nan=False) if as_json else text)
    if _nothing(found):
        click.get_current_context().exit(NOTHING)


def _only(*names: str, where: str) -> None:
    """Refuse options that were given and have no say."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and given and option.opts[-1] not in names:
            raise UserError(f"{option.opts[-1]} has no say {where}", remedy="leave it out")


def _nothing(found: Mapping[str, Any]) -> bool:
    return bool(found["claims"]["keeps"] == "nothing") if "claims" in found else found["certificate"] is None


def _cut(path: Path, options: Mapping[str, Any], out: Path | None) -> tuple[dict[str, Any], str]:
    from vesalius.evaluate import certify_claims

    found = certify_claims.cut(path, alpha=options["risk"], share=options["share"], confidence=options["confidence"])
    if found.keeps and out is not None:
        certify_claims.write(found, out)
    return {"claims": found.report}, _claims(found.report, out)


def _gate(run: Path, out: Path | None, data: Path | None, policy: Path | None, suite: str | None, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    from vesalius.evaluate import certify as work
    from vesalius.evaluate import certify_policy
    from vesalius.safety.policy import read_policy

    request = work.Request(options["risk"], options["confidence"], options["method"], options["score"], tuple(options["groups"]))
    rules = None if policy is None else read_policy(policy)
    if data is not None:
        _read(run, suite, request.score, data, rules)
    found = work.certify(run, request, suite=suite, policy=rules)
    if found.policy is not None and out is not None:
        certify_policy.write(found.policy, out)
    return found.report, _text(found.report, out)


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
    lines += ["", *_compared(report), "", *_sets(report["sets"])]
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


def _sets(found: Mapping[str, Any]) -> list[str]:
    """Answer sets, beside the certificate."""
    cases, test = found["calibration"], found["test"]
    head = f"Answer sets: yes, no, or both, of which at most {found['alpha']:.0%} miss the right answer, on average over calibration sets; not certified."
    count = f"{cases['n']} cases with P(yes) ({cases['no_probability']} without)"
    if found["q"] is None:
        return [head, f"  no sets   {found['why']}"]
    sizes = test["sizes"]
    return [
        head,
        f"  fitted    q {found['q']:.4f} on {count}; with {found['confidence']:.0%} confidence these leave a coverage of at least {found['at_least']:.1%}",
        f"  test      coverage {_share(test, 'coverage')}; of {test['n']:,} sets {sizes['1']:,} hold one answer, {sizes['2']:,} both, {sizes['0']:,} none",
        f"  alone     a single answer is wrong in {_share(test, 'one_answer_wrong')}",
        "",
        _set_groups(found["groups"]),
    ]


def _set_groups(groups: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for g in groups:
        own = g["own"]
        told = ("too few", "", "") if own["q"] is None else (f"{own['q']:.4f}", _share(own["test"], "coverage"), _share(own["test"], "one_answer"))
        rows.append((g["tag"], g["value"], str(g["n"]), _share(g["test"], "coverage"), _share(g["test"], "one_answer"), *told))
    return columns(("GROUP", "", "CASES", "TEST: COVERAGE", "ONE ANSWER", "OWN Q", "TEST: COVERAGE", "ONE ANSWER"), rows)


def _claims(found: Mapping[str, Any], out: Path | None) -> str:
    """What came of a file of reports, for a person."""
    counts, none = found["reports"], found["keeps"] == "nothing"
    right = "all kept claims are right" if found["share"] == 1 else f"at least {found['share']:.0%} of the kept claims are right"
    goal = f"{right} in at least {1 - found['alpha']:.1%} of reports, on average over calibration sets"
    samples = found["samples"]
    drawn = "" if samples is None else f", {samples[0]}" + ("" if samples[0] == samples[1] else f" to {samples[1]}") + " a report"
    lines = [
        f"Nothing can be kept: {goal}." if none else f"Claims to keep: {goal}.",
        "",
        f"  reports   {counts['calibration']:,} set the cut, one a patient; {counts['held out']:,} held out; {counts['new']:,} new; "
        f"{counts['not counted']:,} not counted",
        f"  scores    {found['score'] or 'no claims'}{drawn}",
    ]
    if none:
        lines += [f"  why       {found['why']}"]
    else:
        above = "every claim is kept" if found["cut"] is None else f"a claim is kept when its score is above {found['cut']:.4g}"
        lines += [f"  cut       {above}; with {found['confidence']:.0%} confidence these reports leave at least {found['at_least']:.1%}"]
    lines += _held_out(found["held_out"])
    if out is not None:
        lines += ["", "No reports were written." if none else str(out)]
    return "\n".join(lines)


def _held_out(seen: Mapping[str, Any]) -> list[str]:
    if not seen["n"]:
        return []
    rows = [(name, *(f"{row[key]:,}" for key in _CLAIMS)) for name, row in (*seen["by_status"].items(), ("all", seen))]
    return [
        f"  held out  {_share(seen, 'holds')} hold, {_share(seen, 'holds_uncut')} uncut; {_share(seen, 'holds_with_claims_left')} where a claim is left; "
        f"{seen['nothing_left']:,} of {seen['n']:,} are left without one",
        "",
        columns(("HELD-OUT CLAIMS", "MADE", "KEPT", "WRONG", "WRONG AND KEPT"), rows),
    ]


_CLAIMS = ("claims", "kept", "wrong", "wrong_kept")
