import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.utils import rdpcap, wrpcap  # type: ignore[import-untyped]

from jackfield.netdev.pcapfile import PcapReader, PcapWriter, Record

REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read(path: Path) -> list[Record]:
    with PcapReader(str(path)) as reader:
        return list(reader)


def header(order: str = "<", magic: int = 0xA1B2C3D4, major: int = 2, link: int = 1) -> bytes:
    return struct.pack(order + "IHHiIII", magic, major, 4, 0, 0, 65535, link)


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(0, (1 << 32) * 10**9 - 1)), max_size=8))
@REUSED
def test_what_is_written_is_read(tmp_path: Path, packets: list[tuple[bytes, int]]) -> None:
    path = tmp_path / "f"
    with PcapWriter(str(path)) as writer:
        for data, when in packets:
            writer.write(data, when)
    assert read(path) == [Record(when, data, len(data)) for data, when in packets]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "scale"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_both_orders_and_both_resolutions(tmp_path: Path, order: str, magic: int, scale: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(header(order, magic) + struct.pack(order + "IIII", 7, 5, 3, 9) + b"abc")
    assert read(path) == [Record(7_000_000_000 + 5 * scale, b"abc", 9)]


def test_scapy_writes_what_we_read_and_reads_what_we_write(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    packets = [bytes(range(60)), b"\xff" * 1514]
    with PcapWriter(str(ours)) as writer:
        for packet in packets:
            writer.write(packet, 1_700_000_000_123_456_789)
    found = rdpcap(str(ours))
    assert [bytes(packet) for packet in found] == packets
    assert int(found[0].time) == 1_700_000_000
    wrpcap(str(theirs), found)
    assert [record.data for record in read(theirs)] == packets


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "offset 0: begins with nothing"),
        (b"root:x:0:0", "offset 0: begins with 726f6f74, which is not a pcap file"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "offset 0: begins with 0a0d0d0a"),
        (header()[:20], r"offset 0: 20 bytes of file header \(expected 24\)"),
        (header(major=3), "offset 0: version 3.4"),
        (header(link=113), "offset 0: link type 113"),
        (header() + bytes(7), "offset 24: 7 bytes of packet header"),
        (header() + struct.pack("<IIII", 0, 0, 10, 10) + b"abc", "offset 24: 3 bytes of a packet of 10"),
        (header() + struct.pack("<IIII", 0, 0, 1 << 31, 10), "offset 24: a packet of 2147483648 bytes"),
    ],
)
def test_malformed_files_are_refused_with_the_place(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "bad.pcap"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_the_offset_is_that_of_the_damaged_packet(tmp_path: Path) -> None:
    path = tmp_path / "f"
    good = struct.pack("<IIII", 0, 0, 4, 4) + b"good"
    path.write_bytes(header() + good + good + b"\x01")
    with PcapReader(str(path)) as reader:
        assert [reader.read(), reader.read()] == [Record(0, b"good", 4)] * 2
        with pytest.raises(ValueError, match="offset 64: 1 bytes"):
            reader.read()


@given(st.binary(max_size=300))
@REUSED
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(header() + content)
    try:
        records = read(path)
    except ValueError:
        return
    assert sum(16 + len(record.data) for record in records) == len(content)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PcapReader(str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        PcapWriter(str(tmp_path / "no" / "x"))
