"""A userspace datapath: ports, megaflows and polling threads, and the main thread's work for them.

`Datapath` is what all instances of one name share. Everything here runs on the main thread. A change is written into
heap blocks that no thread sees yet, then commands put it into force; `operate` returns when every thread has done
them. Replies to upcalls are not waited for: commands are done in order, and before the next packets are received.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Iterable, Sequence
from typing import Final

from jackfield.clock import Clock
from jackfield.dpif.provider import (
    DpFlow,
    DpOp,
    DpStats,
    Execute,
    FlowDel,
    FlowDump,
    FlowGet,
    FlowPut,
    FlowStats,
    PutFlags,
    Upcall,
    UpcallCallback,
    UpcallReply,
    UpcallType,
)
from jackfield.dpif.userspace.flows import COMMAND, Flow, FlowTables
from jackfield.dpif.userspace.heap import Heap
from jackfield.dpif.userspace.port_set import PortSet
from jackfield.dpif.userspace.programs import Programs
from jackfield.dpif.userspace.state import (
    C_REPLY,
    HEAP,
    HEAP_WORDS,
    N_CACHE_HIT,
    N_HIT,
    N_LOST,
    N_MASK_HIT,
    N_MISS,
    Arena,
    new_seeds,
)
from jackfield.dpif.userspace.warm import Kernels
from jackfield.dpif.userspace.worker import Record, Worker
from jackfield.flow.ports import DpPort
from jackfield.log import get_logger
from jackfield.netdev.compiled import BIG_ROOM

log = get_logger("dpif_netdev")

UPCALL_BATCH: Final = 32
"""Upcalls handed to the callback at once; translation takes some 25 µs each, and nothing shall stall the loop."""
MAX_PACKET: Final = BIG_ROOM
_PASSES: Final = 256
_MIN_PACKET: Final = 14
_CREATE_OR_MODIFY: Final = PutFlags.CREATE | PutFlags.MODIFY


class Datapath:
    """One userspace datapath.

    Args:
        name: its name.
        clock: times flows were used at.
        kernels: compiled code.
        synchronous: no threads; packets are handled by `pump`, on the caller's thread.
    """

    def __init__(self, name: str, clock: Clock, kernels: Kernels, *, synchronous: bool) -> None:
        self.name = name
        self.clock = clock
        self.synchronous = synchronous
        self._kernels = kernels
        self._seeds = new_seeds()
        self._heap = Heap(HEAP, HEAP_WORDS)
        self.arenas: list[Arena] = []
        self._programs = Programs(self.arenas, self._heap)
        self._tables = FlowTables(self.arenas, self._heap, self._programs)
        self._workers: list[Worker] = []
        self._cpus: list[int | None] = [None] if synchronous else list(_default_cpus())
        self._n_rxqs = 1
        self._counters_before = [0] * len(_COUNTERS)
        self._callback: UpcallCallback | None = None
        self._enabled = False
        self._loop = _running_loop()
        self._again = False
        self._pumping = False
        self._scheduled = False
        for _ in self._cpus:
            self._add_worker()
        self.ports = PortSet(self._workers, self._heap, self.pump if synchronous else None, self._loop)
        self._start()

    # -- threads ---------------------------------------------------------------------------------------------------

    def _add_worker(self) -> None:
        worker = Worker(self._kernels, self._seeds, synchronous=self.synchronous)
        worker.enable_upcalls(self._enabled)
        if self._loop is not None and not self.synchronous:
            self._loop.add_reader(worker.up_fd, self._upcalls_ready, worker)
        if self.arenas:
            worker.copy_from(self.arenas[0], self._heap.used_end)
            self._tables.clear_stats(worker.arena)
        self._workers.append(worker)
        self.arenas.append(worker.arena)

    def _drop_worker(self) -> None:
        """Take the last worker away; what it counted is kept."""
        worker = self._workers.pop()
        self.arenas.pop()
        for i, which in enumerate(_COUNTERS):
            self._counters_before[i] += worker.arena.counter(which)
        self._tables.merge_stats(worker.arena, self.arenas[0])
        if self._loop is not None:
            self._loop.remove_reader(worker.up_fd)
        worker.close()

    def _start(self) -> None:
        for worker, cpu in zip(self._workers, self._cpus, strict=True):
            worker.start(cpu)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._heap.stamp([worker.sent for worker in self._workers])
        self._heap.forget_threads()

    def set_threads(self, n_rxqs: int, cpus: Sequence[int | None]) -> None:
        """Poll `n_rxqs` queues of each device on these CPUs, one thread each."""
        if self.synchronous or (n_rxqs == self._n_rxqs and list(cpus) == self._cpus):
            return
        self._answer_all_upcalls()
        self._stop()
        self.ports.detach_all()
        while len(self._workers) > len(cpus):
            self._drop_worker()
        self._n_rxqs, self._cpus = n_rxqs, list(cpus)
        while len(self._workers) < len(cpus):
            self._add_worker()
        self.ports.attach_all(n_rxqs)
        self._start()

    @staticmethod
    def default_cpus() -> list[int | None]:
        """The CPUs that are polled on unless told otherwise."""
        return list(_default_cpus())

    def close(self) -> None:
        """End the threads and give all devices back."""
        self.ports.remove_all()
        self._stop()
        for worker in self._workers:
            if self._loop is not None:
                self._loop.remove_reader(worker.up_fd)
            worker.close()
        self._workers.clear()
        self.ports.close()
        self._callback = None

    def run(self, n_ports: int) -> None:
        """Look at some of the devices again, and answer upcalls where no event loop does."""
        self.ports.look_around(n_ports)
        if self.synchronous:
            self.pump()
        elif self._loop is None:
            self.ports.pump()
            self.run_upcalls()

    def remove_port(self, number: DpPort) -> None:
        """Remove a port; see `PortSet.remove`."""
        self.ports.remove(number)
        self._tidy()

    # -- operations ------------------------------------------------------------------------------------------------

    def operate(self, ops: Sequence[DpOp]) -> None:
        """Do `ops` in order; in force when this returns."""
        commands: list[bytes] = []
        deleted: list[tuple[FlowDel, Flow]] = []
        for op in ops:
            try:
                if isinstance(op, FlowPut):
                    self._put(op, commands)
                elif isinstance(op, FlowDel):
                    deleted.append((op, self._flow(op.ufid)))
                    self._tables.remove(deleted[-1][1], commands)
                elif isinstance(op, FlowGet):
                    op.flow = self.describe(self._flow(op.ufid))
                else:
                    self._broadcast(commands)
                    commands = []
                    self._execute(op)
            except OSError as error:
                op.error = error
        self._broadcast(commands)
        self.wait()
        for delete, flow in deleted:
            delete.stats = self.stats(flow)
            self._tables.dispose(flow)
        self._tidy()
        if self.synchronous:
            self.pump()

    def _flow(self, ufid: int) -> Flow:
        flow = self._tables.flows.get(ufid)
        if flow is None:
            raise FileNotFoundError(errno.ENOENT, f"no flow with ufid {ufid:032x}")
        return flow

    def _put(self, op: FlowPut, commands: list[bytes]) -> None:
        flow = self._tables.flows.get(op.ufid)
        if flow is None and not op.flags & PutFlags.CREATE:
            raise FileNotFoundError(errno.ENOENT, f"no flow with ufid {op.ufid:032x}")
        if flow is not None and not op.flags & PutFlags.MODIFY:
            raise FileExistsError(errno.EEXIST, f"a flow with ufid {op.ufid:032x} is there already")
        if op.flags & PutFlags.PROBE:
            self._tables.check(op.key, op.mask, op.actions)
        elif flow is None:
            self._tables.put(op.ufid, op.key, op.mask, op.actions, commands)
        else:
            op.stats = self.stats(flow)
            self._tables.change(flow, op.actions, zero=bool(op.flags & PutFlags.ZERO_STATS), commands=commands)

    def _execute(self, op: Execute) -> None:
        if not _MIN_PACKET <= len(op.packet) <= MAX_PACKET:
            raise OSError(errno.EINVAL, f"a packet of {len(op.packet)} bytes (expected {_MIN_PACKET} to {MAX_PACKET})")
        if op.probe:
            self._programs.check(op.actions)
            return
        program = self._programs.acquire(op.actions)
        self._programs.release(program)
        worker = self._workers[0]
        port = self.ports.block(op.key & 0xFFFFFFFF)
        command = worker.execute(op.packet, op.key, program.offset, port)
        if command is None:
            worker.wait()
            command = worker.execute(op.packet, op.key, program.offset, port)
        if command is None:
            raise OSError(errno.ENOBUFS, "no memory to execute a packet")
        worker.send([command])
        self._stamp()

    def _broadcast(self, commands: list[bytes]) -> None:
        if commands:
            for worker in self._workers:
                worker.send(commands)
        self._stamp()

    def _stamp(self) -> None:
        self._heap.stamp([worker.sent for worker in self._workers])

    def wait(self) -> None:
        """Return when every thread has done what it was told."""
        for worker in self._workers:
            worker.submit()
        for worker in self._workers:
            worker.wait()

    def _tidy(self) -> None:
        self._stamp()
        self._heap.reclaim(lambda: [worker.done() for worker in self._workers])

    # -- flows -----------------------------------------------------------------------------------------------------

    def stats(self, flow: Flow) -> FlowStats:
        """A flow's counters; `used` in the clock's time."""
        stats = self._tables.stats(flow)
        if stats.used and not self.synchronous:
            now = self.clock.now()
            stats.used = max(1, min(now, stats.used + now - time.monotonic_ns() // 1_000_000))
        return stats

    def describe(self, flow: Flow, *, terse: bool = False) -> DpFlow:
        """A flow for whoever asks."""
        if terse:
            return DpFlow(flow.ufid, None, None, None, self.stats(flow))
        return DpFlow(flow.ufid, flow.key, flow.table.mask, flow.actions, self.stats(flow))

    def flush(self) -> None:
        """Remove all flows and throw away all waiting upcalls."""
        flows = list(self._tables.flows.values())
        commands: list[bytes] = []
        for flow in flows:
            self._tables.remove(flow, commands)
        self._broadcast(commands)
        self._answer_all_upcalls()
        self.wait()
        for flow in flows:
            self._tables.dispose(flow)
        self._tidy()

    def all_flows(self) -> Iterable[Flow]:
        """Every flow, oldest first."""
        return self._tables.flows.values()

    def has(self, flow: Flow) -> bool:
        """Whether a flow is still there."""
        return self._tables.flows.get(flow.ufid) is flow

    def dump(self, *, terse: bool) -> FlowDump:
        """A cursor over the flows."""
        return _Dump(self, terse=terse)

    def get_stats(self) -> DpStats:
        """Counters, summed over the threads."""
        values = list(self._counters_before)
        for i, which in enumerate(_COUNTERS):
            values[i] += sum(arena.counter(which) for arena in self.arenas)
        hits, misses, lost, cache_hits, mask_hits = values
        return DpStats(
            hits=hits,
            misses=misses,
            lost=lost,
            flows=len(self._tables.flows),
            masks=len(self._tables.tables),
            mask_hits=mask_hits,
            cache_hits=cache_hits,
        )

    # -- upcalls ---------------------------------------------------------------------------------------------------

    def set_callback(self, callback: UpcallCallback) -> None:
        """Who answers upcalls from now on."""
        self._callback = callback

    def enable_upcalls(self, enable: bool) -> None:
        """Let packets come up, or be lost."""
        self._enabled = enable
        for worker in self._workers:
            worker.enable_upcalls(enable)

    def _upcalls_ready(self, worker: Worker) -> None:
        worker.clear_event()
        self._later()

    def _later(self) -> None:
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._run_scheduled)

    def _run_scheduled(self) -> None:
        self._scheduled = False
        if not self._workers:
            return
        if self.synchronous:
            self.pump()
        elif self.run_upcalls():
            self._later()

    def run_upcalls(self) -> bool:
        """Answer one batch of upcalls of each thread; whether more wait."""
        more = False
        for worker in self._workers:
            records = worker.upcalls(UPCALL_BATCH)
            if records:
                self._answer(worker, records)
                more = more or worker.upcalls_wait()
        return more

    def _answer_all_upcalls(self) -> None:
        for worker in self._workers:
            worker.send([COMMAND.pack(C_REPLY, place, 0, 0, 0, 0, 0, 0) for place in worker.forget_upcalls()])
            worker.submit()

    def _answer(self, worker: Worker, records: Sequence[Record]) -> None:
        upcalls = [self._upcall(record) for record in records]
        replies: Sequence[UpcallReply] = ()
        if self._callback is not None:
            try:
                replies = self._callback([upcall for upcall in upcalls if upcall is not None])
            except Exception:  # the packets are dropped; the ring goes on
                log.exception("handling upcalls failed")
        if not self._workers:
            return
        answers = iter(replies)
        mine: list[bytes] = []
        others: list[bytes] = []
        several = len(self._workers) > 1
        flows = self._tables.flows
        for record, upcall in zip(records, upcalls, strict=True):
            reply = next(answers, None) if upcall is not None else None
            offset = 0
            if reply is not None:
                put = reply.put
                try:
                    if put is not None and put.ufid not in flows:
                        before = len(mine)
                        flow = self._tables.put(put.ufid, put.key, put.mask, put.actions, mine)
                        if several:
                            others += mine[before:]
                        if put.actions is reply.actions:
                            offset = flow.program.offset
                    if reply.actions and not offset:
                        program = self._programs.acquire(reply.actions)
                        self._programs.release(program)
                        offset = program.offset
                except OSError as error:
                    if put is not None:
                        put.error = error
            mine.append(COMMAND.pack(C_REPLY, record.place, offset, 0, 0, 0, 0, 0))
        if others:
            for other in self._workers:
                if other is not worker:
                    other.send([*others, other.forward_waiting()])
                    other.submit()
        if len(mine) > len(records):
            # Flows were made: what else of them waits goes before what comes later. The next batch is not taken before
            # that is done, or packets that hit the new flows would overtake those of theirs that are in it.
            worker.send([*mine, worker.forward_waiting()])
            worker.wait()
        else:
            worker.send(mine)
            worker.submit()
        self._tidy()

    def _upcall(self, record: Record) -> Upcall | None:
        if record.kind < 0:
            return None
        if record.kind == 0:
            return Upcall(UpcallType.MISS, record.packet, record.key, length=record.frame_length)
        found = self._programs.userspace(record.kind - 1)
        if found is None:
            return None
        action, actions = found
        return Upcall(
            UpcallType.ACTION,
            record.packet,
            record.key,
            userdata=action.userdata,
            actions=actions if action.actions_wanted else None,
            length=record.frame_length,
        )

    # -- without threads -------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Handle everything that has come in, to its end: lookup, upcalls, output (synchronous datapaths)."""
        if self._pumping:
            self._again = True
            return
        self._pumping = True
        try:
            for _ in range(_PASSES):
                self._again = False
                moved = self.ports.pump()
                worker = self._workers[0]
                worker.poll(self.clock.now(), self.ports.receiving(worker.arena))
                more = self.run_upcalls()
                moved += self.ports.pump()
                waiting = self.ports.receiving(worker.arena)
                if not (moved or more or waiting or self._again or worker.upcalls_wait()):
                    return
        finally:
            self._pumping = False
        self._later()


class _Dump(FlowDump):
    """A cursor: the flows there were at its start, less those that have gone when their turn comes."""

    def __init__(self, datapath: Datapath, *, terse: bool) -> None:
        self._datapath = datapath
        self._terse = terse
        self._left = list(datapath.all_flows())
        self._left.reverse()

    def next_batch(self, max_flows: int) -> list[DpFlow]:
        """The next flows."""
        batch: list[DpFlow] = []
        while self._left and len(batch) < max_flows:
            flow = self._left.pop()
            if self._datapath.has(flow):
                batch.append(self._datapath.describe(flow, terse=self._terse))
        return batch

    def finish(self) -> None:
        """Forget the rest."""
        self._left.clear()


_COUNTERS: Final = (N_HIT, N_MISS, N_LOST, N_CACHE_HIT, N_MASK_HIT)


def _default_cpus() -> list[int | None]:
    """All CPUs this process may use but the first, which the main thread has; no binding where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return [*available[1:]] or [None]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
