"""Field rewriting where compiled code takes short cuts; the rest is compared with the twin in test_jit_actions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.dpif import actions as a
from jackfield.dpif.userspace.actions_code import SETTABLE_FIELDS, SETTABLE_MASK
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from tests.dpif.userspace.packets import REAL
from tests.dpif.userspace.test_jit_actions import OUT, run_compiled, run_plain

SETTABLE = st.sampled_from(SETTABLE_FIELDS)


def packet_after(packet: bytes, *actions: a.DpAction) -> bytes:
    return run_compiled(packet, (*actions, a.Output(OUT))).sent[0].packet


@settings(max_examples=300, deadline=None)
@given(REAL, SETTABLE, st.integers(0, (1 << 128) - 1))
def test_a_field_set_forth_and_back_leaves_no_trace(packet: bytes, field: f.Field, value: int) -> None:
    """A checksum of zero may become its other form, 0xffff; everything else is as it was."""
    mask = field.mask & SETTABLE_MASK
    key = parse_packet(packet).key
    forth, back = a.SetMasked(field.put(0, value) & mask, mask), a.SetMasked(key & mask, mask)
    after = packet_after(packet, forth, back)
    places = [i for i, (old, new) in enumerate(zip(packet, after, strict=True)) if old != new]
    assert not places or (places[-1] - places[0] == 1 and packet[places[0] : places[-1] + 1] in (b"\0\0", b"\xff\xff"))


@pytest.mark.parametrize("tci", ["1005", "f005", "0005"])
def test_the_drop_eligible_bit_on_the_wire_is_kept(tci: str) -> None:
    packet = bytes.fromhex("0200000000010200000000028100" + tci + "0800") + bytes(46)
    mask = f.VLAN_TCI.mask & SETTABLE_MASK
    after = packet_after(packet, a.SetMasked(f.VLAN_TCI.put(0, 0x6009), mask))
    assert int.from_bytes(after[14:16], "big") == int(tci, 16) & 0x1000 | 0x6009


def test_a_destination_behind_a_routing_header_is_not_in_the_checksum() -> None:
    head = bytes.fromhex("020000000001 020000000002 86dd 60000000 0020 2b 40") + bytes(32)
    for left, changes in ((0, True), (1, False)):
        packet = head + bytes((17, 2, 0, left)) + bytes(20) + bytes.fromhex("0001 0002 0008 1234")
        after = packet_after(packet, a.SetMasked(f.IPV6_DST.put(0, 99), f.IPV6_DST.mask))
        assert (after[-2:] != packet[-2:]) == changes
        assert (
            after
            == run_plain(packet, (a.SetMasked(f.IPV6_DST.put(0, 99), f.IPV6_DST.mask), a.Output(OUT))).sent[0].packet
        )


def test_a_udp_checksum_never_becomes_none() -> None:
    head = bytes.fromhex("020000000001 020000000002 0800 45000020 0000 0000 40110000 0a000001 0a000002")
    for port in range(0, 65_536, 4099):
        packet = (
            head + port.to_bytes(2, "big") + bytes.fromhex("0001 000c") + (0xFFFF - port).to_bytes(2, "big") + bytes(4)
        )
        after = packet_after(packet, a.SetMasked(f.TP_SRC.put(0, 0), f.TP_SRC.mask))
        assert after[40:42] != b"\0\0" or packet[40:42] == b"\0\0"


def test_metadata_is_in_the_key_only() -> None:
    mark = a.SetMasked(f.PKT_MARK.put(0, 5) | f.SKB_PRIORITY.put(0, 6), f.PKT_MARK.mask | f.SKB_PRIORITY.mask)
    result = run_compiled(bytes(60), (mark, a.Output(OUT)))
    assert (f.PKT_MARK.get(result.key), f.SKB_PRIORITY.get(result.key)) == (5, 6)
    assert result.sent[0].packet == bytes(60)
