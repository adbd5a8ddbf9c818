"""Options that several commands share.

In: a command. Out: the command with the option. No torch here: what a device bears is asked when the model is loaded.
"""

from __future__ import annotations

import click

from vesalius.models.memory import PRECISIONS

device_option = click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1, ...; auto takes a GPU when there is one.")
precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    metavar="KIND",
    help=f"How weights are held: {', '.join(PRECISIONS)}; auto is the fastest dtype, int8 a quarter of the memory.",
)
