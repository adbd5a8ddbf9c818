"""`vesalius instruct review`: a sample goes to physicians, their verdicts come back, disagreements are settled, a lot is accepted or not.

In: a file of items; files of answers. Out: a folder with the queue, its page and sheets; a report on standard output.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vesalius.cli.console import say
from vesalius.cli.groups import Catalogue
from vesalius.cli.table import columns

if TYPE_CHECKING:
    from vesalius.instruct.review.queue import Queue
    from vesalius.instruct.review.report import ReviewReport, Tally

REJECTED = 3
_CONFIDENCE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.group("review", cls=Catalogue, short_help="Have physicians judge a sample.")
def review() -> None:
    """Have physicians judge a sample: plan, export, import, report."""


@review.command("plan", short_help="How many items must be read to accept a lot.")
@click.option("--size", type=click.IntRange(min=1), required=True, metavar="N", help="Items of the lot.")
@click.option("--target", type=_CONFIDENCE, default=0.05, show_default=True, help="Largest share of wrong items that is accepted.")
@click.option("--confidence", type=_CONFIDENCE, default=0.95, show_default=True)
@click.option("--most", type=click.IntRange(min=0), default=5, show_default=True, metavar="N", help="Show plans with up to so many wrong items in the sample.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def plan(size: int, target: float, confidence: float, most: int, as_json: bool) -> None:
    """How many items must be read, and how likely a lot passes with its true share of wrong items."""
    import dataclasses
    import math

    from vesalius.instruct.review import acceptance

    plans = [acceptance.plan(size, target=target, allowed=k, confidence=confidence) for k in range(min(most, math.floor(target * size)) + 1)]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in plans], indent=1))
        return
    heads = ("WRONG AT MOST", "READ", *(f"PASSES AT {share:.1%}" for share in plans[0].passes))
    click.echo(columns(heads, [(str(one.allowed), str(one.n), *(f"{chance:.0%}" for chance in one.passes.values())) for one in plans]))


@review.command("export", short_help="Draw a sample and write it as a page and sheets.")
@click.argument("source", metavar="ITEMS", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder of the queue.")
@click.option("--n", type=click.IntRange(1, 5000), default=100, show_default=True, help="Items in all, shared out over the strata by their size.")
@click.option("--each", type=click.IntRange(1, 5000), metavar="N", help="Instead of --n: so many of every stratum; each stratum is a lot.")
@click.option("--by", multiple=True, type=click.Choice(("task", "source")), help="What makes the strata; may be repeated; by default the task.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sample and its order.")
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="Folder below which the images lie; without it the page has no pictures.")
@click.option("--facts", type=click.Path(path_type=Path), metavar="FILE", help="What the items were made from; shown folded, under each item.")
@click.option("--xlsx", is_flag=True, help="Also write a workbook (needs openpyxl).")
@click.option("--disagreements", is_flag=True, help="ITEMS is the folder of a queue: export what its readers judged differently, for somebody else.")
def export(
    source: Path, out: Path, n: int, each: int | None, by: tuple[str, ...], seed: int, data: Path | None, facts: Path | None, xlsx: bool, disagreements: bool
) -> None:
    """Draw a sample of ITEMS; write queue.json, page.html (with the pictures inside) and sheet.csv into --out."""
    from vesalius.instruct.review import answers, page, queue, report, sheets

    if disagreements:
        parent = queue.read(source)
        drawn = report.disagreements(parent, answers.read(source, parent), seed=seed)
    else:
        drawn = _drawn(source, n, each, by or ("task",), seed, facts)
    queue.write(drawn, out)
    lost = page.write(drawn, out / "page.html", data)
    sheets.write_csv(drawn, out / "sheet.csv")
    if xlsx:
        sheets.write_xlsx(drawn, out / "sheet.xlsx")
    if lost:
        say(f"{lost} pictures could not be read below {data}; the page says so in their place.")
    elif data is None:
        say("the page has no pictures; give --data ROOT.")
    rows = [(name or "all", f"{size:,}", str(taken)) for name, (size, taken) in drawn.strata.items()]
    click.echo(columns(("LOT" if drawn.lots else "STRATUM", "ITEMS", "DRAWN"), rows))
    click.echo(f"queue {drawn.id}: {len(drawn.entries)} items, seed {seed}\n{out / 'page.html'}\n{out / 'sheet.csv'}")


def _drawn(source: Path, n: int, each: int | None, by: tuple[str, ...], seed: int, facts: Path | None) -> Queue:
    from vesalius.instruct.filters.sources import Sources
    from vesalius.instruct.review import queue

    with tempfile.TemporaryDirectory(prefix="vesalius-") as folder:
        sources = Sources(facts, Path(folder)) if facts is not None else None
        try:
            return queue.draw(source, n=n, each=each, by=by, seed=seed, source=sources)
        finally:
            if sources is not None:
                sources.close()


@review.command("import", short_help="Take verdicts back: the page's JSON, or a filled sheet.")
@click.argument("folder", metavar="QUEUE", type=click.Path(path_type=Path))
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--reader", default="", metavar="NAME", help="Who answered; needed for a sheet, which does not say.")
@click.option("--replace", is_flag=True, help="Take a reader's new verdicts in place of older ones.")
def take(folder: Path, paths: tuple[Path, ...], reader: str, replace: bool) -> None:
    """Check files of answers against the queue in the folder QUEUE, and keep them. A file with any fault is not taken at all."""
    from vesalius.instruct.review import answers, queue

    opened = queue.read(folder)
    for path in paths:
        got = answers.take(path, opened, folder, reader=reader, replace=replace)
        missing = f"; {len(got.missing)} not judged: {', '.join(got.missing[:3])}{' ...' if len(got.missing) > 3 else ''}" if got.missing else ""
        known = f", {got.known} known already" if got.known else ""
        click.echo(f"{path}: {got.reader}, {got.new} new verdicts{known}{missing}")


@review.command("report", short_help="Agreement, shares with intervals, and what may be accepted.")
@click.argument("folder", metavar="QUEUE", type=click.Path(path_type=Path))
@click.option("--settled", type=click.Path(path_type=Path), metavar="QUEUE", help="The queue of the disagreements, judged by somebody else.")
@click.option("--target", type=_CONFIDENCE, help="Accept a lot whose share of wrong items is at most this.")
@click.option("--confidence", type=_CONFIDENCE, default=0.95, show_default=True)
@click.option("--partly", is_flag=True, help='Count "partly" as wrong.')
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def told(folder: Path, settled: Path | None, target: float | None, confidence: float, partly: bool, seed: int, as_json: bool) -> None:
    """What a review found. With --target, exit 3 when a lot is not accepted."""
    from vesalius.instruct.review import answers, queue, report

    opened = queue.read(folder)
    third = []
    if settled is not None:
        other = queue.read(settled)
        if other.parent != opened.id:
            raise queue.ReviewError(f"{settled}: settles another queue", remedy="name the folder that export --disagreements wrote for this one")
        third = answers.read(settled, other)
    found = report.report(opened, answers.read(folder, opened), third, target=target, confidence=confidence, partly=partly, seed=seed)
    click.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False) if as_json else _text(found))
    decided = [part.decision for part in (found.whole, *found.parts) if part.decision is not None]
    if not all(one.accepted for one in decided):
        click.get_current_context().exit(REJECTED)


def _text(found: ReviewReport) -> str:
    parts = ["readers: " + ", ".join(f"{name} {n} of {found.items}" for name, n in found.readers.items())]
    parts += [f"{name}: {value.text(percent='percent' in name)}" for name, value in found.agreement.items()]
    if found.disagreed:
        left = len(found.disagreed) - len(found.settled)
        parts.append(f"judged differently: {len(found.disagreed)}, settled {len(found.settled)}" + (f", open {left}: export --disagreements" if left else ""))
    if found.unread:
        parts.append(f"not judged by anybody: {len(found.unread)}")
    heads = ("LOT" if found.lots else "PART", "ITEMS", "DRAWN", "RIGHT", "PARTLY", "WRONG", "UNSAFE", "OPEN", "SHARE RIGHT")
    rows = [(t.name, f"{t.size:,}", str(t.drawn), *(str(n) for n in t.verdicts.values()), t.right.text()) for t in (*found.parts, found.whole)]
    parts.append(columns(heads, rows))
    parts += [_decision(tally) for tally in (found.whole, *found.parts) if tally.decision is not None]
    return "\n".join(parts)


def _decision(tally: Tally) -> str:
    one = tally.decision
    assert one is not None
    said = f"{tally.name}: {'accepted' if one.accepted else 'NOT accepted'}; {one.wrong} of {one.read} wrong, at most "
    f"{one.bound:.2%} of {one.size:,} with {one.confidence:.0%} confidence, target {one.target:.2%}"
    if one.unsafe:
        return said + f"; {one.unsafe} unsafe, and one is enough"
    return said + (f"; {one.more} more read without a wrong one would do" if one.more else "")
