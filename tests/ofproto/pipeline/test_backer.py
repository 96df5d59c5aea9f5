from collections.abc import Callable

import pytest

from jackfield.ofproto.pipeline.backer import backers
from tests.ofproto.pipeline.fake_dpif import Switch


def test_one_datapath_backs_all_bridges_of_a_type(make_switch: Callable[[str], Switch]) -> None:
    one, two = make_switch("br0"), make_switch("br1")
    assert one.backer is two.backer
    assert [backer.dpif.full_name for backer in backers()] == ["fake@ovs-fake"]
    one.add_port(1)
    with pytest.raises(OSError, match="port of another bridge"):
        two.add_port(1)
    assert one.provider.enumerate_names("fake") == ["br0", "br1"]


def test_ports_left_behind_are_taken_over(make_switch: Callable[[str], Switch]) -> None:
    switch = make_switch("br0")
    switch.dpif.numbers[77] = "p1"  # type: ignore[index]  # a plain number will do
    switch.add_port(1)
    assert switch.dp(1) == 77


def test_patches_join_when_they_name_each_other(make_switch: Callable[[str], Switch]) -> None:
    one, two = make_switch("br0"), make_switch("br1")
    a = one.add_port(1, "a", peer="b")
    c = two.add_port(2, "b", peer="c")
    assert a.provider_data.peer is None
    c.netdev.options["peer"] = "a"
    two.provider.port_modified(c)  # type: ignore[arg-type]  # a stand-in
    assert a.provider_data.peer is c.provider_data
    assert c.provider_data.peer is a.provider_data
    c.netdev.options["peer"] = "z"
    two.provider.port_modified(c)  # type: ignore[arg-type]  # a stand-in
    assert a.provider_data.peer is None
    assert c.provider_data.peer is None
