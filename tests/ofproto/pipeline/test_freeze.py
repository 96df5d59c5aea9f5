"""Frozen translations go on when their packet comes back."""

from typing import cast

from jackfield.dpif.actions import Recirc
from jackfield.flow import fields as f
from jackfield.ofproto.pipeline.frames import Step
from jackfield.ofproto.pipeline.freeze import FrozenState, FrozenTable
from jackfield.ofproto.pipeline.translate import Translation
from tests.ofproto.pipeline.fake_dpif import Switch


def state(cookie: int) -> FrozenState:
    return FrozenState(1, 0, False, cookie, (), 0, (), ())


def test_equal_states_share_an_id_while_somebody_holds_it() -> None:
    table = FrozenTable()
    one, again, other = table.hold(state(1)), table.hold(state(1)), table.hold(state(2))
    assert one == again != other
    assert 0 not in (one, other)
    table.release(one)
    assert table.get(one) == state(1)
    table.release(one)
    assert table.get(one) is None
    assert table.get(other) == state(2)
    assert len(table) == 1


def freeze(t: Translation, _argument: None) -> None:
    t.freeze()


def with_freeze(switch: Switch, rule_match: str, actions: str, place: int, table: int = 0) -> None:
    """A rule that freezes before its action number `place`."""
    from jackfield.ofproto.pipeline.compile import compile_actions

    rule = switch.add_flow(rule_match, actions, table=table, cookie=7)
    steps = compile_actions(rule.actions)
    rule.provider_data = (*steps[:place], cast(Step, (freeze, None, None)), *steps[place:])


def test_what_is_left_is_done_after_recirculation(switch: Switch) -> None:
    switch.add_flow("", "load:5->NXM_NX_REG0[],push:NXM_NX_REG0[],mod_nw_ttl:9,resubmit(,1),output:2")
    with_freeze(switch, "", "output:1,pop:NXM_NX_REG3[],resubmit(,2),dec_ttl,output:3", 1, table=1)
    switch.add_flow("reg0=5,reg3=5", "output:1", table=2)
    # From port 2, so that all of these are other ports, save the last.
    switch.receive(2, "ip,nw_ttl=50")
    sent = switch.dpif.take_sent()
    assert [port for port, _ in sent] == [switch.dp(1), switch.dp(1), switch.dp(3)]
    assert [f.NW_TTL.get(key) for _, key in sent] == [9, 9, 8]
    first, second = switch.dpif.flows.values()
    assert first.actions is not None
    assert any(isinstance(action, Recirc) for action in first.actions)
    assert f.RECIRC_ID.get(cast(int, second.key)) == 1
    assert len(switch.backer.frozen) == 1
    # The same again: no upcall, and the counters of both passes.
    switch.receive(2, "ip,nw_ttl=50")
    assert switch.dpif.upcalls == 2
    switch.provider.refresh_stats(lambda: None)
    assert switch.flows.tables[2].matches == 2
    assert switch.flows.tables[1].matches == 2
    switch.backer.revalidator.purge()
    assert len(switch.backer.frozen) == 0


def test_only_the_bridge_behind_the_patch_is_frozen(make_switch: object) -> None:
    make = cast("type[Switch]", make_switch)
    one, two = make("br0"), make("br1")  # type: ignore[arg-type]  # the fixture's function, which takes a name
    one.add_port(1)
    one.add_port(2)
    two.add_port(3)
    one.add_port(9, "to-br1", peer="to-br0")
    two.add_port(9, "to-br0", peer="to-br1")
    one.add_flow("", "output:9,output:2")
    with_freeze(two, "", "output:3", 0)
    one.receive(1, "ip")
    assert [port for port, _ in one.dpif.take_sent()] == [two.dp(3), one.dp(2)]


def test_a_packet_whose_state_is_gone_is_dropped(switch: Switch) -> None:
    switch.add_flow("", "output:2")
    key = f.RECIRC_ID.put(switch.key(1, "ip"), 77)
    switch.dpif.receive(bytes(60), key)
    assert switch.dpif.take_sent() == []
    assert not switch.dpif.flows
