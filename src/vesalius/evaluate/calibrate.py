"""A policy's calibration: the model is asked the development parts, and maps from its confidence to how often it is right are fitted.

In: a model, a data root, suites. Out: the `[calibration]` table of a policy, as TOML:
`python -m vesalius.evaluate.calibrate --model pocket --data ROOT vqa-rad slake >> policy.toml`. No test row is opened.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vesalius.data import base
from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue, UserError
from vesalius.evaluate import confidence, plan
from vesalius.evaluate.ask import open_study
from vesalius.evaluate.record import Item
from vesalius.models import cards
from vesalius.models.base import GREEDY, GenerativeModel

SUITES = ("vqa-rad", "slake")
Tell = Callable[[str], None]


def ask(model: GenerativeModel, suites: Sequence[str], root: Path, tell: Tell) -> list[Item]:
    """The model's plain answers to the development parts of the suites, each under its first protocol.

    Raises:
        UnknownName: no such suite. DataMissing: a data set is absent.
    """
    found: list[Item] = []
    for name in suites:
        suite = plan.suite(name)
        protocol = suite.protocols[0]
        rows = sorted(base.dataset(suite.dataset).exchanges(root, Split.DEVELOPMENT, protocol), key=lambda x: (x.image, x.id))
        for image, group in itertools.groupby(rows, key=lambda x: x.image):
            asked = list(group)
            encoded = model.encode(open_study(root, image, asked[0].tags))
            answers = model.answer(encoded, [x.question for x in asked], GREEDY)
            found += [Item(x, (f"{protocol}/{Split.DEVELOPMENT.value}",), a, a) for x, a in zip(asked, answers, strict=True)]
            tell(f"{name}: {len(found)} answers")
    return found


def table(items: Sequence[Item], model: str, source: str) -> str:
    """The `[calibration]` table in TOML.

    Args:
        items: of development parts. model: whose answers they are. source: what is said of where they come from.

    Raises:
        InvalidValue: an answer to a test row, or too few answers to fit either map.
    """
    if any(item.exchange.split is Split.TEST for item in items):
        raise InvalidValue("a test row does not calibrate", remedy="give development rows")
    fitted = confidence.fit(items)
    if all(fitted[kind]["map"] is None for kind in confidence.KINDS):
        raise InvalidValue(f"nothing can be fitted: {fitted['closed']['reason']}", remedy="ask more development questions")
    counts = ", ".join(f"{fitted[kind]['n']} {kind}" for kind in confidence.KINDS)
    lines = ["[calibration]", f"model = {json.dumps(model)}", f"source = {json.dumps(f'Platt maps on {source}: {counts}')}"]
    lines += [f"{kind} = {_inline(fitted[kind]['map'])}" for kind in confidence.KINDS if fitted[kind]["map"] is not None]
    return "\n".join(lines) + "\n"


def _inline(fitted: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in fitted.items()) + " }"


def _tell(text: str) -> None:
    sys.stderr.write(f"\r{text}\033[K")


def main(arguments: Sequence[str]) -> int:
    """Print the table; 2 when it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m vesalius.evaluate.calibrate", description="Fit the calibration of a policy on development parts.")
    parser.add_argument("suites", nargs="*", default=list(SUITES), help="by default vqa-rad and slake")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--data", default=os.environ.get("VESALIUS_DATA"), help="data root; by default VESALIUS_DATA")
    given = parser.parse_args(arguments)
    try:
        cards.check(given.model)
        root = base.data_root(given.data)
        model = cards.load(given.model)
        items = ask(model, given.suites, root, _tell)
        sys.stderr.write("\n")
        weights = getattr(model, "identity", {}).get("weights", model.card.revision)
        sys.stdout.write(table(items, model.card.name, f"development answers of {', '.join(given.suites)}, weights {weights}"))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
