"""Raw memory for compiled code: ordered loads and stores, big-endian access to packets, and libc.

This is the one module whose functions go below array access. Shared words (ring status, heads and tails, stop flags)
are touched only through `load_acquire` and `store_release`: a plain load may be hoisted out of a loop. Reads and
writes of packets go through `get16` ... `put64`, which take an array and an index and are checked against the array's
length where ``NUMBA_BOUNDSCHECK=1`` was set before import, as numba's own accesses are.

libc is called through `types.ExternalFunction`, which numba can keep in its cache.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

CHECKED: Final = os.environ.get("NUMBA_BOUNDSCHECK") == "1"

_I8: Final = ir.IntType(8)
_I64: Final = ir.IntType(64)

# -- libc --------------------------------------------------------------------------------------------------------------

_fd, _size, _address = types.int32, types.uintp, types.intp
sendmmsg: Final = types.ExternalFunction("sendmmsg", types.int32(_fd, _address, types.uint32, types.int32))
recv: Final = types.ExternalFunction("recv", types.intp(_fd, _address, _size, types.int32))
send: Final = types.ExternalFunction("send", types.intp(_fd, _address, _size, types.int32))
read: Final = types.ExternalFunction("read", types.intp(_fd, _address, _size))
write: Final = types.ExternalFunction("write", types.intp(_fd, _address, _size))
readv: Final = types.ExternalFunction("readv", types.intp(_fd, _address, types.int32))
writev: Final = types.ExternalFunction("writev", types.intp(_fd, _address, types.int32))
poll: Final = types.ExternalFunction("poll", types.int32(_address, types.uint64, types.int32))
eventfd_read: Final = types.ExternalFunction("eventfd_read", types.int32(_fd, _address))
eventfd_write: Final = types.ExternalFunction("eventfd_write", types.int32(_fd, types.uint64))
clock_gettime: Final = types.ExternalFunction("clock_gettime", types.int32(types.int32, _address))
sched_yield: Final = types.ExternalFunction("sched_yield", types.int32())
usleep: Final = types.ExternalFunction("usleep", types.int32(types.uint32))
_errno_location: Final = types.ExternalFunction("__errno_location", types.intp())


def _at(builder: Any, address: Any, bits: int) -> Any:
    return builder.inttoptr(address, ir.IntType(bits).as_pointer())


# -- ordered access to shared words ------------------------------------------------------------------------------------


@intrinsic
def load_acquire(typing_context: Any, address: Any) -> Any:
    """32 bits at an address, zero-extended to int64; nothing that follows happens before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.load_atomic(_at(builder, args[0], 32), "acquire", 4), _I64)

    return types.int64(types.int64), codegen


