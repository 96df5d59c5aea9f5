"""Checksums against scapy's and against published values."""

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import sctp
from scapy.utils import checksum

from jackfield.flow.checksum import crc32c, internet_checksum


@given(st.binary(max_size=200))
def test_internet_checksum_is_scapys(data: bytes) -> None:
    assert internet_checksum(data) == checksum(data)


@given(st.binary(max_size=100).filter(any))
def test_data_with_its_checksum_sums_to_zero(data: bytes) -> None:
    data += bytes(len(data) & 1)
    assert internet_checksum(data + internet_checksum(data).to_bytes(2, "big")) == 0


def test_crc32c_of_published_vectors() -> None:
    """RFC 3720 appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@given(st.binary(max_size=100))
def test_crc32c_is_scapys(data: bytes) -> None:
    assert crc32c(data).to_bytes(4, "little") == sctp.crc32c(data).to_bytes(4, "big")
