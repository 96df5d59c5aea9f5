import errno
from pathlib import Path

import pytest

from jackfield.netdev.dummy import DummyNetdev
from jackfield.netdev.pcapfile import PcapReader
from tests.netdev.conformance import FRAME, NetdevConformance


class TestConformance(NetdevConformance):
    def bad_options(self) -> dict[str, str]:
        return {"hwaddr": "02:00"}

    def make(self) -> DummyNetdev:
        return DummyNetdev("d0")


def frames(path: Path) -> list[bytes]:
    with PcapReader(str(path)) as reader:
        return [record.data for record in reader]


def test_what_is_put_in_comes_out() -> None:
    device = DummyNetdev("d0")
    device.open()
    assert device.receive(FRAME)
    assert device.receive_batch(8) == [FRAME]
    assert device.send_batch([b"a" * 60, b"b" * 60]) == 2
    assert list(device.transmitted) == [b"a" * 60, b"b" * 60]


def test_addresses_differ() -> None:
    one, two = DummyNetdev("d0"), DummyNetdev("d1")
    assert one.get_mac() != two.get_mac()
    assert one.get_mac() >> 16 == 0xAA55AA55


def test_captures_are_readable_while_the_device_is_open(tmp_path: Path) -> None:
    options = {each: str(tmp_path / each) for each in ("pcap", "rxq_pcap", "tx_pcap")}
    device = DummyNetdev("d0", options)
    device.open()
    device.receive(b"in" * 30)
    device.send_batch([b"out" * 20])
    assert frames(tmp_path / "rxq_pcap") == [b"in" * 30]
    assert frames(tmp_path / "tx_pcap") == [b"out" * 20]
    assert frames(tmp_path / "pcap") == [b"in" * 30, b"out" * 20]
    device.close()


def test_dropped_packets_are_not_captured(tmp_path: Path) -> None:
    device = DummyNetdev("d0", {"rxq_pcap": str(tmp_path / "rx")})
    device.open()
    device.set_admin_up(False)
    assert not device.receive(FRAME)
    device.close()
    assert frames(tmp_path / "rx") == []


def test_options_change_while_open(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    device = DummyNetdev("d0", {"pcap": str(first)})
    device.open()
    device.receive(b"1" * 60)
    device.set_options({"pcap": str(first), "hwaddr": "02:00:00:00:00:09"})
    device.receive(b"2" * 60)
    device.set_options({"pcap": str(second)})
    device.receive(b"3" * 60)
    device.set_options({})
    device.receive(b"4" * 60)
    device.close()
    assert frames(first) == [b"1" * 60, b"2" * 60]
    assert frames(second) == [b"3" * 60]
    assert device.get_mac() == 0x020000000009


def test_a_file_that_cannot_be_made_changes_nothing(tmp_path: Path) -> None:
    device = DummyNetdev("d0", {"pcap": str(tmp_path / "good")})
    device.open()
    with pytest.raises(FileNotFoundError):
        device.set_options({"rxq_pcap": str(tmp_path / "rx"), "tx_pcap": str(tmp_path / "no" / "x")})
    device.receive(FRAME)
    device.close()
    assert frames(tmp_path / "good") == [FRAME]


def test_bad_address_at_open() -> None:
    with pytest.raises(OSError, match="d0: option hwaddr=zz") as caught:
        DummyNetdev("d0", {"hwaddr": "zz"}).open()
    assert caught.value.errno == errno.EINVAL
