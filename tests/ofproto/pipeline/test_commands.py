import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from jackfield.daemon.unixctl import Commands
from jackfield.ofproto.pipeline.commands import register_commands
from tests.ofproto.pipeline.fake_dpif import Switch

A = "dl_src=02:00:00:00:00:0a,dl_dst=02:00:00:00:00:0b,dl_type=0x1234"


@pytest.fixture
def ask(switch: Switch) -> Callable[..., str]:
    commands = Commands()
    register_commands(commands, lambda: [cast(Any, switch)])
    return lambda name, *arguments: asyncio.run(commands.run(name, list(arguments)))


def test_switches_and_addresses(switch: Switch, ask: Callable[..., str]) -> None:
    switch.add_flow("", "NORMAL")
    switch.send(1, A)
    switch.clock.advance(3_500)
    assert ask("ofproto/list") == "br0\n"
    assert ask("fdb/show", "br0") == (" port  VLAN  MAC                Age\n    1     0  02:00:00:00:00:0a    3\n")
    assert "Current/maximum MAC entries in the table: 1/8192\n" in ask("fdb/stats-show", "br0")
    assert ask("fdb/flush", "br0") == "table successfully flushed\n"
    assert len(switch.provider.bridge.macs) == 0
    with pytest.raises(ValueError, match="no such bridge"):
        ask("fdb/show", "br7")


def test_datapath(switch: Switch, ask: Callable[..., str]) -> None:
    switch.add_port(9, "to-nowhere", peer="x")
    switch.add_flow("", "output:2")
    switch.send(1, A)
    switch.send(1, A)
    line = (
        "recirc_id(0),in_port(10),packet_type(ns=0,id=0),eth_type(0x1234), packets:1, bytes:14, used:0.250s, "
        "actions:11\n"
    )
    switch.clock.advance(250)
    assert ask("dpif/dump-flows", "br0") == line
    assert ask("dpctl/dump-flows") == "flow-dump from the main thread:\n" + line
    assert "in_port(p1)" in ask("dpif/dump-flows", "-m", "br0")
    assert ask("dpif/show") == (
        "fake@ovs-fake: hit:0 missed:0\n  br0:\n    p1 1/10: (dummy)\n    p2 2/11: (dummy)\n    p3 3/12: (dummy)\n"
        "    to-nowhere 9/none: (patch: peer=x)\n"
    )
    assert ask("dpctl/show") == (
        "fake@ovs-fake:\n  lookups: hit:0 missed:0 lost:0\n  flows: 1\n"
        "  port 10: p1 (dummy)\n  port 11: p2 (dummy)\n  port 12: p3 (dummy)\n"
    )
    (flow,) = json.loads(ask("jackfield/datapath-flows"))
    assert (flow["actions"], flow["packets"], flow["used"]) == ("p2", 1, 0.25)
    (datapath,) = json.loads(ask("jackfield/datapath-show"))
    assert datapath["ports"][0] == {"number": 10, "name": "p1", "type": "dummy"}
    with pytest.raises(ValueError, match="no such datapath"):
        ask("dpctl/show", "fake@other")


def test_upcalls_and_revalidation(switch: Switch, ask: Callable[..., str]) -> None:
    rule = switch.add_flow("", "output:2")
    switch.send(1, A)
    switch.send(1, A)
    assert "flows         : (current 1) (limit 200000)\n" in ask("upcall/show")
    assert ask("revalidator/wait") == ""
    assert rule.stats.packets == 2
    assert ask("revalidator/purge") == ""
    assert not switch.dpif.flows
    assert ask("upcall/set-flow-limit", "5") == "set flow_limit to 5\n"
    assert switch.backer.revalidator.flow_limit == 5
    ask("upcall/disable-megaflows")
    switch.send(1, A)
    switch.send(1, A.replace("0a", "0c"))
    assert len(switch.dpif.flows) == 2
    ask("upcall/enable-megaflows")
    assert not switch.dpif.flows


def test_trace(switch: Switch, ask: Callable[..., str]) -> None:
    switch.add_flow("", "output:2")
    assert ask("ofproto/trace", "br0", "in_port=p1,arp").endswith("Datapath actions: 11\n")
    assert ask("ofproto/trace", "br0", "in_port=1", "-generate", "ff" * 20).endswith("Datapath actions: 11\n")
    assert ask("ofproto/trace", "in_port(p1),eth(),eth_type(0x1234)").endswith("Datapath actions: 11\n")
    assert ask("ofproto/trace", "fake@ovs-fake", "in_port(10),eth(),eth_type(0x1234)").endswith("actions: 11\n")
    with pytest.raises(ValueError, match="unknown bridge"):
        ask("ofproto/trace", "br7", "arp")
    with pytest.raises(ValueError, match="hexadecimal"):
        ask("ofproto/trace", "br0", "arp", "xyz")
