"""Answering upcalls: a miss becomes a translation, a megaflow and the packet's actions; an action upcall a packet-in.

Datapaths in this process call the handler with a batch and act on the replies; a kernel's upcalls are polled
(`poll`) and answered by operations. How many may wait, and how that is shared between ports, is the datapath's
business: `Dpif.set_upcall_limit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from jackfield.dpif.provider import DpOp, Execute, FlowPut, Upcall, UpcallReply, UpcallType
from jackfield.errors import ProtocolError
from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort
from jackfield.log import WARN, RateLimit, get_logger
from jackfield.ofproto.pipeline import cookie
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.flows import Megaflow, credit
from jackfield.ofproto.pipeline.translate import Translation
from jackfield.ofproto.provider import PacketInEvent
from jackfield.openflow.messages import PacketInReason

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.backer import Backer

log = get_logger("ofproto_dpif_upcall")

UPCALLS_PER_PORT: Final = 512
"""Upcalls of one port that may wait; what comes on top is dropped, so that one port cannot starve the others."""
_BATCH: Final = 64
_NOTHING: Final = UpcallReply(())
_METADATA_FIELDS: Final = (*f.REGS, f.METADATA)


class UpcallHandler:
    """The upcalls of one datapath."""

    def __init__(self, backer: Backer) -> None:
        self._backer = backer
        self._unconfirmed: list[tuple[Megaflow, FlowPut]] = []
        self._limit = RateLimit()
        self.misses = 0
        self.packet_ins = 0
        self.not_installed = 0
        #: For people: with False, every packet's own key becomes the flow (upcall/disable-megaflows).
        self.megaflows = True

    def handle(self, upcalls: Sequence[Upcall]) -> list[UpcallReply]:
        """Answer a batch."""
        self.confirm()
        now = self._backer.clock.now()
        replies: list[UpcallReply] = []
        for upcall in upcalls:
            if upcall.type is UpcallType.MISS:
                replies.append(self._miss(upcall, now))
            else:
                self._action(upcall)
                replies.append(_NOTHING)
        return replies

    def poll(self) -> bool:
        """Answer what a polled datapath has waiting; True when there may be more."""
        dpif = self._backer.dpif
        upcalls = dpif.recv(0, _BATCH)
        ops: list[DpOp] = []
        for upcall, reply in zip(upcalls, self.handle(upcalls), strict=True):
            if reply.put is not None:
                ops.append(reply.put)
            if reply.actions:
                ops.append(Execute(upcall.packet, upcall.key, reply.actions))
        if ops:
            dpif.operate(ops)
        return len(upcalls) == _BATCH

    def confirm(self) -> None:
        """Take note of megaflows that the datapath refused."""
        if not self._unconfirmed:
            return
        refused = [(flow, put.error) for flow, put in self._unconfirmed if put.error is not None]
        self._unconfirmed.clear()
        for flow, error in refused:
            self._limit.log(log, WARN, "failed to put a datapath flow: %s", error)
            self._backer.forget(flow)

    def _miss(self, upcall: Upcall, now: int) -> UpcallReply:
        backer = self._backer
        self.misses += 1
        key = upcall.key
        t = backer.translate(key, learn=True)
        if t is None:
            self._limit.log(log, WARN, "dropping packet on unassociated datapath port %d", key & k.DP_IN_PORT)
            return _NOTHING
        actions = t.result
        length = upcall.length or len(upcall.packet)
        flows = backer.flows
        if len(flows) >= backer.revalidator.flow_limit:
            self.not_installed += 1
            backer.settle(t, length, now)
            return UpcallReply(actions)
        mask = t.wildcards if self.megaflows else k.DATAPATH
        ufid = backer.ids.ufid(key, mask)
        if flows.get(ufid) is not None:
            # Another packet of this batch was first.
            backer.settle(t, length, now)
            return UpcallReply(actions)
        flow = Megaflow(ufid, key & mask, mask, actions, now)
        flows.add(flow, t)
        credit(flow.searches, flow.macs, flow.patches, 1, length, now)
        put = FlowPut(ufid, flow.key, mask, actions)
        self._unconfirmed.append((flow, put))
        return UpcallReply(actions, put)

    def _action(self, upcall: Upcall) -> None:
        try:
            found = cookie.decode(upcall.userdata or b"")
        except ProtocolError as error:
            self._limit.log(log, WARN, "%s", error)
            return
        bridge = self._backer.bridges.get(found.bridge_id)
        if bridge is None:
            return
        self.packet_ins += 1
        bridge.ofproto.connections.packet_in(
            PacketInEvent(
                packet=upcall.packet,
                in_port=OfPort(found.in_port),
                reason=PacketInReason(found.reason),
                table_id=found.table_id,
                cookie=found.rule_cookie,
                metadata=_metadata(found.pipeline),
                controller_id=found.controller_id,
                max_len=found.max_len,
                implicit_miss=found.implicit_miss,
                userdata=found.userdata,
            )
        )


def _metadata(pipeline: int) -> Match:
    """Exact matches on the pipeline's fields that are not zero."""
    if not pipeline:
        return Match()
    mask = sum(field.mask for field in _METADATA_FIELDS if pipeline & field.mask)
    return Match(pipeline & mask, mask)


def settle(t: Translation, length: int, now: int) -> None:
    """Credit one packet of `length` bytes to a translation that does not become a megaflow."""
    searches = [(table, None if rule is None else rule.stats) for table, _, _, rule in t.lookups]
    credit(searches, t.macs, t.patches, 1, length, now)
