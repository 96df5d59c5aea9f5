"""The checksums of packets: the Internet's (RFC 1071) and SCTP's CRC32c (RFC 9260 appendix A)."""

from __future__ import annotations

from functools import cache


def internet_checksum(data: bytes | bytearray | memoryview) -> int:
    """The 16-bit checksum to store over `data`, in which its own place holds zero; odd data counts a zero more.

    Over data that holds its checksum the result is 0.
    """
    total = int.from_bytes(data, "big") << 8 * (len(data) & 1)
    # 65,536 is 1 modulo 65,535, so the remainder is the ones' complement sum, except that it folds 0xffff to 0.
    folded = total % 0xFFFF
    return 0 if folded == 0 and total else ~folded & 0xFFFF


@cache
def _crc32c_table() -> tuple[int, ...]:
    def entry(byte: int) -> int:
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        return byte

    return tuple(entry(byte) for byte in range(256))


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """CRC32c of `data`; SCTP sends its bytes lowest first."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
