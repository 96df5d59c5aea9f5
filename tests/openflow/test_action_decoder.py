import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.flow.subfield import Subfield
from jackfield.openflow import action_decoder
from jackfield.openflow import actions as a
from jackfield.openflow.action_decoder import decode_actions
from jackfield.openflow.errors import OpenFlowError


def nicira(subtype, body=b"", length=None):
    data = bytes(10) + body
    data += bytes(-len(data) % 8)
    return struct.pack(">HHIH", 0xFFFF, length or len(data), 0x2320, subtype) + data[10:]


def standard(number, body=b"\0\0\0\0", length=None):
    return struct.pack(">HH", number, length or 4 + len(body)) + body


REG0 = bytes.fromhex("00010004")
ETH_TYPE = bytes.fromhex("80000a02")

GOOD = [
    (1, standard(0, struct.pack(">HH", 0xFFFE, 64)), a.Output(OFPP_LOCAL, 64)),
    (1, standard(11, struct.pack(">H6xI", 3, 9)), a.Enqueue(3, 9)),
    (4, standard(0, struct.pack(">IH6x", 5, 0)), a.Output(5, 0)),
    (4, standard(24), a.DecTtl()),
    (4, standard(25, bytes.fromhex("80000606 020000000001 0000")), a.SetField(f.ETH_DST, 2 << 40 | 1, (1 << 48) - 1)),
    (1, nicira(7, struct.pack(">H", 31) + REG0 + struct.pack(">Q", 7)), a.RegLoad(Subfield(f.REGS[0], 0, 32), 7)),
    (4, nicira(14, struct.pack(">HB", 0xFFF8, 9)), a.Resubmit(table_id=9)),
    (4, nicira(32, struct.pack(">HH", 31, 128) + REG0), a.OutputReg(Subfield(f.REGS[0], 0, 32), 128)),
    (6, standard(28, struct.pack(">HHHxx", 32, 0, 0) + REG0 + bytes.fromhex("00010204 00000000")),
     a.RegMove(Subfield(f.REGS[0], 0, 32), Subfield(f.REGS[1], 0, 32))),
]  # fmt: skip


@pytest.mark.parametrize(("version", "data", "action"), GOOD)
def test_forms(version, data, action):
    assert decode_actions(data, version) == (action,)


