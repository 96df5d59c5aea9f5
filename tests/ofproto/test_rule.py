from jackfield.flow.match import Match
from jackfield.ofproto.rule import FOREVER, MAX_PRIORITY, Rule


def test_a_rule_is_visible_from_its_first_version_to_before_its_last() -> None:
    rule = Rule(Match(), 1, add_version=3)
    assert [rule.visible(version) for version in (2, 3, 1000, FOREVER - 1)] == [False, True, True, True]
    rule.remove_version = 5
    assert [rule.visible(version) for version in (4, 5)] == [True, False]


def test_controllers_do_not_see_rules_above_their_priorities() -> None:
    assert not Rule(Match(), MAX_PRIORITY).hidden
    assert Rule(Match(), MAX_PRIORITY + 1).hidden


def test_times_begin_with_the_rule() -> None:
    rule = Rule(Match(), 1, created=77)
    assert (rule.created, rule.modified, rule.stats.used, rule.stats.packets, rule.stats.bytes) == (77, 77, 77, 0, 0)
    assert Rule(Match(), 1, created=77, modified=80).modified == 80


def test_loose_matching_is_by_specificity() -> None:
    narrow = Match.from_fields({"eth_src": 1, "eth_dst": 2})
    wide = Match.from_fields({"eth_src": 1})
    assert Rule(narrow, 1).matches_loosely(wide.value, wide.mask)
    assert not Rule(wide, 1).matches_loosely(narrow.value, narrow.mask)
    assert repr(Rule(wide, 1, table_id=4)).startswith("<Rule table=4 priority=1 ")
