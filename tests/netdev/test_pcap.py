import errno
import logging
from pathlib import Path

import pytest

from jackfield.netdev.pcap import PcapNetdev
from jackfield.netdev.pcapfile import PcapReader, PcapWriter
from jackfield.netdev.provider import QueueKind
from tests.netdev.conformance import FRAME, NetdevConformance

PACKETS = [bytes([number]) * (60 + number) for number in range(10)]


def write(path: Path, packets: list[bytes]) -> str:
    with PcapWriter(str(path)) as writer:
        for packet in packets:
            writer.write(packet, 0)
    return str(path)


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write(tmp_path / "in.pcap", PACKETS)


class TestPlain(NetdevConformance):
    def bad_options(self) -> dict[str, str]:
        return {"tx_pcap": "/elsewhere"}

    @pytest.fixture(autouse=True)
    def _files(self, source: str, tmp_path: Path) -> None:
        self.options = {"rx_pcap": source, "tx_pcap": str(tmp_path / "out.pcap")}

    def make(self) -> PcapNetdev:
        return PcapNetdev("c0", self.options)


class TestLooping(NetdevConformance):
    def bad_options(self) -> dict[str, str]:
        return {"rx_pcap": "/elsewhere", "loop": "true"}

    @pytest.fixture(autouse=True)
    def _files(self, source: str) -> None:
        self.options = {"rx_pcap": source, "loop": "true"}

    def make(self) -> PcapNetdev:
        return PcapNetdev("c0", self.options)


def test_receives_the_file_in_batches_and_then_nothing(source: str) -> None:
    device = PcapNetdev("c0", {"rx_pcap": source})
    device.open()
    assert device.compiled_queues(1) is None
    assert [*device.receive_batch(4), *device.receive_batch(4), *device.receive_batch(4)] == PACKETS
    assert device.receive_batch(4) == []
    assert device.get_stats().rx_packets == 10
    assert device.get_stats().rx_bytes == sum(map(len, PACKETS))


def test_file_waits_while_the_device_is_down(source: str) -> None:
    device = PcapNetdev("c0", {"rx_pcap": source})
    device.open()
    ready: list[int] = []
    device.on_ready = lambda: ready.append(1)
    device.set_admin_up(False)
    assert device.receive_batch(4) == []
    device.set_admin_up(True)
    assert ready == [1]
    assert device.receive_batch(20) == PACKETS


def test_sent_packets_are_in_the_file_after_close(tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    device = PcapNetdev("c0", {"tx_pcap": str(path)})
    device.open()
    assert device.send_batch(PACKETS) == 10
    device.close()
    with PcapReader(str(path)) as reader:
        assert [record.data for record in reader] == PACKETS


def test_looping_is_compiled(source: str) -> None:
    device = PcapNetdev("c0", {"rx_pcap": source, "loop": "true"})
    device.open()
    queues = device.compiled_queues(3)
    assert queues is not None
    assert [queue.kind for queue in queues] == [QueueKind.REPLAY]
    assert queues[0].words[2] == 10
    device.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "c0: neither option rx_pcap nor tx_pcap"),
        ({"loop": "true", "tx_pcap": "x"}, "loop=true without rx_pcap"),
        ({"loop": "true", "tx_pcap": "x", "rx_pcap": "y"}, "exclude each other"),
        ({"loop": "maybe", "rx_pcap": "y"}, r"option loop=maybe \(expected true or false\)"),
    ],
)
def test_bad_options(options: dict[str, str], text: str) -> None:
    with pytest.raises(OSError, match=text) as caught:
        PcapNetdev("c0", options).open()
    assert caught.value.errno == errno.EINVAL


def test_missing_file_keeps_its_errno(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PcapNetdev("c0", {"rx_pcap": str(tmp_path / "none")}).open()


def test_wrong_and_empty_files_name_device_and_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"not pcap")
    with pytest.raises(OSError, match=f"c0: {bad}: offset 0: ") as caught:
        PcapNetdev("c0", {"rx_pcap": str(bad)}).open()
    assert caught.value.errno == errno.EINVAL
    empty = write(tmp_path / "empty", [])
    with pytest.raises(OSError, match=f"c0: {empty}: nothing to replay"):
        PcapNetdev("c0", {"rx_pcap": empty, "loop": "true"}).open()


def test_damage_in_the_middle_ends_the_file_and_is_told(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(Path(source).read_bytes()[:-1])
    device = PcapNetdev("c0", {"rx_pcap": str(damaged)})
    device.open()
    with caplog.at_level(logging.ERROR):
        assert device.receive_batch(64) == PACKETS[:-1]
        assert device.receive_batch(64) == []
    assert len(caplog.records) == 1
    assert f"c0: {damaged}: offset " in caplog.text
    assert device.get_stats().rx_errors == 1


def test_full_disk_is_counted() -> None:
    device = PcapNetdev("c0", {"tx_pcap": "/dev/full"})
    device.open()
    assert device.send_batch([FRAME * 20] * 1000) < 1000
    assert (device.get_stats().tx_errors or 0) > 0
    device.close()
