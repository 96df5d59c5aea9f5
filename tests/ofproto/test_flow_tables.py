"""Flow-mods: OpenFlow 1.0.1 section 4.6, OpenFlow 1.3.5 section 6.4."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_CONTROLLER, OfPort
from jackfield.ofproto.flow_tables import FlowTables, outputs_to
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.rule import MAX_PRIORITY, Rule
from jackfield.openflow.actions import Action, Controller, Enqueue, Output, WriteActions
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import ALL_TABLES, FlowMod, FlowModCommand, FlowModFlags
from tests.ofproto.fakes import FakeProvider

Switch = tuple[Ofproto, FakeProvider]

ADD, MODIFY, DELETE = FlowModCommand.ADD, FlowModCommand.MODIFY, FlowModCommand.DELETE
MODIFY_STRICT, DELETE_STRICT = FlowModCommand.MODIFY_STRICT, FlowModCommand.DELETE_STRICT


def out(port: int) -> tuple[Action, ...]:
    return (Output(OfPort(port)),)


def match(**wanted: Any) -> Match:
    return Match.from_fields(wanted)


def apply(flows: FlowTables, command: FlowModCommand, where: Match | None = None, **rest: Any) -> None:
    work = flows.apply(FlowMod(command, Match() if where is None else where, **rest))
    for _ in work or ():
        pass


def flows_of(flows: FlowTables) -> dict[tuple[int, int, Match], Rule]:
    """Every visible flow by table, priority and match; the counts of the tables agree."""
    found = {
        (rule.table_id, rule.priority, rule.match): rule
        for table in flows.tables
        for rule in table.classifier
        if rule.visible(flows.version)
    }
    assert flows.n_flows == sum(not rule.hidden for rule in found.values())
    return found


def refused(flows: FlowTables, command: FlowModCommand, where: Match | None = None, **rest: Any) -> str:
    with pytest.raises(OpenFlowError) as caught:
        apply(flows, command, where, **rest)
    return caught.value.name


def test_an_added_flow_is_visible_and_told(switch: Switch) -> None:
    ofproto, provider = switch
    before = ofproto.version
    apply(ofproto.flows, ADD, match(eth_src=1), actions=out(1), priority=7, new_cookie=9, idle_timeout=3)
    (rule,) = flows_of(ofproto.flows).values()
    assert (rule.priority, rule.cookie, rule.idle_timeout, rule.table_id, rule.actions) == (7, 9, 3, 0, out(1))
    assert rule.created == rule.modified == rule.stats.used == ofproto.clock.now()
    assert provider.told[-1] == ("inserted", rule)
    assert ofproto.version > before
    assert ofproto.tables[0].classifier.lookup(match(eth_src=1).value, ofproto.version)[0] is rule
    assert ofproto.tables[0].classifier.lookup(match(eth_src=1).value, before)[0] is None


def test_adding_again_replaces_and_keeps_or_resets_the_counters(switch: Switch) -> None:
    ofproto, provider = switch
    apply(ofproto.flows, ADD, match(eth_src=1), actions=out(1))
    (old,) = flows_of(ofproto.flows).values()
    old.stats.packets = 5
    ofproto.clock.advance(1000)
    apply(ofproto.flows, ADD, match(eth_src=1), actions=out(2))
    (new,) = flows_of(ofproto.flows).values()
    assert provider.told[-1] == ("replaced", old, new)
    assert (new.stats.packets, new.actions, new.created) == (5, out(2), ofproto.clock.now())
    apply(ofproto.flows, ADD, match(eth_src=1), actions=out(2), flags=FlowModFlags.RESET_COUNTS)
    (newest,) = flows_of(ofproto.flows).values()
    assert newest.stats.packets == 0
    assert len(ofproto.tables[0].classifier) == 1


def test_overlap_is_refused_when_asked(switch: Switch) -> None:
    ofproto, _ = switch
    apply(ofproto.flows, ADD, match(eth_src=1), priority=5)
    check = FlowModFlags.CHECK_OVERLAP
    assert refused(ofproto.flows, ADD, match(eth_dst=1), priority=5, flags=check) == "OFPFMFC_OVERLAP"
    apply(ofproto.flows, ADD, match(eth_dst=1), priority=6, flags=check)
    apply(ofproto.flows, ADD, match(eth_src=2), priority=5, flags=check)
    assert len(flows_of(ofproto.flows)) == 3


def test_a_table_takes_no_more_than_its_limit(switch: Switch) -> None:
    ofproto, _ = switch
    ofproto.tables[3].max_flows = 2
    for source in (1, 2):
        apply(ofproto.flows, ADD, match(eth_src=source), table_id=3)
    assert refused(ofproto.flows, ADD, match(eth_src=3), table_id=3) == "OFPFMFC_TABLE_FULL"
    apply(ofproto.flows, ADD, match(eth_src=2), table_id=3, actions=out(1))
    apply(ofproto.flows, DELETE_STRICT, match(eth_src=1), table_id=3)
    apply(ofproto.flows, ADD, match(eth_src=3), table_id=3)
    assert len(flows_of(ofproto.flows)) == 2


def test_what_cannot_be_is_refused(switch: Switch) -> None:
    ofproto, _ = switch
    for command in FlowModCommand:
        assert refused(ofproto.flows, command, table_id=254) == "OFPBRC_BAD_TABLE_ID"
        assert refused(ofproto.flows, command, buffer_id=7) == "OFPBRC_BUFFER_UNKNOWN"
    assert not flows_of(ofproto.flows)


def test_a_provider_may_refuse_a_rule_and_nothing_changes(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    ofproto, provider = switch
    for source in (1, 2):
        apply(ofproto.flows, ADD, match(eth_src=source), actions=out(1))

    def check(rule: Rule) -> None:
        if rule.match == match(eth_src=2):
            raise OpenFlowError("OFPBAC_BAD_TYPE")

    monkeypatch.setattr(provider, "rule_check", check)
    assert refused(ofproto.flows, MODIFY, actions=out(9)) == "OFPBAC_BAD_TYPE"
    assert all(rule.actions == out(1) for rule in flows_of(ofproto.flows).values())
    assert len(ofproto.tables[0].classifier) == 2


def test_modify_changes_the_actions_and_nothing_else(switch: Switch) -> None:
    ofproto, provider = switch
    apply(ofproto.flows, ADD, match(eth_src=1, eth_dst=2), actions=out(1), priority=5, new_cookie=3, hard_timeout=9)
    apply(ofproto.flows, ADD, match(eth_dst=2), actions=out(1), priority=6, table_id=1)
    (old, _) = flows_of(ofproto.flows).values()
    old.stats.packets = 4
    ofproto.clock.advance(500)
    apply(ofproto.flows, MODIFY, match(eth_dst=2), actions=out(7), new_cookie=None)
    one, two = sorted(flows_of(ofproto.flows).values(), key=lambda rule: rule.priority)
    assert one.actions == two.actions == out(7)
    assert (one.cookie, one.hard_timeout, one.stats, one.created) == (3, 9, old.stats, old.created)
    assert one.modified == ofproto.clock.now()
    assert provider.names()[-2:] == ["replaced", "replaced"]
    apply(ofproto.flows, MODIFY_STRICT, match(eth_dst=2), priority=6, actions=out(8), new_cookie=5)
    assert [rule.actions for rule in flows_of(ofproto.flows).values()] == [out(7), out(8)]
    assert flows_of(ofproto.flows)[1, 6, match(eth_dst=2)].cookie == 5


def test_modify_that_finds_nothing_adds_where_the_version_says_so(switch: Switch) -> None:
    ofproto, _ = switch
    apply(ofproto.flows, MODIFY, match(eth_src=1), new_cookie=None)
    apply(ofproto.flows, MODIFY_STRICT, match(eth_src=1), new_cookie=1, cookie_mask=1)
    assert not flows_of(ofproto.flows)
    apply(ofproto.flows, MODIFY, match(eth_src=1), new_cookie=4, priority=3)
    apply(ofproto.flows, MODIFY_STRICT, match(eth_src=2), new_cookie=4, priority=3)
    assert {(rule.priority, rule.cookie) for rule in flows_of(ofproto.flows).values()} == {(3, 4)}
    assert len(flows_of(ofproto.flows)) == 2


def test_a_large_change_is_visible_at_one_instant(switch: Switch) -> None:
    ofproto, _ = switch
    for source in range(20):
        apply(ofproto.flows, ADD, match(eth_src=source), actions=out(1))
    for command, expected in ((MODIFY, out(2)), (DELETE, None)):
        seen = []
        work = ofproto.flows.apply(FlowMod(command, Match(), actions=out(2), new_cookie=None))
        assert work is not None
        for _ in work:
            found = [
                ofproto.tables[0].classifier.lookup(match(eth_src=source).value, ofproto.version)[0]
                for source in range(20)
            ]
            seen.append({None if rule is None else rule.actions for rule in found})
        assert all(len(each) == 1 for each in seen)
        assert seen[-1] == {expected}
    assert len(ofproto.tables[0].classifier) == 0


def test_a_large_change_lets_stand_what_happened_meanwhile(switch: Switch) -> None:
    ofproto, _ = switch
    for source in range(10):
        apply(ofproto.flows, ADD, match(eth_src=source), actions=out(1))
    for command in (MODIFY, DELETE):
        work = ofproto.flows.apply(FlowMod(command, Match(), actions=out(2), new_cookie=None))
        assert work is not None
        next(work)
        next(work)
        apply(ofproto.flows, ADD, match(eth_src=0), actions=out(5))
        apply(ofproto.flows, DELETE_STRICT, match(eth_src=9))
        for _ in work:
            pass
        left = flows_of(ofproto.flows)
        assert left[0, 0x8000, match(eth_src=0)].actions == out(5)
        assert (0, 0x8000, match(eth_src=9)) not in left
        assert len(left) == (9 if command is MODIFY else 1)
        assert len(ofproto.tables[0].classifier) == len(left)


def test_delete_keeps_to_cookie_port_table_and_strictness(switch: Switch) -> None:
    ofproto, _ = switch
    flows = ofproto.flows

    def fill() -> None:
        apply(flows, DELETE)
        apply(flows, ADD, match(eth_src=1), priority=1, new_cookie=0x11, actions=out(1))
        apply(flows, ADD, match(eth_src=1, eth_dst=2), priority=2, new_cookie=0x21, actions=out(2))
        apply(flows, ADD, match(eth_src=1), priority=3, new_cookie=0x12, actions=out(1), table_id=4)

    def left(where: Match | None = None, command: FlowModCommand = DELETE, **rest: Any) -> list[int]:
        fill()
        apply(flows, command, where, **rest)
        return sorted(rule.priority for rule in flows_of(flows).values())

    assert left() == []
    assert left(table_id=0) == [3]
    assert left(match(eth_dst=2)) == [1, 3]
    assert left(match(eth_src=9)) == [1, 2, 3]
    assert left(cookie=0x10, cookie_mask=0xF0) == [2]
    assert left(out_port=OfPort(2)) == [1, 3]
    assert left(out_group=1) == [1, 2, 3]
    assert left(match(eth_src=1), DELETE_STRICT, priority=1) == [2, 3]
    assert left(match(eth_src=1), DELETE_STRICT, priority=3, table_id=ALL_TABLES) == [1, 2]
    assert left(match(eth_src=1), DELETE_STRICT, priority=9) == [1, 2, 3]
    assert left(match(eth_src=1), DELETE_STRICT, priority=1, cookie=2, cookie_mask=0xF) == [1, 2, 3]


def test_output_filters_see_every_way_to_a_port() -> None:
    assert outputs_to((WriteActions(out(3)),), OfPort(3))
    assert outputs_to((Enqueue(OfPort(3), 1),), OfPort(3))
    assert outputs_to((Controller(),), OFPP_CONTROLLER)
    assert not outputs_to(out(4), OfPort(3))


def test_removed_flows_are_reported_when_their_counters_are_final(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ofproto, provider = switch
    reported: list[tuple[int, int]] = []
    monkeypatch.setattr(
        ofproto.connections,
        "flows_removed",
        lambda told: reported.extend((rule.stats.packets, when) for rule, _, when in told),
    )
    apply(ofproto.flows, ADD, match(eth_src=1), flags=FlowModFlags.SEND_FLOW_REM)
    apply(ofproto.flows, ADD, match(eth_src=2))
    (rule, _) = flows_of(ofproto.flows).values()
    removed_at = ofproto.clock.now()
    provider.held = True
    apply(ofproto.flows, DELETE)
    assert reported == []
    ofproto.clock.advance(30)
    rule.stats.packets = 12
    provider.let_go()
    assert reported == [(12, removed_at)]


def test_the_switchs_own_flows_are_hidden_from_controllers(switch: Switch) -> None:
    ofproto, _ = switch
    rule = ofproto.flows.add_internal(Match(), MAX_PRIORITY + 1, out(1))
    assert ofproto.flows.n_flows == 0
    apply(ofproto.flows, MODIFY, actions=out(2), new_cookie=None)
    apply(ofproto.flows, DELETE)
    for _ in ofproto.flows.flush():
        pass
    assert ofproto.tables[0].classifier.lookup(0, ofproto.version)[0] is rule
    ofproto.flows.remove_internal(rule)
    ofproto.flows.remove_internal(rule)
    assert ofproto.tables[0].classifier.lookup(0, ofproto.version)[0] is None


small_matches = st.builds(
    lambda fields: Match.from_fields(fields),
    st.dictionaries(st.sampled_from(["eth_src", "eth_dst", "in_port"]), st.integers(1, 2), max_size=2),
)
mods = st.builds(
    FlowMod,
    st.sampled_from(list(FlowModCommand)),
    small_matches,
    st.integers(1, 3).map(out),
    priority=st.integers(1, 2),
    table_id=st.sampled_from([0, 1, ALL_TABLES]),
    cookie=st.integers(0, 3),
    cookie_mask=st.sampled_from([0, 0, 1]),
    new_cookie=st.one_of(st.none(), st.integers(0, 3)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(mods, max_size=15))
def test_any_sequence_does_what_a_plain_dictionary_does(switch: Switch, sequence: list[FlowMod]) -> None:
    ofproto, _ = switch
    apply(ofproto.flows, DELETE)
    model: dict[tuple[int, int, Match], tuple[int, tuple[Action, ...]]] = {}
    for mod in sequence:
        for _ in ofproto.flows.apply(mod) or ():
            pass
        strict = mod.command in (MODIFY_STRICT, DELETE_STRICT)
        chosen = [
            key
            for key, (cookie, _) in model.items()
            if mod.table_id in (key[0], ALL_TABLES)
            and not (cookie ^ mod.cookie) & mod.cookie_mask
            and (key[1:] == (mod.priority, mod.match) if strict else mod.match.covers(key[2]))
        ]
        if mod.command in (DELETE, DELETE_STRICT):
            for key in chosen:
                del model[key]
        elif mod.command is ADD or (not chosen and not mod.cookie_mask and mod.new_cookie is not None):
            table = 0 if mod.table_id == ALL_TABLES else mod.table_id
            model[table, mod.priority, mod.match] = mod.new_cookie or 0, mod.actions
        else:
            for key in chosen:
                model[key] = model[key][0] if mod.new_cookie is None else mod.new_cookie, mod.actions
        found = {key: (rule.cookie, rule.actions) for key, rule in flows_of(ofproto.flows).items()}
        assert found == model
    assert sum(len(table.classifier) for table in ofproto.tables) == len(model)
