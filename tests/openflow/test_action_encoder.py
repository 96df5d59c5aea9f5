import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.subfield import Subfield
from jackfield.openflow import actions as a
from jackfield.openflow.action_decoder import decode_actions
from jackfield.openflow.action_encoder import UnwritableError, encode_actions
from jackfield.openflow.action_text import format_actions, parse_actions
from tests.openflow.strategies import actions10, actions13, needs_ofctl, ofctl

REG0_LOW, REG0_HIGH = Subfield(f.REGS[0], 0, 2), Subfield(f.REGS[0], 6, 4)
TCP = Match.from_fields({"eth_type": 0x0800, "nw_proto": 6})


@given(st.lists(actions10, max_size=6).map(tuple))
@settings(max_examples=300)
def test_round_trip_10(actions):
    assert decode_actions(encode_actions(actions, 1), 1) == actions


@given(st.lists(actions13, max_size=6).map(tuple), st.sampled_from([3, 4, 5]))
@settings(max_examples=300)
def test_round_trip_13(actions, version):
    assert decode_actions(encode_actions(actions, version), version) == actions


@pytest.mark.parametrize(
    ("action", "written"),
    [
        (a.SetEthSrc(1), (a.SetField(f.ETH_SRC, 1, (1 << 48) - 1),)),
        (a.SetIpDst(1), (a.SetField(f.IP_DST, 1, 0xFFFFFFFF),)),
        (a.SetTos(0x20), (a.SetField(f.IP_DSCP, 8, 63),)),
        (a.SetL4Src(80), (a.SetField(f.TCP_SRC, 80, 0xFFFF),)),
        (a.SetVlanVid(5), (a.PushVlan(0x8100), a.SetField(f.VLAN_VID, 0x1005, 0x1FFF))),
        (a.SetTunnel(5), (a.SetField(f.TUN_ID, 5, (1 << 64) - 1),)),
        (a.Enqueue(1, 2), (a.SetQueue(2), a.Output(1), a.PopQueue())),
        (a.SetField(f.REGS[0], 0x102, 0x3C3), (a.RegLoad(REG0_LOW, 2), a.RegLoad(REG0_HIGH, 4))),
    ],
)  # fmt: skip
def test_openflow_13_has_set_field_in_place_of_one_action_a_field(action, written):
    assert decode_actions(encode_actions((action,), 4, TCP), 4) == written


def test_only_the_first_vlan_action_adds_a_tag():
    written = decode_actions(encode_actions((a.SetVlanVid(5), a.SetVlanPcp(3)), 4), 4)
    assert [type(action) for action in written] == [a.PushVlan, a.SetField, a.SetField]


def test_tagged_match_needs_no_new_tag():
    tagged = Match().with_field(f.VLAN_TCI, 0x1000, 0x1000)
    assert decode_actions(encode_actions((a.SetVlanVid(5),), 4, tagged), 4) == (a.SetField(f.VLAN_VID, 0x1005, 0x1FFF),)


@pytest.mark.parametrize(
    ("action", "written"),
    [
        (a.SetField(f.ETH_DST, 5, (1 << 48) - 1), a.SetEthDst(5)),
        (a.SetField(f.IP_DSCP, 5, 63), a.SetTos(20)),
        (a.SetField(f.REGS[1], 5, 0xFFFFFFFF), a.RegLoad(Subfield(f.REGS[1], 0, 32), 5)),
        (a.SetField(f.XXREGS[0], 5, 0xFF), a.SetField(f.XXREGS[0], 5, 0xFF)),
        (a.SetTtl(5), a.RegLoad(Subfield(f.NW_TTL, 0, 8), 5)),
        (a.GotoTable(5), a.Resubmit(table_id=5)),
        (a.WriteMetadata(5, 0xFF), a.WriteMetadata(5, 0xFF)),
    ],
)
def test_openflow_10_has_other_actions_for_the_same(action, written):
    assert decode_actions(encode_actions((action,), 1), 1) == (written,)


def test_openflow_15_loads_by_set_field():
    load = a.RegLoad(Subfield(f.REGS[0], 4, 8), 0x12)
    assert decode_actions(encode_actions((load,), 6), 6) == (a.SetField(f.REGS[0], 0x120, 0xFF0),)


@pytest.mark.parametrize("action", [a.ClearActions(), a.WriteActions((a.Output(1),)), a.PushVlan(0x8100)])
def test_what_a_version_cannot_say(action):
    with pytest.raises(UnwritableError, match=r"OpenFlow 1\.0 has no such action"):
        encode_actions((action,), 1)
    assert encode_actions((action, a.Exit()), 1, lossy=True) == encode_actions((a.Exit(),), 1)


@needs_ofctl
@given(st.lists(actions10, min_size=1, max_size=3).map(tuple))
@settings(max_examples=25, deadline=None)
def test_stock_client_reads_and_prints_our_actions(actions):
    """The stock client writes out the text of our actions as the same actions that our text means."""
    text = format_actions(actions)
    stdout, stderr, status = ofctl("parse-flow", f"mpls,actions={text}")
    if status:
        assert "actions are invalid with specified match" in stderr or "no usable protocol" in stderr
        return
    assert format_actions(parse_actions(stdout.strip().rpartition("actions=")[2])) == text
