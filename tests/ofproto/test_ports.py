import pytest

from jackfield.flow.ports import OFPP_ANY, OFPP_LOCAL, OFPP_MAX, OfPort
from jackfield.ofproto.ports import REUSE_AFTER, Port, PortTable
from jackfield.openflow.messages import PortConfig, PortFeature, PortState
from tests.ofproto.fakes import FakeNetdev


def add(table: PortTable, name: str, requested: int | None = None, now: int = 0) -> Port:
    number = table.choose_number(name, None if requested is None else OfPort(requested), now)
    port = Port(number, FakeNetdev(name), now)
    table.add(port)
    return port


def test_numbers_go_up_and_requests_are_granted() -> None:
    table = PortTable()
    assert [add(table, name).ofp_port for name in "abc"] == [1, 2, 3]
    assert add(table, "d", 77).ofp_port == 77
    assert add(table, "br0", OFPP_LOCAL).ofp_port == OFPP_LOCAL
    assert table.by_name("d") is table.get(OfPort(77))
    assert [port.name for port in table.select(OFPP_ANY)] == ["a", "b", "c", "d", "br0"]
    assert table.select(OfPort(9)) == []


@pytest.mark.parametrize(("requested", "errno"), [(1, 16), (0, 22), (0xFF00, 22), (OFPP_MAX, 22)])
def test_numbers_that_cannot_be_are_refused(requested: int, errno: int) -> None:
    table = PortTable()
    add(table, "a", 1)
    with pytest.raises(OSError) as caught:
        add(table, "b", requested)
    assert caught.value.errno == errno


def test_a_name_is_there_once() -> None:
    table = PortTable()
    add(table, "a")
    with pytest.raises(FileExistsError):
        add(table, "a")


def test_a_port_that_comes_back_has_its_old_number_and_others_do_not_get_it() -> None:
    table = PortTable()
    first = add(table, "a")
    add(table, "b")
    table.remove(first, 0)
    assert add(table, "c").ofp_port == 3
    assert add(table, "a").ofp_port == first.ofp_port


def test_numbers_are_used_again_when_they_run_out_or_much_later() -> None:
    table = PortTable()
    for number in range(1, 0xFF00):
        add(table, f"p{number}")
    for number in (5, 6):
        port = table.get(OfPort(number))
        assert port is not None
        table.remove(port, 0)
    assert add(table, "late", now=REUSE_AFTER + 1).ofp_port in (5, 6)
    assert add(table, "early").ofp_port in (5, 6)
    with pytest.raises(OSError, match="all OpenFlow port numbers are taken"):
        add(table, "none")


def test_state_follows_the_device() -> None:
    netdev = FakeNetdev("a", mac=0x20)
    port = Port(OfPort(1), netdev, 0)
    assert (port.config, port.state, port.hw_addr) == (0, PortState.LIVE, 0x20)
    assert not port.update_from_device()
    netdev.carrier = False
    assert port.update_from_device()
    assert port.state == PortState.LINK_DOWN
    netdev.carrier, netdev.up = True, False
    assert port.update_from_device()
    assert (port.config, port.state) == (PortConfig.PORT_DOWN, 0)
    port.config |= PortConfig.NO_FLOOD
    netdev.up = True
    assert port.update_from_device()
    assert (port.config, port.state) == (PortConfig.NO_FLOOD, PortState.LIVE)


def test_a_description_says_what_the_device_says() -> None:
    description = Port(OfPort(4), FakeNetdev("a", mac=9), 0).description()
    assert (description.port_no, description.name, description.hw_addr) == (4, "a", 9)
    assert (description.current, description.current_speed) == (PortFeature.FD_10GB, 10_000_000)
