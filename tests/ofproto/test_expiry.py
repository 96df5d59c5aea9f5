"""Timeouts, to the millisecond of a held clock."""

import asyncio
from typing import Any

from jackfield.flow.match import Match
from jackfield.ofproto.expiry import SWEEP_INTERVAL, deadline
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.rule import FOREVER, Rule
from jackfield.openflow.messages import FlowMod, FlowModCommand, FlowRemovedReason
from tests.ofproto.fakes import FakeProvider

Switch = tuple[Ofproto, FakeProvider]


def add(ofproto: Ofproto, source: int = 1, **rest: Any) -> Rule:
    match = Match.from_fields({"eth_src": source})
    ofproto.flows.apply(FlowMod(FlowModCommand.ADD, match, **rest))
    rule = ofproto.tables[0].classifier.find(match, 0x8000, ofproto.version)
    assert rule is not None
    return rule


def gone(provider: FakeProvider) -> list[Rule]:
    return [call[1] for call in provider.told if call[0] == "removed"]


def test_a_hard_timeout_counts_from_the_last_change(switch: Switch) -> None:
    ofproto, provider = switch
    old = add(ofproto, hard_timeout=10)
    ofproto.clock.advance(9_000)
    ofproto.flows.apply(FlowMod(FlowModCommand.MODIFY_STRICT, old.match, new_cookie=None))
    ofproto.clock.advance(9_999)
    assert gone(provider) == []
    ofproto.clock.advance(1)
    assert len(gone(provider)) == 1
    assert ofproto.flows.n_flows == 0


def test_an_idle_timeout_counts_from_the_last_packet(switch: Switch) -> None:
    ofproto, provider = switch
    rule = add(ofproto, idle_timeout=5)
    ofproto.clock.advance(4_000)
    rule.stats.used = ofproto.clock.now()
    ofproto.clock.advance(4_999)
    assert gone(provider) == []
    ofproto.clock.advance(1 + SWEEP_INTERVAL)
    assert gone(provider) == [rule]


def test_packets_that_were_not_counted_yet_keep_a_flow_alive(switch: Switch) -> None:
    ofproto, provider = switch
    rule = add(ofproto, idle_timeout=5)

    def count() -> None:
        rule.stats.used = created + 3_000

    created = rule.created
    provider.on_refresh = count
    ofproto.clock.advance(7_900)
    assert gone(provider) == []
    ofproto.clock.advance(100 + SWEEP_INTERVAL)
    assert gone(provider) == [rule]


def test_expiry_waits_for_counters_that_come_late(switch: Switch) -> None:
    ofproto, provider = switch
    used, idle = add(ofproto, 1, idle_timeout=1), add(ofproto, 2, idle_timeout=1)
    provider.held = True
    ofproto.clock.advance(1_500)
    assert gone(provider) == []
    used.stats.used = ofproto.clock.now()
    provider.let_go()
    assert gone(provider) == [idle]
    ofproto.clock.advance(1_000 + SWEEP_INTERVAL)
    assert gone(provider) == [idle, used]


def test_the_reason_is_the_timeout_that_came_first(switch: Switch, monkeypatch: Any) -> None:
    ofproto, _ = switch
    reasons: list[FlowRemovedReason] = []
    remove = ofproto.flows.remove

    def note(victims: Any, reason: FlowRemovedReason) -> Any:
        reasons.extend([reason] * len(victims))
        return remove(victims, reason)

    monkeypatch.setattr(ofproto.flows._expiry, "_expire", note)
    add(ofproto, 1, idle_timeout=1, hard_timeout=2)
    add(ofproto, 2, idle_timeout=4, hard_timeout=3)
    ofproto.clock.advance(5_000)
    assert reasons == [FlowRemovedReason.IDLE_TIMEOUT, FlowRemovedReason.HARD_TIMEOUT]


def test_removed_and_replaced_flows_do_not_expire(switch: Switch) -> None:
    ofproto, provider = switch
    for _ in range(3_000):
        add(ofproto, idle_timeout=60)
    assert len(ofproto.flows._expiry._heap) < 3_000
    add(ofproto)

    async def long_after() -> None:
        ofproto.clock.advance(100_000)
        while ofproto.flows._expiry._heap:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(long_after(), 10))
    assert gone(provider) == []
    assert ofproto.flows.n_flows == 1


def test_a_flow_without_timeouts_has_no_deadline() -> None:
    assert deadline(Rule(Match(), 1, created=5)) == FOREVER
    assert deadline(Rule(Match(), 1, created=5, hard_timeout=2, idle_timeout=1)) == 1_005
