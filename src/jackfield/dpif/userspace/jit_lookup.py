"""Which megaflow a packet hits: the cache of connections, then the tables of megaflows.

The cache maps the hash of a packet's headers to the megaflow it hit last. An entry is ``hash's high half << 32 |
flow``; what it says is believed only after the flow's own masked words were compared with the key, so an entry may
be stale or belong to another connection, and connections of one megaflow need no more than eight bytes each.

A table holds the megaflows of one mask; tables are tried in the order of their recent hits. All hashes are keyed with
secrets that are drawn at each start. The plain twin is `jackfield.dpif.userspace.lookup`.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit, uint64

from jackfield.dpif.userspace.jit_intrinsics import mix
from jackfield.dpif.userspace.state import (
    CACHE,
    CACHE_MASK,
    CACHE_WAYS,
    F_HASH,
    F_KEY,
    F_TABLE,
    N_MASK_HIT,
    SEED0,
    SEED1,
    SEED2,
    SEED3,
    SORT_DUE,
    T_BUCKET_MASK,
    T_BUCKETS,
    T_COUNT,
    T_HITS,
    T_PAIRS,
    T_WORDS,
    TABLE_COUNT,
    TABLE_LIST,
)

# Of word 3, what tells connections apart: not the TTL.
_CONNECTION: Final = ~(0xFF << 16)
_LOW32: Final = 0xFFFFFFFF
_SORT_EVERY: Final = 16384


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def connection_hash(a: Any, k: int, extended: int) -> Any:
    """Hash of what tells connections apart in the key at `k`; equal connections may differ in TTL and TCP flags."""
    w = uint64(k)
    h = mix(a[w] ^ a[SEED0], a[w + uint64(1)] ^ a[SEED1])
    h ^= mix(a[w + uint64(2)] ^ a[SEED2], (a[w + uint64(3)] & _CONNECTION) ^ a[SEED3])
    h = mix(h ^ a[w + uint64(4)], a[SEED0])
    if extended:
        for i in range(13, 19, 2):
            h = mix(h ^ a[k + i], a[k + i + 1] ^ a[SEED1])
    return h


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def fits(a: Any, flow: int, k: int) -> Any:
    """Whether the key at `k` hits the megaflow: the flow is linked and every masked word is equal."""
    f = uint64(flow)
    table = uint64(a[f + uint64(F_TABLE)])
    if table == uint64(0):
        return False
    n = uint64(a[table + uint64(T_WORDS)])
    pair = table + uint64(T_PAIRS)
    word = f + uint64(F_KEY)
    end = word + n
    key = uint64(k)
    difference = 0
    while word < end:
        difference |= (a[key + uint64(a[pair])] & a[pair + uint64(1)]) ^ a[word]
        word += uint64(1)
        pair += uint64(2)
    return difference == 0


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def cache_set(a: Any, h: int) -> Any:
    """Where the cache's set of a hash begins."""
    return CACHE + (h & a[CACHE_MASK]) * CACHE_WAYS


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def cache_probe(a: Any, h: int) -> Any:
    """The first flow of the hash's set whose signature is equal, 0 for none; it is still to be compared."""
    s = uint64(CACHE + (h & a[CACHE_MASK]) * CACHE_WAYS)
    signature = (h >> 32) & _LOW32
    for i in range(CACHE_WAYS):
        entry = a[s + uint64(i)]
        if (entry >> 32) & _LOW32 == signature and entry != 0:
            return entry & _LOW32
    return 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def cache_insert(a: Any, h: int, flow: int) -> None:
    """Remember the flow a hash led to: in its old place, else in an empty one, else in one that the hash picks."""
    s = CACHE + (h & a[CACHE_MASK]) * CACHE_WAYS
    signature = (h >> 32) & _LOW32
    place = s + ((h >> 20) & (CACHE_WAYS - 1))
    for i in range(CACHE_WAYS - 1, -1, -1):
        entry = a[s + i]
        if entry == 0 or a[(entry & _LOW32) + F_TABLE] == 0:
            place = s + i
    for i in range(CACHE_WAYS):
        if (a[s + i] >> 32) & _LOW32 == signature:
            place = s + i
    a[place] = (signature << 32) | flow


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def table_hash(a: Any, table: int, k: int) -> Any:
    """Hash of the words of the key at `k` that count in a table."""
    h = a[SEED2]
    seed = a[SEED3]
    pair = uint64(table + T_PAIRS)
    end = pair + uint64(2) * uint64(a[table + T_WORDS])
    key = uint64(k)
    while pair < end:
        h = mix(h ^ (a[key + uint64(a[pair])] & a[pair + uint64(1)]), seed)
        pair += uint64(2)
    return (h ^ (h >> 32)) & _LOW32