BAD = [
    (1, standard(0)[:6], "OFPBAC_BAD_LEN"),
    (1, standard(0, length=4), "OFPBAC_BAD_LEN"),
    (1, standard(0, length=12), "OFPBAC_BAD_LEN"),
    (1, standard(0, length=16), "OFPBAC_BAD_LEN"),
    (1, standard(0, bytes(12)), "OFPBAC_BAD_LEN"),
    (1, standard(12), "OFPBAC_BAD_TYPE"),
    (1, standard(25), "OFPBAC_BAD_TYPE"),
    (2, standard(25), "OFPBAC_BAD_TYPE"),
    (4, standard(11), "OFPBAC_BAD_TYPE"),
    (4, standard(28, bytes(12)), "OFPBAC_BAD_TYPE"),
    (4, standard(22), "OFPBAC_BAD_OUT_GROUP"),
    (1, standard(1, struct.pack(">Hxx", 0x1000)), "OFPBAC_BAD_ARGUMENT"),
    (1, standard(2, b"\x08\0\0\0"), "OFPBAC_BAD_ARGUMENT"),
    (1, standard(8, b"\x01\0\0\0"), "OFPBAC_BAD_ARGUMENT"),
    (4, standard(17, struct.pack(">Hxx", 0x0800)), "OFPBAC_BAD_ARGUMENT"),
    (4, standard(0, struct.pack(">IH6x", 0xFFFFFE05, 0)), "OFPBAC_BAD_OUT_PORT"),
    (1, struct.pack(">HHI", 0xFFFF, 8, 0x2320), "OFPBAC_BAD_LEN"),
    (1, struct.pack(">HHII", 0xFFFF, 16, 0xABCDEF, 0) + bytes(4), "OFPBAC_BAD_VENDOR"),
    (1, nicira(999), "OFPBAC_BAD_VENDOR_TYPE"),
    (1, nicira(16, bytes(22)), "OFPBAC_BAD_VENDOR_TYPE"),
    (4, nicira(18), "OFPBAC_BAD_VENDOR_TYPE"),
    (4, nicira(35, bytes(14)), "OFPBAC_BAD_VENDOR_TYPE"),
    (1, nicira(40, bytes(6)), "OFPBAC_BAD_OUT_GROUP"),
    (4, standard(25, bytes.fromhex("80000a02 0800 0000 00000000")), "OFPBAC_BAD_SET_ARGUMENT"),
    (4, standard(25, bytes.fromhex("7fff0004 00000000 00000000")), "OFPBAC_BAD_SET_TYPE"),
    (4, standard(25, bytes.fromhex("80000602 0000 000000000000")), "OFPBAC_BAD_SET_LEN"),
    (6, standard(25, bytes.fromhex("8000070c 000000000001 000000000001") + bytes(12)), "OFPBAC_BAD_LEN"),
    (4, standard(25, bytes.fromhex("8000070c 000000000001 000000000001") + bytes(4)), "OFPBAC_BAD_SET_MASK"),
    (4, standard(25, bytes.fromhex("80000606 020000000001 0001")), "OFPBAC_BAD_SET_ARGUMENT"),
    (1, nicira(7, struct.pack(">H", 32 << 6 | 0) + REG0 + bytes(8)), "OFPBAC_BAD_SET_LEN"),
    (1, nicira(7, struct.pack(">H", 0) + REG0 + struct.pack(">Q", 2)), "OFPBAC_BAD_ARGUMENT"),
    (1, nicira(7, struct.pack(">H", 15) + ETH_TYPE + bytes(8)), "OFPBAC_BAD_SET_ARGUMENT"),
    (1, nicira(7, struct.pack(">H", 15) + bytes(4) + bytes(8)), "OFPBAC_BAD_SET_TYPE"),
    (1, nicira(15, struct.pack(">H", 31) + REG0 + struct.pack(">H", 0) + b"\0\0\0\0\0\1"), "NXBRC_MUST_BE_ZERO"),
    (1, nicira(27, struct.pack(">H", 0) + REG0 + struct.pack(">HHI", 33, 0, 0)), "OFPBAC_BAD_SET_LEN"),
    (1, nicira(39, struct.pack(">HI", 1, 13)), "OFPBAC_BAD_ARGUMENT"),
    (1, nicira(21, struct.pack(">H4x", 0)), "OFPBAC_BAD_LEN"),
    (1, nicira(21, struct.pack(">H4x", 9)), "OFPBAC_BAD_LEN"),
    (1, nicira(37, bytes(6) + struct.pack(">HHxxxx", 4, 4)), "OFPBPC_BAD_TYPE"),
    (1, nicira(37, bytes(6) + struct.pack(">HHxxxx", 0, 3)), "OFPBPC_BAD_LEN"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "data", "name"), BAD)
def test_errors(version, data, name):
    with pytest.raises(OpenFlowError) as raised:
        decode_actions(data, version)
    assert raised.value.name == name


def test_equal_lists_are_one_object():
    assert decode_actions(GOOD[0][1], 1) is decode_actions(bytes(GOOD[0][1]), 1)


def test_versions_do_not_share_lists():
    dec_ttl = standard(24)
    assert decode_actions(dec_ttl, 4) == (a.DecTtl(),)
    with pytest.raises(OpenFlowError, match="OFPBAC_BAD_TYPE"):
        decode_actions(dec_ttl, 1)


def test_memory_is_bounded():
    for number in range(action_decoder._MAX_CACHED + 10):
        decode_actions(standard(6, struct.pack(">I", number)), 1)
    assert len(action_decoder._decoded) <= action_decoder._MAX_CACHED


@given(st.binary(max_size=80), st.integers(1, 6))
def test_any_bytes(data, version):
    with contextlib.suppress(OpenFlowError):
        decode_actions(data, version)
