"""`vesalius train` and `vesalius evaluate`: long work, started, resumed, told about on standard error.

In: a recipe or a suite. Out: a folder; its place and the main figures on standard output.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vesalius.cli.console import Steps
from vesalius.cli.options import device_option, precision_option
from vesalius.cli.table import columns
from vesalius.errors import UserError

RESCORE, TRUST = "rescore", "trust"
_SHOWN = ("closed", "open", "overall")


@click.command("train", short_help="Train a model by a recipe.")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe: stages.alignment.steps=20; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on with the run that was stopped.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Data root; by default VESALIUS_DATA.")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, ...; by default a GPU when there is one.")
def train(recipe: Path, overrides: tuple[str, ...], resume: bool, data: Path | None, device: str | None) -> None:
    """Train by RECIPE, a TOML file that names model, data and stages."""
    from vesalius.train import recipe as recipes

    recipes.read(recipe, overrides=overrides)  # a mistake in the recipe is told before torch is loaded
    from vesalius.train import curriculum

    click.echo(str(curriculum.run(recipe, overrides=overrides, resume=resume, data=data, device=device)))


@click.command("evaluate", short_help="Evaluate a model on a suite.")
@click.argument("suite")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model",
    default="pocket",
    show_default=True,
    metavar="NAME",
    help="Which model; 'vesalius models' lists them. NAME:DIR takes weights of your own training.",
)
@device_option
@precision_option
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="Data root; by default VESALIUS_DATA.")
@click.option("--out", type=click.Path(path_type=Path), metavar="RUN", help="Folder of the run.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many test items.")
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="Policy of the gate (TOML); by default the one that ships.")
@click.option("--protocol", "protocols", multiple=True, metavar="NAME", help="Split protocol to report; may be repeated; by default all of the suite's.")
@click.option("--questioned", type=click.IntRange(min=0), metavar="N", help="Test items read through the whole gate; by default 60.")
@click.option("--reworded", type=click.IntRange(min=0), default=100, show_default=True, metavar="N", help="Test items asked in generated wordings.")
@click.option("--no-baselines", is_flag=True, help="Do not fit the baselines.")
@click.option("--suite-file", type=click.Path(path_type=Path), metavar="FILE", help="trust: which studies, how many items (TOML); by default all there are.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="trust: change a value of the suite: study_limit=20; may be repeated.")
@click.option("--predictions", type=click.Path(path_type=Path), metavar="FILE", help="trust: somebody else's answers (JSON lines) instead of a model.")
@click.option("--workers", type=click.IntRange(min=1), default=1, metavar="N", help="trust: so many processes, each with its own model; by default 1.")
@click.option("--ray", metavar="ADDRESS", help="trust: the workers live on a Ray cluster: HOST:PORT, auto, or local for one of this machine.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
def evaluate(suite: str, run: Path | None, out: Path | None, resume: bool, **options: Any) -> None:  # noqa: ANN401
    """Evaluate a model on SUITE (vqa-rad, slake, nih-cxr, path-vqa, pmc-vqa; trust for every study of behaviour),
    or score a recorded run again with 'evaluate rescore RUN'.

    The run folder holds what was said (JSON lines), the figures (results.json) and a page (page.html). Scoring again needs neither model nor data.
    """
    ctx = click.get_current_context()
    if suite == RESCORE:
        if run is None:
            raise click.UsageError("the run is missing: write vesalius evaluate rescore RUN", ctx)
        from vesalius.evaluate import task, trust

        if task.read_provenance(run)["config"]["suite"] == TRUST:
            return _told(trust.rescore(run), run)
        return _report(task.rescore(run), run)
    if run is not None:
        raise click.UsageError(f"{str(run)!r} is one word too many: give the folder of the run with --out", ctx)
    if out is None:
        raise click.UsageError("the folder of the run is missing: add --out RUN", ctx)
    if (options["workers"] != 1 or options["ray"] is not None) and (suite != TRUST or options["predictions"] is not None):
        raise UserError("only a trust suite that asks a model can be shared among workers", remedy="leave --workers and --ray out")
    return _trust(out, resume, options) if suite == TRUST else _evaluate(suite, out, resume, options)


def _evaluate(suite: str, out: Path, resume: bool, options: Mapping[str, Any]) -> None:
    from vesalius.data.base import data_root
    from vesalius.evaluate import plan, task
    from vesalius.models import cards
    from vesalius.safety.policy import read_policy

    plan.suite(suite)
    cards.check(options["model"])
    policy = read_policy(options["policy"]) if options["policy"] is not None else None
    root = data_root(options["data"])
    if (out / task.ITEMS).exists() and not resume:
        raise UserError(f"{out} holds a run already", remedy="add --resume to go on with it, or give --out a new folder")
    with Steps() as steps:
        found = task.run(
            suite,
            options["model"],
            root,
            out,
            limit=options["limit"],
            baselines=not options["no_baselines"],
            policy=policy,
            progress=steps.share,
            protocols=options["protocols"] or None,
            questioned=options["questioned"],
            reworded=options["reworded"],
            device=options["device"],
            precision=options["precision"],
        )
    _report(found, out)


def _trust(out: Path, resume: bool, options: Mapping[str, Any]) -> None:
    from vesalius.data.base import data_root
    from vesalius.evaluate import task, trust
    from vesalius.models import cards

    given = [f"limit={options['limit']}"] if options["limit"] is not None else []
    given += [f"questioned={options['questioned']}"] if options["questioned"] is not None else []
    chosen = trust.read_suite(options["suite_file"], overrides=[*given, f"reworded={options['reworded']}", *options["overrides"]])
    if (out / task.PROVENANCE).exists() and not resume:
        raise UserError(f"{out} holds a run already", remedy="add --resume to go on with it, or give --out a new folder")
    if options["predictions"] is not None:
        return _told(trust.run_predictions(options["predictions"], out, suite=chosen), out)
    cards.check(options["model"])
    with Steps() as steps:
        found = trust.run(
            options["model"],
            data_root(options["data"]),
            out,
            suite=chosen,
            progress=steps.share,
            device=options["device"],
            precision=options["precision"],
            workers=options["workers"],
            ray=options["ray"],
        )
    return _told(found, out)


def _told(results: Mapping[str, Any], run: Path) -> None:
    """Which studies were made and which were not, and where the figures are.

    Raises:
        UserError: none was made.
    """
    if not results["studies"]:
        name, why = next(iter(results["skipped"].items()), ("the suite", "it names no study"))
        raise UserError(f"nothing could be measured, {name} first: {why.rstrip('.')}", remedy=f"what was skipped and why stands in {run / 'trust.json'}")
    rows = [(name, found["title"], "measured") for name, found in results["studies"].items()]
    rows += [(name, "-", f"skipped: {why}") for name, why in results["skipped"].items()]
    click.echo(columns(("STUDY", "WHAT", "STATE"), rows))
    click.echo(str(run / "trust.json"))


def _report(results: Mapping[str, Any], run: Path) -> None:
    """Exact match of each system by part with its 95 % interval, and where everything else is."""
    rows = [
        (part, system, *(_interval(row.get(kind)) for kind in _SHOWN))
        for part, figures in results.get("parts", {}).items()
        for system, row in figures.get("systems", {}).items()
    ]
    if rows:
        click.echo(columns(("PART", "SYSTEM", *(kind.upper() for kind in _SHOWN)), rows))
    click.echo(str(run / "page.html"))


def _interval(figure: Mapping[str, Any] | None) -> str:
    """A share as per cent with its interval; a dash when there is none."""
    if not figure or figure.get("value") is None:
        return "-"
    low, high = figure.get("low"), figure.get("high")
    span = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"{100 * figure['value']:.1f}{span}"
