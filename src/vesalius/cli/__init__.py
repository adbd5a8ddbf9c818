"""The command `vesalius`: thin, lazy, and honest about failure.

In: the words of a command line. Out: text or one JSON object on standard output, progress and failures on standard error, and an exit code:
0 done, 1 our bug (traceback), 2 the user's input or set-up (one sentence), 3 the answer was referred, a run got worse (`card`), or something must be looked at
(`validate`, `deidentify`, `prepare`, `data check --leaks`, `data verify`), 4 nothing could be certified, 130 stopped, 141 nobody reads the output any more.
A command's module imports click alone; what it works with is imported when it runs.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from vesalius import __version__
from vesalius.cli.console import quiet_libraries, say
from vesalius.errors import UserError, nearest
from vesalius.registry import Table

COMMANDS = Table(
    "command",
    {
        "ask": "vesalius.cli.ask:ask",
        "models": "vesalius.cli.catalogue:models",
        "data": "vesalius.cli.data:data",
        "train": "vesalius.cli.runs:train",
        "evaluate": "vesalius.cli.runs:evaluate",
        "certify": "vesalius.cli.certify:certify",
        "card": "vesalius.cli.card:card",
        "deidentify": "vesalius.cli.deidentify:deidentify",
        "prepare": "vesalius.cli.prepare:prepare",
        "validate": "vesalius.cli.validate:validate",
        "augment": "vesalius.cli.augment:augment",
        "instruct": "vesalius.cli.instruct:instruct",
    },
)
STOPPED, NO_READER = 130, 141


class Lazy(click.Group):
    """A group whose commands are loaded from a table when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = COMMANDS.load(cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest name in the failure."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            guess = nearest(args[0], COMMANDS)
            hint = f"did you mean {guess!r}" if guess else f"known: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command is called {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Lazy, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vesalius")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Ask medical images questions, and let no answer out that has not been questioned.

    Not for diagnostic use.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after `vesalius`; None takes the process's own.

    Returns:
        The exit code.
    """
    if "_VESALIUS_COMPLETE" in os.environ:  # a shell asks how to complete a line
        cli.main(prog_name="vesalius")
    with quiet_libraries():
        try:
            return _run(list(sys.argv[1:] if argv is None else argv))
        except BrokenPipeError:
            # what is left in the buffer cannot be written either: give the interpreter somewhere to flush it to
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return NO_READER


def _run(args: list[str]) -> int:
    try:
        with cli.make_context("vesalius", args) as ctx:
            cli.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        sys.stdout.flush()
        return done.exit_code
    except UserError as error:
        say(str(error))
        return error.exit_code
    except click.ClickException as error:
        place = getattr(error, "ctx", None)
        path = place.command_path if place is not None else "vesalius"
        say(f"{error.format_message().rstrip('.?')}; see '{path} --help'.")
        return 2
    except (KeyboardInterrupt, click.Abort):
        say("stopped.")
        return STOPPED
    except BrokenPipeError:
        raise
    except Exception:  # noqa: BLE001 - the last place: everything that is no mistake of the user's is shown whole
        say(traceback.format_exc().rstrip() + "\nThis is a mistake in vesalius, not in what you gave it.")
        return 1
    return 0
