import pytest

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_LOCAL, OfPort
from jackfield.openflow import actions as a
from jackfield.openflow import messages as m
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.dialect import Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_codec import (
    decode_ofp_match,
    encode_flags,
    encode_ofp_match,
    needs_nx_flow_mod,
    nx_match_end,
    read_duration,
)

NXM = Dialect(m.FlowFormat.NXM, table_id=True)
IN_PORT = Match().with_field(f.IN_PORT, 5)
FLOW = m.FlowMod(
    m.FlowModCommand.ADD,
    IN_PORT,
    (a.Output(OfPort(1)),),
    priority=7,
    new_cookie=9,
    idle_timeout=3,
    flags=m.FlowModFlags.SEND_FLOW_REM | m.FlowModFlags.RESET_COUNTS,
)
ADD_IN_TABLE = m.FlowMod(m.FlowModCommand.ADD, IN_PORT, table_id=3, flags=m.FlowModFlags.RESET_COUNTS)


def test_flow_mod_of_openflow_10():
    data = encode(FLOW, 1, 1)
    assert data == bytes.fromhex(
        "01 0e 0050 00000001 003820fe 0005" + "00" * 34 + "0000000000000009 0000 0003 0000 0007 ffffffff ffff 0001"
        "0000 0008 0001 0000"
    )
    assert decode(data, 1)[1] == FLOW


def test_flow_mod_in_nicira_form_names_its_table():
    data = encode(ADD_IN_TABLE, 1, 1, NXM)
    assert data == bytes.fromhex(
        "01 04 0038 00000001 00002320 0000000d 0000000000000000 0300 0000 0000 8000 ffffffff ffff 0000 0006"
        "000000000000 00000002 0005 0000"
    )
    assert decode(data, 1, NXM)[1] == ADD_IN_TABLE


def test_table_without_the_extension():
    with pytest.raises(ValueError, match="without NXT_FLOW_MOD_TABLE_ID cannot name a table"):
        encode(ADD_IN_TABLE, 1, 1)
    data = encode(ADD_IN_TABLE, 1, 1, NXM)
    with pytest.raises(OpenFlowError, match="OFPFMFC_BAD_COMMAND"):
        decode(data, 1)


def test_flow_mod_of_openflow_13():
    data = encode(FLOW, 4, 1)
    assert data == bytes.fromhex(
        "04 0e 0058 00000001 0000000000000009 0000000000000000 00 00 0003 0000 0007"
        "ffffffff ffffffff ffffffff 0005 0000"
        "0001 000c 80000004 00000005 00000000 0004 0018 00000000 0000 0010 00000001 0000 000000000000"
    )


def test_importance_since_openflow_14():
    flow = m.FlowMod(m.FlowModCommand.ADD, Match(), importance=6, table_id=0)
    assert decode(encode(flow, 5, 1), 5)[1].importance == 6
    assert decode(encode(flow, 4, 1), 4)[1].importance == 0


def test_modify_of_openflow_13_matches_on_its_cookie():
    flow = m.FlowMod(m.FlowModCommand.MODIFY, Match(), table_id=0, cookie=5, cookie_mask=7, new_cookie=None)
    assert decode(encode(flow, 4, 1), 4)[1] == flow


def test_all_ones_leave_the_cookie_alone_in_openflow_10():
    flow = m.FlowMod(m.FlowModCommand.MODIFY, Match(), new_cookie=None)
    assert decode(encode(flow, 1, 1), 1)[1] == flow


@pytest.mark.parametrize(
    ("flow", "needs"),
    [
        (FLOW, False),
        (m.FlowMod(m.FlowModCommand.DELETE, Match(), cookie_mask=1), True),
        (m.FlowMod(m.FlowModCommand.ADD, Match.from_fields({"reg0": 1})), True),
    ],
)
def test_when_the_nicira_form_is_needed(flow, needs):
    assert needs_nx_flow_mod(flow) is needs


def test_counts_flags_need_openflow_13():
    flow = m.FlowMod(m.FlowModCommand.ADD, Match(), flags=m.FlowModFlags.NO_PKT_COUNTS)
    with pytest.raises(ValueError, match=r"need OpenFlow 1\.3"):
        encode(flow, 1, 1)
    assert encode_flags(flow.flags, 1) == 0
    assert encode_flags(flow.flags, 4) == 8


def test_reasons_a_version_does_not_know_become_delete():
    removed = m.FlowRemoved(Match(), 0, 0, m.FlowRemovedReason.EVICTION, 0, 0, 0, 0, 0, 0)
    assert decode(encode(removed, 4, 1), 4)[1].reason is m.FlowRemovedReason.DELETE
    assert decode(encode(removed, 5, 1), 5)[1].reason is m.FlowRemovedReason.EVICTION


def test_unknown_reason():
    data = bytearray(encode(m.FlowRemoved(Match(), 0, 0, m.FlowRemovedReason(0), 0, 0, 0, 0, 0, 0), 4, 1))
    data[18] = 99
    with pytest.raises(OpenFlowError, match="NXBRC_BAD_REASON"):
        decode(bytes(data), 4)


def test_nicira_removal_may_leave_its_table_open():
    removed = m.FlowRemoved(Match(), 0, 0, m.FlowRemovedReason.DELETE, 255, 0, 0, 0, 0, 0)
    data = encode(removed, 1, 1, NXM)
    assert data[27] == 0
    assert decode(data, 1)[1] == removed


def test_match_padding():
    local = Match().with_field(f.IN_PORT, OFPP_LOCAL)
    data = encode_ofp_match(local, 4)
    assert data == bytes.fromhex("0001 000c 80000004 fffffffe 00000000")
    assert decode_ofp_match(b"xx" + data + b"yy", 2, 4) == (local, 18)
    with pytest.raises(OpenFlowError, match="OFPBMC_BAD_LEN"):
        decode_ofp_match(data[:-1], 0, 4)
    with pytest.raises(OpenFlowError, match="OFPBMC_BAD_LEN"):
        nx_match_end(bytes(15), 0, 9)


def test_openflow_11_matches_are_refused():
    with pytest.raises(ValueError, match=r"OpenFlow 1\.1"):
        encode_ofp_match(Match(), 2)
    with pytest.raises(OpenFlowError, match="OFPBMC_BAD_TYPE"):
        decode_ofp_match(bytes(88), 0, 2)


def test_durations():
    assert read_duration(1, 5) == 1_000_000_005
    assert read_duration(1, 0xFFFFFFFF) == 1_999_999_999
