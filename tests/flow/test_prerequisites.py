"""Prerequisites against packets and matches, and against the positions in the field table."""

from __future__ import annotations

import pytest

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.parse import parse_packet
from jackfield.flow.prerequisites import ALTERNATIVES, REQUIRED_MASK, Prerequisite, met_by_key, met_by_match
from tests.flow.test_parse import PACKETS

P = Prerequisite

PACKETS_WITH = {
    "udp": {P.ETHERNET, P.IPV4, P.IP_ANY, P.UDP},
    "tcp6": {P.ETHERNET, P.IPV6, P.IP_ANY, P.TCP},
    "sctp": {P.ETHERNET, P.IPV4, P.IP_ANY, P.SCTP},
    "igmp": {P.ETHERNET, P.IPV4, P.IP_ANY, P.IGMP},
    "icmp": {P.ETHERNET, P.IPV4, P.IP_ANY, P.ICMPV4},
    "icmp6": {P.ETHERNET, P.IPV6, P.IP_ANY, P.ICMPV6},
    "solicit": {P.ETHERNET, P.IPV6, P.IP_ANY, P.ICMPV6, P.ND, P.ND_SOLICIT},
    "advert": {P.ETHERNET, P.IPV6, P.IP_ANY, P.ICMPV6, P.ND, P.ND_ADVERT},
    "first fragment": {P.ETHERNET, P.IPV4, P.IP_ANY, P.UDP},
    "later fragment": {P.ETHERNET, P.IPV4, P.IP_ANY},
    "vlan": {P.ETHERNET, P.VLAN_VID, P.IPV4, P.IP_ANY, P.UDP},
    "arp": {P.ETHERNET, P.ARP},
    "mpls": {P.ETHERNET, P.MPLS},
    "nsh": {P.ETHERNET, P.NSH},
}


@pytest.mark.parametrize("name", PACKETS_WITH)
def test_what_a_packet_has(name: str) -> None:
    key = parse_packet(bytes(PACKETS[name][0])).key
    assert {prerequisite for prerequisite in P if met_by_key(prerequisite, key)} == PACKETS_WITH[name] | {P.NONE}


def test_packet_type_names_the_network_protocol() -> None:
    key = f.NW_PROTO.put(f.PACKET_TYPE.put(0, 1 << 16 | 0x86DD), 6)
    assert {prerequisite for prerequisite in P if met_by_key(prerequisite, key)} == {P.NONE, P.IPV6, P.IP_ANY, P.TCP}


@pytest.mark.parametrize(
    ("state", "mask", "is_met"),
    [
        (0x01, 0x01, True),
        (0x20, 0x20, False),
        (0x20, 0x30, True),
        (0x30, 0x30, False),
        (0, 0xFF, False),
        (0x42, 0x42, True),
    ],
)
def test_connection(state: int, mask: int, is_met: bool) -> None:
    assert met_by_match(P.CT, f.CT_STATE.put(0, state), f.CT_STATE.put(0, mask)) == is_met


def test_a_match_need_not_say_what_must_be_zero() -> None:
    match = Match.from_fields({"eth_type": 0x0800, "nw_proto": 6})
    assert match.allows(P.TCP)
    assert match.allows(P.ETHERNET)
    assert not match.with_field(f.NW_FRAG, 2, 2).allows(P.TCP)
    assert not match.with_field(f.PACKET_TYPE, 1 << 16 | 0x0800).allows(P.ETHERNET)


def test_positions_are_those_of_the_fields() -> None:
    table = {
        P.ETHERNET: f.PACKET_TYPE.mask,
        P.VLAN_VID: f.VLAN_CFI << f.VLAN_TCI.offset,
        P.IPV4: f.ETH_TYPE.mask | f.PACKET_TYPE.mask,
        P.TCP: f.ETH_TYPE.mask | f.PACKET_TYPE.mask | f.NW_PROTO.mask | f.NW_FRAG_LATER << f.NW_FRAG.offset,
        P.ICMPV6: f.ETH_TYPE.mask | f.PACKET_TYPE.mask | f.NW_PROTO.mask,
        P.ND: f.ETH_TYPE.mask | f.PACKET_TYPE.mask | f.NW_PROTO.mask | f.TP_SRC.mask | f.TP_DST.mask,
        P.CT: f.CT_STATE.put(0, 0xFF),
        P.NONE: 0,
    }
    for prerequisite, mask in table.items():
        assert REQUIRED_MASK[prerequisite] == mask, prerequisite
    assert set(ALTERNATIVES) == set(REQUIRED_MASK) == set(P)
