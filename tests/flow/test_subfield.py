"""Subfields as text and as bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.subfield import Subfield, parse_subfield, parse_subfield_prefix
from jackfield.flow.tunnel_options import NO_TUNNEL_OPTIONS


@pytest.mark.parametrize(
    ("text", "field", "ofs", "n_bits", "printed"),
    [
        ("reg0[3..7]", f.REGS[0], 3, 5, "NXM_NX_REG0[3..7]"),
        ("reg0", f.REGS[0], 0, 32, "NXM_NX_REG0[]"),
        ("NXM_NX_REG0[]", f.REGS[0], 0, 32, "NXM_NX_REG0[]"),
        ("reg0[0..31]", f.REGS[0], 0, 32, "NXM_NX_REG0[]"),
        ("reg0[5]", f.REGS[0], 5, 1, "NXM_NX_REG0[5]"),
        ("OXM_OF_PKT_REG0[3..4]", f.XREGS[0], 3, 2, "OXM_OF_PKT_REG0[3..4]"),
        ("in_port[0..15]", f.IN_PORT, 0, 16, "NXM_OF_IN_PORT[]"),
        ("in_port_oxm", f.IN_PORT_OXM, 0, 32, "OXM_OF_IN_PORT[]"),
        ("NXM_OF_VLAN_TCI[0..11]", f.VLAN_TCI, 0, 12, "NXM_OF_VLAN_TCI[0..11]"),
        ("vlan_vid[]", f.VLAN_VID, 0, 12, "OXM_OF_VLAN_VID[]"),
        ("dl_src[0..7]", f.ETH_SRC, 0, 8, "NXM_OF_ETH_SRC[0..7]"),
        ("tcp_flags", f.TCP_FLAGS, 0, 12, "NXM_NX_TCP_FLAGS[]"),
    ],
)
def test_text(text: str, field: Field, ofs: int, n_bits: int, printed: str) -> None:
    subfield = parse_subfield(text)
    assert subfield == Subfield(field, ofs, n_bits)
    assert str(subfield) == printed
    assert parse_subfield(printed) == subfield


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("reg0[3..1]", "starting bit 3 is after ending bit 1"),
        ("reg0[0..32]", "ending bit 32 is not valid because field is only 32 bits wide"),
        ("reg0[-1]", "starting bit -1 is not valid"),
        ("vlan_vid[0..12]", "only 12 bits wide"),
        ("reg0[a", "expected \\[\\] or \\[<bit>\\]"),
        ("reg0[0-3]", "expected \\[\\] or"),
        ("foo[]", "foo: unknown field"),
        ("reg0[0..3]x", "unexpected x"),
        ("", "expected a field name"),
        ("tun_metadata5", "no tunnel option"),
    ],
)
def test_faults(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_subfield(text)


def test_prefix_gives_the_rest() -> None:
    subfield, rest = parse_subfield_prefix("reg1[0..3]->reg2")
    assert (str(subfield), rest) == ("NXM_NX_REG1[0..3]", "->reg2")


def test_tunnel_option() -> None:
    options = NO_TUNNEL_OPTIONS.add(5, 1, 2, 8)
    assert str(parse_subfield("tun_metadata5[8..15]", options)) == "NXM_NX_TUN_METADATA5[8..15]"


@given(st.data(), st.integers(0, (1 << 64 * f.KEY_WORDS) - 1), st.integers(0, (1 << 130) - 1))
def test_bits(data: st.DataObject, key: int, value: int) -> None:
    field = data.draw(st.sampled_from(f.FIELDS))
    ofs = data.draw(st.integers(0, field.width - 1))
    subfield = Subfield(field, ofs, data.draw(st.integers(1, field.width - ofs)))
    changed = subfield.put(key, value)
    assert subfield.get(changed) == value & subfield.mask >> field.offset + ofs
    assert changed & ~subfield.mask == key & ~subfield.mask
    assert not subfield.mask & ~field.mask
