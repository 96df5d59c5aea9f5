"""Whatever changes: afterwards each megaflow says what a fresh translation says, and no packet is lost to counters."""

import asyncio
import random
from collections.abc import Callable

import pytest

from jackfield.dpif.actions import Output
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort
from jackfield.ofproto.pipeline import revalidate
from jackfield.openflow.messages import FragmentHandling, PortConfig
from tests.ofproto.pipeline.fake_dpif import Switch
from tests.ofproto.pipeline.test_translate import ACTIONS, MATCHES, PACKETS, makes_sense, ordered


def assert_true(switch: Switch, others: list[int]) -> None:
    """Each megaflow is right for its own key, and for what else it holds for: `others` where the mask leaves room."""
    backer = switch.backer
    assert len(backer.flows) == len(switch.dpif.flows)
    for flow in backer.flows.all():
        assert switch.dpif.flows[flow.ufid].actions == flow.actions
        t = backer.translate(flow.key, learn=False)
        assert t is not None
        assert t.result == flow.actions
        for other in others:
            twin = flow.key | other & ~flow.mask
            if makes_sense(twin):
                fresh = backer.translate(twin, learn=False)
                assert fresh is not None
                assert fresh.result == flow.actions
    assert len(backer.flows.searches) == sum(len(flow.searches) for flow in backer.flows.all())


@pytest.mark.parametrize("seed", range(20))
def test_megaflows_follow_every_change(make_switch: Callable[[str], Switch], seed: int) -> None:
    rnd = random.Random(seed)
    one, two = make_switch("br0"), make_switch("br1")
    for number in (1, 2, 3):
        one.add_port(number)
    two.add_port(1, "q1")
    two.add_port(2, "q2")
    one.add_port(9, "to-br1", peer="to-br0")
    two.add_port(9, "to-br0", peer="to-br1")
    rules = {one: [], two: []}
    recent: list[int] = []

    def add_rule() -> None:
        switch = rnd.choice((one, two))
        actions = ordered(rnd.choices((*ACTIONS, "output:9", "NORMAL", "FLOOD"), k=rnd.randint(1, 3)))
        priority = len(rules[switch]) * 3 + rnd.randint(0, 2) if rnd.random() < 0.9 else 0
        table = rnd.choice((0, 0, 1, 2))
        if all((each.table_id, each.priority) != (table, priority) for each in rules[switch]):
            rules[switch].append(switch.add_flow(rnd.choice(MATCHES), actions, priority, table))

    def delete_rule() -> None:
        switch = rnd.choice((one, two))
        if rules[switch]:
            switch.del_flow(rules[switch].pop(rnd.randrange(len(rules[switch]))))

    def modify_rule() -> None:
        switch = rnd.choice((one, two))
        if rules[switch]:
            place = rnd.randrange(len(rules[switch]))
            rules[switch][place] = switch.modify_flow(rules[switch][place], ordered(rnd.choices(ACTIONS, k=2)))

    def configure_port() -> None:
        switch = rnd.choice((one, two))
        number = rnd.choice(list(switch.ports))
        switch.reconfigure(
            number,
            config=rnd.choice((PortConfig(0), PortConfig.NO_FLOOD, PortConfig.NO_FWD, PortConfig.NO_RECV)),
            tag=rnd.choice((None, None, 1)),
        )

    def replace_port() -> None:
        if 3 in one.ports:
            one.delete_port(3)
        else:
            one.add_port(3)

    def repatch() -> None:
        if 9 in two.ports:
            two.delete_port(9)
        else:
            two.add_port(9, "to-br0", peer="to-br1")

    def change_settings() -> None:
        one.settings = type(one.settings)(forward_bpdu=rnd.random() < 0.5, mac_table_size=rnd.choice((10, 100)))
        one.provider.settings_changed()
        one.provider.set_fragments(rnd.choice((FragmentHandling.NORMAL, FragmentHandling.NX_MATCH)))

    changes = (add_rule, add_rule, delete_rule, modify_rule, configure_port, replace_port, repatch, change_settings)
    for _ in range(60):
        for _ in range(rnd.randint(1, 3)):
            rnd.choice(changes)()
        one.run()
        assert_true(one, recent)
        for _ in range(rnd.randint(0, 12)):
            switch = rnd.choice((one, two))
            number = rnd.choice([number for number in switch.ports if number != 9])
            tag = rnd.choice(("", ",vlan_tci=0x1001"))
            macs = f"dl_src=02:00:00:00:00:0{rnd.randint(1, 6)},dl_dst=02:00:00:00:00:0{rnd.randint(1, 6)}"
            key = switch.key(number, f"{rnd.choice(PACKETS)}{tag},{macs}")
            key = f.VLAN_TPID.put(key, 0x8100) if f.VLAN_TCI.get(key) else key
            recent = [*recent[-5:], key]
            switch.dpif.receive(bytes(60), key)
            # Learning happens before a megaflow that it concerns is used again.
            one.run()
        one.clock.advance(rnd.choice((0, 10, 1_000)))
    assert_true(one, recent)
    assert one.dpif.upcalls > 50
    one.provider.refresh_stats(lambda: None)
    # Every packet searched table 0 of the bridge it came in by once, if its port took it: none is counted twice.
    looked_up = one.flows.tables[0].lookups + two.flows.tables[0].lookups
    assert looked_up > 0
    one.backer.revalidator.purge()
    assert not one.dpif.flows
    assert len(one.backer.flows.searches) == 0


