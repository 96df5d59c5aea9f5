from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow.parse import parse_packet
from jackfield.netdev import compiled as c
from tests.netdev import jit_rig
from tests.netdev.jit_rig import IO, Rig


def words(csum_start: int, hdr_len: int) -> int:
    first = 1 | 1 << 8 | hdr_len << 16 | 1448 << 32 | csum_start << 48
    return first - (1 << 64) if first >> 63 else first


@settings(deadline=None)
@given(st.binary(min_size=14, max_size=200), st.integers(0, 0xFFFF), st.integers(34, 200), st.integers(0, 200))
def test_a_tag_goes_in_and_comes_out_with_all_that_points_behind_it(
    packet: bytes, tci: int, csum_start: int, hdr_len: int
) -> None:
    rig = Rig()
    row = rig.put(packet, words(csum_start, hdr_len), 16)
    meta = rig.meta(row)
    before = rig.arena[meta : meta + c.META_WORDS].copy()
    assert jit_rig.insert_tag(rig.arena, rig.buffers, meta, 0x8100, tci)
    assert rig.packet(row) == packet[:12] + b"\x81\x00" + tci.to_bytes(2, "big") + packet[12:]
    assert rig.vnet(row) == (words(csum_start + 4, hdr_len + 4 if hdr_len else 0), 16)
    assert jit_rig.remove_tag(rig.arena, rig.buffers, meta)
    assert rig.packet(row) == packet
    assert (rig.arena[meta : meta + c.META_WORDS] == before).all()


def test_tags_end_where_the_headroom_does() -> None:
    rig = Rig()
    row = rig.put(bytes(60))
    count = 0
    while jit_rig.insert_tag(rig.arena, rig.buffers, rig.meta(row), 0x8100, count):
        count += 1
    assert count == (c.HEADROOM - 16) // 4
    assert len(rig.packet(row)) == 60 + 4 * count
    short = rig.put(bytes(13))
    assert not jit_rig.insert_tag(rig.arena, rig.buffers, rig.meta(short), 0x8100, 1)


def test_only_a_tag_is_removed() -> None:
    rig = Rig()
    for packet in (bytes(60), bytes(12) + b"\x81\x00\x00\x05"):
        assert not jit_rig.remove_tag(rig.arena, rig.buffers, rig.meta(rig.put(packet)))


@settings(deadline=None)
@given(st.sampled_from([0, 1, 63, 64, 1500, c.ROW_ROOM, c.ROW_ROOM + 1, 65_535]))
def test_a_copy_is_equal_and_independent(length: int) -> None:
    rig = Rig()
    packet = bytes(i % 251 for i in range(length))
    row = rig.put(packet, words(34, 54), 16)
    copy = jit_rig.copy_row(rig.arena, rig.buffers, IO, row)
    assert copy != row
    assert rig.packet(copy) == packet
    assert rig.vnet(copy) == rig.vnet(row)
    start = rig.arena[rig.meta(copy) + c.META_OFFSET]
    rig.buffers[start : start + length] = 0
    assert rig.packet(row) == packet


def test_memory_runs_out_and_comes_back() -> None:
    rig = Rig()
    assert [rig.put(bytes(60)) for _ in range(c.SPARE_ROWS + 1)][-1] == -1
    rig.flush()
    assert [rig.put(bytes(9000)) for _ in range(c.BIG_ROWS + 1)][-1] == -1
    rig.flush()
    assert rig.put(bytes(c.BIG_ROOM)) >= 0
    assert rig.put(bytes(c.BIG_ROOM + 1)) == -1
    assert rig.arena[IO + c.IO_COPY_DROPS] == 3


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_what_is_loaded_can_be_stored(packet: bytes, limit: int) -> None:
    import numpy as np

    rig = Rig()
    row = rig.put(packet)
    target = np.zeros(512, np.uint8)
    stored = jit_rig.store_row(rig.arena, rig.buffers, IO, row, target.ctypes.data, limit)
    assert stored == min(limit, len(packet))
    assert target[:stored].tobytes() == packet[:stored]
    assert rig.key(row) == parse_packet(packet).key
