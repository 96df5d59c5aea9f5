"""Answers to questions about flows: their statistics one by one, and summed.

A dump of very many flows is searched first, in slices, and then written message by message as fast as the peer reads.
What of a flow never changes is written once for each set of actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from jackfield.openflow import multipart as mp
from jackfield.openflow.codec import multipart_parts
from jackfield.openflow.flow_codec import encode_flags
from jackfield.openflow.flow_stats_codec import encode_match_of_entry, pack_entry
from jackfield.openflow.instructions import encode_instructions

if TYPE_CHECKING:
    from jackfield.ofproto.connections.session import Session
    from jackfield.ofproto.rule import Rule
    from jackfield.openflow.actions import Action

STATS_AGE: Final = 100
"""How old (ms) the counters in a reply may be."""

PATIENCE: Final = 500
"""How long (ms) a reply waits for counters as young as that, when there are so many that summing them takes long."""

PART_SIZE: Final = 60 * 1024
"""Bytes of one message of a dump: some five hundred flows, a millisecond."""

_NANOSECONDS_PER_MS: Final = 1_000_000


class _Writer:
    """Writes flows as entries of one reply."""

    def __init__(self, version: int, nxm: bool, now: int) -> None:
        self._version = version
        self._nxm = nxm
        self._now = now
        # Kept by the identity of the tuple, which flow-mods with equal actions share; the tuple is kept alive beside.
        self._instructions: dict[int, tuple[tuple[Action, ...], bytes]] = {}

    def entry(self, rule: Rule) -> bytes:
        """One flow."""
        version, now, stats = self._version, self._now, rule.stats
        flags = rule.flags
        return pack_entry(
            version,
            self._nxm,
            encode_match_of_entry(rule.match, version, self._nxm),
            self._instructions_of(rule),
            rule.table_id,
            rule.priority,
            rule.cookie,
            (now - rule.created) * _NANOSECONDS_PER_MS,
            rule.idle_timeout,
            rule.hard_timeout,
            stats.packets,
            stats.bytes,
            (now - stats.used) // 1000,
            (now - rule.modified) // 1000,
            encode_flags(flags, version) if flags else 0,
            rule.importance,
        )

    def _instructions_of(self, rule: Rule) -> bytes:
        actions = rule.actions
        known = self._instructions.get(id(actions))
        if known is not None:
            return known[1]
        written = encode_instructions(actions, self._version, rule.match, lossy=True)
        self._instructions[id(actions)] = actions, written
        return written


async def flow_stats(session: Session, request: mp.FlowStatsRequest, xid: int) -> None:
    """The flows that a request is about, one by one."""
    found = session.ofproto.flows.select(request)
    await _refresh(session)
    rules = await session.gather(found)
    writer = _Writer(session.version, request.nxm, session.ofproto.clock.now())

    def entries() -> Iterator[bytes]:
        for rule in rules:
            yield writer.entry(rule)

    reply = mp.FlowStatsReply((), nxm=request.nxm)
    await session.send_parts(multipart_parts(reply, entries(), session.version, xid, PART_SIZE))


async def aggregate(session: Session, request: mp.AggregateRequest, xid: int) -> None:
    """The sums over the flows that a request is about."""
    found = session.ofproto.flows.select(request)
    await _refresh(session)
    rules = await session.gather(found)
    packets = sum(rule.stats.packets for rule in rules)
    octets = sum(rule.stats.bytes for rule in rules)
    session.reply(mp.AggregateReply(packets, octets, len(rules), nxm=request.nxm), xid)


async def _refresh(session: Session) -> None:
    """Have the counters brought up to date; when that takes long, they are shown as far as it got."""
    ofproto = session.ofproto

    def start(done: Callable[[], None]) -> None:
        timer = ofproto.clock.call_later(PATIENCE, done)

        def finish() -> None:
            timer.cancel()
            done()

        ofproto.provider.refresh_stats(finish, STATS_AGE)

    await session.completion(start)
