"""A policy's calibration, fitted on the development answers of recorded runs.

In: run folders of one model. Out: the `[calibration]` table of a policy, as TOML: `python -m vesalius.evaluate.calibrate RUN... >> policy.toml`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue, UserError
from vesalius.evaluate import confidence
from vesalius.evaluate.record import Item, read_items
from vesalius.evaluate.task import ITEMS, PROVENANCE


def table(runs: Sequence[Path]) -> str:
    """The `[calibration]` table in TOML.

    Raises:
        InvalidValue: runs of several models, or too few development answers to fit either map.
        RecordFormatError: a run's records are damaged.
    """
    items: list[Item] = []
    models: dict[str, str] = {}
    for run in runs:
        made = json.loads((run / PROVENANCE).read_text(encoding="utf-8"))
        model = made["config"]["model"]
        models[str(model["name"])] = str(model.get("weights", model.get("revision", "")))
        part = f"{made['config']['protocols'][0]}/{Split.DEVELOPMENT.value}"  # of the protocol that the weights were trained under
        items += [item for item in read_items(run / ITEMS) if part in item.parts]
    if len(models) != 1:
        raise InvalidValue(f"a calibration is of one model (got {', '.join(sorted(models)) or 'none'})", remedy="give runs of one model")
    fitted = confidence.fit(items)
    if all(fitted[kind]["map"] is None for kind in confidence.KINDS):
        raise InvalidValue(f"nothing can be fitted: {fitted['closed']['reason']}", remedy="evaluate more development items")
    ((name, weights),) = models.items()
    counts = ", ".join(f"{fitted[kind]['n']} {kind}" for kind in confidence.KINDS)
    source = f"Platt maps on the development answers of {', '.join(r.name for r in runs)} ({counts}); weights {weights}"
    lines = ["[calibration]", f"model = {json.dumps(name)}", f"source = {json.dumps(source)}"]
    lines += [f"{kind} = {_inline(fitted[kind]['map'])}" for kind in confidence.KINDS if fitted[kind]["map"] is not None]
    return "\n".join(lines) + "\n"


def _inline(table: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"


def main(arguments: Sequence[str]) -> int:
    """Print the table; 2 when it cannot be made."""
    if not arguments:
        sys.stderr.write("usage: python -m vesalius.evaluate.calibrate RUN...\n")
        return 2
    try:
        sys.stdout.write(table([Path(a) for a in arguments]))
    except (UserError, OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
