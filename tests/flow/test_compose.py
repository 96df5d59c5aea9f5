"""Keys to packets and back; scapy checks the lengths and checksums."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.sctp import crc32c
from scapy.utils import checksum

from jackfield.flow import fields as f
from jackfield.flow.compose import compose_packet
from jackfield.flow.parse import ETH_TYPE_VLAN, parse_packet
from tests.flow.strategies import packet_keys


@settings(max_examples=400)
@given(key=packet_keys(), length=st.none() | st.integers(0, 1514))
def test_a_composed_packet_has_its_key(key: int, length: int | None) -> None:
    data = compose_packet(key, length)
    assert parse_packet(data).key == key
    assert len(data) >= (length or 0)


@settings(max_examples=200)
@given(key=st.integers(0, f.DATAPATH_MASK), eth_type=st.sampled_from([0, 0x0800, 0x0806, 0x86DD, 0x8847, 0x894F]))
def test_any_key_composes_a_packet_that_composes_itself(key: int, eth_type: int) -> None:
    key = f.PACKET_TYPE.put(f.ETH_TYPE.put(key, eth_type), 0)
    metadata = 0
    data = compose_packet(key)
    again = parse_packet(data, metadata=metadata).key
    assert parse_packet(compose_packet(again)).key == again


@settings(max_examples=300)
@given(key=packet_keys(), length=st.none() | st.integers(0, 200))
def test_scapy_agrees_with_lengths_and_checksums(key: int, length: int | None) -> None:
    data = compose_packet(key, length)
    parsed = parse_packet(data)
    if f.ETH_TYPE.get(key) not in (0x0800, 0x86DD):
        return
    ip: IP | IPv6
    if f.ETH_TYPE.get(key) == 0x0800:
        ip = IP(data[parsed.l3 :])
        assert ip.version == 4
        assert ip.len == len(data) - parsed.l3 == parsed.end - parsed.l3
        assert checksum(data[parsed.l3 : parsed.l4]) == 0
    else:
        ip = IPv6(data[parsed.l3 :])
        assert ip.version == 6
        assert ip.plen == len(data) - parsed.l3 - 40
    if f.NW_FRAG.get(key):
        return
    segment = data[parsed.l4 :]
    proto = f.NW_PROTO.get(key)
    if proto in (6, 17, 58):
        in_chksum = in4_chksum if f.ETH_TYPE.get(key) == 0x0800 else in6_chksum
        if proto != 58 or isinstance(ip, IPv6):
            pseudo = ip if isinstance(ip, IP) else IPv6(src=ip.src, dst=ip.dst, nh=proto)
            assert in_chksum(proto, pseudo, segment) in (0, 0xFFFF)
    elif isinstance(ip, IP) and proto in (1, 2):
        assert checksum(segment) == 0
    elif proto == 132:
        assert crc32c(segment[:8] + bytes(4) + segment[12:]) == struct.unpack(">I", segment[8:12])[0]
    if proto == 17:
        assert struct.unpack(">H", segment[4:6])[0] == len(segment)


def test_length_pads_inside_the_ip_packet() -> None:
    key = f.NW_PROTO.put(f.ETH_TYPE.put(0, 0x0800), 17)
    data = compose_packet(key, 100)
    assert len(data) == 100
    assert parse_packet(data).end == 100
    assert compose_packet(key, 10) == compose_packet(key)


@pytest.mark.parametrize("tpid", [0, 0x88A8])
def test_tag_without_tpid_is_802_1q(tpid: int) -> None:
    key = f.VLAN_TPID.put(f.VLAN_TCI.put(f.ETH_TYPE.put(0, 0x88CC), 0x1005), tpid)
    parsed = parse_packet(compose_packet(key)).key
    assert f.VLAN_TPID.get(parsed) == (tpid or ETH_TYPE_VLAN)


def test_packet_type_makes_no_ethernet_header() -> None:
    packet_type = f.PACKET_TYPE.put(0, 1 << 16 | 0x0800)
    key = f.ETH_TYPE.put(f.TP_DST.put(f.NW_PROTO.put(packet_type, 17), 53), 0x0800)
    data = compose_packet(key)
    assert data[0] == 0x45
    assert parse_packet(data, metadata=packet_type).key == key
