import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.ofproto.classifier import Classifier
from jackfield.ofproto.rule import FOREVER, Conjunction, Rule

NOW = 1

# Few values of many fields, so that rules meet, overlap and miss one another at every stage.
VALUES: dict[f.Field, tuple[int, ...]] = {
    f.IN_PORT: (1, 2),
    f.REGS[0]: (0, 7),
    f.ETH_SRC: (0x10, 0x11),
    f.ETH_TYPE: (0x0800, 0x86DD, 0x0806),
    f.VLAN_TCI: (0, 0x1005),
    f.NW_PROTO: (6, 17),
    f.IP_SRC: (0x0A000001, 0x0A000102, 0x0B000001, 0xC0A80101),
    f.IP_DST: (0x0A000001, 0x0A0000FE),
    f.IPV6_SRC: (1 << 127 | 5, 1 << 120),
    f.TP_SRC: (80, 81, 443),
    f.TP_DST: (80, 0x8050),
}
MASKS: dict[f.Field, tuple[int, ...]] = {
    f.IP_SRC: (0xFFFFFFFF, 0xFFFFFF00, 0xFF000000, 0xFF0000FF),
    f.IPV6_SRC: ((1 << 128) - 1, (1 << 128) - (1 << 64)),
    f.TP_SRC: (0xFFFF, 0xFFF0),
    f.VLAN_TCI: (0xFFFF, 0x1000),
}


@st.composite
def keys(draw: st.DrawFn) -> int:
    key = 0
    for field, values in VALUES.items():
        key = field.put(key, draw(st.sampled_from(values)))
    return key


@st.composite
def matches(draw: st.DrawFn) -> Match:
    match = Match()
    for field in draw(st.lists(st.sampled_from(list(VALUES)), max_size=4, unique=True)):
        mask = draw(st.sampled_from(MASKS.get(field, (field.max_value,))))
        match = match.with_field(field, draw(st.sampled_from(VALUES[field])) & mask, mask)
    return match


rules = st.builds(Rule, matches(), st.integers(0, 5), add_version=st.integers(0, 2))


def build(table: list[Rule]) -> tuple[Classifier, list[Rule]]:
    """A classifier of those rules that have a match and priority of their own."""
    classifier, kept = Classifier(), {}
    for rule in table:
        if (rule.match, rule.priority) not in kept:
            kept[rule.match, rule.priority] = rule
            classifier.insert(rule)
    return classifier, list(kept.values())


def best_priority(table: list[Rule], key: int, version: int) -> int:
    return max((r.priority for r in table if r.visible(version) and r.match.matches(key)), default=-1)


@settings(max_examples=300)
@given(st.lists(rules, max_size=20), st.lists(keys(), min_size=1, max_size=4), st.integers(0, 2))
def test_finds_what_a_linear_search_finds(table: list[Rule], packets: list[int], version: int) -> None:
    classifier, kept = build(table)
    assert len(classifier) == len(kept) == len(list(classifier))
    for key in packets:
        found, _ = classifier.lookup(key, version)
        assert (-1 if found is None else found.priority) == best_priority(kept, key, version)
        assert found is None or (found.match.matches(key) and found.visible(version))


@settings(max_examples=300)
@given(st.lists(rules, max_size=20), keys(), st.data())
def test_what_was_not_looked_at_makes_no_difference(table: list[Rule], key: int, data: st.DataObject) -> None:
    classifier, _ = build(table)
    found, looked = classifier.lookup(key, NOW)
    for _ in range(8):
        other = key & looked | data.draw(keys()) & ~looked
        again, _ = classifier.lookup(other, NOW)
        assert again is found or (again is not None and found is not None and again.priority == found.priority)


