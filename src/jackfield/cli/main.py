"""The entry point: global options, and verbs that are imported only when asked for."""

from __future__ import annotations

import importlib
import io
import os
import sys

import click
from click.shell_completion import CompletionItem

from jackfield import __version__
from jackfield.errors import ProtocolError, describe

# verb: (module, attribute, what the list of verbs says of it)
VERBS = {
    "up": ("jackfield.cli.up", "up", "Run a switch in the foreground."),
    "show": ("jackfield.cli.show", "show", "Show the bridges of a running switch."),
    "ports": ("jackfield.cli.ports", "ports", "List a bridge's ports with their counters."),
    "flows": ("jackfield.cli.flows", "flows", "List a bridge's OpenFlow rules."),
    "add-flow": ("jackfield.cli.flows", "add_flow", "Add an OpenFlow rule."),
    "del-flows": ("jackfield.cli.flows", "del_flows", "Delete OpenFlow rules."),
    "trace": ("jackfield.cli.trace", "trace", "Show what would become of a packet."),
    "datapath": ("jackfield.cli.datapath", "datapath", "Look into the datapath."),
    "warm": ("jackfield.cli.warm", "warm", "Compile the userspace datapath into its cache."),
    "completion": ("jackfield.cli.completion", "completion", "Print the completion script for a shell."),
}


COMPLETE = "_JACKFIELD_COMPLETE"
"""The environment variable by which a shell asks for completions."""


class LazyGroup(click.Group):
    """A group whose commands are loaded from `VERBS` when they are used, so that each verb starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module."""
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without importing them, and the global options."""
        verbs = [CompletionItem(verb, help=VERBS[verb][2]) for verb in VERBS if verb.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jackfield")
@click.option(
    "--rundir",
    metavar="DIR",
    envvar=["JACKFIELD_RUNDIR", "OVS_RUNDIR"],
    help="Run directory of the switch [default: /run/jackfield, or $XDG_RUNTIME_DIR/jackfield without root].",
)
@click.pass_context
def cli(ctx: click.Context, rundir: str | None) -> None:
    """A virtual switch in Python: Open vSwitch from the outside, open at every layer on the inside."""
    from jackfield.cli.target import Target

    ctx.obj = Target(rundir)


def main() -> None:
    """Run the command line; errors become one line on standard error and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        if COMPLETE in os.environ:
            importlib.import_module("jackfield.cli.completion").register_bash()
        cli.main(prog_name="jackfield", complete_var=COMPLETE, standalone_mode=False)
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        _explain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`); there is nobody left to tell.
        sys.stderr.close()
        sys.exit(1)
    except (ValueError, OSError, ProtocolError) as error:
        click.echo(f"jackfield: {describe(error)}", err=True)
        sys.exit(1)


def _explain(error: click.ClickException) -> None:
    """Say in one line what was wrong with the command line; a group without a verb shows its help."""
    text = error.format_message()
    if not isinstance(error, click.UsageError) or text.startswith("Usage:"):
        error.show()
        return
    command = error.ctx.command_path if error.ctx is not None else "jackfield"
    click.echo(f"jackfield: {' '.join(text.split())} (see `{command} --help`)", err=True)
