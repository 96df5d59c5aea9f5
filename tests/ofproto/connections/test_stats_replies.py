"""Answers to questions about the switch, its tables, ports and queues."""

import asyncio

from jackfield.flow.ports import OFPP_ANY, OfPort
from jackfield.ofproto.tables import N_TABLES
from jackfield.openflow import messages as m
from jackfield.openflow import multipart as mp
from jackfield.openflow.dialect import OF10, OF13
from tests.ofproto.fakes import FakeNetdev, Switch, add, both, connect


@both
def test_the_switch_describes_itself(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    (reply,) = connect(ofproto, version).ask(mp.DescRequest())
    assert isinstance(reply, mp.DescReply)
    assert reply.manufacturer == "Jackfield"


@both
def test_table_statistics(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    ofproto.tables[2].name, ofproto.tables[2].lookups, ofproto.tables[2].matches = "two", 9, 4
    peer = connect(ofproto, version)
    peer.ask(add(1) if version == OF10 else add(1, table_id=0))
    replies = peer.ask(mp.TableStatsRequest())
    entries = [entry for reply in replies for entry in reply.entries]  # type: ignore[attr-defined]  # replies
    assert len(entries) == N_TABLES
    assert (entries[0].active_count, entries[2].lookup_count, entries[2].matched_count) == (1, 9, 4)
    if version == OF10:
        assert [entry.name for entry in entries[:3]] == ["", "", "two"]


def test_table_features(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    replies = asyncio.run(peer.ask_slowly(mp.TableFeaturesRequest()))
    entries = [entry for reply in replies for entry in reply.entries]  # type: ignore[attr-defined]  # replies
    assert [entry.table_id for entry in entries] == list(range(N_TABLES))
    following = {each.kind: each.values for each in entries[250].properties}
    assert following[mp.TablePropertyKind.NEXT_TABLES] == (251, 252, 253)
    (answer,) = asyncio.run(peer.ask_slowly(mp.TableFeaturesRequest((entries[0],))))
    assert isinstance(answer, m.ErrorMsg)
    assert answer.name == "OFPTFFC_EPERM"


@both
def test_port_statistics_and_descriptions(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    for i in range(1, 1001):
        ofproto.add_port(FakeNetdev(f"p{i}", rx_packets=i))
    ofproto.clock.advance(2000)
    peer = connect(ofproto, version)
    replies = asyncio.run(peer.ask_slowly(mp.PortStatsRequest(OFPP_ANY)))
    entries = [entry for reply in replies for entry in reply.entries]  # type: ignore[attr-defined]  # replies
    assert [(entry.port_no, entry.rx_packets) for entry in entries] == [(i, i) for i in range(1, 1001)]
    assert entries[0].tx_packets == m.UNKNOWN_COUNT
    assert entries[0].duration_ns == (None if version == OF10 else 2_000_000_000)
    (one,) = asyncio.run(peer.ask_slowly(mp.PortStatsRequest(OfPort(7))))
    assert [entry.port_no for entry in one.entries] == [7]  # type: ignore[attr-defined]  # a reply
    assert asyncio.run(peer.ask_slowly(mp.PortStatsRequest(OfPort(2000)))) == [mp.PortStatsReply(())]
    if version == OF13:
        replies = asyncio.run(peer.ask_slowly(mp.PortDescRequest()))
        assert sum(len(reply.ports) for reply in replies) == 1000  # type: ignore[attr-defined]  # replies


@both
def test_queues(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    ofproto.add_port(FakeNetdev("p1"))
    peer = connect(ofproto, version)
    assert peer.ask(mp.QueueStatsRequest()) == [mp.QueueStatsReply(())]
    assert peer.ask(m.QueueGetConfigRequest(OfPort(1))) == [m.QueueGetConfigReply(OfPort(1), ())]
    names = [
        answer.name
        for answer in peer.ask(
            mp.QueueStatsRequest(OfPort(9)), mp.QueueStatsRequest(OfPort(1), 5), m.QueueGetConfigRequest(OfPort(9))
        )
        if isinstance(answer, m.ErrorMsg)
    ]
    assert names == ["OFPQOFC_BAD_PORT", "OFPQOFC_BAD_QUEUE", "OFPQOFC_BAD_PORT"]