def test_every_packet_is_counted_once(switch: Switch) -> None:
    rnd = random.Random(5)
    base = switch.add_flow("", "output:2", priority=0)
    others = []
    for round_ in range(200):
        if rnd.random() < 0.3:
            others.append(switch.add_flow(f"tcp,tp_dst={rnd.randint(1, 5)}", "output:3", priority=1 + round_))
        if others and rnd.random() < 0.2:
            others.append(switch.modify_flow(others.pop(), "output:3,output:2"))
        if rnd.random() < 0.1:
            switch.run()
        if rnd.random() < 0.05:
            switch.clock.advance(11_000)
        switch.receive(1, f"tcp,tp_dst={rnd.randint(1, 6)}")
    switch.provider.refresh_stats(lambda: None)
    assert switch.flows.tables[0].lookups == 200
    assert base.stats.packets + sum(rule.stats.packets for rule in others) == 200


def test_much_work_is_done_in_slices(switch: Switch) -> None:
    """With a loop running, changes and sweeps of many megaflows let other work in between."""
    rule = switch.add_flow("", "NORMAL", priority=0)

    async def scenario() -> None:
        for i in range(1_500):
            switch.receive(1, f"dl_src=02:00:00:00:{i >> 8:02x}:{i & 255:02x},dl_type=0x1234")
        switch.dpif.take_sent()
        called = asyncio.Event()
        switch.modify_flow(rule, "output:3")
        switch.provider.sync(called.set)
        passes = 0
        while not called.is_set():
            passes += 1
            await asyncio.sleep(0)
        assert passes > 3
        assert {flow.actions for flow in switch.dpif.flows.values()} == {(Output(DpPort(switch.dp(3))),)}
        counted = asyncio.Event()
        switch.receive(1, "dl_src=02:00:00:00:00:07,dl_type=0x1234")
        switch.provider.refresh_stats(counted.set)
        switch.provider.refresh_stats(counted.set, max_age=5)
        await asyncio.wait_for(counted.wait(), 5)
        assert rule.stats.packets == 1_501

    asyncio.run(scenario())


def test_sync_calls_back_in_order_and_once(switch: Switch) -> None:
    switch.add_flow("", "output:2", priority=0)
    switch.send(1, "ip")
    called: list[int] = []
    switch.add_flow("ip", "output:3")
    switch.provider.sync(lambda: called.append(1))
    switch.provider.sync(lambda: called.append(2))
    switch.run()
    assert called == [1, 2]


def test_statistics_not_older_than_asked(switch: Switch) -> None:
    rule = switch.add_flow("", "output:2")
    switch.send(1, "ip")
    switch.provider.refresh_stats(lambda: None)
    switch.send(1, "ip")
    switch.clock.advance(300)
    switch.provider.refresh_stats(lambda: None, max_age=400)
    assert rule.stats.packets == 1
    switch.provider.refresh_stats(lambda: None, max_age=200)
    assert rule.stats.packets == 2


def test_strange_flows_are_deleted_and_lost_ones_forgotten(switch: Switch) -> None:
    switch.add_flow("", "output:2")
    switch.send(1, "ip")
    (ufid,) = switch.dpif.flows
    flow = switch.dpif.flows.pop(ufid)
    flow.ufid = 77
    switch.dpif.flows[77] = flow
    switch.clock.advance(1)
    switch.provider.refresh_stats(lambda: None)
    assert not switch.dpif.flows
    assert len(switch.backer.flows) == 0


def test_crowded_megaflows_go_sooner(switch: Switch) -> None:
    switch.add_flow("", "NORMAL")
    for i in range(50):
        switch.send(1, f"dl_src=02:00:00:00:01:{i:02x},dl_type=0x1234")
    switch.clock.advance(600)
    switch.run()
    assert len(switch.dpif.flows) == 50
    switch.backer.revalidator.flow_limit = 40
    switch.clock.advance(600)
    switch.run()
    assert len(switch.dpif.flows) == 0


def test_the_limit_follows_the_time_a_sweep_takes(switch: Switch) -> None:
    revalidator = switch.backer.revalidator
    adapt = revalidator._adapt
    adapt(700)
    assert revalidator.flow_limit == 150_000
    adapt(5_000)
    assert revalidator.flow_limit == 15_000
    for _ in range(50):
        adapt(5_000)
    assert revalidator.flow_limit == revalidate.MIN_FLOW_LIMIT
    switch.add_flow("", "output:2")
    switch.send(1, "ip")
    adapt(0)
    assert revalidator.flow_limit == revalidate.MIN_FLOW_LIMIT + 1_000


def test_conjunctions_concern_what_they_overlap(switch: Switch) -> None:
    switch.add_flow("", "output:2", priority=0)
    switch.send(1, "ip")
    rule = switch.rule("ip", "drop")
    rule.conjunctions = ()
    translated = switch.backer.revalidator.translated
    switch.backer.revalidator.rule_removed(switch.flows.tables[0], rule)
    switch.run()
    assert switch.backer.revalidator.translated == translated
    rule.conjunctions = (object(),)  # type: ignore[assignment]  # only whether there are any counts
    switch.backer.revalidator.rule_removed(switch.flows.tables[0], rule)
    switch.run()
    assert switch.backer.revalidator.translated == translated + 1
