"""Answers to questions about flows."""

import asyncio

from jackfield.flow.match import Match
from jackfield.ofproto.connections.flow_replies import PATIENCE
from jackfield.openflow import messages as m
from jackfield.openflow import multipart as mp
from jackfield.openflow.dialect import OF10
from tests.ofproto.fakes import Switch, add, both, connect


@both
def test_flows_added_and_read_back(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, version)
    assert peer.ask(add(1, idle_timeout=9, new_cookie=7, table_id=0xFF if version == OF10 else 0)) == []
    ofproto.clock.advance(1500)
    (rule,) = ofproto.tables[0].classifier
    rule.stats.packets, rule.stats.bytes = 3, 180
    (reply,) = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match())))
    assert isinstance(reply, mp.FlowStatsReply)
    (entry,) = reply.entries
    assert (entry.match, entry.actions, entry.cookie, entry.idle_timeout) == (rule.match, rule.actions, 7, 9)
    assert (entry.packet_count, entry.byte_count, entry.duration_ns) == (3, 180, 1_500_000_000)
    (sums,) = asyncio.run(peer.ask_slowly(mp.AggregateRequest(Match())))
    assert sums == mp.AggregateReply(3, 180, 1)
    (nothing,) = asyncio.run(peer.ask_slowly(mp.AggregateRequest(Match.from_fields({"eth_src": 5}))))
    assert nothing == mp.AggregateReply(0, 0, 0)


def test_nicira_flow_statistics_have_ages(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, OF10)
    peer.ask(add(1))
    ofproto.clock.advance(4000)
    (rule,) = ofproto.tables[0].classifier
    rule.stats.used += 3000
    (reply,) = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match(), nxm=True)))
    assert isinstance(reply, mp.FlowStatsReply)
    assert (reply.entries[0].idle_age, reply.entries[0].hard_age) == (1, 4)


def test_counters_are_brought_up_to_date_before_they_are_read(switch: Switch) -> None:
    ofproto, provider = switch
    peer = connect(ofproto)
    peer.ask(add(1, table_id=0))
    (rule,) = ofproto.tables[0].classifier
    provider.held = True

    async def late() -> list[m.Message]:
        asyncio.get_running_loop().call_later(0.01, count)
        found = []
        peer.send(mp.FlowStatsRequest(Match()))
        while not found:
            await asyncio.sleep(0.001)
            found = peer.messages()
        return found

    def count() -> None:
        rule.stats.packets = 5
        provider.let_go()

    (reply,) = asyncio.run(late())
    assert isinstance(reply, mp.FlowStatsReply)
    assert reply.entries[0].packet_count == 5


def test_a_long_dump_comes_in_parts(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    for source in range(1, 1001):
        peer.ask(add(source, table_id=0))
    replies = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match())))
    assert len(replies) > 1
    assert all(isinstance(reply, mp.FlowStatsReply) for reply in replies)
    assert [reply.more for reply in replies] == [True] * (len(replies) - 1) + [False]  # type: ignore[attr-defined]  # replies
    assert sum(len(reply.entries) for reply in replies) == 1000  # type: ignore[attr-defined]  # the same


def test_flows_that_the_form_cannot_say_are_shown_as_well_as_it_can(switch: Switch) -> None:
    """As Open vSwitch does: an OpenFlow 1.0 client without NXM sees the parts it knows."""
    ofproto, _ = switch
    match = Match.from_fields({"eth_src": 5, "reg3": 7})
    ofproto.flows.apply(m.FlowMod(m.FlowModCommand.ADD, match, table_id=0, flags=m.FlowModFlags.SEND_FLOW_REM))
    peer = connect(ofproto, OF10)
    (reply,) = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match())))
    assert isinstance(reply, mp.FlowStatsReply)
    assert [entry.match for entry in reply.entries] == [Match.from_fields({"eth_src": 5})]
    work = ofproto.flows.apply(m.FlowMod(m.FlowModCommand.DELETE, Match()))
    assert work is not None
    list(work)
    (removed,) = peer.messages()
    assert isinstance(removed, m.FlowRemoved)
    assert removed.match == Match.from_fields({"eth_src": 5})


def test_a_reply_does_not_wait_for_counters_for_ever(switch: Switch) -> None:
    ofproto, provider = switch
    peer = connect(ofproto)
    peer.ask(add(1, table_id=0))
    provider.held = True

    async def impatient() -> list[m.Message]:
        peer.send(mp.FlowStatsRequest(Match()))
        await asyncio.sleep(0.01)
        assert peer.messages() == []
        ofproto.clock.advance(PATIENCE)
        await asyncio.sleep(0.01)
        found = peer.messages()
        provider.let_go()
        return found

    (reply,) = asyncio.run(impatient())
    assert isinstance(reply, mp.FlowStatsReply)
    assert len(reply.entries) == 1
