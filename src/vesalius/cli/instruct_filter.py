"""`vesalius instruct filter ITEMS --out KEPT`: keep the questions and answers that are fit to train on; every drop with its reason and its evidence.

In: a file of JSON lines. Out: the kept lines, unchanged; the dropped ones with all objections; counts on standard output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vesalius.cli.table import columns

if TYPE_CHECKING:
    from vesalius.instruct.filters.objection import Objection
    from vesalius.instruct.filters.run import FilterReport


@click.command("filter", short_help="Drop what is not fit to train on, each with its reason.")
@click.argument("source", metavar="ITEMS", type=click.Path(path_type=Path), required=False)
@click.option("--out", "-o", type=click.Path(path_type=Path), metavar="FILE", help="The lines that are kept, as they were.")
@click.option("--dropped", type=click.Path(path_type=Path), metavar="FILE", help="The others with the reasons; by default FILE.dropped.jsonl beside --out.")
@click.option(
    "--facts", type=click.Path(path_type=Path), metavar="FILE", help="What the items were made from, where they do not hold it: the generator's input."
)
@click.option("--only", multiple=True, metavar="NAME", help="Ask this filter only; may be repeated.")
@click.option("--without", multiple=True, metavar="NAME", help="Leave this filter out; may be repeated.")
@click.option("--need-facts", is_flag=True, help="Drop items of which it is not known what they were made from.")
@click.option("--explain", is_flag=True, help="Print every dropped item with all that was said against it.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the examples that the report shows.")
@click.option("--examples", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Shown for each filter.")
@click.option("--list", "listed", is_flag=True, help="List the filters in their order.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def filter_items(
    source: Path | None,
    out: Path | None,
    dropped: Path | None,
    facts: Path | None,
    only: tuple[str, ...],
    without: tuple[str, ...],
    need_facts: bool,
    explain: bool,
    seed: int,
    examples: int,
    listed: bool,
    as_json: bool,
) -> None:
    """Filter ITEMS: what `instruct generate` or `instruct build` wrote, or a file in LLaVA's layout, one record a line.

    Three filters hold an answer against the caption or report that it was made from; give that with --facts, or in the records themselves.
    """
    from vesalius.instruct.filters.run import Settings, filter_file
    from vesalius.instruct.filters.table import FILTERS

    if listed:
        click.echo(columns(("FILTER", "DROPS", "NEEDS THE CAPTION"), [(f.name, f.summary, "yes" if f.needs_facts else "-") for f in FILTERS]))
        return
    if source is None or out is None:
        raise click.UsageError("nothing to do: name ITEMS and --out FILE, or --list", click.get_current_context())
    beside = dropped or out.with_name(f"{out.stem}.dropped.jsonl")

    def told(name: str, found: list[Objection]) -> None:
        click.echo("\n".join([name, *(f"  {one}" for one in found)]))

    how = Settings(only=only, without=without, seed=seed, examples=examples, unknown=not need_facts)
    report = filter_file(source, out, beside, source=facts, settings=how, told=told if explain and not as_json else None)
    click.echo(json.dumps(report.to_json(), indent=1, ensure_ascii=False) if as_json else _text(report, out, beside))


def _text(report: FilterReport, out: Path, dropped: Path) -> str:
    rows = [(name, str(n), str(report.any[name]), str(report.alone[name])) for name, n in report.first.items()]
    parts = [columns(("FILTER", "DROPPED", "OBJECTED", "ALONE"), rows)]
    for name, shown in report.examples.items():
        for one in shown:
            quote = f": {one['quote']!r}" if one.get("quote") else ""
            parts.append(f"for example {name}.{one['code']}, {one['id'] or 'line ' + str(one['line'])}: {one['message']}{quote}")
    parts.append(f"{report.records:,} records, {report.kept:,} kept, {report.dropped:,} dropped")
    if report.without_facts:
        parts.append(f"of {report.without_facts:,} it is not known what they were made from: contradiction, invented and unsupported were not asked (--facts)")
    return "\n".join([*parts, str(out), str(dropped)])
