"""Packets to keys: scapy builds the packets and says what is in them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.igmp import IGMP
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from jackfield.flow import fields as f
from jackfield.flow.parse import EXTHDR_UNREP, EXTHDR_UNSEQ, Parsed, parse_packet

MAC1, MAC2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
MAC1_INT, MAC2_INT = 0x020000000001, 0x020000000002
ETHER = Ether(src=MAC1, dst=MAC2)


def key_of(packet: Packet) -> int:
    return parse_packet(bytes(packet)).key


def key_with(**wanted: int) -> int:
    key = 0
    for name, value in {"eth_src": MAC1_INT, "eth_dst": MAC2_INT, **wanted}.items():
        key = f.ANY_FIELD_BY_NAME[name].put(key, value)
    return key


IP4 = IP(src="10.0.0.1", dst="10.0.0.2", tos=0x2D, ttl=61)
IP4_KEY = {"eth_type": 0x0800, "ip_src": 0x0A000001, "ip_dst": 0x0A000002, "ip_tos": 0x2D, "nw_ttl": 61}
IP6 = IPv6(src="2001:db8::1", dst="2001:db8::2", tc=0x2D, fl=0x12345, hlim=61)
IP6_KEY = {
    "eth_type": 0x86DD,
    "ipv6_src": 0x20010DB8 << 96 | 1,
    "ipv6_dst": 0x20010DB8 << 96 | 2,
    "ip_tos": 0x2D,
    "ipv6_label": 0x12345,
    "nw_ttl": 61,
}
PORTS = {"tp_src": 1234, "tp_dst": 80}
SOLICIT = {**IP6_KEY, "nw_proto": 58, "tp_src": 135, "nd_target": 0xFE80 << 112 | 9, "nd_reserved": 0xABCDEF01}
ADVERT = {**IP6_KEY, "nw_proto": 58, "tp_src": 136, "nd_target": 0xFE80 << 112 | 9, "nd_reserved": 0x60000000}
OPTION_ADDRESS = "02:aa:bb:cc:dd:ee"
OPTION_INT = 0x02AABBCCDDEE

PACKETS = {
    "udp": (ETHER / IP4 / UDP(sport=1234, dport=80), {**IP4_KEY, "nw_proto": 17, **PORTS}),
    "tcp": (
        ETHER / IP4 / TCP(sport=1234, dport=80, flags="SAE"),
        {**IP4_KEY, "nw_proto": 6, **PORTS, "tcp_flags": 0x52},
    ),
    "tcp with NS and reserved": (
        ETHER / IP4 / TCP(sport=1234, dport=80, flags=0x101, reserved=7),
        {**IP4_KEY, "nw_proto": 6, **PORTS, "tcp_flags": 0xF01},
    ),
    "sctp": (ETHER / IP4 / SCTP(sport=1234, dport=80), {**IP4_KEY, "nw_proto": 132, **PORTS}),
    "icmp": (ETHER / IP4 / ICMP(type=3, code=4), {**IP4_KEY, "nw_proto": 1, "tp_src": 3, "tp_dst": 4}),
    "igmp": (
        ETHER / IP4 / IGMP(type=0x16, mrcode=5, gaddr="239.1.2.3"),
        {**IP4_KEY, "nw_proto": 2, "tp_src": 0x16, "tp_dst": 5, "igmp_group_ip4": 0xEF010203},
    ),
    "options": (
        ETHER
        / IP(src="10.0.0.1", dst="10.0.0.2", tos=0x2D, ttl=61, options=[IPOption(b"\x94\x04\0\0")])
        / UDP(sport=1234, dport=80),
        {**IP4_KEY, "nw_proto": 17, **PORTS},
    ),
    "other protocol": (ETHER / IP4.copy() / Raw(bytes(40)), {**IP4_KEY, "nw_proto": 0}),
    "first fragment": (
        ETHER / IP(src="10.0.0.1", dst="10.0.0.2", tos=0x2D, ttl=61, flags="MF") / UDP(sport=1234, dport=80),
        {**IP4_KEY, "nw_proto": 17, "ip_frag": 1, **PORTS},
    ),
    "later fragment": (
        ETHER / IP(src="10.0.0.1", dst="10.0.0.2", tos=0x2D, ttl=61, frag=5) / UDP(sport=1234, dport=80),
        {**IP4_KEY, "nw_proto": 17, "ip_frag": 3},
    ),
    "don't fragment": (
        ETHER / IP(src="10.0.0.1", dst="10.0.0.2", tos=0x2D, ttl=61, flags="DF") / UDP(sport=1234, dport=80),
        {**IP4_KEY, "nw_proto": 17, **PORTS},
    ),
    "vlan": (
        ETHER / Dot1Q(vlan=7, prio=5) / IP4 / UDP(sport=1234, dport=80),
        {**IP4_KEY, "nw_proto": 17, **PORTS, "vlan_tpid": 0x8100, "vlan_tci": 0xB007},
    ),
    "qinq": (
        ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8, prio=1) / IP4 / UDP(sport=1234, dport=80),
        {
            **IP4_KEY,
            "nw_proto": 17,
            **PORTS,
            "vlan_tpid": 0x88A8,
            "vlan_tci": 0x1007,
            "vlan2_tpid": 0x8100,
            "vlan2_tci": 0x3008,
        },
    ),
    "three tags": (
        ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / Dot1Q(vlan=9) / IP4,
        {"eth_type": 0x8100, "vlan_tpid": 0x88A8, "vlan_tci": 0x1007, "vlan2_tpid": 0x8100, "vlan2_tci": 0x1008},
    ),
    "arp": (
        ETHER / ARP(op=2, hwsrc=MAC1, psrc="10.0.0.1", hwdst=MAC2, pdst="10.0.0.2"),
        {
            "eth_type": 0x0806,
            "arp_op": 2,
            "arp_spa": 0x0A000001,
            "arp_tpa": 0x0A000002,
            "arp_sha": MAC1_INT,
            "arp_tha": MAC2_INT,
        },
    ),
    "arp of another kind": (ETHER / ARP(hwtype=6, op=2), {"eth_type": 0x0806}),
    "mpls": (
        ETHER / MPLS(label=16, cos=3, s=0, ttl=9) / MPLS(label=17, s=1, ttl=8) / Raw(bytes(30)),
        {"eth_type": 0x8847, "mpls_lse0": 16 << 12 | 3 << 9 | 9, "mpls_lse1": 17 << 12 | 1 << 8 | 8},
    ),
    "four labels": (
        ETHER
        / MPLS(label=1, s=0, ttl=1)
        / MPLS(label=2, s=0, ttl=1)
        / MPLS(label=3, s=0, ttl=1)
        / MPLS(label=4, s=1, ttl=1),
        {"eth_type": 0x8847, "mpls_lse0": 0x1001, "mpls_lse1": 0x2001, "mpls_lse2": 0x3001},
    ),
    "snap": (
        Dot3(src=MAC1, dst=MAC2)
        / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
        / SNAP(OUI=0, code=0x0800)
        / IP4
        / UDP(sport=1234, dport=80),
        {**IP4_KEY, "nw_proto": 17, **PORTS},
    ),
    "snap of another organisation": (
        Dot3(src=MAC1, dst=MAC2) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=12, code=0x0800) / IP4,
        {"eth_type": 0x05FF},
    ),
    "llc": (Dot3(src=MAC1, dst=MAC2) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / Raw(bytes(35)), {"eth_type": 0x05FF}),
    "tcp6": (ETHER / IP6 / TCP(sport=1234, dport=80, flags="S"), {**IP6_KEY, "nw_proto": 6, **PORTS, "tcp_flags": 2}),
    "icmp6": (ETHER / IP6 / ICMPv6EchoRequest(), {**IP6_KEY, "nw_proto": 58, "tp_src": 128}),
    "solicit": (
        ETHER / IP6 / ICMPv6ND_NS(tgt="fe80::9", res=0xABCDEF01) / ICMPv6NDOptSrcLLAddr(lladdr=OPTION_ADDRESS),
        {**SOLICIT, "nd_sll": OPTION_INT, "nd_options_type": 1},
    ),
    "solicit without option": (ETHER / IP6 / ICMPv6ND_NS(tgt="fe80::9", res=0xABCDEF01), SOLICIT),
    "solicit with the other option": (
        ETHER / IP6 / ICMPv6ND_NS(tgt="fe80::9", res=0xABCDEF01) / ICMPv6NDOptDstLLAddr(lladdr=OPTION_ADDRESS),
        {**SOLICIT, "nd_tll": OPTION_INT, "nd_options_type": 2},
    ),
    "solicit with both options": (
        ETHER
        / IP6
        / ICMPv6ND_NS(tgt="fe80::9", res=0xABCDEF01)
        / ICMPv6NDOptDstLLAddr(lladdr=OPTION_ADDRESS)
        / ICMPv6NDOptSrcLLAddr(lladdr=MAC1),
        {**SOLICIT, "nd_sll": MAC1_INT, "nd_tll": OPTION_INT, "nd_options_type": 2},
    ),
    "advert": (
        ETHER / IP6 / ICMPv6ND_NA(tgt="fe80::9", R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=OPTION_ADDRESS),
        {**ADVERT, "nd_tll": OPTION_INT, "nd_options_type": 2},
    ),
    "option twice": (
        ETHER
        / IP6
        / ICMPv6ND_NA(tgt="fe80::9", R=0, S=1, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=OPTION_ADDRESS)
        / ICMPv6NDOptDstLLAddr(lladdr=OPTION_ADDRESS),
        {**ADVERT, "nd_target": 0},
    ),
    "extension headers": (
        ETHER / IP6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / UDP(sport=1234, dport=80),
        {**IP6_KEY, "nw_proto": 17, **PORTS, "ipv6_exthdr": 1 << 6 | 1 << 5 | 1 << 3},
    ),
    "extension headers out of order": (
        ETHER / IP6 / IPv6ExtHdrRouting() / IPv6ExtHdrHopByHop() / UDP(sport=1234, dport=80),
        {**IP6_KEY, "nw_proto": 17, **PORTS, "ipv6_exthdr": 1 << 6 | 1 << 5 | EXTHDR_UNSEQ},
    ),
    "extension header repeated": (
        ETHER / IP6 / IPv6ExtHdrRouting() / IPv6ExtHdrRouting() / UDP(sport=1234, dport=80),
        {**IP6_KEY, "nw_proto": 17, **PORTS, "ipv6_exthdr": 1 << 5 | EXTHDR_UNREP},
    ),
    "destination options twice": (
        ETHER / IP6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / UDP(sport=1234, dport=80),
        {**IP6_KEY, "nw_proto": 17, **PORTS, "ipv6_exthdr": 1 << 5 | 1 << 3},
    ),
    "first fragment of IPv6": (
        ETHER / IP6 / IPv6ExtHdrFragment(m=1) / UDP(sport=1234, dport=80),
        {**IP6_KEY, "nw_proto": 17, **PORTS, "ip_frag": 1, "ipv6_exthdr": 1 << 4},
    ),
    "atomic fragment of IPv6": (
        ETHER / IP6 / IPv6ExtHdrFragment() / UDP(sport=1234, dport=80),
        {**IP6_KEY, "nw_proto": 17, **PORTS, "ipv6_exthdr": 1 << 4},
    ),
    "later fragment of IPv6": (
        ETHER / IP6 / IPv6ExtHdrFragment(offset=5) / UDP(sport=1234, dport=80),
        {**IP6_KEY, "nw_proto": 44, "ip_frag": 3, "ipv6_exthdr": 1 << 4},
    ),
    "nsh": (
        ETHER / NSH(mdtype=1, nextproto=3, spi=0x1234, si=9, ttl=33, context_header=struct.pack(">4I", 1, 2, 3, 4)),
        {
            "eth_type": 0x894F,
            "nsh_mdtype": 1,
            "nsh_np": 3,
            "nsh_spi": 0x1234,
            "nsh_si": 9,
            "nsh_ttl": 33,
            "nsh_c1": 1,
            "nsh_c2": 2,
            "nsh_c3": 3,
            "nsh_c4": 4,
        },
    ),
    "unknown type": (Ether(src=MAC1, dst=MAC2, type=0x88CC) / Raw(bytes(50)), {"eth_type": 0x88CC}),
}


@pytest.mark.parametrize("name", PACKETS)
def test_key_of_packet(name: str) -> None:
    packet, wanted = PACKETS[name]
    assert key_of(packet) == key_with(**wanted)


@pytest.mark.parametrize("name", PACKETS)
def test_any_cut_of_a_packet_has_a_part_of_its_key(name: str) -> None:
    """A cut header leaves its fields unset; what comes before it stays as it is, except the type behind a cut tag."""
    data = bytes(PACKETS[name][0])
    l2_bits = f.ETH_SRC.mask | f.ETH_DST.mask
    for size in range(len(data)):
        parsed = parse_packet(data[:size])
        assert parsed.key & l2_bits == (parse_packet(data).key & l2_bits if size >= 14 else 0)
        if f.ETH_TYPE.get(parsed.key) in (0x0800, 0x86DD) and "snap" not in name:
            assert not parsed.key & f.NW_PROTO.mask, "an IP packet longer than its data has no fields"


def test_metadata_and_port_are_in_the_key() -> None:
    metadata = f.PKT_MARK.put(f.TUN_ID.put(0, 77), 5)
    key = parse_packet(bytes(PACKETS["udp"][0]), dp_in_port=9, metadata=metadata).key
    assert key == key_of(PACKETS["udp"][0]) | metadata | 9


def test_offsets() -> None:
    data = bytes(ETHER / Dot1Q(vlan=7) / IP4 / UDP(sport=1, dport=2) / Raw(b"abc")) + bytes(6)
    parsed = parse_packet(data)
    assert parsed[1:] == Parsed(0, -1, 18, 38, 49)[1:]
    mpls = parse_packet(bytes(PACKETS["mpls"][0]))
    assert (mpls.l2_5, mpls.l3, mpls.l4) == (14, 22, -1)
    assert parse_packet(b"").l3 == -1


@pytest.mark.parametrize(("limit", "eth_type", "tag2"), [(0, 0x88A8, 0), (1, 0x8100, 0), (2, 0x0800, 0x3008)])
def test_vlan_limit(limit: int, eth_type: int, tag2: int) -> None:
    key = parse_packet(bytes(PACKETS["qinq"][0]), vlan_limit=limit).key
    assert f.ETH_TYPE.get(key) == eth_type
    assert f.VLAN2_TCI.get(key) == tag2
    assert bool(f.VLAN_TCI.get(key)) == (limit > 0)


def test_packet_type_without_ethernet() -> None:
    packet_type = f.PACKET_TYPE.put(0, 1 << 16 | 0x0800)
    key = parse_packet(bytes(IP4 / UDP(sport=1234, dport=80)), metadata=packet_type).key
    wanted = key_with(**{**IP4_KEY, "nw_proto": 17, **PORTS, "eth_src": 0, "eth_dst": 0})
    assert key == wanted | packet_type


@pytest.mark.parametrize(
    "change",
    [
        pytest.param((14, 0x44), id="header length below 20"),
        pytest.param((14, 0x4F), id="header longer than the packet"),
        pytest.param((17, 19), id="total length below the header"),
        pytest.param((16, 1), id="total length beyond the data"),
    ],
)
def test_ipv4_that_lies_about_its_length(change: tuple[int, int]) -> None:
    data = bytearray(bytes(ETHER / IP4 / UDP(sport=1, dport=2)))
    data[change[0]] = change[1]
    assert parse_packet(data).key == key_with(eth_type=0x0800)


def test_broken_extension_header_leaves_the_addresses() -> None:
    data = bytearray(bytes(ETHER / IP6 / IPv6ExtHdrHopByHop() / UDP(sport=1, dport=2)))
    data[14 + 40 + 1] = 9
    assert parse_packet(data).key == key_with(
        eth_type=0x86DD, ipv6_src=IP6_KEY["ipv6_src"], ipv6_dst=IP6_KEY["ipv6_dst"]
    )


HEADS = [bytes(packet)[:size] for packet, _ in PACKETS.values() for size in (14, 18, 34, 54)]


@given(head=st.sampled_from([b"", *HEADS]), tail=st.binary(max_size=100))
def test_any_bytes_have_a_key(head: bytes, tail: bytes) -> None:
    data = head + tail
    parsed = parse_packet(data)
    assert parsed.key >= 0
    assert parsed.key & ~f.DATAPATH_MASK == 0
    assert parse_packet(memoryview(data)) == parsed
    assert parse_packet(bytearray(data)) == parsed
    assert -1 <= parsed.l3 <= len(data)
    assert parsed.l4 <= parsed.end <= len(data)


@given(packet=st.sampled_from([bytes(packet) for packet, _ in PACKETS.values()]), data=st.data())
def test_a_changed_byte_never_raises(packet: bytes, data: st.DataObject) -> None:
    mutated = bytearray(packet)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    parse_packet(mutated)
