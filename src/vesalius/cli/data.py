"""`vesalius data`: which data sets there are, whether a copy is whole, licensed for training and free of leaks, and shards of it.

In: names, a data root, a folder. Out: tables, cards, checks, shards. The list reads no file and imports neither Pillow nor torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vesalius.cli.console import Steps, say
from vesalius.cli.groups import Catalogue
from vesalius.cli.table import columns, facts
from vesalius.errors import DataMissing, UserError

if TYPE_CHECKING:
    from vesalius.data.base import DataCard, DataCheck
    from vesalius.data.leaks import LeakReport

FOUND = 3  # exit code: what was looked at has leaks, or shards are not as they were written

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_PARTS = ("train", "development", "test")


@click.group("data", cls=Catalogue, invoke_without_command=True, short_help="List the data sets, check a copy, make shards.")
@click.pass_context
def data(ctx: click.Context) -> None:
    """What models are trained and tested on: list the data sets, show one's card, check a copy on the disk, make shards of it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_data, as_json=False)


@data.command("list", short_help="All data sets in a table.")
@_AS_JSON
def list_data(as_json: bool) -> None:
    """All data sets: what each is, images, licence, whether weights may be trained on it."""
    cards = _data_cards()
    if as_json:
        import dataclasses

        click.echo(json.dumps({name: dataclasses.asdict(card) for name, card in cards.items()}, indent=2))
        return
    rows = [(c.name, f"{c.images:,}", c.licence.partition(":")[0], _may(c), c.folder + "/", c.summary) for c in cards.values()]
    click.echo(columns(("NAME", "IMAGES", "LICENCE", "TRAIN", "FOLDER", "WHAT IT IS"), rows))


def _data_cards() -> Mapping[str, DataCard]:
    from vesalius.data import base

    return {name: base.dataset(name).card for name in sorted(base.TABLE)}


def _may(card: DataCard) -> str:
    return "yes" if card.train_allowed else "no"


@data.command("show", short_help="One data set's card.")
@click.argument("name")
@_AS_JSON
def show_data(name: str, as_json: bool) -> None:
    """One data set's card: licence, attribution, splits, caveats, how to obtain it."""
    import dataclasses

    from vesalius.data import base

    card = base.dataset(name).card
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(card), indent=2))
        return
    splits = [f"{p.name}: {', '.join(f'{n:,} {split}' for split, n in p.counts.items())}; {p.note}" for p in card.protocols]
    pairs = [("name", card.name), ("what it is", card.summary), ("folder", f"ROOT/{card.folder}/"), ("images", f"{card.images:,}")]
    pairs += [("licence", card.licence), ("attribution", card.attribution), ("train", "allowed" if card.train_allowed else "not allowed")]
    pairs += [("how to obtain", card.how_to_obtain), ("citation", card.citation), ("address", card.url)]
    click.echo(facts([*pairs, ("splits", splits), ("caveats", card.caveats)]))


