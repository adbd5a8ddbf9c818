"""`vesalius instruct build --set NAME ... -o FILE`: questions and answers from what data sets state, by task family.

In: a data root, names of sets and tasks. Out: a file of JSON lines; counts by task, answers, and what was left out and why, on standard output.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vesalius.cli.console import Steps
from vesalius.cli.table import columns

# of modules that take long to import
TASKS = ("view", "finding", "findings", "grounding", "section", "match", "temporal", "summary", "nli", "vqa")
FAMILIES = ("negation", "syntax", "lexical", "formality", "abbreviation", "telegraphic", "typo")
_EVERY = 500


@click.command("build", short_help="Make questions and answers from labels, boxes, reports and earlier films.")
@click.option("--data", type=click.Path(path_type=Path), metavar="ROOT", help="Data root; by default VESALIUS_DATA.")
@click.option("--set", "sets", multiple=True, required=True, metavar="NAME", help="Data set; may be repeated. Only its training part is used.")
@click.option("--task", "tasks", multiple=True, type=click.Choice(TASKS), help="Task family; may be repeated; by default all.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="File of JSON lines, one instruction each.")
@click.option("--llava", type=click.Path(path_type=Path), metavar="FILE", help="Also write them in LLaVA's conversations layout.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses partners and wordings; the same seed gives the same file.")
@click.option("--wordings", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Wordings of each question, as far as there are.")
@click.option("--family", "families", multiple=True, type=click.Choice(FAMILIES), help="Families of rewordings; may be repeated; by default all.")
@click.option("--most", type=click.IntRange(min=1), metavar="N", help="At most so many matched pairs of each question.")
@click.option("--no-weak", is_flag=True, help="Leave out change that is only guessed from two films' labels.")
@click.option("--licensed", multiple=True, metavar="NAME", help="You have signed the agreement of this set, and it lets you train on it; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def build(data: Path | None, sets: tuple[str, ...], out: Path, llava: Path | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Make instructions from what data sets state: as many of each answer, wordings with their polarity, nothing that is uncertain."""
    from vesalius.data.base import data_root
    from vesalius.instruct import record
    from vesalius.instruct.build.run import Build
    from vesalius.instruct.build.study import How

    how = How(options["seed"], options["wordings"], options["families"] or None, options["most"], weak=not options["no_weak"])
    made = Build(data_root(data), sets, options["tasks"] or TASKS, how, options["licensed"])
    with Steps() as steps:
        steps("making instructions")
        record.write(made, out)
        if llava is not None:
            steps("writing LLaVA's layout")
            record.write_llava(record.read(out) if made.to_json()["made"] else (), llava)
    told = made.to_json()
    click.echo(json.dumps(told, indent=1) if as_json else _text(told, out))


def _text(told: Mapping[str, Any], out: Path) -> str:
    head = ("SET", "TASK", "MADE", "QUESTIONS", "IMAGES", "CLASSES", "TEMPLATES", "NEGATED", "ANSWERS")
    counts = [c for c in told["counts"] if c["made"]]
    rows = [(c["set"], c["task"], *(f"{c[key]:,}" for key in ("made", "questions", "images", "classes", "templates", "negated")), _answers(c)) for c in counts]
    parts = [columns(head, rows)] if rows else []
    for count in told["counts"]:
        reasons: Counter[str] = Counter()
        for reason, number in count["left_out"].items():
            reasons[re.sub(r" \([\w: ]+\)$", "", reason)] += number  # the finding stands in the JSON
        parts += [f"left out: {count['set']}, {count['task']}: {number:,} {reason}" for reason, number in reasons.most_common()]
    parts += [f"not used: {name}: {number:,} studies, {reason}" for name, reasons in told["unused"].items() for reason, number in reasons.items()]
    return "\n".join([*parts, f"{told['made']:,} instructions in {out}"])


def _answers(count: Mapping[str, Any]) -> str:
    """The most frequent answers; numbers of others are many."""
    shown = list(count["answers"].items())[:4]
    rest = count["made"] - sum(number for _, number in shown)
    return ", ".join([*(f"{text[:30]} {number:,}" for text, number in shown), *([f"others {rest:,}"] if rest else [])])
