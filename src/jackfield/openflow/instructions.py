"""Instructions between bytes and values (OpenFlow 1.3.5 section 7.2.4).

OpenFlow 1.0 has none, there a flow has actions only. The result is one tuple (see `actions`): what Apply-Actions
holds, then the other instructions in the order in which the standard executes them.
"""

from __future__ import annotations

import struct
from typing import Final

from jackfield.flow.match import Match
from jackfield.openflow import actions as a
from jackfield.openflow.action_decoder import decode_actions
from jackfield.openflow.action_encoder import encode_actions
from jackfield.openflow.actions import Action
from jackfield.openflow.dialect import OF10
from jackfield.openflow.errors import OpenFlowError

GOTO_TABLE: Final = 1
WRITE_METADATA: Final = 2
WRITE_ACTIONS: Final = 3
APPLY_ACTIONS: Final = 4
CLEAR_ACTIONS: Final = 5
METER: Final = 6
STAT_TRIGGER: Final = 7
EXPERIMENTER: Final = 0xFFFF

SUPPORTED: Final = (GOTO_TABLE, WRITE_METADATA, WRITE_ACTIONS, APPLY_ACTIONS, CLEAR_ACTIONS)
"""Instruction types this switch carries out."""

_LENGTHS: Final = {GOTO_TABLE: 8, WRITE_METADATA: 24, CLEAR_ACTIONS: 8}

_UNSUPPORTED: Final = {
    METER: "OFPBIC_UNSUP_INST",
    STAT_TRIGGER: "OFPBIC_UNSUP_INST",
    EXPERIMENTER: "OFPBIC_BAD_EXPERIMENTER",
}

# What may not stand in an action set (OpenFlow 1.3.5 section 5.10): it has no order to speak of and no rules of its
# own.
_NOT_IN_SET: Final = (a.Instruction, a.Resubmit, a.Note, a.Exit, a.StackPush, a.StackPop, a.Enqueue, a.PopQueue)

_MAX_CACHED: Final = 8192
_decoded: dict[tuple[int, bytes], tuple[Action, ...]] = {}


def decode_instructions(data: bytes, version: int) -> tuple[Action, ...]:
    """What a flow does: instructions, or the actions that OpenFlow 1.0 has in their place.

    Raises:
        OpenFlowError: OFPBIC_* for an instruction, OFPBAC_* for an action.
    """
    if version == OF10:
        return _ordered(decode_actions(data, version))
    key = (version, data)
    known = _decoded.get(key)
    if known is not None:
        return known
    result = _decode(data, version)
    if len(_decoded) >= _MAX_CACHED:
        _decoded.clear()
    _decoded[key] = result
    return result


def _decode(data: bytes, version: int) -> tuple[Action, ...]:
    bodies: dict[int, bytes] = {}
    pos, end = 0, len(data)
    while pos < end:
        if end - pos < 8:
            raise OpenFlowError("OFPBIC_BAD_LEN", f"{end - pos} bytes left, an instruction needs 8")
        kind, length = struct.unpack_from(">HH", data, pos)
        if length < 8 or length % 8 or length > end - pos:
            raise OpenFlowError("OFPBIC_BAD_LEN", f"instruction of {length} bytes, {end - pos} left")
        if kind in _UNSUPPORTED:
            raise OpenFlowError(_UNSUPPORTED[kind], f"instruction type {kind}")
        if kind not in SUPPORTED:
            raise OpenFlowError("OFPBIC_UNKNOWN_INST", f"instruction type {kind}")
        if length != _LENGTHS.get(kind, length):
            raise OpenFlowError("OFPBIC_BAD_LEN", f"instruction type {kind} of {length} bytes")
        if kind in bodies:
            raise OpenFlowError("OFPBIC_DUP_INST", f"instruction type {kind}")
        bodies[kind] = data[pos + 4 : pos + length]
        pos += length
    return _assemble(bodies, version)


def _assemble(bodies: dict[int, bytes], version: int) -> tuple[Action, ...]:
    actions: list[Action] = []
    if APPLY_ACTIONS in bodies:
        applied = decode_actions(bodies[APPLY_ACTIONS][4:], version)
        if any(isinstance(action, a.Instruction) for action in applied):
            raise OpenFlowError("OFPBAC_BAD_TYPE", "an instruction among the actions")
        actions.extend(applied)
    if CLEAR_ACTIONS in bodies:
        actions.append(a.ClearActions())
    written = decode_actions(bodies[WRITE_ACTIONS][4:], version) if WRITE_ACTIONS in bodies else ()
    if written:
        bad = next((action for action in written if isinstance(action, _NOT_IN_SET)), None)
        if bad is not None:
            raise OpenFlowError("OFPBAC_BAD_TYPE", f"{type(bad).__name__} in an action set")
        actions.append(a.WriteActions(written))
    if WRITE_METADATA in bodies:
        metadata, mask = struct.unpack_from(">4xQQ", bodies[WRITE_METADATA])
        actions.append(a.WriteMetadata(metadata & mask, mask))
    if GOTO_TABLE in bodies:
        actions.append(a.GotoTable(bodies[GOTO_TABLE][0]))
    return tuple(actions)


def _ordered(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Actions of OpenFlow 1.0, where Nicira's write_metadata may stand, if it is last.

    Raises:
        OpenFlowError: OFPBAC_UNSUPPORTED_ORDER.
    """
    for action in actions[:-1]:
        if isinstance(action, a.Instruction):
            raise OpenFlowError("OFPBAC_UNSUPPORTED_ORDER", f"{type(action).__name__} is not last")
    return actions


def encode_instructions(actions: tuple[Action, ...], version: int, flow_match: Match, *, lossy: bool = False) -> bytes:
    """The bytes of what a flow does; see `encode_actions` for `flow_match` (its `match`) and `lossy`.

    Raises:
        ValueError: the version has no form for it.
    """
    if version == OF10:
        return encode_actions(actions, version, flow_match, lossy=lossy)
    instructions = tuple(action for action in actions if isinstance(action, a.Instruction))
    applied = actions[: len(actions) - len(instructions)]
    out = []
    if applied:
        out.append(_list(APPLY_ACTIONS, encode_actions(applied, version, flow_match, lossy=lossy)))
    for instruction in instructions:
        match instruction:
            case a.ClearActions():
                out.append(struct.pack(">HH4x", CLEAR_ACTIONS, 8))
            case a.WriteActions(written) if written:
                out.append(_list(WRITE_ACTIONS, encode_actions(written, version, flow_match, lossy=lossy)))
            case a.WriteMetadata(metadata, mask):
                out.append(struct.pack(">HH4xQQ", WRITE_METADATA, 24, metadata, mask))
            case a.GotoTable(table_id):
                out.append(struct.pack(">HHB3x", GOTO_TABLE, 8, table_id))
    return b"".join(out)


def _list(kind: int, actions: bytes) -> bytes:
    return struct.pack(">HH4x", kind, 8 + len(actions)) + actions
