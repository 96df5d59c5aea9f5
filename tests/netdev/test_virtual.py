import errno
from typing import ClassVar

import pytest

from jackfield.netdev.virtual import VirtualNetdev, local_mac, option_is, required_option
from tests.netdev.conformance import FRAME, NetdevConformance


class Recorder(VirtualNetdev):
    type: ClassVar[str] = "recorder"
    queue_limit: ClassVar[int] = 3

    def transmit(self, packet: bytes) -> None:
        if packet.startswith(b"\xee"):
            raise OSError(errno.EIO, "broken")
        self.sent = [*getattr(self, "sent", []), packet]


class TestConformance(NetdevConformance):
    def make(self) -> VirtualNetdev:
        return Recorder("r0")


@pytest.fixture
def device() -> Recorder:
    device = Recorder("r0")
    device.open()
    return device


def test_delivered_packets_come_in_order_and_are_counted(device: Recorder) -> None:
    ready: list[int] = []
    device.on_ready = lambda: ready.append(1)
    assert device.deliver(b"a" * 60)
    assert device.deliver(b"b" * 70)
    assert ready == [1], "the datapath is told once for what it has not fetched yet"
    assert device.receive_batch(1) == [b"a" * 60]
    assert device.receive_batch(5) == [b"b" * 70]
    stats = device.get_stats()
    assert (stats.rx_packets, stats.rx_bytes, stats.rx_dropped) == (2, 130, 0)
    assert device.deliver(b"c" * 60)
    assert ready == [1, 1]


def test_queue_is_bounded(device: Recorder) -> None:
    assert [device.deliver(FRAME) for _ in range(5)] == [True, True, True, False, False]
    assert device.get_stats().rx_dropped == 2
    assert len(device.receive_batch(100)) == 3


def test_down_device_drops(device: Recorder) -> None:
    device.deliver(FRAME)
    device.set_admin_up(False)
    assert not device.deliver(FRAME)
    assert device.send_batch([FRAME]) == 0
    assert device.receive_batch(10) == []
    stats = device.get_stats()
    assert (stats.rx_dropped, stats.tx_dropped, stats.rx_packets) == (2, 1, 0)


def test_sending_counts_drops_and_errors_apart(device: Recorder) -> None:
    assert device.send_batch([FRAME, b"\xee" * 60, bytes(1522), bytes(1523)]) == 2
    stats = device.get_stats()
    assert (stats.tx_packets, stats.tx_bytes, stats.tx_errors, stats.tx_dropped) == (2, 60 + 1522, 1, 1)
    assert device.sent == [FRAME, bytes(1522)]


def test_no_carrier_no_sending(device: Recorder) -> None:
    device.set_carrier(False)
    assert device.send_batch([FRAME]) == 0
    assert device.link_resets == 1
    device.set_carrier(False)
    assert device.link_resets == 1
    device.set_carrier(True)
    assert device.link_resets == 2
    assert device.send_batch([FRAME]) == 1


@pytest.mark.parametrize("mac", [0, 1 << 48, 0x0100_0000_0000, -1])
def test_bad_addresses(device: Recorder, mac: int) -> None:
    with pytest.raises(OSError, match="r0") as caught:
        device.set_mac(mac)
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_local_macs_differ_and_are_local_unicast() -> None:
    macs = {local_mac() for _ in range(50)}
    assert len(macs) == 50
    assert all(mac >> 40 & 3 == 2 for mac in macs)


def test_option_helpers() -> None:
    assert option_is({"x": "TRUE"}, "x", "d") is True
    assert option_is({}, "x", "d") is False
    with pytest.raises(OSError, match=r"d: option x=yes \(expected true or false\)"):
        option_is({"x": "yes"}, "x", "d")
    assert required_option({"x": "1"}, "x", "d", "a number") == "1"
    with pytest.raises(OSError, match=r"d: option x is missing \(expected a number\)"):
        required_option({"x": ""}, "x", "d", "a number")