@given(st.lists(rules, max_size=20), st.data())
def test_removed_rules_leave_no_trace(table: list[Rule], data: st.DataObject) -> None:
    classifier, kept = build(table)
    going = data.draw(st.lists(st.sampled_from(kept), unique=True)) if kept else []
    for rule in going:
        classifier.remove(rule)
    left = [rule for rule in kept if rule not in going]
    fresh, _ = build(left)
    key = data.draw(keys())
    found, looked = classifier.lookup(key, NOW)
    assert (-1 if found is None else found.priority) == best_priority(left, key, NOW)
    assert classifier.n_subtables == fresh.n_subtables
    # Subtables of equal priority may be searched in another order; without such ties the masks are the same.
    if len({rule.priority for rule in left}) == len(left):
        assert looked == fresh.lookup(key, NOW)[1]
    for rule in left:
        classifier.remove(rule)
    assert classifier.lookup(key, NOW) == (None, 0)


@given(st.lists(rules, max_size=20), matches(), st.integers(0, 5))
def test_strict_loose_and_overlapping_selections(table: list[Rule], match: Match, priority: int) -> None:
    classifier, kept = build(table)
    visible = [rule for rule in kept if rule.visible(NOW)]
    exact = [rule for rule in visible if rule.match == match and rule.priority == priority]
    assert classifier.find(match, priority, NOW) is (exact[0] if exact else None)
    covered = {rule for rule in classifier.covered_by(match, NOW) if rule is not None}
    assert covered == {rule for rule in visible if match.covers(rule.match)}
    assert all(rule.matches_loosely(match.value, match.mask) for rule in covered)
    overlapping = set(classifier.overlapping(match, priority, NOW)) - {None}
    assert overlapping == {rule for rule in visible if rule.priority == priority and match.overlaps(rule.match)}


def match(**wanted: Any) -> Match:
    return Match.from_fields(wanted)


def key(**wanted: int) -> int:
    return Match.from_fields(dict(wanted)).value


def lookup(rules: list[Rule], packet: int) -> tuple[Rule | None, int]:
    classifier, _ = build(rules)
    return classifier.lookup(packet, NOW)


TCP = {"eth_type": 0x0800, "nw_proto": 6}


def test_a_search_that_fails_by_metadata_looks_no_further() -> None:
    rule = Rule(match(in_port=5, eth_src=3, **TCP, tp_dst=80), 1)
    _, looked = lookup([rule], key(in_port=6, eth_src=3, **TCP, tp_dst=80))
    assert looked == f.IN_PORT.mask


def test_a_search_that_fails_by_address_leaves_the_ports_open() -> None:
    rule = Rule(match(**TCP, ip_dst=0x0A000001, tp_dst=80), 1)
    _, looked = lookup([rule], key(**TCP, ip_dst=0x0B000001, tp_dst=80))
    # The first address bit that differs, 0a to 0b, is the eighth.
    assert f.IP_DST.get(looked) == 0xFF000000
    assert not looked & (f.TP_DST.mask | f.NW_PROTO.mask)


def test_a_search_that_fails_by_ports_needs_few_port_bits() -> None:
    rule = Rule(match(**TCP, tp_dst=80), 1)
    _, looked = lookup([rule], key(**TCP, tp_dst=0x8000))
    assert f.TP_DST.get(looked) == 0x8000


def test_host_routes_do_not_split_other_traffic_by_host() -> None:
    hosts = [Rule(match(eth_type=0x0800, ip_dst=0x0A000000 + i), 10) for i in range(1, 100)]
    _, looked = lookup([*hosts, Rule(match(), 1)], key(eth_type=0x0800, ip_dst=0xC0A80001))
    assert f.IP_DST.get(looked) == 0x80000000


def test_address_prefixes_say_nothing_about_other_ethernet_types() -> None:
    rule = Rule(match(eth_type=0x0806, ip_src=0x0A000001), 1)
    found, looked = lookup([rule], key(eth_type=0x0806, ip_src=0x0A000001))
    assert found is rule
    assert f.IP_SRC.get(looked) == 0xFFFFFFFF


def test_subtables_below_the_best_priority_are_not_searched() -> None:
    rules = [Rule(match(eth_src=1), 10), Rule(match(eth_dst=2), 5)]
    found, looked = lookup(rules, key(eth_src=1, eth_dst=2))
    assert found is rules[0]
    assert looked == f.ETH_SRC.mask


