"""Mixing and prefetching against what they mean."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from jackfield.dpif.userspace.jit_intrinsics import mix, prefetch

WORD = st.integers(-(1 << 63), (1 << 63) - 1)


@njit
def mixed(x: int, y: int) -> int:
    return mix(x, y)


@njit
def fetched(array: object, n: int) -> int:
    total = 0
    for i in range(n):
        prefetch(array.ctypes.data + 8 * (i + 64))  # type: ignore[attr-defined]  # a numpy array
        total += array[i]  # type: ignore[index]  # a numpy array
    return total


@given(WORD, WORD)
def test_mix_is_both_halves_of_the_product(x: int, y: int) -> None:
    low = (1 << 64) - 1
    product = (x & low) * (y & low)
    assert mixed(x, y) & low == (product & low) ^ (product >> 64)


def test_prefetching_changes_nothing_even_beyond_the_end() -> None:
    array = np.arange(100, dtype=np.int64)
    assert fetched(array, 100) == 4950
    assert array.tolist() == list(range(100))
