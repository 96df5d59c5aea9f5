"""`jackfield completion SHELL`: what a shell needs to complete verbs, options, bridges and ports."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    For bash, add to ~/.bashrc: eval "$(jackfield completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "jackfield", "_JACKFIELD_COMPLETE").source())


def complete_bridge(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The bridges that are there."""
    from jackfield.cli.target import Target

    root = ctx.find_root()
    target = root.obj if isinstance(root.obj, Target) else Target(root.params.get("rundir"))
    return [CompletionItem(name) for name in target.bridges() if name.startswith(incomplete)]
