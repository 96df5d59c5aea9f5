"""The userdata of a `Userspace` action: what the main thread needs to know when the packet comes up again.

It is written by translation and read by `upcall`; datapaths carry it unseen. Nothing in it is a reference: bridge and
table are named by number, and the pipeline's fields travel by value, so that it means the same however long the packet
is on its way.

Layout, little-endian: kind (1 byte), then for a controller cookie reason, table_id, flags (1 byte each), bridge id,
in_port, controller_id (4), max_len (4), the rule's cookie (8), length of the controller's own bytes (2), those bytes,
and the pipeline's fields without trailing zero bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from jackfield.errors import ProtocolError
from jackfield.flow.fields import DATAPATH_WORDS

CONTROLLER: Final = 1
"""Kind of the cookies made here."""

_HEAD: Final = struct.Struct("<BBBBIIIIQH")
_IMPLICIT_MISS: Final = 1
_NO_MAX_LEN: Final = 0xFFFFFFFF
_PIPELINE_SHIFT: Final = 64 * DATAPATH_WORDS


@dataclass(frozen=True, slots=True)
class ControllerCookie:
    """A packet for the controllers.

    Attributes:
        bridge_id: number of the bridge whose rule sent it.
        table_id, rule_cookie: of the rule, or of the miss.
        reason: OpenFlow's number for it.
        in_port: OpenFlow port by which the packet entered that bridge.
        controller_id: which controllers are meant.
        max_len: bytes the rule asked for; None for a miss.
        implicit_miss: no rule sent it.
        pipeline: the pipeline's fields (registers, metadata ...), in place in the key.
        userdata: the controller's own bytes.
    """

    bridge_id: int
    table_id: int
    rule_cookie: int
    reason: int
    in_port: int
    controller_id: int = 0
    max_len: int | None = 0xFFFF
    implicit_miss: bool = False
    pipeline: int = 0
    userdata: bytes = b""

    def encode(self) -> bytes:
        """As bytes."""
        pipeline = self.pipeline >> _PIPELINE_SHIFT
        return (
            _HEAD.pack(
                CONTROLLER,
                self.reason,
                self.table_id,
                _IMPLICIT_MISS if self.implicit_miss else 0,
                self.bridge_id,
                self.in_port,
                self.controller_id,
                _NO_MAX_LEN if self.max_len is None else self.max_len,
                self.rule_cookie,
                len(self.userdata),
            )
            + self.userdata
            + pipeline.to_bytes((pipeline.bit_length() + 7) // 8, "little")
        )


def decode(data: bytes) -> ControllerCookie:
    """The cookie of an upcall.

    Raises:
        ProtocolError: it is none of ours.
    """
    if len(data) < _HEAD.size or data[0] != CONTROLLER:
        raise ProtocolError(f"an upcall's userdata of {len(data)} bytes is not a cookie")
    _, reason, table_id, flags, bridge_id, in_port, controller_id, max_len, rule_cookie, length = _HEAD.unpack_from(
        data
    )
    body = data[_HEAD.size :]
    if length > len(body):
        raise ProtocolError("an upcall's userdata ends within the controller's bytes")
    return ControllerCookie(
        bridge_id=bridge_id,
        table_id=table_id,
        rule_cookie=rule_cookie,
        reason=reason,
        in_port=in_port,
        controller_id=controller_id,
        max_len=None if max_len == _NO_MAX_LEN else max_len,
        implicit_miss=bool(flags & _IMPLICIT_MISS),
        pipeline=int.from_bytes(body[length:], "little") << _PIPELINE_SHIFT,
        userdata=body[:length],
    )
