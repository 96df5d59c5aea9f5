"""Completion: what candidates there are, and that a real shell puts them in place."""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from jackfield.cli import completion
from jackfield.cli.completion import complete_bridge, complete_flow, complete_interface
from jackfield.cli.main import cli
from jackfield.cli.target import Target
from tests.cli.conftest import Run, Switch


def context(rundir: Path, **params: object) -> click.Context:
    made = click.Context(cli, obj=Target(str(rundir)))
    made.params = dict(params)
    return made


def values(items: list[click.shell_completion.CompletionItem]) -> list[str]:
    return [item.value for item in items]


PARAM = click.Argument(["flow"])


def test_bridges(tmp_path: Path) -> None:
    for name in ("br0", "br1", "ovs"):
        (tmp_path / f"{name}.mgmt").touch()
    assert values(complete_bridge(context(tmp_path), PARAM, "br")) == ["br0", "br1"]
    assert complete_bridge(context(tmp_path / "br0.mgmt"), PARAM, "") == []


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("in_port=", ["in_port=out", "in_port=in"]),
        ("in_port=o", ["in_port=out"]),
        ("ip,in_port=i", ["ip,in_port=in"]),
        ("ip,actions=output:", ["ip,actions=output:out", "ip,actions=output:in"]),
        ("ip,actions=output:out,output:i", ["ip,actions=output:out,output:in"]),
        ("in_port=out,i", []),
        ("in", ["in_port="]),
        ("tcp", []),
    ],
)
def test_ports_in_flows(typed: str, expected: list[str], switch: Switch) -> None:
    found = values(complete_flow(context(switch.rundir), PARAM, typed))
    assert [each for each in found if not each.endswith(switch.bridge)] == expected


def test_ports_of_the_bridge_that_was_named(switch: Switch) -> None:
    assert values(complete_flow(context(switch.rundir, bridge=switch.bridge), PARAM, "in_port=o")) == ["in_port=out"]
    assert complete_flow(context(switch.rundir, bridge="other"), PARAM, "in_port=o") == []


def test_without_a_switch_there_are_no_candidates(tmp_path: Path) -> None:
    assert complete_flow(context(tmp_path), PARAM, "in_port=") == []


def test_interfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lo", "eth1", "eth0", "wlan0"):
        (tmp_path / name).touch()
    monkeypatch.setattr(completion, "_INTERFACES", tmp_path)
    assert values(complete_interface(context(tmp_path), PARAM, "eth")) == ["eth0", "eth1"]
    monkeypatch.setattr(completion, "_INTERFACES", tmp_path / "none")
    assert complete_interface(context(tmp_path), PARAM, "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(shell: str, jackfield: Run) -> None:
    done = jackfield("completion", shell)
    assert done.code == 0
    assert f"_JACKFIELD_COMPLETE={shell}_complete" in done.out


def in_bash(switch: Switch, line: str, *words: str) -> list[str]:
    """What bash puts in place of the last of `words` (as bash takes the line apart) when Tab is pressed."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    program = Path(sys.executable).parent
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    script = f"""
        PATH={program}:$PATH JACKFIELD_RUNDIR={switch.rundir}
        export PATH JACKFIELD_RUNDIR
        compopt() {{ :; }}
        eval "$(jackfield completion bash)"
        COMP_LINE={"'" + line.replace("'", "'" + chr(92) + "''") + "'"} COMP_WORDS=({quoted})
        COMP_POINT=${{#COMP_LINE}} COMP_CWORD={len(words) - 1}
        _jackfield_completion
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([bash, "--norc", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_completes_verbs_and_options(switch: Switch) -> None:
    assert in_bash(switch, "jackfield da", "jackfield", "da") == ["datapath"]
    assert in_bash(switch, "jackfield datapath ", "jackfield", "datapath", "") == ["flows", "show"]
    assert in_bash(switch, "jackfield flows --bridge ", "jackfield", "flows", "--bridge", "") == [switch.bridge]


def test_bash_completes_the_piece_of_a_word_that_it_is_at(switch: Switch) -> None:
    line = "jackfield trace in_port=ou"
    assert in_bash(switch, line, "jackfield", "trace", "in_port", "=", "ou") == ["out"]
    line = "jackfield add-flow in_port=out,actions=output:i"
    words = ["jackfield", "add-flow", "in_port", "=", "out,actions", "=", "output", ":", "i"]
    assert in_bash(switch, line, *words) == ["in"]


def test_bash_completes_a_quoted_word_as_a_whole(switch: Switch) -> None:
    assert in_bash(switch, "jackfield trace 'ip,in_port=ou", "jackfield", "trace", "'ip,in_port=ou") == [
        "ip,in_port=out"
    ]
