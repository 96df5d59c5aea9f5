import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow.match import Match
from jackfield.openflow import actions as a
from jackfield.openflow.action_encoder import encode_actions
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.instructions import decode_instructions, encode_instructions
from tests.openflow.strategies import actions10, behaviours13


@given(behaviours13(), st.sampled_from([3, 4, 5]))
@settings(max_examples=200)
def test_round_trip(actions, version):
    assert decode_instructions(encode_instructions(actions, version, Match()), version) == actions


@given(st.lists(actions10, max_size=4).map(tuple))
def test_openflow_10_has_actions_only(actions):
    data = encode_instructions(actions, 1, Match())
    assert data == encode_actions(actions, 1)
    assert decode_instructions(data, 1) == actions


def test_order_on_the_wire_does_not_matter():
    goto, apply = struct.pack(">HHB3x", 1, 8, 5), struct.pack(">HH4x", 4, 24) + encode_actions((a.Output(1),), 4)
    assert decode_instructions(goto + apply, 4) == (a.Output(1), a.GotoTable(5))


GOTO = struct.pack(">HHB3x", 1, 8, 5)
RESUBMIT = encode_actions((a.Resubmit(table_id=1),), 4)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\1\0\10", "OFPBIC_BAD_LEN"),
        (struct.pack(">HHB3x", 1, 4, 5), "OFPBIC_BAD_LEN"),
        (struct.pack(">HHB3x", 1, 16, 5), "OFPBIC_BAD_LEN"),
        (struct.pack(">HHB11x", 1, 16, 5), "OFPBIC_BAD_LEN"),
        (struct.pack(">HH4x", 2, 8), "OFPBIC_BAD_LEN"),
        (struct.pack(">HH4x", 0, 8), "OFPBIC_UNKNOWN_INST"),
        (struct.pack(">HH4x", 99, 8), "OFPBIC_UNKNOWN_INST"),
        (struct.pack(">HHI", 6, 8, 1), "OFPBIC_UNSUP_INST"),
        (struct.pack(">HHI", 0xFFFF, 8, 0x2320), "OFPBIC_BAD_EXPERIMENTER"),
        (GOTO + GOTO, "OFPBIC_DUP_INST"),
        (struct.pack(">HH4x", 3, 8 + len(RESUBMIT)) + RESUBMIT, "OFPBAC_BAD_TYPE"),
    ],
)
def test_errors(data, name):
    with pytest.raises(OpenFlowError) as raised:
        decode_instructions(data, 4)
    assert raised.value.name == name


def test_write_metadata_must_be_last_in_openflow_10():
    metadata = encode_actions((a.WriteMetadata(1),), 1)
    assert decode_instructions(metadata, 1) == (a.WriteMetadata(1),)
    with pytest.raises(OpenFlowError, match="OFPBAC_UNSUPPORTED_ORDER"):
        decode_instructions(metadata + encode_actions((a.Exit(),), 1), 1)


def test_empty_action_set_says_nothing():
    assert encode_instructions((a.WriteActions(()),), 4, Match()) == b""
    assert decode_instructions(struct.pack(">HH4x", 3, 8), 4) == ()
