import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from jackfield.netdev import compiled as c
from tests.netdev import jit_rig
from tests.netdev.jit_rig import Rig


def vnet(kind: int, size: int, l4: int) -> int:
    first = 1 | kind << 8 | size << 32 | l4 << 48
    return first - (1 << 64) if first >> 63 else first


def segments(packet: bytes, kind: int, size: int, l4: int, csum_offset: int) -> list[bytes]:
    rig = Rig()
    row = rig.put(packet, vnet(kind, size, l4), csum_offset)
    meta = rig.meta(row)
    headers = jit_rig.segment_layout(rig.arena, rig.buffers, meta)
    if not headers:
        return []
    parts = []
    while length := jit_rig.segment(rig.arena, rig.buffers, meta, headers, len(parts)):
        parts.append(rig.buffers[c.SCRATCH + c.HEADROOM :][:length].tobytes())
    return parts


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_parts_are_packets_of_their_own(tagged: bool, version: int, transport: str) -> None:
    payload = bytes(i % 251 for i in range(10_000))
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    link = ethernet / Dot1Q(vlan=7) if tagged else ethernet
    l3 = IP(src="10.0.0.1", dst="10.0.0.2", id=65_534) if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    l4 = TCP(sport=1, dport=2, seq=0xFFFF_F000, flags="PAFC") if transport == "tcp" else UDP(sport=1, dport=2)
    packet = bytes(link / l3 / l4 / payload)
    where = 14 + (4 if tagged else 0) + (20 if version == 4 else 40)
    kind = {"tcp4": c.GSO_TCPV4, "tcp6": c.GSO_TCPV6}.get(f"{transport}{version}", c.GSO_UDP_L4)
    parts = segments(packet, kind, 1400, where, 16 if transport == "tcp" else 6)
    assert len(parts) == 8
    got = b""
    for number, part in enumerate(parts):
        parsed = Ether(part)
        head = parsed[l4.__class__]
        got += bytes(head.payload)
        if transport == "tcp":
            assert head.seq == (0xFFFF_F000 + 1400 * number) % (1 << 32)
            assert head.flags.F == head.flags.P == (number == 7)
            assert (number == 0) == head.flags.C
            assert head.flags.A
        if version == 4:
            assert parsed[IP].id == (65_534 + number) % 65_536
        sums = (head.chksum, parsed[IP].chksum if version == 4 else None)
        del head.chksum
        if version == 4:
            del parsed[IP].chksum
        again = Ether(bytes(parsed))
        assert sums == (again[l4.__class__].chksum, again[IP].chksum if version == 4 else None)
        assert bytes(again) == part
    assert got == payload


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 220))
def test_headers_that_do_not_fit_together_are_not_cut(packet: bytes, kind: int, size: int, l4: int) -> None:
    """Whatever a virtual machine writes into its vnet headers; bounds are checked in the fuzz lane."""
    parts = segments(packet, kind, size, l4, 16)
    assert all(len(part) <= len(packet) for part in parts)
