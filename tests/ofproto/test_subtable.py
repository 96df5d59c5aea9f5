from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.ofproto.rule import Rule
from jackfield.ofproto.subtable import L2_BITS, L3_BITS, L4_BITS, METADATA_BITS, Subtable, ports_of, prefix_length


def test_every_bit_of_the_key_belongs_to_one_stage() -> None:
    stages = (METADATA_BITS, L2_BITS, L3_BITS, L4_BITS)
    assert sum(stages) == METADATA_BITS | L2_BITS | L3_BITS | L4_BITS == (1 << 64 * f.KEY_WORDS) - 1


def test_packet_fields_stand_where_open_vswitch_searches_them() -> None:
    for field, stage in (
        (f.IN_PORT, METADATA_BITS),
        (f.REGS[3], METADATA_BITS),
        (f.TUN_ID, METADATA_BITS),
        (f.CT_STATE, METADATA_BITS),
        (f.VLAN_TCI, L2_BITS),
        (f.MPLS_LABEL, L2_BITS),
        (f.ARP_SHA, L3_BITS),
        (f.ND_TARGET, L3_BITS),
        (f.TCP_FLAGS, L3_BITS),
        (f.NSH_SPI, L3_BITS),
        (f.ICMP_CODE, L4_BITS),
    ):
        assert field.mask & stage == field.mask, field


@given(st.integers(0, 32), st.integers(0, 0xFFFFFFFF))
def test_prefix_length(length: int, any_mask: int) -> None:
    mask = (1 << 32) - (1 << 32 - length)
    assert prefix_length(mask, 32) == length
    shown = f"{any_mask:032b}"
    assert prefix_length(any_mask, 32) == (shown.count("1") if "01" not in shown else 0)


def test_both_ports_in_one_number() -> None:
    assert ports_of(Match.from_fields({"tp_src": 0x1234, "tp_dst": 0x5678}).value) == 0x12345678


def test_stages_are_kept_only_where_a_later_one_follows() -> None:
    def stages(**wanted: int) -> tuple[int, bool]:
        subtable = Subtable(Match.from_fields(dict(wanted)).mask)
        return len(subtable.early), subtable.middle is not None

    assert stages() == (0, False)
    assert stages(in_port=1) == (0, False)
    assert stages(eth_src=1) == (0, False)
    assert stages(in_port=1, eth_src=1) == (1, False)
    assert stages(eth_type=0x0800, ip_src=1) == (1, False)
    assert stages(in_port=1, eth_type=0x0800, nw_proto=6, tp_src=1) == (2, True)


def test_rules_of_one_value_stand_by_priority() -> None:
    match = Match.from_fields({"eth_src": 1})
    subtable = Subtable(match.mask)
    rules = [Rule(match, priority) for priority in (5, 9, 1)]
    assert [subtable.insert(rule) for rule in rules] == [True, True, False]
    assert [rule.priority for rule in subtable.at(match.value)] == [9, 5, 1]
    assert set(subtable.all()) == set(rules)
    assert subtable.remove(rules[1])
    assert subtable.max_priority == 5
    assert not subtable.remove(rules[2])
    assert subtable.remove(rules[0])
    assert (subtable.max_priority, subtable.rules, list(subtable.at(1))) == (-1, {}, [])
