"""`vesalius instruct generate INPUT --out DIR`: questions and answers from captions or reports, written by a language model.

In: a file of JSON lines, or the name of a data set whose stated facts serve as captions. Out: a folder; counts and cost on standard output.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vesalius.cli.console import Steps, say
from vesalius.cli.table import columns
from vesalius.errors import UserError, nearest

if TYPE_CHECKING:
    from vesalius.instruct.generate.summary import Summary
    from vesalius.instruct.generate.writers import Writer

LOCAL, REMOTE = "local", "remote:"
TASKS = ("conversation", "description", "reasoning", "report", "comparison", "grounding")  # of a module that takes long to import
STRUCTURED = ("auto", "schema", "object", "words")
INPUT = "input.jsonl"


@click.command("generate", short_help="Write questions and answers from captions or reports.")
@click.argument("source", metavar="INPUT")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder of the items.")
@click.option("--engine", required=True, metavar="NAME", help="Who writes: remote:NAME, an endpoint of your endpoints.toml, or local.")
@click.option("--task", "tasks", multiple=True, type=click.Choice(TASKS), help="What is written; may be repeated; by default all.")
@click.option("--llava", type=click.Path(path_type=Path), metavar="FILE", help="Also write the items in LLaVA's conversations layout.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many rows.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of examples and sampling.")
@click.option("--shots", type=click.IntRange(0, 3), default=2, show_default=True, help="Examples shown to the writer.")
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.7, show_default=True, help="Of the writer; 0 always takes the likeliest word.")
@click.option("--max-tokens", type=click.IntRange(min=16), default=1000, show_default=True, metavar="N", help="Of one reply.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="AMOUNT", help="Money this folder may cost, all sessions together.")
@click.option("--parallel", type=click.IntRange(min=1), metavar="N", help="Requests at one time; by default the endpoint's.")
@click.option("--per-minute", type=click.IntRange(min=1), metavar="N", help="Requests a minute; by default the endpoint's.")
@click.option("--tokens-per-minute", type=click.IntRange(min=1), metavar="N", help="Tokens a minute; by default no limit.")
@click.option("--structured", type=click.Choice(STRUCTURED), default=STRUCTURED[0], show_default=True, help="How JSON is asked for at an endpoint.")
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="Data root, when INPUT is slake or nih-cxr; by default VESALIUS_DATA.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def generate(source: str, out: Path, engine: str, llava: Path | None, data: Path | None, resume: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Write questions and answers about images from INPUT: a file of JSON lines with id, source, image, caption or report, or slake or nih-cxr.

    Only texts are sent, never a picture, and only rows marked as de-identified ("deidentified": true) or of a public source.
    """
    from vesalius.instruct.generate import lines as files
    from vesalius.instruct.generate import records, run, sources

    _check_engine(engine)
    how = run.Settings(
        tasks=options["tasks"] or TASKS,
        seed=options["seed"],
        shots=options["shots"],
        temperature=options["temperature"],
        most_tokens=options["max_tokens"],
        budget=options["budget"],
        limit=options["limit"],
    )
    path = _input(source, out, data, how.limit)
    sources.count(path)  # what may not be used is told before a model is loaded
    writer, budget = _writer(engine, options)
    how = dataclasses.replace(how, budget=budget)
    with Steps() as steps:
        try:
            found = run.run(path, out, writer, how, resume=resume, progress=steps.share)
        except UserError:
            if (out / run.SUMMARY).exists():
                told = json.loads((out / run.SUMMARY).read_text(encoding="utf-8"))
                say(f"stopped; {_cost(told['requests'], told['input_tokens'], told['output_tokens'], told['cost'], told['currency'])} so far.")
            raise
    if llava is not None:
        records.write_llava(files.rows(out / run.ITEMS), llava)
    click.echo(json.dumps(dataclasses.asdict(found), indent=1) if as_json else _text(found, out))


def _check_engine(engine: str) -> None:
    if engine != LOCAL and not (engine.startswith(REMOTE) and len(engine) > len(REMOTE)):
        guess = nearest(engine, (LOCAL,))
        raise UserError(f"no engine is called {engine!r}", remedy=f"did you mean {guess!r}?" if guess else "write remote:NAME, or local")


def _input(source: str, out: Path, data: Path | None, limit: int | None) -> Path:
    from vesalius.instruct.generate import facts, lines

    if source not in facts.SETS:
        return Path(source)
    from vesalius.data.base import data_root

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise lines.unwritable(out, error) from error
    facts.write(source, data_root(data), out / INPUT, limit=limit)
    return out / INPUT


def _writer(engine: str, options: dict[str, Any]) -> tuple[Writer, float | None]:
    """Who writes, and the budget: of the command line, else of the endpoint's table."""
    if engine == LOCAL:
        from vesalius.instruct.generate import local

        return local.load(), options["budget"]
    from vesalius.instruct.generate.writers import EndpointWriter
    from vesalius.models import endpoint

    name = engine.removeprefix(REMOTE)
    found = endpoint.named(name)
    given = {key: options[key] for key in ("parallel", "per_minute") if options[key] is not None}
    found = dataclasses.replace(found, **given)
    writer = EndpointWriter(found, name, structured=options["structured"], tokens_per_minute=options["tokens_per_minute"])
    return writer, found.budget if options["budget"] is None else options["budget"]


def _text(found: Summary, out: Path) -> str:
    rows = []
    for name, tally in found.tasks.items():
        left = ", ".join(f"{n} {kind}" for kind, n in sorted(tally.left_out.items(), key=lambda pair: -pair[1]))
        mended = ", ".join(f"{n} {kind}" for kind, n in tally.repaired.items())
        again = str(sum(tally.asked_again.values()))
        rows.append((name, str(tally.asked), str(tally.made), str(tally.clean), mended or "-", again, left or "-", str(tally.not_applicable)))
    parts = [columns(("TASK", "ASKED", "MADE", "CLEAN", "REPAIRED", "ASKED AGAIN", "LEFT OUT", "NOT APPLICABLE"), rows)] if rows else []
    parts += [f"held back: {n} rows, {reason}" for reason, n in found.held.items()]
    parts.append(f"cost: {_cost(found.requests, found.input_tokens, found.output_tokens, found.cost, found.currency)}")
    parts.append(f"now: {found.asked_now:,} requests in {found.seconds_now:,.1f} s")
    return "\n".join([*parts, str(out / "items.jsonl")])


def _cost(requests: int, given: int, made: int, cost: float, currency: str) -> str:
    return f"{cost:.4f} {currency} for {requests:,} requests, {given:,} tokens in and {made:,} out"