@intrinsic
def load_acquire64(typing_context: Any, address: Any) -> Any:
    """64 bits at an address; nothing that follows happens before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_at(builder, args[0], 64), "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def store_release(typing_context: Any, address: Any, value: Any) -> Any:
    """Store the low 32 bits of `value` at an address; nothing that precedes happens after it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(builder.trunc(args[1], ir.IntType(32)), _at(builder, args[0], 32), "release", 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def store_release64(typing_context: Any, address: Any, value: Any) -> Any:
    """Store 64 bits at an address; nothing that precedes happens after it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _at(builder, args[0], 64), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def exchange64(typing_context: Any, address: Any, value: Any) -> Any:
    """Put `value` at an address and give what was there, in one step; a full barrier."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("xchg", _at(builder, args[0], 64), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


# -- unordered access by address: ring headers, libc structures --------------------------------------------------------


def _make_peek(bits: int) -> Any:
    @intrinsic
    def peek(typing_context: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_at(builder, args[0], bits), align=1)
            return value if bits == 64 else builder.zext(value, _I64)

        return types.int64(types.int64), codegen

    return peek


peek16: Final = _make_peek(16)
"""16 bits at an address in the machine's byte order, as int64."""
peek32: Final = _make_peek(32)
peek64: Final = _make_peek(64)


@intrinsic
def poke64(typing_context: Any, address: Any, value: Any) -> Any:
    """Store 64 bits at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _at(builder, args[0], 64), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def copy64(typing_context: Any, destination: Any, source: Any) -> Any:
    """Copy 64 bytes from one address to another; they must not overlap."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = ir.VectorType(_I64, 8)
        value = builder.load(builder.inttoptr(args[1], block.as_pointer()), align=1)
        builder.store(value, builder.inttoptr(args[0], block.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def copy_memory(typing_context: Any, destination: Any, source: Any, length: Any) -> Any:
    """Copy `length` bytes from one address to another; they may overlap."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        cgutils.raw_memmove(
            builder,
            builder.inttoptr(args[0], _I8.as_pointer()),
            builder.inttoptr(args[1], _I8.as_pointer()),
            args[2],
            1,
        )
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@njit(nogil=True, error_model="numpy", _nrt=False)
def copy_packet(destination: int, source: int, length: int) -> None:
    """Copy a packet between memories that do not overlap, 64 bytes at a time.

    Fewer than 64 bytes are copied as 64: both sides must have room for that. Otherwise exactly `length` bytes are
    touched, because the last piece overlaps the one before.
    """
    if length <= 64:
        copy64(destination, source)
    elif length <= 512:
        done = 0
        while done < length - 64:
            copy64(destination + done, source + done)
            done += 64
        copy64(destination + length - 64, source + length - 64)
    else:
        copy_memory(destination, source, length)


@njit(nogil=True, error_model="numpy", _nrt=False)
def get_errno() -> Any:
    """The errno of this thread's last failed call."""
    return peek32(_errno_location())


# -- big-endian access to an array of bytes ----------------------------------------------------------------------------


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any, bits: int) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.IntType(bits).as_pointer())


def _make_get(bits: int, result: Any) -> Any:
    @intrinsic
    def get(typing_context: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_element(context, builder, signature.args[0], args[0], args[1], bits), align=1)
            value = builder.bswap(value)
            return value if bits == 64 else builder.zext(value, _I64)

        return result(array, types.int64), codegen

    return get


def _make_put(bits: int, swap: bool = True) -> Any:
    @intrinsic
    def put(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = args[2] if bits == 64 else builder.trunc(args[2], ir.IntType(bits))
            place = _element(context, builder, signature.args[0], args[0], args[1], bits)
            builder.store(builder.bswap(value) if swap else value, place, align=1)
            return context.get_dummy_value()

        return types.void(array, types.int64, value), codegen

    return put


_get16, _get32 = _make_get(16, types.int64), _make_get(32, types.int64)
_get32u, _get64u = _make_get(32, types.uint64), _make_get(64, types.uint64)
_put16, _put32, _put64 = _make_put(16), _make_put(32), _make_put(64)
_put16_native, _put64_native = _make_put(16, swap=False), _make_put(64, swap=False)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _check(array: Any, index: int, size: int) -> None:
    if CHECKED and (index < 0 or index + size > len(array)):
        raise IndexError("packet access out of the packet memory")


@njit(nogil=True, error_model="numpy", _nrt=False)
def get8(array: Any, index: int) -> Any:
    """The byte at `index`, as int64."""
    _check(array, index, 1)
    return np.int64(array[np.uint64(index)])


@njit(nogil=True, error_model="numpy", _nrt=False)
def get16(array: Any, index: int) -> Any:
    """The big-endian 16 bits from `index` on, as int64."""
    _check(array, index, 2)
    return _get16(array, index)


@njit(nogil=True, error_model="numpy", _nrt=False)
def get32(array: Any, index: int) -> Any:
    """The big-endian 32 bits from `index` on, as int64."""
    _check(array, index, 4)
    return _get32(array, index)


@njit(nogil=True, error_model="numpy", _nrt=False)
def get32u(array: Any, index: int) -> Any:
    """The big-endian 32 bits from `index` on, as uint64: for words of keys."""
    _check(array, index, 4)
    return _get32u(array, index)


@njit(nogil=True, error_model="numpy", _nrt=False)
def get64u(array: Any, index: int) -> Any:
    """The big-endian 64 bits from `index` on, as uint64."""
    _check(array, index, 8)
    return _get64u(array, index)


@njit(nogil=True, error_model="numpy", _nrt=False)
def put8(array: Any, index: int, value: int) -> None:
    """Store the low byte of `value` at `index`."""
    _check(array, index, 1)
    array[np.uint64(index)] = np.uint8(value & 0xFF)


@njit(nogil=True, error_model="numpy", _nrt=False)
def put16(array: Any, index: int, value: int) -> None:
    """Store the low 16 bits of `value` (int64), big-endian."""
    _check(array, index, 2)
    _put16(array, index, value)


@njit(nogil=True, error_model="numpy", _nrt=False)
def put32(array: Any, index: int, value: int) -> None:
    """Store the low 32 bits of `value` (int64 or uint64), big-endian."""
    _check(array, index, 4)
    _put32(array, index, value)


@njit(nogil=True, error_model="numpy", _nrt=False)
def put64(array: Any, index: int, value: int) -> None:
    """Store 64 bits (int64 or uint64), big-endian."""
    _check(array, index, 8)
    _put64(array, index, value)


@njit(nogil=True, error_model="numpy", _nrt=False)
def put16_native(array: Any, index: int, value: int) -> None:
    """Store the low 16 bits of `value` in the machine's byte order, as the kernel's own structures have it."""
    _check(array, index, 2)
    _put16_native(array, index, value)


@njit(nogil=True, error_model="numpy", _nrt=False)
def put64_native(array: Any, index: int, value: int) -> None:
    """Store 64 bits in the machine's byte order."""
    _check(array, index, 8)
    _put64_native(array, index, value)


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def address_of(array: Any) -> Any:
    """The address of an array's first byte, as the signed word that all addresses are here."""
    return np.int64(array.ctypes.data)


@njit(nogil=True, error_model="numpy", _nrt=False)
def copy_in(array: Any, index: int, source: int, length: int) -> None:
    """Copy a packet from an address to `index`, as `copy_packet` does."""
    _check(array, index, max(length, 64))
    copy_packet(address_of(array) + index, source, length)


@njit(nogil=True, error_model="numpy", _nrt=False)
def copy_out(array: Any, index: int, destination: int, length: int) -> None:
    """Copy a packet from `index` to an address, as `copy_packet` does."""
    _check(array, index, max(length, 64))
    copy_packet(destination, address_of(array) + index, length)


@njit(nogil=True, error_model="numpy", _nrt=False)
def move(array: Any, destination: int, source: int, length: int) -> None:
    """Copy `length` bytes within an array; they may overlap."""
    _check(array, destination, length)
    _check(array, source, length)
    copy_memory(address_of(array) + destination, address_of(array) + source, length)
