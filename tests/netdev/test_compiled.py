import numpy as np
import pytest

from jackfield.netdev import compiled as c
from jackfield.netdev.provider import CompiledQueue, QueueKind


def test_rows_begin_on_cache_lines_and_do_not_share_sets() -> None:
    assert c.ROW_BYTES % 64 == c.BIG_BYTES % 64 == c.BIG_START % 64 == 0
    assert (c.ROW_BYTES // 64) % 2 == (c.BIG_BYTES // 64) % 2 == 1
    assert c.BIG_ROOM >= 65_535 + 14 + 2 * 4


def test_an_io_area_describes_its_rows_and_messages() -> None:
    arena, buffers = np.full(c.IO_WORDS + 8, -7, np.int64), np.zeros(c.BUFFER_BYTES, np.uint8)
    c.init_io_area(arena, 8, buffers, seed=0)
    assert arena[8 + c.IO_BUFFERS] == buffers.ctypes.data
    assert arena[8 + c.IO_RANDOM] != 0
    last = 8 + c.IO_META + (c.ROWS - 1) * c.META_WORDS
    assert arena[last + c.META_END] == c.BIG_START
    message = 8 + c.IO_MSG + 8 * (c.PENDING - 1)
    assert arena[message + 2] == arena.ctypes.data + 8 * (8 + c.IO_IOV + 2 * (c.PENDING - 1))
    assert (arena[:8] == -7).all()


def test_an_io_area_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        c.init_io_area(np.zeros(c.IO_WORDS, np.int64), 1, np.zeros(c.BUFFER_BYTES, np.uint8))
    with pytest.raises(ValueError, match="bytes"):
        c.init_io_area(np.zeros(c.IO_WORDS, np.int64), 0, np.zeros(c.BUFFER_BYTES - 1, np.uint8))


def test_a_queue_row_begins_empty() -> None:
    arena = np.full(2 * c.QUEUE_ROW, 9, np.int64)
    c.init_queue_row(arena, c.QUEUE_ROW, CompiledQueue(QueueKind.TAP, (33,)))
    row = arena[c.QUEUE_ROW :]
    assert (row[c.TAP_FD], row[c.QUEUE_KIND], row[c.QUEUE_TX_FIRST]) == (33, QueueKind.TAP, c.PENDING)
    assert row[c.QUEUE_RX_PACKETS : c.QUEUE_RX_PACKETS + 8].sum() == 0
    with pytest.raises(ValueError, match="17 words"):
        c.init_queue_row(arena, 0, CompiledQueue(QueueKind.TAP, (0,) * 17))


def test_what_cannot_be_replayed_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        c.replay_queue([], endless=True)
    with pytest.raises(ValueError, match=f"{c.BIG_ROOM + 1} bytes"):
        c.replay_queue([bytes(c.BIG_ROOM + 1)], endless=False)
