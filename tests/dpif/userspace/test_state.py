"""The layout of an arena."""

from jackfield.dpif.userspace import state as s
from jackfield.netdev.compiled import IO_KEYS, IO_PORTS, IO_WORDS, META_WORDS, ROWS


def test_regions_follow_one_another() -> None:
    regions = [
        (s.CMD_RING, s.CMD_SLOTS * s.CMD_WORDS),
        (s.RX_LIST, 2 * s.MAX_RXQS),
        (s.TABLE_LIST, s.MAX_TABLES),
        (s.PORT_MAP, s.MAX_PORTS),
        (s.CACHE, s.CACHE_SETS * s.CACHE_WAYS),
        (s.KEYS, ROWS * s.KEY_WORDS),
        (s.IO, IO_WORDS),
        (s.EPOLL_EVENT, 2),
        (s.TIMESPEC, 2),
        (s.EXEC_RING, s.EXEC_WORDS),
        (s.UPCALLS, s.UPCALL_WORDS),
        (s.HEAP, s.HEAP_WORDS),
    ]
    end = s.COUNTERS_END
    for start, words in regions:
        assert start >= end
        end = start + words
    assert end == s.ARENA_WORDS


def test_what_belongs_together_begins_on_a_cache_line() -> None:
    for start in (s.CMD_RING, s.CACHE, s.KEYS, s.EXEC_RING, s.UPCALLS, s.HEAP):
        assert start % 8 == 0
    assert s.STOP // 8 != s.CMD_TAIL // 8, "written by different threads"
    assert s.CACHE_WAYS * 8 <= 64


def test_powers_of_two() -> None:
    for size in (s.CMD_SLOTS, s.CACHE_SETS, s.CACHE_WAYS, s.UPCALL_WORDS):
        assert size & (size - 1) == 0


def test_words_of_a_row_do_not_collide() -> None:
    assert {s.META_HASH, s.META_FLOW, s.META_PORT} <= set(range(13, META_WORDS))


def test_arena() -> None:
    seeds = s.new_seeds()
    arena = s.Arena(seeds)
    assert arena.words[s.BASE] == arena.array.ctypes.data
    assert tuple(arena.words[s.SEED0 : s.SEED3 + 1]) == seeds
    assert (arena.words[s.IO + IO_KEYS], arena.words[s.IO + IO_PORTS]) == (s.KEYS, s.PORT_MAP)
    arena.words[s.N_LOST] = 5
    assert arena.counter(s.N_LOST) == 5
    assert arena.array[s.N_LOST] == 5


def test_seeds_differ() -> None:
    assert len({s.new_seeds() for _ in range(10)}) == 10
