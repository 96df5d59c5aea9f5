"""What each action makes of a packet, seen at the port it leaves by."""

import pytest

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.text import format_match, parse_match
from tests.ofproto.pipeline.fake_dpif import Switch

TCP = "tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=9,nw_tos=0,tp_src=1,tp_dst=2,dl_src=02:00:00:00:00:01"


def after(switch: Switch, packet: str, actions: str, tpid: int = 0x8100) -> int:
    switch.add_flow("", f"{actions},output:2")
    key = switch.key(1, packet)
    if f.VLAN_TCI.get(key):
        key = f.VLAN_TPID.put(key, tpid)
    switch.dpif.receive(bytes(60), key)
    ((port, left),) = switch.dpif.take_sent()
    assert port == switch.dp(2)
    return left


@pytest.mark.parametrize(
    ("packet", "actions", "changed"),
    [
        (TCP, "mod_dl_dst:02:00:00:00:00:09", "dl_dst=02:00:00:00:00:09"),
        (TCP, "mod_nw_src:1.2.3.4,mod_nw_dst:4.3.2.1", "ip,nw_src=1.2.3.4,nw_dst=4.3.2.1"),
        (TCP, "mod_nw_tos:8,mod_nw_ecn:1", "ip,nw_tos=8,nw_ecn=1"),
        (TCP, "mod_tp_src:80,mod_tp_dst:81", "tcp,tp_src=80,tp_dst=81"),
        (TCP, "dec_ttl,dec_ttl", "ip,nw_ttl=7"),
        (TCP, "mod_nw_ttl:77", "ip,nw_ttl=77"),
        (TCP, "load:7->NXM_OF_IP_SRC[8..15]", "ip,nw_src=10.0.7.1"),
        (TCP, "set_field:0x5/0xff->reg3,move:NXM_NX_REG3[0..7]->NXM_OF_IP_DST[24..31]", "ip,nw_dst=5.0.0.2"),
        (TCP, "push:NXM_OF_IP_SRC[],push:NXM_OF_IP_DST[],pop:NXM_OF_IP_SRC[],pop:NXM_OF_IP_DST[]",
         "ip,nw_src=10.0.0.2,nw_dst=10.0.0.1"),
        (TCP, "mod_vlan_vid:3", "vlan_tci=0x1003"),
        (TCP, "mod_vlan_pcp:3", "vlan_tci=0x7000"),
        (TCP, "load:0x1005->NXM_OF_VLAN_TCI[]", "vlan_tci=0x1005"),
        (TCP + ",vlan_tci=0x1001", "load:0->NXM_OF_VLAN_TCI[]", "vlan_tci=0"),
        (TCP + ",vlan_tci=0x3001", "mod_vlan_vid:3", "vlan_tci=0x3003"),
        (TCP + ",vlan_tci=0x3001", "strip_vlan", "vlan_tci=0"),
        (TCP, "set_queue:3,pop_queue,set_queue:4", "skb_priority=4"),
        ("arp,arp_op=1", "load:2->NXM_OF_ARP_OP[],load:5->NXM_NX_ARP_SHA[]", "arp,arp_op=2,arp_sha=00:00:00:00:00:05"),
        ("icmp6,icmp_type=135", "set_field:fe80::1->nd_target", "icmp6,icmp_type=135,nd_target=fe80::1"),
    ],
)  # fmt: skip
def test_fields(switch: Switch, packet: str, actions: str, changed: str) -> None:
    left = after(switch, packet, actions)
    wanted = parse_match(changed)
    mask = wanted.mask & f.DATAPATH_MASK
    assert left & mask == wanted.value & mask, format_match(Match.masked(left, mask))
    # Nothing else changed.
    before = switch.key(1, packet) & ~f.DP_IN_PORT.mask
    allowed = mask | f.VLAN_TPID.mask
    assert (left ^ before) & ~allowed & ~f.VLAN_TCI.mask == 0


@pytest.mark.parametrize(
    ("packet", "actions"),
    [
        ("udp,nw_frag=later,nw_ttl=5", "mod_tp_src:80"),
        ("icmp,nw_ttl=5", "mod_tp_src:80"),
        ("dl_type=0x1234", "dec_ttl"),
        ("dl_type=0x1234", "pop:NXM_OF_ETH_SRC[]"),
        ("dl_type=0x1234", "strip_vlan"),
        ("dl_type=0x1234", "note:11"),
        ("arp", "load:0->NXM_OF_IP_SRC[]"),
    ],
)
def test_what_is_not_there_is_left_alone(switch: Switch, packet: str, actions: str) -> None:
    assert after(switch, packet, actions) == switch.key(1, packet) & ~f.DP_IN_PORT.mask


def test_two_tags(switch: Switch) -> None:
    left = after(switch, TCP + ",vlan_tci=0x1001", "push_vlan:0x88a8,mod_vlan_vid:9")
    assert (f.VLAN_TPID.get(left), f.VLAN_TCI.get(left)) == (0x88A8, 0x1009)
    assert (f.VLAN2_TPID.get(left), f.VLAN2_TCI.get(left)) == (0x8100, 0x1001)


def test_an_expired_ttl_ends_the_list_but_not_its_callers(switch: Switch) -> None:
    switch.add_flow("", "resubmit(,1),output:3")
    switch.add_flow("", "output:2,dec_ttl(5,6),output:2", table=1)
    assert switch.send(1, "ip,nw_ttl=1") == [2, 3]
    assert [event.controller_id for event in switch.connections.packet_ins] == [5, 6]


def test_exit_ends_everything(switch: Switch) -> None:
    switch.add_flow("", "resubmit(,1),output:3")
    switch.add_flow("", "output:2,exit,output:2", table=1)
    assert switch.send(1, "ip") == [2]
