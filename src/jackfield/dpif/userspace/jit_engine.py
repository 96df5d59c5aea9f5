"""The polling thread's loop: commands, then a batch from each receive queue, then sleep when nothing comes.

`run` is the one entry point into compiled code that forwards. Batches go through in stages, so that the memory one
stage will need is on its way while the stage before still has other packets to do: parse and hash all, look all up in
the cache, then compare and act in order of arrival. What actions send is collected and leaves when the batch is done.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit, types

from jackfield.dpif.userspace.jit_commands import run_commands
from jackfield.dpif.userspace.jit_forward import forward_batch
from jackfield.dpif.userspace.jit_upcall import claim, wake_main
from jackfield.dpif.userspace.state import (
    BASE,
    CLOCK_GIVEN,
    CMD_HEAD,
    CMD_TAIL,
    EPOLL_EVENT,
    EPOLL_FD,
    IO,
    LOOP,
    N_PASSES,
    N_SLEEPS,
    NOW,
    RX_COUNT,
    RX_FIRST,
    RX_LIST,
    SLEEPING,
    STOP,
    TIMESPEC,
    WAKE_FD,
)
from jackfield.netdev.jit_io import rx, tx_flush
from jackfield.netdev.jit_memory import (
    clock_gettime,
    eventfd_read,
    eventfd_write,
    exchange64,
    load_acquire64,
    usleep,
)

epoll_wait: Final = types.ExternalFunction("epoll_wait", types.int32(types.int32, types.intp, types.int32, types.int32))

RX_BATCH: Final = 32
_SPIN_NS: Final = 50_000
_PATIENT_SPINS: Final = 20_000  # some 20 µs
_MAX_SPINS: Final = 20_100
_NAP: Final = 20  # µs; with the kernel's slack, some 70
_CLOCK_MONOTONIC: Final = 1
_LOOP_ONCE: Final = 0
_COMMANDS_ONLY: Final = 2


@njit(nogil=True, error_model="numpy", _nrt=False)
def monotonic_ns(a: Any) -> Any:
    """The machine's monotonic clock."""
    clock_gettime(_CLOCK_MONOTONIC, a[BASE] + 8 * TIMESPEC)
    return a[TIMESPEC] * 1_000_000_000 + a[TIMESPEC + 1]


@njit(nogil=True, error_model="numpy", _nrt=False)
def one_pass(a: Any, buffers: Any) -> Any:
    """Do what commands wait and one batch of each receive queue; how much work there was."""
    work = run_commands(a, buffers)
    n_queues = a[RX_COUNT]
    if a[LOOP] == _COMMANDS_ONLY or n_queues == 0:
        return work
    first = a[RX_FIRST] + 1
    if first >= n_queues:
        first = 0
    a[RX_FIRST] = first
    for i in range(n_queues):
        entry = first + i
        if entry >= n_queues:
            entry -= n_queues
        entry = RX_LIST + 2 * entry
        n = rx(a, buffers, IO, a[entry], RX_BATCH)
        if n > 0:
            if a[CLOCK_GIVEN] == 0:
                a[NOW] = monotonic_ns(a) // 1_000_000
            forward_batch(a, buffers, n, a[entry + 1])
            tx_flush(a, buffers, IO)
            wake_main(a)
            work += n
    return work


@njit(nogil=True, error_model="numpy", _nrt=False)
def sleep(a: Any, buffers: Any) -> Any:
    """Sleep until a port, a command or STOP ends it, unless there turns out to be work."""
    exchange64(a[BASE] + 8 * SLEEPING, 1)
    work = one_pass(a, buffers)
    if work == 0 and load_acquire64(a[BASE] + 8 * STOP) == 0:
        a[N_SLEEPS] += 1
        epoll_wait(a[EPOLL_FD], a[BASE] + 8 * EPOLL_EVENT, 1, -1)
    exchange64(a[BASE] + 8 * SLEEPING, 0)
    eventfd_read(a[WAKE_FD], a[BASE] + 8 * EPOLL_EVENT)
    return work


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def run(a: Any, buffers: Any) -> Any:
    """Work: one pass, or until STOP where LOOP says so; how much there was in the last pass.

    Args:
        a: an arena, int64 (see `jackfield.dpif.userspace.state`).
        buffers: its packet memory, uint8.
    """
    idle_since = 0
    while True:
        work = one_pass(a, buffers)
        if a[LOOP] != 1:
            return work
        if load_acquire64(a[BASE] + 8 * STOP) != 0:
            return work
        a[N_PASSES] += 1
        if work > 0:
            idle_since = 0
        else:
            now = monotonic_ns(a)
            if idle_since == 0:
                idle_since = now
            elif now - idle_since > _SPIN_NS:
                sleep(a, buffers)
                idle_since = 0


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def submit(a: Any, head: int, wait: int) -> Any:
    """On the main thread: let the commands up to `head` be seen, wake the sleeper, and wait until they are done.

    Args:
        a: the arena of the thread the commands are for.
        head: commands written so far.
        wait: wait until this many are done; at most some ten milliseconds.

    Returns:
        How many commands are done.
    """
    base = a[BASE]
    if head != a[CMD_HEAD]:
        exchange64(base + 8 * CMD_HEAD, head)
        if load_acquire64(base + 8 * SLEEPING) != 0:
            eventfd_write(a[WAKE_FD], 1)
    done = load_acquire64(base + 8 * CMD_TAIL)
    spins = 0
    while done < wait and spins < _MAX_SPINS:
        spins += 1
        # Where there are fewer processors than busy threads, the polling thread may need the one this spins on.
        if spins > _PATIENT_SPINS:
            usleep(_NAP)
        done = load_acquire64(base + 8 * CMD_TAIL)
    return done


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def shared_word(a: Any, word: int) -> Any:
    """On the main thread: a word that the polling thread publishes."""
    return load_acquire64(a[BASE] + 8 * word)


_ARENA: Final = types.int64[::1]
KERNELS: Final = (
    ("run", run, (_ARENA, types.uint8[::1])),
    ("submit", submit, (_ARENA, types.int64, types.int64)),
    ("shared_word", shared_word, (_ARENA, types.int64)),
    ("claim", claim, (_ARENA, types.int64, types.int64)),
)
"""Every entry point with the one signature it is called with; `jackfield.dpif.userspace.warm` compiles them."""
