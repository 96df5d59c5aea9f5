"""Files of packets in the classic pcap format (draft-ietf-opsawg-pcap): a small reader and writer.

Read: both byte orders, microseconds and nanoseconds, Ethernet link type. Written: little endian, nanoseconds.
A malformed file is a ``ValueError`` that names the file and the offset at which reading stopped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Final, NamedTuple

_MICROSECONDS: Final = 0xA1B2C3D4
_NANOSECONDS: Final = 0xA1B23C4D
# The first four bytes: byte order of all numbers, and nanoseconds in a unit of the fraction.
_MAGIC: Final = {
    struct.pack(order + "I", magic): (order, scale)
    for order in "<>"
    for magic, scale in ((_MICROSECONDS, 1000), (_NANOSECONDS, 1))
}
_ETHERNET: Final = 1
_SNAPLEN: Final = 262144
_FILE_HEADER: Final = "IHHiIII"
_FILE_HEADER_SIZE: Final = 24
_RECORD_HEADER_SIZE: Final = 16


class Record(NamedTuple):
    """One packet of a file.

    Attributes:
        time: nanoseconds since 1970.
        data: the bytes that were captured.
        length: how long the packet was; more than len(data) when it was cut.
    """

    time: int
    data: bytes
    length: int


class PcapReader:
    """Reads a file from its beginning to its end.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not a pcap file of Ethernet frames.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = open(path, "rb")  # noqa: SIM115  # closed by `close`
        try:
            self._read_header()
        except (OSError, ValueError):
            self._file.close()
            raise

    def _read_header(self) -> None:
        self._offset = 0
        header = self._file.read(_FILE_HEADER_SIZE)
        magic = header[:4]
        if magic not in _MAGIC:
            raise self._malformed(f"begins with {magic.hex() or 'nothing'}, which is not a pcap file")
        if len(header) < _FILE_HEADER_SIZE:
            raise self._malformed(f"{len(header)} bytes of file header (expected {_FILE_HEADER_SIZE})")
        order, self._scale = _MAGIC[magic]
        _, major, minor, _, _, _, link_type = struct.unpack(order + _FILE_HEADER, header)
        if major != 2:
            raise self._malformed(f"version {major}.{minor} (expected 2.4)")
        if link_type & 0xFFFF != _ETHERNET:
            raise self._malformed(f"link type {link_type & 0xFFFF} (expected {_ETHERNET}, Ethernet)")
        self._record = struct.Struct(order + "IIII")
        self._offset = _FILE_HEADER_SIZE

    def _malformed(self, what: str) -> ValueError:
        return ValueError(f"{self.path}: offset {self._offset}: {what}")

    def read(self) -> Record | None:
        """The next packet, or None at the end.

        Raises:
            OSError: the file cannot be read.
            ValueError: what comes next is not a packet.
        """
        header = self._file.read(_RECORD_HEADER_SIZE)
        if not header:
            return None
        if len(header) < _RECORD_HEADER_SIZE:
            raise self._malformed(f"{len(header)} bytes of packet header (expected {_RECORD_HEADER_SIZE})")
        seconds, fraction, captured, length = self._record.unpack(header)
        if captured > _SNAPLEN:
            raise self._malformed(f"a packet of {captured} bytes (expected at most {_SNAPLEN})")
        data = self._file.read(captured)
        if len(data) < captured:
            raise self._malformed(f"{len(data)} bytes of a packet of {captured}")
        self._offset += _RECORD_HEADER_SIZE + captured
        return Record(seconds * 1_000_000_000 + fraction * self._scale, data, length)

    def __iter__(self) -> Iterator[Record]:
        while (record := self.read()) is not None:
            yield record

    def close(self) -> None:
        """Close the file; may be repeated."""
        self._file.close()

    def __enter__(self) -> PcapReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PcapWriter:
    """Writes a new file; what is written is on its way to the disk after `flush` or `close`.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = open(path, "wb")  # noqa: SIM115  # closed by `close`
        self._file.write(struct.pack("<" + _FILE_HEADER, _NANOSECONDS, 2, 4, 0, 0, _SNAPLEN, _ETHERNET))

    def write(self, packet: bytes, time: int) -> None:
        """Append a packet, seen at `time` nanoseconds since 1970.

        Raises:
            OSError: the disk is full.
        """
        seconds, fraction = divmod(time, 1_000_000_000)
        data = packet[:_SNAPLEN]
        self._file.write(struct.pack("<IIII", seconds & 0xFFFFFFFF, fraction, len(data), len(packet)) + data)

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close; may be repeated."""
        self._file.close()

    def __enter__(self) -> PcapWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
