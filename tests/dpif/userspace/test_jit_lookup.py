"""The hash that tells connections apart, and the cache behind it."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from jackfield.dpif.userspace.jit_intrinsics import mix, prefetch
from jackfield.dpif.userspace.jit_lookup import cache_insert, cache_probe, connection_hash
from jackfield.dpif.userspace.state import CACHE_SETS, CACHE_WAYS, F_TABLE, HEAP, KEYS, Arena, new_seeds
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from tests.dpif.conformance import frame

_mix = njit(lambda x, y: mix(x, y))


@pytest.fixture(scope="module")
def arena() -> Arena:
    return Arena(new_seeds())


def hash_of(arena: Arena, key: int, wide: int = 0) -> int:
    words = np.frombuffer(key.to_bytes(320, "little"), np.int64)
    arena.array[KEYS : KEYS + 40] = words
    return int(connection_hash(arena.array, KEYS, wide))


def test_mix_is_the_folded_product() -> None:
    for x, y in ((3, 5), (1 << 62, 1 << 62), (-1, -1), (0x123456789ABCDEF, -7)):
        product = (x & (1 << 64) - 1) * (y & (1 << 64) - 1)
        assert _mix(x, y) & (1 << 64) - 1 == (product ^ product >> 64) & (1 << 64) - 1


def test_prefetch_changes_nothing(arena: Arena) -> None:
    @njit(_nrt=False)  # type: ignore[misc]  # numba is untyped
    def touch(a: Any) -> int:
        prefetch(a[0])
        return int(a[0])

    assert touch(arena.array) == arena.words[0]


def test_a_connection_keeps_its_hash(arena: Arena) -> None:
    key = parse_packet(frame(), 1).key
    assert hash_of(arena, f.NW_TTL.put(key, 3)) == hash_of(arena, key)
    assert hash_of(arena, f.TCP_FLAGS.put(key, 3)) == hash_of(arena, key)


@pytest.mark.parametrize("field", [f.DP_IN_PORT, f.RECIRC_ID, f.ETH_SRC, f.IP_SRC, f.IP_DST, f.TP_SRC, f.VLAN_TCI])
def test_other_connections_have_other_hashes(arena: Arena, field: f.Field) -> None:
    key = parse_packet(frame(), 1).key
    hashes = {hash_of(arena, field.put(key, value)) for value in range(64)}
    assert len(hashes) == 64


def test_addresses_of_ipv6_count(arena: Arena) -> None:
    key = parse_packet(frame(), 1).key
    assert len({hash_of(arena, f.IPV6_SRC.put(key, 1 << bit), 1) for bit in range(128)}) == 128


def test_hashes_differ_from_start_to_start() -> None:
    key = parse_packet(frame(), 1).key
    assert len({hash_of(Arena(new_seeds()), key) for _ in range(5)}) == 5


def test_hashes_spread_over_the_sets(arena: Arena) -> None:
    key = parse_packet(frame(), 1).key
    sets = [hash_of(arena, f.IP_SRC.put(key, value)) & (CACHE_SETS - 1) for value in range(20_000)]
    counts = np.bincount(sets, minlength=CACHE_SETS)
    assert counts.max() < 12
    assert (counts > CACHE_WAYS).sum() < 100


def test_the_cache_remembers_and_replaces(arena: Arena) -> None:
    flows = [HEAP + 16 * i for i in range(CACHE_WAYS + 1)]
    for flow in flows:
        arena.words[flow + F_TABLE] = HEAP
    hashes = [(i + 1) << 32 | 5 for i in range(CACHE_WAYS + 1)]
    assert cache_probe(arena.array, hashes[0]) == 0
    for h, flow in zip(hashes[:CACHE_WAYS], flows, strict=False):
        cache_insert(arena.array, h, flow)
    assert [cache_probe(arena.array, h) for h in hashes[:CACHE_WAYS]] == flows[:CACHE_WAYS]
    cache_insert(arena.array, hashes[0], flows[-1])
    assert cache_probe(arena.array, hashes[0]) == flows[-1]
    arena.words[flows[2] + F_TABLE] = 0
    cache_insert(arena.array, hashes[-1], flows[0])
    assert cache_probe(arena.array, hashes[-1]) == flows[0]
    assert cache_probe(arena.array, hashes[1]) == flows[1], "the place of a flow that is gone was taken"
