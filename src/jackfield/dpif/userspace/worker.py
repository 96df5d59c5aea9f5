"""One polling thread as the main thread sees it: an arena, a ring of commands, a ring of upcalls, a thread.

A worker that is `synchronous` has no thread: `submit` does the commands at once, and `poll` makes one pass over the
ports, both on the caller's thread. That is the whole difference between the datapath types netdev and dummy.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from jackfield.dpif.userspace.state import (
    C_AGAIN,
    C_EXECUTE,
    CACHE,
    CLOCK_GIVEN,
    CMD_HEAD,
    CMD_RING,
    CMD_SLOTS,
    CMD_TAIL,
    CMD_WORDS,
    EPOLL_FD,
    EXEC_RING,
    EXEC_WORDS,
    HEAP,
    KEY_BYTES,
    LOOP,
    MAX_RXQS,
    NOW,
    RX_COUNT,
    RX_LIST,
    STOP,
    TABLE_COUNT,
    TABLE_LIST,
    U_KEY,
    U_PACKET,
    U_SLACK,
    UP_FD,
    UP_HEAD,
    UPCALL_WORDS,
    UPCALLS,
    UPCALLS_ON,
    WAKE_FD,
    Arena,
)
from jackfield.dpif.userspace.warm import Kernels
from jackfield.log import get_logger

log = get_logger("dpif_netdev")

_HEADER: Final = Struct("<8q")
_COMMAND: Final = Struct("<8q")
_RING_BYTES: Final = CMD_SLOTS * CMD_WORDS * 8
_RING_START: Final = CMD_RING * 8
_ONCE, _LOOP, _COMMANDS_ONLY = 0, 1, 2


class Record(NamedTuple):
    """An upcall as it lies in the ring; `place` names it in the reply."""

    place: int
    port: int
    kind: int
    key: int
    packet: bytes
    frame_length: int


class Worker:
    """A polling thread.

    Args:
        kernels: compiled code.
        seeds: secrets of the datapath's hashes.
        synchronous: no thread, everything on the caller's.
    """

    def __init__(self, kernels: Kernels, seeds: Sequence[int], *, synchronous: bool) -> None:
        self._kernels = kernels
        self.synchronous = synchronous
        self.arena = Arena(seeds)
        self.sent = 0
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.up_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self.wake_fd, select.EPOLLIN)
        self._read = 0
        self._executed = 0
        self._thread: threading.Thread | None = None
        words = self.arena.words
        words[WAKE_FD], words[EPOLL_FD] = self.wake_fd, self._epoll.fileno()
        words[UP_FD] = -1 if synchronous else self.up_fd
        words[CLOCK_GIVEN] = int(synchronous)
        words[LOOP] = _COMMANDS_ONLY if synchronous else _LOOP

    # -- the thread ------------------------------------------------------------------------------------------------

    def start(self, cpu: int | None) -> None:
        """Let the thread run, on one CPU if that is given."""
        if self.synchronous or self._thread is not None:
            return
        self.arena.words[STOP] = 0
        self._thread = threading.Thread(target=self._main, args=(cpu,), name="pmd", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; everything it was told is done, and from now on it touches nothing."""
        if self._thread is None:
            return
        self.wait()
        self.arena.words[STOP] = 1
        os.eventfd_write(self.wake_fd, 1)
        self._thread.join()
        self._thread = None

    def close(self) -> None:
        """Stop, and close all descriptors."""
        self.stop()
        self._epoll.close()
        os.close(self.wake_fd)
        os.close(self.up_fd)

    def _main(self, cpu: int | None) -> None:
        if cpu is not None:
            try:
                os.sched_setaffinity(0, {cpu})
            except OSError as error:
                log.warning("polling thread stays unbound: cannot move to CPU %d: %s", cpu, error)
        try:
            self._kernels.run(self.arena.array, self.arena.buffers)
        except Exception:  # a polling thread that ended is found by who waits for it
            log.exception("a polling thread failed")

    def copy_from(self, other: Arena, heap_end: int) -> None:
        """Take over another thread's ports, tables, flows and programs; no thread runs."""
        words, source = self.arena.array, other.array
        for first, end in ((TABLE_LIST, CACHE), (HEAP, heap_end)):
            words[first:end] = source[first:end]
        words[TABLE_COUNT] = source[TABLE_COUNT]

    def clear_event(self) -> None:
        """The eventfd of upcalls was seen."""
        try:
            os.eventfd_read(self.up_fd)
        except BlockingIOError:
            return

    def sleep_on(self, fd: int) -> None:
        """Have packets on a descriptor end the thread's sleep.

        The thread looks at all queues before it sleeps, so that only what is new matters. That a link went down is an
        error that stays with its packet socket, and would otherwise end each sleep at once.
        """
        if fd >= 0:
            self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)

    def sleep_off(self, fd: int) -> None:
        """The descriptor no longer ends the thread's sleep."""
        if fd >= 0:
            self._epoll.unregister(fd)

    def poll(self, now: int, more: Sequence[tuple[int, int]] = ()) -> int:
        """One pass over the ports of a synchronous worker.

        Args:
            now: the time in ms.
            more: queue rows with their ports' blocks to receive from in this pass alone.

        Returns:
            How much work there was.
        """
        words = self.arena.words
        count = words[RX_COUNT]
        for i, (row, block) in enumerate(more[: MAX_RXQS - count], count):
            words[RX_LIST + 2 * i], words[RX_LIST + 2 * i + 1] = row, block
        words[RX_COUNT] = min(count + len(more), MAX_RXQS)
        words[NOW], words[LOOP] = now, _ONCE
        work = self._kernels.run(self.arena.array, self.arena.buffers)
        words[RX_COUNT], words[LOOP] = count, _COMMANDS_ONLY
        return work

    # -- commands --------------------------------------------------------------------------------------------------

    def send(self, commands: Sequence[bytes]) -> None:
        """Write commands into the ring; `submit` or `wait` puts them into force."""
        for first in range(0, len(commands), CMD_SLOTS // 2):
            part = commands[first : first + CMD_SLOTS // 2]
            if self.sent + len(part) - self.arena.words[CMD_TAIL] > CMD_SLOTS:
                self._wait_for(self.sent + len(part) - CMD_SLOTS)
            data = b"".join(part)
            start = (self.sent & (CMD_SLOTS - 1)) * CMD_WORDS * 8
            room = min(len(data), _RING_BYTES - start)
            memory = self.arena.bytes
            memory[_RING_START + start : _RING_START + start + room] = data[:room]
            if room < len(data):
                memory[_RING_START : _RING_START + len(data) - room] = data[room:]
            self.sent += len(part)

    def submit(self) -> None:
        """Let the thread see what was sent; a synchronous worker does it before this returns."""
        if self.synchronous:
            self.arena.words[CMD_HEAD] = self.sent
            self._kernels.run(self.arena.array, self.arena.buffers)
        else:
            self._kernels.submit(self.arena.array, self.sent, 0)

    def wait(self) -> None:
        """Submit, and return when everything sent is done."""
        self._wait_for(self.sent)
        self._executed = 0

    def done(self) -> int:
        """How many commands are done."""
        return self._kernels.shared_word(self.arena.array, CMD_TAIL)

    def _wait_for(self, number: int) -> None:
        if self.synchronous or self._thread is None:
            self.arena.words[CMD_HEAD] = self.sent
            loop = self.arena.words[LOOP]
            self.arena.words[LOOP] = _COMMANDS_ONLY
            self._kernels.run(self.arena.array, self.arena.buffers)
            self.arena.words[LOOP] = loop
            return
        while self._kernels.submit(self.arena.array, self.sent, number) < number:
            if not self._thread.is_alive():
                raise RuntimeError("a polling thread has ended unexpectedly")

    def execute(self, packet: bytes, key: int, program: int, port: int) -> bytes | None:
        """The command that runs a program on a packet, which is copied into the arena now.

        None when the memory for such packets is full: it is free again after `wait`.
        """
        words = U_PACKET + (len(packet) + 7) // 8 + U_SLACK
        if self._executed + words > EXEC_WORDS:
            return None
        place = EXEC_RING + self._executed
        self._executed += words
        memory, at = self.arena.bytes, 8 * place
        _HEADER.pack_into(memory, at, words, port, 0, len(packet), len(packet), 0, 0, -1)
        memory[at + 8 * U_KEY : at + 8 * U_KEY + KEY_BYTES] = key.to_bytes(KEY_BYTES, "little")
        memory[at + 8 * U_PACKET : at + 8 * U_PACKET + len(packet)] = packet
        return _COMMAND.pack(C_EXECUTE, place, program, 0, 0, 0, 0, 0)

    # -- upcalls ---------------------------------------------------------------------------------------------------

    def enable_upcalls(self, enable: bool) -> None:
        """Whether packets that nothing fits go up, or are lost."""
        self.arena.words[UPCALLS_ON] = int(enable)

    def upcalls(self, limit: int) -> list[Record]:
        """Up to `limit` upcalls not seen yet, in order; each must be answered by a C_REPLY, in the same order.

        Those of kind -1 have been forwarded meanwhile.
        """
        end = self._kernels.claim(self.arena.array, self._read, limit)
        position = self._read
        records: list[Record] = []
        memory = self.arena.bytes
        unpack = _HEADER.unpack_from
        while position < end:
            place = UPCALLS + (position & (UPCALL_WORDS - 1))
            at = 8 * place
            words, port, kind, length, frame_length, _, _, csum = unpack(memory, at)
            if words < 0:
                position -= words
                continue
            position += words
            if kind == -1:
                records.append(Record(place, port, kind, 0, b"", frame_length))
                continue
            key = int.from_bytes(memory[at + 8 * U_KEY : at + 8 * U_KEY + KEY_BYTES], "little")
            packet = memory[at + 8 * U_PACKET : at + 8 * U_PACKET + length].tobytes()
            if csum >= 0:
                packet = _complete(packet, csum)
            records.append(Record(place, port, -2 - kind, key, packet, frame_length))
        self._read = position
        return records

    def forward_waiting(self) -> bytes:
        """The command that forwards upcalls not seen yet that fit a flow by now."""
        return _COMMAND.pack(C_AGAIN, self._read, 0, 0, 0, 0, 0, 0)

    def upcalls_wait(self) -> bool:
        """Whether `upcalls` would give something."""
        return self._read < self._kernels.shared_word(self.arena.array, UP_HEAD)

    def forget_upcalls(self) -> list[int]:
        """Skip all upcalls not seen yet; their places, still to be answered."""
        return [record.place for record in self.upcalls(UPCALL_WORDS)]


def _complete(packet: bytes, csum: int) -> bytes:
    """The packet with its checksum, which the sender left to hardware, filled in."""
    at = csum >> 16
    return packet[:at] + (csum & 0xFFFF).to_bytes(2, "big") + packet[at + 2 :]
