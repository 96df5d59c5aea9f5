import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow.checksum import crc32c, internet_checksum
from jackfield.netdev import compiled as c
from tests.netdev import jit_rig


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_a_sum_is_the_inverse_of_the_internet_checksum(data: bytes, start: int) -> None:
    buffers = np.frombuffer(bytes(start) + data + b"\xff", np.uint8)
    total = jit_rig.sum_bytes(buffers, start, len(data))
    assert total % 0xFFFF == (~internet_checksum(data) & 0xFFFF) % 0xFFFF


@settings(deadline=None)
@given(st.binary(min_size=12, max_size=300))
def test_crc32c_leaves_out_its_field(data: bytes) -> None:
    buffers = np.frombuffer(data, np.uint8)
    zeroed = data[:8] + bytes(4) + data[12:]
    assert jit_rig.crc32c(buffers, 0, len(data), 8) == crc32c(zeroed)


@settings(deadline=None)
@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 100))
def test_a_header_that_points_outside_asks_for_nothing(csum_start: int, offset: int, length: int) -> None:
    rig = jit_rig.Rig()
    vnet = 1 | csum_start << 48
    row = rig.put(bytes(length), vnet - (1 << 64) if vnet >> 63 else vnet, offset)
    jit_rig.complete(rig.arena, rig.buffers, rig.meta(row))
    assert rig.vnet(row) == (0, 0)
    if csum_start + offset + 2 > length:
        assert rig.packet(row) == bytes(length)


def test_a_long_sum_does_not_overflow() -> None:
    buffers = np.full(c.BIG_ROOM, 0xFF, np.uint8)
    assert jit_rig.sum_bytes(buffers, 0, len(buffers)) == 0xFFFF
