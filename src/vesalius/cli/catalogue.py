"""`vesalius models`: what there is, under which licence, how large.

In: names. Out: tables, cards. No model is loaded and no torch imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vesalius.cli.console import Steps, say
from vesalius.cli.groups import Catalogue
from vesalius.cli.table import columns, facts

if TYPE_CHECKING:
    from vesalius.models.base import ModelCard


__all__ = ["models"]

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group("models", cls=Catalogue, invoke_without_command=True, short_help="List the models, or show one.")
@click.pass_context
def models(ctx: click.Context) -> None:
    """What can be asked: list the models, or show one's card."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models, as_json=False)


@models.command("list", short_help="All models in a table.")
@_AS_JSON
def list_models(as_json: bool) -> None:
    """All models: what each is, licence, size, what it can do."""
    from vesalius.models.base import card_json
    from vesalius.models.cards import MODELS
    from vesalius.models.known import CARDS

    if as_json:
        click.echo(json.dumps({name: card_json(CARDS[name]) if name in CARDS else {"target": MODELS.target(name)} for name in MODELS}, indent=2))
        return
    rows = [_model_row(name, CARDS.get(name), MODELS.target(name)) for name in sorted(MODELS)]
    click.echo(columns(("NAME", "TASKS", "SIZE", "WEIGHTS", "LICENCE", "MODALITIES", "WHAT IT IS"), rows))


def _model_row(name: str, card: ModelCard | None, target: str) -> tuple[str, ...]:
    from vesalius.models.cards import REMOTE

    if name == REMOTE:
        what = "any OpenAI-compatible endpoint that your endpoints.toml names; de-identified studies only"
        return f"{name}:NAME", "vqa", "-", "elsewhere", "the provider's", "-", what
    if card is None:  # another package's: its card comes with the model
        return name, "-", "-", "-", "-", "-", f"from another package ({target})"
    return name, " ".join(card.tasks), _count(card.parameters), card.weights, card.licence, " ".join(card.modalities), card.summary


def _memory(parameters: int) -> str:
    """What it takes in each dtype, and which of them this machine has room for."""
    from vesalius.models import memory

    room = memory.available()
    sizes = {kind: memory.needed(parameters, kind) for kind in memory.BYTES}
    # in fewer bits embeddings and vocabulary stay wide, which a card does not tell apart: the loader counts them
    said = ", ".join(f"{'at least ' if kind.startswith('int') else ''}{size / 1e9:.1f} GB as {kind}" for kind, size in sizes.items())
    if room is None:
        return said
    fit = " and ".join(kind for kind, size in sizes.items() if size <= room)
    return f"{said}; {room / 1e9:.1f} GB are free here: {fit or 'none'} would fit"


def _count(number: int) -> str:
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return str(number)


@models.command("show", short_help="One model's card.")
@click.argument("name")
@_AS_JSON
def show_model(name: str, as_json: bool) -> None:
    """One model's card: scope, licence, size, and what it cannot do."""
    from vesalius.models.base import card_json
    from vesalius.models.cards import MODELS, REMOTE
    from vesalius.models.known import CARDS

    target = MODELS.target(name)
    card = CARDS.get(name)
    if as_json:
        click.echo(json.dumps(card_json(card) if card else {"name": name, "target": target}, indent=2))
    elif name == REMOTE:
        click.echo(facts([("name", f"{REMOTE}:NAME"), ("what it is", "a model behind an OpenAI-compatible endpoint"), ("set up in", "endpoints.toml")]))
    elif card is None:
        click.echo(facts([("name", name), ("from", f"another package ({target}); its card comes with the model")]))
    else:
        click.echo(_model_facts(card))


@models.command("recommend", short_help="Which model for which task.")
@click.argument("task")
@_AS_JSON
def recommend_models(task: str, as_json: bool) -> None:
    """Models for TASK (chest-x-ray, report, grounding, general-vqa, few-shot, pathology, retrieval, zero-shot, offline, hosted), a place to start measuring."""
    from vesalius.models import memory
    from vesalius.models.known import CARDS
    from vesalius.models.recommend import picks

    room, rows, found = memory.available(), [], picks(task)
    for pick in found:
        card = CARDS.get(pick.model)
        size = memory.needed(card.parameters, "bfloat16") if card else None
        here = "-" if size is None or room is None else "yes" if size <= room else "no"
        rows.append((pick.model, f"{size / 1e9:.1f} GB" if size else "-", here, card.licence if card else "-", pick.why))
    if as_json:
        keys = ("model", "memory_bfloat16", "fits_here", "licence", "why")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
    else:
        click.echo(columns(("MODEL", "BFLOAT16", "FITS HERE", "LICENCE", "WHY"), rows))


@models.command("fetch", short_help="Download a model's weights, checked.")
@click.argument("name")
@click.argument("target", required=False, type=click.Path(path_type=Path))
@click.option("--revision", metavar="R", help="Commit, branch or tag of the model's own repository.")
@click.option("--parts", metavar="A,B", default="", help="Only these parts of the model.")
def fetch_model(name: str, target: Path | None, revision: str | None, parts: str) -> None:
    """Download all that model NAME needs into the folder TARGET (default: NAME, here), check every file, and go on where an earlier call was stopped.

    Prints the folder. A folder that is complete is checked and nothing is downloaded.
    """
    from vesalius.models.obtain import fetch

    with Steps() as steps:
        done = fetch(
            name,
            target,
            revision=revision,
            parts=[part.strip() for part in parts.split(",") if part.strip()],
            progress=lambda now, total, what: steps.share(now // 1_000_000, total // 1_000_000, f"{what}, MB:"),
        )
    if done.note:
        say(f"{done.note}.")
    say(f"{done.files} files are whole, {done.fetched} of them fetched now ({done.size / 1e6:,.1f} MB); use it with --model {name}:{done.folder}")
    click.echo(str(done.folder))


@models.command("convert", short_help="Write a checkpoint in another layout.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--layout", required=True, metavar="NAME", help="official or transformers; of med-flamingo-9b 0.0.2 or 2.x.")
@click.option("--model", metavar="NAME", help="What the checkpoint is of, where its configuration does not show it.")
def convert_checkpoint(source: Path, target: Path, layout: str, model: str | None) -> None:
    """Write the checkpoint in SOURCE to the new folder TARGET in another of its layouts, losslessly: the way back gives every tensor to the bit."""
    from vesalius.models.convert import convert

    click.echo(str(convert(source, target, layout, model)))


def _model_facts(card: ModelCard) -> str:
    return facts(
        [
            ("name", card.name),
            ("what it is", card.summary),
            ("tasks", " ".join(card.tasks)),
            ("weights", card.weights),
            ("licence", card.licence),
            ("parameters", f"{card.parameters:,}"),
            ("memory", _memory(card.parameters)),
            ("modalities", " ".join(card.modalities)),
            ("body parts", " ".join(card.body_parts)),
            ("languages", " ".join(card.languages)),
            ("context", f"{card.context:,} tokens, {card.image_tokens} of them an image"),
            ("source", card.source),
            ("revision", card.revision),
            ("measured", card.measured or "nothing here: its published weights could not be had"),
            ("limits", card.limits),
        ]
    )
