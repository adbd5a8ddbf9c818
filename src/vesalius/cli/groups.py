"""A group of commands that knows the nearest name for a wrong one.

In: the words of a command line. Out: the command, or a sentence.
"""

from __future__ import annotations

import click

from vesalius.errors import nearest


class Catalogue(click.Group):
    """A group that lists when no command is named, and knows the nearest name for a wrong one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest name in the failure."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            guess = nearest(args[0], self.commands)
            hint = f"did you mean {guess!r}" if guess else f"known: {', '.join(self.commands)}"
            raise click.UsageError(f"no command is called {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)
