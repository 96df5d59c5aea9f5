import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from jackfield.netdev import jit_memory as m
from tests.netdev import jit_rig

assert jit_rig


@njit(cache=True)
def shared_words(address):
    m.store_release(address, 7)
    m.store_release64(address + 8, -9)
    old = m.exchange64(address + 8, 11)
    return m.load_acquire(address), old, m.load_acquire64(address + 8)


@njit(cache=True)
def packet_words(array, index, value):
    m.put64(array, index, value)
    m.put32(array, index + 8, value)
    m.put16(array, index + 12, value)
    m.put8(array, index + 14, value)
    m.put64_native(array, index + 16, value)
    m.put16_native(array, index + 24, value)
    return m.get64u(array, index), m.get32(array, index + 8), m.get16(array, index + 12), m.get8(array, index + 14)


@njit(cache=True)
def copy(destination, source, length):
    m.copy_packet(destination, source, length)


@njit(cache=True)
def failed_read():
    m.read(-1, 0, 0)
    return m.get_errno()


def test_shared_words() -> None:
    words = np.zeros(2, np.int64)
    assert shared_words(words.ctypes.data) == (7, -9, 11)


@settings(deadline=None)
@given(st.integers(0, (1 << 63) - 1))
def test_packets_are_big_endian_and_the_kernels_structures_native(value: int) -> None:
    array = np.zeros(32, np.uint8)
    assert packet_words(array, 1, value) == (value, value & 0xFFFF_FFFF, value & 0xFFFF, value & 0xFF)
    assert array[1:9].tobytes() == value.to_bytes(8, "big")
    assert array[17:25].tobytes() == value.to_bytes(8, "little")
    assert array[25:27].tobytes() == (value & 0xFFFF).to_bytes(2, "little")


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 127, 128, 129, 511, 512, 513, 9000])
def test_a_copy_touches_its_length_or_64_bytes(length: int) -> None:
    source, target = np.arange(1, 9100).astype(np.uint8), np.zeros(9200, np.uint8)
    copy(target.ctypes.data, source.ctypes.data, length)
    assert (target[:length] == source[:length]).all()
    assert not target[max(length, 64) :].any()


def test_errno() -> None:
    assert os.strerror(failed_read()) == "Bad file descriptor"
