from collections.abc import Callable

import pytest

from jackfield.flow import fields as f
from jackfield.ofproto.pipeline.commit import vlan_tags
from jackfield.ofproto.pipeline.xlate_normal import pop_vlan, push_vlan
from tests.ofproto.pipeline.fake_dpif import Switch

MACS = "dl_src=02:00:00:00:00:0a,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x1234"


@pytest.fixture
def vlans(make_switch: Callable[[str], Switch]) -> Switch:
    switch = make_switch("br0")
    switch.add_port(1, tag=5)
    switch.add_port(2, trunks=frozenset({0, 5, 6}))
    switch.add_port(3)
    switch.add_port(4, tag=6)
    switch.add_port(5, tag=5, vlan_mode="native-untagged", trunks=frozenset({6}))
    switch.add_flow("", "NORMAL")
    return switch


def tci(switch: Switch, number: int, tag: int) -> list[tuple[int, int]]:
    """What comes out for a broadcast: port and TCI."""
    key = switch.key(number, MACS + (f",vlan_tci={tag:#x}" if tag else ""))
    switch.dpif.receive(bytes(60), f.VLAN_TPID.put(key, 0x8100) if tag else key)
    numbers = {switch.dp(each): each for each in switch.ports}
    sent = switch.dpif.take_sent()
    assert all(bool(f.VLAN_TPID.get(key)) == bool(f.VLAN_TCI.get(key)) for _, key in sent)
    return sorted((numbers[port], f.VLAN_TCI.get(key)) for port, key in sent)


def test_flood_in_a_vlan(vlans: Switch) -> None:
    assert tci(vlans, 1, 0) == [(2, 0x1005), (3, 0x1005), (5, 0)]
    assert tci(vlans, 2, 0x3005) == [(1, 0), (3, 0x3005), (5, 0)]
    assert tci(vlans, 3, 0x1006) == [(2, 0x1006), (4, 0), (5, 0x1006)]
    assert tci(vlans, 5, 0) == [(1, 0), (2, 0x1005), (3, 0x1005)]
    assert tci(vlans, 3, 0) == [(2, 0)]
    assert tci(vlans, 3, 0x1007) == []
    assert tci(vlans, 4, 0x1006) == []
    assert tci(vlans, 2, 0x1007) == []
    # A priority tag: VLAN 0, whose priority goes on in the tag of the access port's VLAN.
    assert tci(vlans, 1, 0x7000) == [(2, 0x7005), (3, 0x7005), (5, 0)]


def test_learned_by_vlan(vlans: Switch) -> None:
    vlans.receive(1, "dl_src=02:00:00:00:00:0a,dl_type=0x1234")
    vlans.dpif.take_sent()
    back = "dl_dst=02:00:00:00:00:0a,dl_src=02:00:00:00:00:0b,dl_type=0x1234"
    assert vlans.send(5, back) == [1]
    assert vlans.send(3, back) == [2]
    assert vlans.send(1, back) == []


def test_flood_vlans_learn_nothing(vlans: Switch) -> None:
    vlans.settings = type(vlans.settings)(flood_vlans=frozenset({5}))
    vlans.provider.settings_changed()
    assert tci(vlans, 1, 0) == [(2, 0x1005), (3, 0x1005), (5, 0)]
    assert len(vlans.provider.bridge.macs) == 0
    assert tci(vlans, 3, 0x1006) != []
    assert len(vlans.provider.bridge.macs) == 1


def test_flood_through_a_patch_keeps_tags_apart(make_switch: Callable[[str], Switch]) -> None:
    one, two = make_switch("br0"), make_switch("br1")
    one.add_port(1, tag=5)
    one.add_port(9, "to-br1", peer="to-br0")
    one.add_port(2)
    one.add_port(3, tag=5)
    two.add_port(4, "q4", tag=5)
    two.add_port(5, "q5")
    two.add_port(9, "to-br0", peer="to-br1")
    one.add_flow("", "NORMAL")
    two.add_flow("", "NORMAL")
    one.receive(1, MACS)
    sent = {port: f.VLAN_TCI.get(key) for port, key in one.dpif.take_sent()}
    assert sent == {one.dp(2): 0x1005, one.dp(3): 0, two.dp(4): 0, two.dp(5): 0x1005}


def test_push_and_pop() -> None:
    key = push_vlan(push_vlan(0, 0x8100, 0x1001), 0x88A8, 0x1002)
    assert vlan_tags(key) == [(0x88A8, 0x1002), (0x8100, 0x1001)]
    assert vlan_tags(pop_vlan(key)) == [(0x8100, 0x1001)]
    assert pop_vlan(pop_vlan(key)) == 0
