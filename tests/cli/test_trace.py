"""`jackfield trace`."""

import pytest

from tests.cli.conftest import PACKET, Switch


def test_trace_names_rule_and_actions(switch: Switch) -> None:
    switch("add-flow", "priority=7,icmp,actions=output:out")
    done = switch("trace", "in_port=in,icmp,nw_dst=10.0.0.1")
    assert done.code == 0
    assert " 0. icmp, priority 7" in done.out
    assert "Datapath actions: " in done.out
    assert done.out.endswith("\n")
    assert not done.out.endswith("\n\n")


def test_trace_of_a_packet(switch: Switch) -> None:
    switch("add-flow", "priority=7,icmp,nw_src=10.99.0.1,actions=output:out")
    assert "icmp,nw_src=10.99.0.1, priority 7" in switch("trace", "in_port=in", "--packet", PACKET.hex()).out


@pytest.mark.parametrize(
    ("arguments", "token"),
    [(("in_port=77x,ip",), "77x"), (("iip",), "iip"), (("in_port=in", "--packet", "zz"), "zz")],
)
def test_refusals(switch: Switch, arguments: tuple[str, ...], token: str) -> None:
    done = switch("trace", *arguments)
    assert (done.code, done.out) == (1, "")
    assert token in done.err
    assert done.err.count("\n") == 1