def test_versions_change_at_one_instant() -> None:
    classifier = Classifier()
    old, new = Rule(match(eth_src=1), 10), Rule(match(eth_src=1), 10, add_version=5)
    classifier.insert(old)
    classifier.insert(new)
    old.remove_version = 5
    packet = key(eth_src=1)
    assert classifier.lookup(packet, 4)[0] is old
    assert classifier.lookup(packet, 5)[0] is new
    assert classifier.find(match(eth_src=1), 10, 4) is old
    assert new.remove_version == FOREVER
    classifier.remove(old)
    assert classifier.lookup(packet, 5)[0] is new
    assert classifier.lookup(packet, 4)[0] is None


def conjunction_rules(n_sources: int = 3) -> list[Rule]:
    """Sources 10.0.0.1.. x tcp_dst 80, 443: conjunction 7 of two clauses."""
    first = [
        Rule(match(eth_type=0x0800, ip_src=0x0A000000 + i), 100, conjunctions=(Conjunction(7, 0, 2),))
        for i in range(1, n_sources + 1)
    ]
    second = [Rule(match(**TCP, tp_dst=port), 100, conjunctions=(Conjunction(7, 1, 2),)) for port in (80, 443)]
    return [*first, *second, Rule(match(conj_id=7), 100)]


def test_a_conjunction_needs_all_its_clauses() -> None:
    rules = [*conjunction_rules(), Rule(match(), 1)]
    classifier, _ = build(rules)
    both, _ = classifier.lookup(key(**TCP, ip_src=0x0A000002, tp_dst=443), NOW)
    assert both is rules[5]
    only_source, _ = classifier.lookup(key(**TCP, ip_src=0x0A000002, tp_dst=22), NOW)
    assert only_source is rules[-1]
    only_port, _ = classifier.lookup(key(**TCP, ip_src=0x0A000009, tp_dst=80), NOW)
    assert only_port is rules[-1]


def test_plain_rules_above_a_conjunction_win_and_those_below_lose() -> None:
    packet = key(**TCP, ip_src=0x0A000001, tp_dst=80)
    above, below = Rule(match(eth_type=0x0800), 101), Rule(match(eth_type=0x0800), 99)
    assert lookup([*conjunction_rules(), below], packet)[0].match == match(conj_id=7)  # type: ignore[union-attr]  # found
    assert lookup([*conjunction_rules(), above], packet)[0] is above


def test_a_rule_hidden_by_a_failed_partial_match_is_found() -> None:
    lower = Rule(match(eth_type=0x0800, ip_src=0x0A000001), 50)
    assert lookup([*conjunction_rules(), lower], key(**TCP, ip_src=0x0A000001, tp_dst=22))[0] is lower


@given(st.lists(st.tuples(matches(), st.integers(0, 1)), max_size=10, unique_by=lambda each: each[0]), keys())
def test_conjunctions_find_what_their_definition_says(parts: list[tuple[Match, int]], packet: int) -> None:
    table = [Rule(part, 3, conjunctions=(Conjunction(7, clause, 2),)) for part, clause in parts]
    goal, rest = Rule(match(conj_id=7), 3), Rule(Match(), 0)
    met = {clause for part, clause in parts if part.matches(packet)}
    found, _ = lookup([*table, goal, rest], packet)
    if Match() in [part for part, _ in parts]:
        return  # a partial match without fields, hiding nothing: covered above
    assert found is (goal if met == {0, 1} else rest)


def test_ten_thousand_rules_come_and_go() -> None:
    chooser = random.Random(2)
    classifier = Classifier()
    table = [Rule(match(eth_type=0x0800, ip_src=i), i % 7) for i in range(10_000)]
    for rule in table:
        classifier.insert(rule)
    for i in chooser.sample(range(10_000), 100):
        assert classifier.lookup(key(eth_type=0x0800, ip_src=i), NOW)[0] is table[i]
    for rule in table:
        classifier.remove(rule)
    assert (len(classifier), classifier.n_subtables) == (0, 0)
