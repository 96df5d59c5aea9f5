import pytest

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort
from jackfield.openflow import actions as a
from jackfield.openflow import multipart as mp
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_stats_codec import encode_entry, encode_match_of_entry, pack_entry
from jackfield.openflow.instructions import encode_instructions
from jackfield.openflow.messages import FlowModFlags

IN_PORT = Match().with_field(f.IN_PORT, 5)
ENTRY = mp.FlowStats(
    IN_PORT, (a.Output(OfPort(1)),), 2, 7, 9, 3_000_000_004, 10, 20, 1, 2, FlowModFlags.SEND_FLOW_REM, 6, 100, 200
)

COUNTERS = "0000000000000009 0000000000000064 00000000000000c8"
TIMES = "00000003 00000004 0007 000a 0014"


@pytest.mark.parametrize(
    ("version", "nxm", "text"),
    [
        (1, False, "0060 02 00 003820fe 0005" + "00" * 34 + TIMES + "000000000000" + COUNTERS + "0000 0008 0001 0000"),
        (1, True, "0040 02 00" + TIMES + "0006 0002 0003" + COUNTERS + "00000002 0005 0000 0000 0008 0001 0000"),
        (
            4, False,
            "0058 02 00" + TIMES + "0001 0000 0000" + COUNTERS + "0001 000c 80000004 00000005 00000000"
            "0004 0018 00000000 0000 0010 00000001 0000 000000000000",
        ),
        (
            5, False,
            "0058 02 00" + TIMES + "0001 0006 0000" + COUNTERS + "0001 000c 80000004 00000005 00000000"
            "0004 0018 00000000 0000 0010 00000001 0000 000000000000",
        ),
    ],
)  # fmt: skip
def test_entries(version, nxm, text):
    data = bytes.fromhex(text)
    assert encode_entry(ENTRY, version, nxm) == data
    packed = pack_entry(
        version, nxm, encode_match_of_entry(IN_PORT, version, nxm),
        encode_instructions(ENTRY.actions, version, IN_PORT), 2, 7, 9, 3_000_000_004, 10, 20, 100, 200, 1, 2, 1, 6,
    )  # fmt: skip
    assert packed == data


def test_ages_of_openflow_10_stop_below_unknown():
    entry = mp.FlowStats(Match(), (), idle_age=100000)
    _, reply = decode(encode(mp.FlowStatsReply((entry,), nxm=True), 1, 1), 1)
    assert (reply.entries[0].idle_age, reply.entries[0].hard_age) == (0xFFFE, None)


def test_actions_of_another_version_are_left_out():
    entry = mp.FlowStats(Match(), (a.ClearActions(), a.GotoTable(3)))
    _, reply = decode(encode(mp.FlowStatsReply((entry,), nxm=True), 1, 1), 1)
    assert reply.entries[0].actions == (a.Resubmit(table_id=3),)


@pytest.mark.parametrize("length", [0, 47, 49, 100])
def test_entries_whose_length_lies(length):
    data = bytearray(encode(mp.FlowStatsReply((mp.FlowStats(Match(), ()),), nxm=True), 1, 1))
    data[24:26] = length.to_bytes(2, "big")
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
        decode(bytes(data), 1)


def test_nicira_request_whose_match_is_longer_than_it_says():
    data = bytearray(encode(mp.FlowStatsRequest(IN_PORT, nxm=True), 1, 1))
    data[26:28] = b"\0\0"
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
        decode(bytes(data), 1)


def test_sums():
    reply = mp.AggregateReply(1, 2, 3, more=True)
    assert encode(reply, 4, 1) == bytes.fromhex(
        "04 13 0028 00000001 0002 0001 00000000 0000000000000001 0000000000000002 00000003 00000000"
    )