@njit(nogil=True, error_model="numpy", _nrt=False)
def flow_hash(a: Any, table: int, flow: int) -> Any:
    """The same of a flow, whose words are masked and in order already."""
    h = a[SEED2]
    seed = a[SEED3]
    for i in range(a[table + T_WORDS]):
        h = mix(h ^ a[flow + F_KEY + i], seed)
    return (h ^ (h >> 32)) & _LOW32


@njit(nogil=True, error_model="numpy", _nrt=False)
def table_find(a: Any, table: int, k: int) -> Any:
    """The flow of a table that the key at `k` hits, 0 for none."""
    h = table_hash(a, table, k)
    mask = a[table + T_BUCKET_MASK]
    buckets = a[table + T_BUCKETS]
    i = h & mask
    while True:
        entry = a[uint64(buckets + i)]
        if entry == 0:
            return 0
        if (entry >> 32) & _LOW32 == h:
            flow = entry & _LOW32
            if fits(a, flow, k):
                return flow
        i = (i + 1) & mask


@njit(nogil=True, error_model="numpy", _nrt=False)
def lookup(a: Any, k: int) -> Any:
    """The megaflow that the key at `k` hits, 0 for none, by the tables."""
    found = 0
    n = a[TABLE_COUNT]
    looked = 0
    for i in range(n):
        table = a[uint64(TABLE_LIST + i)]
        looked += 1
        found = table_find(a, table, k)
        if found != 0:
            a[table + T_HITS] += 1
            break
    a[N_MASK_HIT] += looked
    a[SORT_DUE] -= 1
    if a[SORT_DUE] < 0:
        a[SORT_DUE] = _SORT_EVERY
        sort_tables(a)
    return found


@njit(nogil=True, error_model="numpy", _nrt=False)
def sort_tables(a: Any) -> None:
    """Order the tables by their hits, most first, and halve the hits so that the past fades."""
    n = a[TABLE_COUNT]
    for i in range(1, n):
        table = a[TABLE_LIST + i]
        hits = a[table + T_HITS]
        j = i - 1
        while j >= 0 and a[a[TABLE_LIST + j] + T_HITS] < hits:
            a[TABLE_LIST + j + 1] = a[TABLE_LIST + j]
            j -= 1
        a[TABLE_LIST + j + 1] = table
    for i in range(n):
        a[a[TABLE_LIST + i] + T_HITS] >>= 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def link(a: Any, flow: int, table: int) -> None:
    """Put a flow whose block is filled in into a table; the table has room."""
    h = flow_hash(a, table, flow)
    a[flow + F_HASH] = h
    mask = a[table + T_BUCKET_MASK]
    buckets = a[table + T_BUCKETS]
    i = h & mask
    while a[buckets + i] != 0:
        i = (i + 1) & mask
    a[buckets + i] = (h << 32) | flow
    a[table + T_COUNT] += 1
    a[flow + F_TABLE] = table


@njit(nogil=True, error_model="numpy", _nrt=False)
def unlink(a: Any, flow: int) -> None:
    """Take a flow out of its table; what lay behind it moves up, so that no gap ends a search too early."""
    table = a[flow + F_TABLE]
    a[flow + F_TABLE] = 0
    a[table + T_COUNT] -= 1
    mask = a[table + T_BUCKET_MASK]
    buckets = a[table + T_BUCKETS]
    gap = a[flow + F_HASH] & mask
    while a[buckets + gap] & _LOW32 != flow:
        gap = (gap + 1) & mask
    i = gap
    while True:
        i = (i + 1) & mask
        entry = a[buckets + i]
        if entry == 0:
            break
        home = (entry >> 32) & mask
        if ((i - home) & mask) >= ((i - gap) & mask):
            a[buckets + gap] = entry
            gap = i
    a[buckets + gap] = 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def grow(a: Any, table: int, buckets: int, mask: int) -> None:
    """Move a table's flows into new, empty buckets; the old ones are the main thread's again."""
    old = a[table + T_BUCKETS]
    for i in range(a[table + T_BUCKET_MASK] + 1):
        entry = a[old + i]
        if entry != 0:
            j = (entry >> 32) & mask
            while a[buckets + j] != 0:
                j = (j + 1) & mask
            a[buckets + j] = entry
    a[table + T_BUCKETS] = buckets
    a[table + T_BUCKET_MASK] = mask
