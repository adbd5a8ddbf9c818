"""`vesalius instruct`: a group whose subcommands live in a file each, `cli/instruct_NAME.py`, imported when they are named.

In: the words of a command line. Out: a subcommand. To add one: its file, and a line in `SUBCOMMANDS`.
"""

from __future__ import annotations

import click

from vesalius.errors import nearest
from vesalius.registry import Table

SUBCOMMANDS = Table(
    "instruct_command",
    {
        "generate": "vesalius.cli.instruct_generate:generate",
        "build": "vesalius.cli.instruct_build:build",
        "filter": "vesalius.cli.instruct_filter:filter_items",
        "review": "vesalius.cli.instruct_review:review",
        "mix": "vesalius.cli.instruct_mix:mix",
    },
)


class Lazy(click.Group):
    """A group whose commands are loaded from the table when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The subcommand of that name, or None."""
        if cmd_name not in SUBCOMMANDS:
            return None
        command: click.Command = SUBCOMMANDS.load(cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest name in the failure."""
        if args and not args[0].startswith("-") and args[0] not in SUBCOMMANDS:
            guess = nearest(args[0], SUBCOMMANDS)
            hint = f"did you mean {guess!r}" if guess else f"known: {', '.join(SUBCOMMANDS)}"
            raise click.UsageError(f"no command is called {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group("instruct", cls=Lazy, short_help="Make instruction data: questions and answers about images.")
def instruct() -> None:
    """Make instruction data: questions and answers about images, to train on."""
