"""Traces as stock ovs-appctl prints them; tests/net/test_trace_vs_stock.py holds them to the stock daemon's."""

from collections.abc import Callable

import pytest

from jackfield.dpif.actions import Userspace
from jackfield.flow.compose import compose_packet
from jackfield.flow.ports import DpPort, OfPort
from jackfield.flow.text import parse_match
from jackfield.ofproto.pipeline.trace import describe_userspace, trace_datapath_flow, trace_flow
from tests.ofproto.pipeline.fake_dpif import Switch

NAMES: dict[str, OfPort] = {}


def test_the_whole_text(switch: Switch) -> None:
    switch.add_flow("tcp", "dec_ttl,load:1->NXM_NX_REG1[],resubmit(,1),output:3", priority=9, cookie=0x2A)
    switch.add_flow("reg1=1", "output:2", priority=1, table=1)
    text = trace_flow(switch.backer, switch.provider.bridge, "in_port=1,tcp,nw_ttl=3", NAMES)
    assert text == (
        "Flow: tcp,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=0.0.0.0,"
        "nw_dst=0.0.0.0,nw_tos=0,nw_ecn=0,nw_ttl=3,nw_frag=no,tp_src=0,tp_dst=0,tcp_flags=0\n"
        "\n"
        'bridge("br0")\n'
        "-------------\n"
        " 0. tcp, priority 9, cookie 0x2a\n"
        "    dec_ttl\n"
        "    load:0x1->NXM_NX_REG1[]\n"
        "    resubmit(,1)\n"
        "     1. reg1=0x1, priority 1\n"
        "            output:2\n"
        "    output:3\n"
        "\n"
        "Final flow: tcp,reg1=0x1,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,"
        "nw_src=0.0.0.0,nw_dst=0.0.0.0,nw_tos=0,nw_ecn=0,nw_ttl=2,nw_frag=no,tp_src=0,tp_dst=0,tcp_flags=0\n"
        "Megaflow: recirc_id=0,eth,tcp,in_port=1,nw_ttl=3,nw_frag=no\n"
        "Datapath actions: set(ipv4(ttl=2)),11,12\n"
    )


def test_misses_patches_and_errors(make_switch: Callable[[str], Switch]) -> None:
    one, two = make_switch("br0"), make_switch("br1")
    one.add_port(1)
    one.add_port(9, "to-br1", peer="to-br0")
    two.add_port(9, "to-br0", peer="to-br1")
    one.add_flow("in_port=1", "output:9,output:1")
    text = trace_flow(one.backer, one.provider.bridge, "in_port=1,arp", NAMES)
    assert (
        " 0. in_port=1, priority 100\n"
        "    output:9\n"
        "\n"
        '    bridge("br1")\n'
        "    -------------\n"
        "         0. No match.\n"
        "            drop\n"
        "    output:1\n"
        "     >> skipping output to input port\n"
        "\n"
        "Final flow: unchanged\n"
    ) in text
    two.add_flow("", "resubmit(,0)")
    text = trace_flow(one.backer, one.provider.bridge, "in_port=1,arp", NAMES)
    assert " >>>> Recursion too deep <<<<\n" in text
    assert text.endswith("Datapath actions: drop\n\nTranslation failed (Recursion too deep), packet is dropped.\n")


def test_only_a_real_packet_teaches(switch: Switch) -> None:
    switch.add_flow("", "NORMAL")
    bridge = switch.provider.bridge
    flow = "in_port=1,dl_src=02:00:00:00:00:01,dl_type=0x1234"
    assert " -> no learned MAC for destination, flooding\n" in trace_flow(switch.backer, bridge, flow, NAMES)
    assert len(bridge.macs) == 0
    packet = compose_packet(parse_match("dl_src=02:00:00:00:00:01,dl_type=0x1234").value)
    assert trace_flow(switch.backer, bridge, "in_port=1", NAMES, packet).endswith("Datapath actions: 11,12\n")
    assert len(bridge.macs) == 1


def test_a_datapath_flow(switch: Switch) -> None:
    switch.add_flow("in_port=2", "output:1")
    text = trace_datapath_flow(switch.backer, "in_port(p2),eth(),eth_type(0x1234)", {"p2": DpPort(11)})
    assert text.endswith("Megaflow: recirc_id=0,eth,in_port=2,dl_type=0x1234\nDatapath actions: 10\n")
    with pytest.raises(ValueError, match="no bridge"):
        trace_datapath_flow(switch.backer, "in_port(99),eth(),eth_type(0x1234)", {})


def test_cookies_are_read(switch: Switch) -> None:
    switch.add_flow("", "CONTROLLER:50", cookie=0xAB)
    text = trace_flow(switch.backer, switch.provider.bridge, "in_port=1,arp", NAMES)
    assert (
        "controller(reason=1,dont_send=0,continuation=0,recirc_id=0,rule_cookie=0xab,controller_id=0,max_len=50)"
        in text
    )
    assert describe_userspace(Userspace(b"\xff")) == "userspace(pid=0,userdata(ff))"
