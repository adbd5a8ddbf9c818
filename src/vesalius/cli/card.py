"""`vesalius card RUN... -o card.html`: what is known of a model's trustworthiness, on one page; and a failure when it got worse than it was.

In: folders of `vesalius evaluate trust`. Out: a page, on demand the figures as JSON and a model card as Markdown; with rules, a line for each regression.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vesalius.evaluate.card.compare import Rules
    from vesalius.evaluate.card.runs import Run

REGRESSION = 3


@click.command("card", short_help="Show trust runs on one page; fail on regressions.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the page (HTML) here.")
@click.option("--json", "as_json", type=click.Path(path_type=Path), metavar="FILE", help="Write every headline figure as JSON.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write a model card with a model-index.")
@click.option("--against", type=click.Path(path_type=Path), metavar="BASELINE", help="An earlier run to hold the runs against.")
@click.option("--fail-on", type=click.Path(path_type=Path), metavar="FILE", help="Rules (TOML) of what counts as a regression against BASELINE.")
@click.option("--pictures", is_flag=True, help="Put pictures of the worst answers into the page. They are of patients.")
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="Data root, for --pictures; by default VESALIUS_DATA.")
def card(
    runs: tuple[Path, ...],
    out: Path | None,
    as_json: Path | None,
    markdown: Path | None,
    against: Path | None,
    fail_on: Path | None,
    pictures: bool,
    data: Path | None,
) -> None:
    """Show the folders RUN... of 'vesalius evaluate trust' on one page, side by side when there are several.

    \b
    Exit codes: 0 done; 3 a rule of --fail-on found a regression, with one line for each;
    2 a run, a rule or an option cannot be used; 1 a bug.
    """  # noqa: D301 - click reads the character \b, not the two letters
    if not (out or as_json or markdown or fail_on):
        raise click.UsageError("nothing is asked for: add -o card.html, --json FILE, --markdown FILE or --fail-on FILE", click.get_current_context())
    if fail_on is not None and against is None:
        raise click.UsageError("--fail-on needs a run to compare with: add --against BASELINE", click.get_current_context())
    from vesalius.data.base import data_root
    from vesalius.evaluate.card import compare
    from vesalius.evaluate.card import runs as recorded

    rules = None if fail_on is None else compare.read_rules(fail_on)
    read = recorded.read_all(runs)
    baseline = None if against is None else recorded.read(against, f"{against.name} (baseline)")
    _write(read, baseline, out, as_json, markdown, data_root(data) if pictures else None)
    if rules is not None and baseline is not None and _judge(read, baseline, rules):
        click.get_current_context().exit(REGRESSION)


def _write(runs: list[Run], baseline: Run | None, out: Path | None, as_json: Path | None, markdown: Path | None, root: Path | None) -> None:
    import datetime

    from vesalius.evaluate.card import build, page
    from vesalius.evaluate.card import markdown as model_card
    from vesalius.evaluate.record import write_json, write_text

    if not (out or as_json or markdown):
        return
    made = build.build(runs, baseline=baseline, pictures=root)
    for sheet in made.sheets:
        click.echo(f"{sheet.run.label}: {sheet.alarm or sheet.verdict}")
    if out is not None:
        write_text(out, page.render(made, day=datetime.datetime.now(datetime.UTC).date().isoformat()))
    if as_json is not None:
        write_json(as_json, build.figures_json(made))
    if markdown is not None:
        write_text(markdown, model_card.render(made))
    for path in (out, as_json, markdown):
        if path is not None:
            click.echo(str(path))


def _judge(runs: list[Run], baseline: Run, rules: Rules) -> bool:
    """Tell what the rules found; whether any of it is a regression."""
    from vesalius.evaluate.card.compare import judge

    worse = False
    for run in runs:
        for finding in judge(baseline, run, rules):
            click.echo(f"{'REGRESSION' if finding.regression else 'ok'}  {run.label}: {finding.line}")
            worse = worse or finding.regression
    return worse