@data.command("check", short_help="Look at every file of a copy.")
@click.argument("root", required=False, type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
@click.option("--leaks", "with_leaks", is_flag=True, help="Also look for patients, pictures and questions that parts or sets share.")
@_AS_JSON
@click.pass_context
def check_data(ctx: click.Context, root: Path | None, names: tuple[str, ...], with_leaks: bool, as_json: bool) -> None:
    """Look at every file of the data sets below ROOT (default: VESALIUS_DATA): there, whole, as many as documented, licensed for training.

    NAMES limits it to some sets. Exit code 2 when a set is damaged, or none is
    there; 3 when all are whole but a part that is tested leaks (--leaks).
    """
    from vesalius.data import base

    place = base.data_root(root)
    for name in names:
        base.dataset(name)
    found: dict[str, DataCheck] = {}
    absent: list[str] = []
    leaks: LeakReport | None = None
    with Steps() as steps:
        for name in names or sorted(base.TABLE):
            if not (place / base.dataset(name).card.folder).is_dir():
                absent.append(name)
                continue
            steps(f"checking {name}")
            found[name] = base.check(place, name)
        if with_leaks and found:
            from vesalius.data.leaks import check

            leaks = check(place, list(found), progress=steps.share)
    if as_json:
        told: dict[str, Any] = {**{name: check.to_json() for name, check in found.items()}, **dict.fromkeys(absent)}
        click.echo(json.dumps({**told, "leaks": leaks.to_json()} if leaks is not None else told, indent=2, ensure_ascii=False))
    elif found:
        _show_check(found, absent, leaks)
    _judge(place, found, absent if names or not found else [])
    if leaks is not None and leaks.leaks:
        ctx.exit(FOUND)


def _show_check(found: Mapping[str, DataCheck], absent: Sequence[str], leaks: LeakReport | None) -> None:
    cards = _data_cards()
    rows = [(*_check_row(check)[:3], _may(cards[name]), _leaking(leaks, name), _check_row(check)[3]) for name, check in found.items()]
    rows += [(name, "-", "-", _may(cards[name]), "-", "absent") for name in absent]
    click.echo(columns(("NAME", "FILES", "SIZE", "TRAIN", "LEAKS", "STATE"), rows))
    if leaks is None or not leaks.findings:
        return
    click.echo("")
    told = [(f.severity, f"{f.count:,} of {f.of:,}", f.kind, f.where, _sentence(f.text, f.numbers)) for f in leaks.findings]
    click.echo(columns(("SEVERITY", "HOW MANY", "KIND", "WHERE", "WHAT"), told))
    examples = [(f.where, example) for f in leaks.findings for example in f.examples[:1]]
    if examples:
        click.echo(f"\n{columns(('WHERE', 'FOR EXAMPLE'), examples)}")


def _sentence(text: str, numbers: Mapping[str, int]) -> str:
    return f"{text} ({', '.join(f'{name}: {n:,}' for name, n in numbers.items())})" if numbers else text


def _leaking(leaks: LeakReport | None, name: str) -> str:
    if leaks is None:
        return "-"
    return str(next((f.severity for f in leaks.of(name) if f.kind != "licence"), "none"))


def _check_row(check: DataCheck) -> tuple[str, ...]:
    wrong = [f"{len(check.missing)} missing"] * bool(check.missing) + [f"{len(check.corrupt)} damaged"] * bool(check.corrupt)
    differ = [k for k, n in check.documented.items() if check.counts.get(k) != n]
    wrong += [f"other counts than documented: {', '.join(differ)}"] * bool(differ)
    return check.name, f"{check.files:,}", f"{check.bytes / 1e6:,.0f} MB", ", ".join(wrong) or "whole"


def _judge(root: Path, found: Mapping[str, DataCheck], absent: list[str]) -> None:
    """Raise for what is not as it should be."""
    bad = [check for check in found.values() if not check.ok]
    if bad:
        first = next(iter((*bad[0].missing, *bad[0].corrupt)), "its counts differ")
        raise UserError(f"{', '.join(c.name for c in bad)} in {root} is not whole, first: {first}", remedy="obtain the set again ('vesalius data show NAME')")
    if absent:
        raise DataMissing(f"{root} does not hold {', '.join(absent)}", remedy="'vesalius data show NAME' says how to obtain a set")


@data.command("shard", short_help="Write a set or a folder as shards.")
@click.argument("source")
@click.option(
    "-o", "--out", required=True, metavar="OUT", type=click.Path(path_type=Path), help="The folder to write; one that was not finished is gone on with."
)
@click.option("--split", type=click.Choice(_PARTS), default="train", show_default=True, metavar="PART", help="Of a data set: train, development or test.")
@click.option("--protocol", metavar="NAME", help="Of a data set: its way to split; by default the first.")
@click.option("--data", "root", metavar="DIR", type=click.Path(path_type=Path), help="Data root; by default VESALIUS_DATA.")
@click.option("--shard-size", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="Records in a file.")
@click.option("--format", "form", type=click.Choice(("tar", "parquet")), default="tar", show_default=True, help="Of the files; parquet needs pyarrow.")
def shard_data(source: str, out: Path, split: str, protocol: str | None, root: Path | None, shard_size: int, form: str) -> None:
    """Write SOURCE as shards: tars of the WebDataset layout or Parquet, with an index.

    SOURCE is a data set, of which one part is written, or a folder of pictures
    with NAME.json (facts) and NAME.txt (report) beside NAME.png. A run that was
    stopped goes on with the same words. Prints the folder.
    """
    from vesalius.data import base, shards
    from vesalius.data.shards import sources
    from vesalius.domain.exchange import Split

    folder = Path(source)
    if source not in base.TABLE and folder.is_dir():
        records, about = sources.of_folder(folder), {"kind": "folder", "source": folder.resolve().name}
    else:
        about = sources.about_set(source, Split(split), protocol)
        if not about["train_allowed"]:
            say(f"weights may not be trained on {source}; the index says so.")
        records = sources.of_set(source, base.data_root(root), Split(split), protocol)
    with Steps() as steps:
        steps(f"writing {out}")
        index = shards.write(records, out, shard_size=shard_size, about=about, form=shards.Form(form))
    say(f"{index.records:,} records in {len(index.shards):,} shards, {index.bytes / 1e6:,.1f} MB")
    click.echo(str(out))


@data.command("verify", short_help="Look at every byte of shards.")
@click.argument("out", type=click.Path(path_type=Path))
@_AS_JSON
@click.pass_context
def verify_data(ctx: click.Context, out: Path, as_json: bool) -> None:
    """Look at every byte of the shards in OUT: sizes, hashes, members or columns, keys, facts.

    Exit code 2 when OUT holds no finished shards, 3 when some are damaged.
    """
    from vesalius.data.shards import verify

    with Steps() as steps:
        verdict = verify(out, progress=steps.share)
    if as_json:
        click.echo(json.dumps(verdict.to_json(), indent=2, ensure_ascii=False))
    else:
        about = [(name, str(value)) for name, value in verdict.index.about.items()]
        sizes = [("records", f"{verdict.index.records:,}"), ("shards", f"{len(verdict.index.shards):,}"), ("size", f"{verdict.index.bytes / 1e6:,.1f} MB")]
        click.echo(facts([*about, *sizes, ("state", "whole" if verdict.ok else list(verdict.problems))]))
    if not verdict.ok:
        ctx.exit(FOUND)
