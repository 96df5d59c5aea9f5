"""Connections of the verbs to a bridge."""

import socket
from pathlib import Path

import pytest

from jackfield.cli.common import connect, port_descriptions, port_names
from jackfield.cli.target import Target
from jackfield.flow.ports import OFPP_LOCAL
from tests.cli.conftest import Switch


def test_ports_by_number(switch: Switch) -> None:
    with connect(Target(str(switch.rundir)), None) as client:
        names = port_names(client)
        numbers = [port.port_no for port in port_descriptions(client)]
    assert (names[1], names[2]) == ("out", "in")
    assert numbers == sorted(numbers)
    assert names.get(OFPP_LOCAL, switch.bridge) == switch.bridge


def test_socket_that_a_killed_switch_left(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short_dir / "br0.mgmt"))
    with pytest.raises(ValueError, match=f"no switch runs in {short_dir}"):
        connect(Target(str(short_dir)), "br0")


def test_verbs_refuse_a_bridge_that_is_not_there(switch: Switch) -> None:
    for verb in (["ports"], ["flows"], ["add-flow", "actions=drop"], ["del-flows"], ["trace", "ip"]):
        done = switch(*verb, "--bridge", "br7")
        assert (done.code, done.out) == (1, "")
        assert done.err == f"jackfield: no bridge named br7 (there: {switch.bridge})\n"
