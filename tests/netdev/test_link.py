"""The shared half of system and tap devices, on a kernel made of a table."""

import errno
from typing import ClassVar

import pytest

from jackfield.errors import refuse
from jackfield.netdev.link import LinkNetdev
from jackfield.netdev.provider import DeviceStats
from jackfield.netlink.link import IFF_RUNNING, IFF_UP, STATS64, Link

MAC = 0x020000000001


def link(ifindex: int = 5, name: str = "e0", **changed: int) -> Link:
    base = Link(ifindex, name, MAC, 1500, IFF_UP | IFF_RUNNING, 1, "veth", 6, 0, 0, 2, 0, 68, 9000)
    return base._replace(**changed)


class Table:
    """Answers as the kernel would; addresses cannot change while the interface is up."""

    def __init__(self) -> None:
        self.links = {5: link()}

    def find(self, name: str) -> Link | None:
        return next((each for each in self.links.values() if each.name == name), None)

    def change(self, ifindex: int, **values: int) -> None:
        if ifindex not in self.links:
            raise refuse(errno.ENODEV, "No such device")
        self.links[ifindex] = self.links[ifindex]._replace(**values)

    def set_up(self, ifindex: int, up: bool) -> None:
        self.change(ifindex, flags=IFF_UP | IFF_RUNNING if up else 0)

    def set_mtu(self, ifindex: int, mtu: int) -> None:
        if not 68 <= mtu <= 9000:
            raise refuse(errno.EINVAL, "Invalid argument (mtu greater than device maximum)")
        self.change(ifindex, mtu=mtu)

    def set_mac(self, ifindex: int, mac: int) -> None:
        if self.links[ifindex].up:
            raise refuse(errno.EBUSY, "Device or resource busy")
        if mac >> 40 & 1:
            raise refuse(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        self.change(ifindex, mac=mac)

    def stats(self, ifindex: int) -> dict[str, int]:
        if ifindex not in self.links:
            raise refuse(errno.ENODEV, "No such device")
        return {name: number for number, name in enumerate(STATS64)}


class Device(LinkNetdev):
    type: ClassVar[str] = "table"
    table: Table

    @property
    def _requests(self) -> Table:  # type: ignore[override]  # the table stands in for the socket
        return self.table

    def open(self) -> None:
        self._look()

    def close(self) -> None: ...


@pytest.fixture
def device() -> Device:
    device = Device("e0")
    device.table = Table()
    device.open()
    device.change_seq = 1
    return device


def test_getters(device: Device) -> None:
    assert (device.ifindex, device.get_mac(), device.get_mtu()) == (5, MAC, 1500)
    assert device.get_admin_up()
    assert device.get_carrier()
    stats = device.get_stats()
    assert (stats.rx_packets, stats.tx_window_errors) == (0, len(STATS64) - 1)


def test_news_is_read_from_the_kernel_and_told_once(device: Device) -> None:
    told: list[int] = []
    device.on_change = lambda changed: told.append(changed.change_seq)
    device.table.change(5, mtu=1400)
    device._look()
    device._look()
    assert (device.get_mtu(), told) == (1400, [2])


def test_what_a_port_does_not_show_is_not_told(device: Device) -> None:
    device.table.change(5, promiscuity=3, master=7, operstate=5)
    device._look()
    assert device.change_seq == 1


def test_carrier_changes_are_counted_as_the_kernel_does(device: Device) -> None:
    before = device.link_resets
    device.table.change(5, carrier_changes=9)
    device._look()
    assert (device.link_resets, device.change_seq) == (before + 7, 2)


def test_gone_and_back_with_another_index(device: Device) -> None:
    resets = device.link_resets
    del device.table.links[5]
    device._look()
    assert (device.present, device.ifindex, device.get_carrier(), device.get_mtu()) == (False, 0, False, None)
    assert device.get_stats() == DeviceStats()
    assert device.change_seq == 2
    device.table.links[9] = link(9)
    device._look()
    assert (device.present, device.ifindex, device.link_resets) == (True, 9, resets + 2)
    assert device.change_seq == 3


@pytest.mark.parametrize("setter", ["set_mtu", "set_mac", "set_admin_up"])
def test_setters_while_it_is_gone(device: Device, setter: str) -> None:
    device.table.links.clear()
    device._look()
    with pytest.raises(OSError, match="e0: the device is gone") as caught:
        getattr(device, setter)(1)
    assert caught.value.errno == errno.ENODEV


def test_setter_that_loses_the_race_with_the_device(device: Device) -> None:
    device.table.links.clear()
    with pytest.raises(OSError, match="e0: cannot bring the device down") as caught:
        device.set_admin_up(False)
    assert caught.value.errno == errno.ENODEV
    assert device.get_stats() == DeviceStats()


def test_mtu_out_of_range_says_the_range(device: Device) -> None:
    with pytest.raises(OSError, match=r"e0: cannot set the MTU to 9001 \(expected 68 to 9000\)") as caught:
        device.set_mtu(9001)
    assert caught.value.errno == errno.EINVAL


def test_address_of_an_interface_that_must_be_down_for_it(device: Device) -> None:
    device.set_mac(MAC + 1)
    assert device.get_mac() == MAC + 1
    assert device.get_admin_up()
    with pytest.raises(OSError, match="e0: cannot set the Ethernet address"):
        device.set_mac(1 << 40)
    assert device.get_admin_up(), "up again although the address was refused"
