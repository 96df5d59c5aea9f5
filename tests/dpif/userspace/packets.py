"""Packets for tests of kernels: real ones, damaged ones and plain noise."""

from hypothesis import strategies as st

from jackfield.flow import parse as p
from jackfield.flow.compose import compose_packet
from tests.flow.strategies import packet_keys

REAL = st.builds(compose_packet, packet_keys(), st.sampled_from([None, 60, 200]))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real packet with some bytes changed, cut or followed by padding."""
    packet = bytearray(draw(REAL))
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6)):
        if place < len(packet):
            packet[place] = byte
    if draw(st.booleans()):
        del packet[draw(st.integers(0, len(packet))) :]
    return bytes(packet) + bytes(draw(st.sampled_from([0, 0, 1, 46])))


@st.composite
def noise(draw: st.DrawFn) -> bytes:
    """Random bytes, most of them with an Ethertype that says something."""
    packet = bytearray(draw(st.binary(max_size=200)))
    types = (p.ETH_TYPE_IPV4, p.ETH_TYPE_IPV6, p.ETH_TYPE_ARP, p.ETH_TYPE_VLAN, p.ETH_TYPE_MPLS, p.ETH_TYPE_NSH, 64)
    if len(packet) > 14:
        packet[12:14] = draw(st.sampled_from(types)).to_bytes(2, "big")
    return bytes(packet)


ANY = st.one_of(REAL, damaged(), noise())
