import pytest

from jackfield.flow.ports import OfPort
from jackfield.openflow import messages as m
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.errors import NX, OpenFlowError
from jackfield.openflow.session_codec import decode_hello


def packed(text):
    return bytes.fromhex(text.replace(" ", ""))


@pytest.mark.parametrize(
    ("message", "version", "text"),
    [
        (m.Hello(frozenset({1, 4})), 4, "04 00 0010 00000009 0001 0008 00000012"),
        (m.ErrorMsg("OFPBRC_BAD_TYPE", 1, 1, b"\xab"), 1, "01 01 000d 00000009 0001 0001 ab"),
        (
            m.ErrorMsg("OFPBMC_BAD_PREREQ", 1, 260, b"\xab", NX), 1,
            "01 01 0015 00000009 b0c2 0000 00002320 0001 0104 ab",
        ),
        (m.ErrorMsg("NXBRC_MUST_BE_ZERO", 4, 0, b"\xab", NX), 4, "04 01 0011 00000009 ffff 0004 00002320 ab"),
        (m.BarrierRequest(), 1, "01 12 0008 00000009"),
        (m.BarrierRequest(), 4, "04 14 0008 00000009"),
        (
            m.FeaturesReply(5, 0, 254, m.Capability.FLOW_STATS | m.Capability.STP, actions=0xFFF), 1,
            "01 06 0020 00000009 0000000000000005 00000000 fe 000000 00000009 00000fff",
        ),
        (
            m.FeaturesReply(5, 0, 254, m.Capability.FLOW_STATS | m.Capability.GROUP_STATS, 1), 4,
            "04 06 0020 00000009 0000000000000005 00000000 fe 01 0000 00000009 00000000",
        ),
        (m.SetConfig(m.FragmentHandling.NX_MATCH, 128), 1, "01 09 000c 00000009 0003 0080"),
        (m.SetConfig(m.FragmentHandling.NORMAL, 128, True), 3, "03 09 000c 00000009 0004 0080"),
        (m.RoleRequest(m.Role.PRIMARY, 7), 4, "04 18 0018 00000009 00000002 00000000 0000000000000007"),
        (m.RoleRequest(m.Role.PRIMARY), 1, "01 04 0014 00000009 00002320 0000000a 00000001"),
        (
            m.SetAsyncConfig(m.AsyncConfig((1, 2, 3), (4, 5, 6))), 4,
            "04 1c 0020 00000009 00000001 00000004 00000002 00000005 00000003 00000006",
        ),
        (m.SetControllerId(0x1234), 1, "01 04 0018 00000009 00002320 00000014 000000000000 1234"),
        (m.FlowModTableId(True), 1, "01 04 0018 00000009 00002320 0000000f 01 00000000000000"),
        (m.SetFlowFormat(m.FlowFormat.NXM), 1, "01 04 0014 00000009 00002320 0000000c 00000002"),
        (m.SetPacketInFormat(m.PacketInFormat.NXT_PACKET_IN), 4, "04 04 0014 00000009 00002320 00000010 00000001"),
        (
            m.QueueGetConfigReply(OfPort(1), (m.PacketQueue(2, OfPort(1), 500, 1000),)), 1,
            "01 15 0038 00000009 0001 000000000000 00000002 0028 0000"
            "0001 0010 00000000 01f4 000000000000 0002 0010 00000000 03e8 000000000000",
        ),
    ],
)  # fmt: skip
def test_forms(message, version, text):
    data = packed(text)
    assert encode(message, version, 9) == data
    assert decode(data, version) == (9, message)


def test_role_without_meaning_has_no_generation():
    _, message = decode(packed("04 18 0018 00000009 00000000 00000000 0000000000000007"), 4)
    assert message == m.RoleRequest(m.Role.NOCHANGE)


def test_nicira_roles_have_no_nochange():
    with pytest.raises(ValueError, match="NOCHANGE"):
        encode(m.RoleRequest(m.Role.NOCHANGE), 1, 1)


def test_queue_rates_above_1000_mean_none():
    text = "01 15 0028 00000009 0001 000000000000 00000002 0018 0000 0001 0010 00000000 ffff 000000000000"
    assert decode(packed(text), 1)[1].queues == (m.PacketQueue(2, OfPort(1)),)


@pytest.mark.parametrize(
    "text",
    [
        "01 15 0014 00000009 0001 000000000000 00000002",
        "01 15 0018 00000009 0001 000000000000 00000002 0004 0000",
        "01 15 001c 00000009 0001 000000000000 00000002 000c 0000 0001 0010",
        "01 15 0020 00000009 0001 000000000000 00000002 0010 0000 0001 0018 00000000",
    ],
)
def test_bad_queues(text):
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
        decode(packed(text), 1)


def test_hello_bitmap_of_unknown_versions():
    assert decode_hello(packed("0001 0008 80000012"), 9).versions == {1, 4, 31}
    assert decode_hello(packed("0007 0008 ffffffff 0001 0008 00000002"), 4).versions == {1}
