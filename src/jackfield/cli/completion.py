"""`jackfield completion SHELL`: what a shell needs to complete verbs, options, bridges, ports and interfaces."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from jackfield.errors import ProtocolError

if TYPE_CHECKING:
    from jackfield.cli.target import Target

_LINE: Final = "_JACKFIELD_LINE"
_WORD: Final = "_JACKFIELD_WORD"
_INTERFACES: Final = Path("/sys/class/net")

_TAKES_PORT: Final = re.compile(r"((?:.*[,=(])?(?:in_port=|output:))([^,=:()]*)")
_WORD_END: Final = re.compile(r".*[=:]")

# Bash takes words apart at "=" and ":" unless they are quoted, and then puts only the last piece of a word in place:
# the whole line is handed over, and what comes back is cut to that piece.
_BASH: Final = """\
%(complete_func)s() {
    local IFS=$'\\n' item
    COMPREPLY=()
    for item in $(env %(complete_var)s=bash_complete _JACKFIELD_LINE="${COMP_LINE:0:COMP_POINT}" \\
            _JACKFIELD_WORD="${COMP_WORDS[COMP_CWORD]}" %(prog_name)s); do
        case $item in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            part,*) COMPREPLY+=("${item#*,}"); compopt -o nospace ;;
            *) COMPREPLY+=("${item#*,}") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    For bash, add to ~/.bashrc: eval "$(jackfield completion bash)"
    """
    register_bash()
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "jackfield", "_JACKFIELD_COMPLETE").source())


def register_bash() -> None:
    """Let our completion for bash take the place of click's."""
    add_completion_class(_Bash, "bash")


class _Bash(BashComplete):
    """Completion of whole words, even where bash takes them apart."""

    source_template = _BASH

    def source(self) -> str:
        """The script; it runs in every bash that has arrays."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is typed, and that one."""
        line = os.environ.get(_LINE)
        if line is None:
            return super().get_completion_args()
        words = split_arg_string(line)[1:]
        if not words or line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1]

    def complete(self) -> str:
        """The candidates, a line each: kind, value."""
        words, incomplete = self.get_completion_args()
        typed = _WORD_END.match(incomplete)
        apart = _LINE in os.environ and not os.environ.get(_WORD, "").startswith(("'", '"'))
        there = typed.group() if typed is not None and apart else ""
        lines = []
        for item in self.get_completions(words, incomplete):
            kind = "part" if typed is not None or item.value.endswith("=") else item.type  # no blank after it
            lines.append(f"{kind},{item.value.removeprefix(there)}")
        return "\n".join(lines)


def complete_bridge(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The bridges that are there."""
    try:
        names = _target(ctx).bridges()
    except OSError:
        return []  # whoever types is not to be bothered
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_flow(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of ports, where the text of a flow takes one."""
    found = _TAKES_PORT.fullmatch(incomplete)
    if found is None:
        return [CompletionItem("in_port=")] if "in_port=".startswith(incomplete) else []
    start, typed = found.groups()
    try:
        bridges = _target(ctx).query("jackfield/show", "name", "ports")
    except (OSError, ValueError, ProtocolError):
        return []  # as above: no switch runs, or none that answers
    wanted = ctx.params.get("bridge")
    names = [port["name"] for bridge in bridges if wanted in (None, bridge["name"]) for port in bridge["ports"]]
    return [CompletionItem(f"{start}{name}") for name in names if name.startswith(typed)]


def complete_interface(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The interfaces of this machine."""
    try:
        names = sorted(os.listdir(_INTERFACES))
    except OSError:
        return []  # no sysfs here
    return [CompletionItem(name) for name in names if name.startswith(incomplete) and name != "lo"]


def _target(ctx: click.Context) -> Target:
    from jackfield.cli.target import Target

    root = ctx.find_root()
    return root.obj if isinstance(root.obj, Target) else Target(root.params.get("rundir"))
