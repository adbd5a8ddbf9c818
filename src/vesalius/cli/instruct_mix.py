"""`vesalius instruct mix RECIPE -o OUT`: a training set from many sources by a recipe, without copies, without what tests hold, with a card.

In: a recipe's name or file, a data root. Out: a folder with instructions (JSON lines or shards) and its card; what was taken and left out on standard output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vesalius.cli.console import Steps
from vesalius.cli.table import columns

if TYPE_CHECKING:
    from vesalius.instruct.mix.recipe import Mixture


@click.command("mix", short_help="Mix sources by a recipe; no copies, no test data.")
@click.argument("recipe", required=False, metavar="RECIPE")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="OUT", help="Folder to write; one that was not finished is gone on with.")
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="Data root; by default VESALIUS_DATA.")
@click.option("--plan", is_flag=True, help="Say what the recipe needs, what is there and how to obtain the rest; make nothing.")
@click.option("--short", is_flag=True, help="Take what there is where a source has fewer rows than the recipe asks for.")
@click.option("--without-missing", is_flag=True, help="Go on without the sources that are not there.")
@click.option(
    "--i-have-the-right", "rights", multiple=True, metavar="SET", help="An agreement of yours lets you train on this set; the card says so; may be repeated."
)
@click.option("--shards", is_flag=True, help="Write shards with the pictures instead of JSON lines.")
@click.option("--shard-size", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="Pictures in a shard.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe: total=1000; may be repeated.")
@click.option("--list", "listed", is_flag=True, help="List the recipes that ship.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def mix(recipe: str | None, out: Path | None, data: Path | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Mix instruction data by RECIPE, a TOML file or the name of one that ships (--list).

    Sources are training parts of data sets, instructions built of them, or files. Left out, each with its reason and count: what tests known to the package
    hold (pictures, patients, questions), copies between sources, what the recipe does not want.
    """
    from vesalius.data.base import data_root
    from vesalius.instruct.mix import recipe as recipes

    if options["listed"]:
        found = {name: recipes.read(name) for name in recipes.named()}
        told: Any = {name: mixture.about for name, mixture in found.items()}
        click.echo(json.dumps(told, indent=1) if as_json else columns(("RECIPE", "ROWS", "WHAT"), [_row(each) for each in found.items()]))
        return
    if recipe is None or (out is None and not options["plan"]):
        raise click.UsageError("nothing to do: name RECIPE and -o OUT, or RECIPE and --plan, or --list", click.get_current_context())
    chosen = recipes.read(recipe, overrides=options["overrides"])
    root = data_root(data)
    if out is None or options["plan"]:
        told = _plan(chosen, root, options["rights"])
        click.echo(json.dumps(told, indent=1, ensure_ascii=False) if as_json else _plan_text(told))
        return
    from vesalius.instruct.mix.run import Mix
    from vesalius.instruct.mix.run import mix as make

    job = Mix(chosen, root, options["rights"], options["without_missing"], options["short"], options["shards"], options["shard_size"])
    with Steps() as steps:
        card = make(job, out, progress=steps.share)
    click.echo(json.dumps(card, indent=1, ensure_ascii=False) if as_json else _text(card, out))


def _row(named: tuple[str, Mixture]) -> tuple[str, str, str]:
    name, mixture = named
    counts = [part.count for part in mixture.sources]
    rows = mixture.total or (sum(count or 0 for count in counts) if all(counts) else None)
    return name, "all" if rows is None else f"{rows:,}", mixture.about


def _plan(mixture: Mixture, root: Path, rights: tuple[str, ...]) -> list[dict[str, Any]]:
    """Of each source what the recipe wants and what is there."""
    from vesalius.instruct.mix import sources

    found = []
    for part in mixture.sources:
        card, there = sources.card(part), sources.there(part, root)
        name = part.set or part.name
        may = "yes" if card.train_allowed else "by your right" if name in rights else "no"
        wanted = None if part.count is None else f"{part.count:,} {part.unit}"
        facts = {"name": part.name, "set": part.set or part.path, "wanted": wanted, "there": there, "may_train": may}
        found.append({**facts, "licence": card.licence, "how_to_obtain": card.how_to_obtain})
    return found


def _plan_text(told: list[dict[str, Any]]) -> str:
    rows = [(t["name"], t["set"], t["wanted"] or "a share", "there" if t["there"] else "not there", t["may_train"]) for t in told]
    parts = [columns(("SOURCE", "SET", "WANTED", "STATE", "MAY TRAIN"), rows)]
    parts += [f"{t['set']}: {t['how_to_obtain']}" for t in told if not t["there"]]
    parts += [f"{t['set']}: {t['licence']}" for t in told if t["may_train"] == "no"]
    return "\n".join(parts)


def _text(card: Mapping[str, Any], out: Path) -> str:
    head = ("SOURCE", "SET", "READ", "USABLE", "WANTED", "TAKEN", "DEVELOPMENT", "YES", "NO")
    rows = [
        (
            p["name"],
            p["set"],
            f"{p['read']:,}",
            f"{p['usable']:,}",
            f"{p['wanted']:,}" if p["wanted"] is not None else f"{p['expected']:,.1f}",
            *(f"{n:,}" for n in (p["taken"], p["development"], p["answers"].get("yes", 0), p["answers"].get("no", 0))),
        )
        for p in card["parts"]
    ]
    parts = [columns(head, rows)]
    parts += [f"left out: {p['name']}: {number:,} {reason}" for p in card["parts"] for reason, number in p["left_out"].items()]
    parts += [f"{p['name']}: {p['short']:,} {p['unit']} fewer than the recipe asks for" for p in card["parts"] if p["short"]]
    parts += [f"not there: {', '.join(card['missing'])}"] if card["missing"] else []
    leaks = card["leaks"]
    parts.append(f"held against the tests of {', '.join(leaks['sets']) or 'no set'}; not there: {len(leaks['absent'])} sets")
    parts += [f"trained on by your own word: {one['set']} ({one['licence']})" for one in card["licences"] if not one["train_allowed"]]
    return "\n".join([*parts, f"{card['rows']:,} rows in {out / card['output']['file']}, card in {out / 'card.md'}"])
