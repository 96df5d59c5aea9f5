"""Adding, removing and attaching the ports of a userspace datapath.

A port is *attached* while queues of its device are in use. It is detached and attached again when the device behind
it came back as another one, and when the number of polling threads changes. Rows and descriptors go back to the device
only after every thread has done the commands that took them away.
"""

from __future__ import annotations

import asyncio
import errno
import select
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from jackfield.dpif.provider import DpPortInfo, PortsChanged
from jackfield.dpif.userspace.flows import command
from jackfield.dpif.userspace.heap import Heap
from jackfield.dpif.userspace.ports import Bridge, Port
from jackfield.dpif.userspace.state import (
    C_PORT_SET,
    C_RX_ADD,
    C_RX_DEL,
    MAX_PORTS,
    MAX_RXQS,
    P_UP_LIMIT,
    P_UP_LOST,
    PORT_WORDS,
    Arena,
)
from jackfield.dpif.userspace.worker import Worker
from jackfield.errors import describe
from jackfield.flow.ports import DpPort
from jackfield.log import get_logger
from jackfield.netdev.compiled import QUEUE_ROW, QUEUE_RX_DROPS, QUEUE_RX_PACKETS
from jackfield.netdev.provider import DeviceStats, Netdev

log = get_logger("dpif_netdev")

DEFAULT_UPCALL_LIMIT: Final = 256


class PortSet:
    """The ports of a datapath.

    Args:
        workers: the polling threads; the list changes only while all ports are detached.
        heap: where blocks and rows come from.
        ready: called when a Python device has packets, where the datapath has no threads; else None.
        loop: what moves the packets of Python devices otherwise.
    """

    def __init__(
        self,
        workers: list[Worker],
        heap: Heap,
        ready: Callable[[], None] | None,
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self._workers = workers
        self._heap = heap
        self._ready = ready
        self._loop = loop
        self._ports: dict[DpPort, Port] = {}
        self._names: dict[str, Port] = {}
        self._changes: dict[str, None] = {}
        self._n_rxqs = 1
        self._next = 1
        self._turn = 0
        self._receivers = 0
        self._bridged: dict[DpPort, Bridge] = {}
        # Without threads, work is proportional to the ports that have packets, not to all ports.
        self._has_packets: dict[DpPort, Port] = {}
        self._receiving: dict[DpPort, Port] = {}
        self._sending: dict[int, Port] = {}
        self._epoll = select.epoll()
        self.upcall_limit = DEFAULT_UPCALL_LIMIT

    def __iter__(self) -> Iterator[Port]:
        return iter(self._ports.values())

    def __len__(self) -> int:
        return len(self._ports)

    # -- the set ---------------------------------------------------------------------------------------------------

    def add(self, netdev: Netdev, number: DpPort | None) -> DpPort:
        """Add a device as a port; see `Dpif.port_add` for errors."""
        if netdev.name in self._names:
            raise FileExistsError(errno.EEXIST, f"{netdev.name}: is a port already")
        if number is None:
            number = self._free_number()
        elif number in self._ports:
            raise OSError(errno.EBUSY, f"{netdev.name}: port number {number} is taken")
        elif not 0 <= number < MAX_PORTS:
            raise OSError(errno.EFBIG, f"{netdev.name}: port number {number} is too big (at most {MAX_PORTS - 1})")
        port = Port(number, netdev, self._heap.allocate(PORT_WORDS, "port"))
        for worker in self._workers:
            worker.arena.words[port.block : port.block + PORT_WORDS] = _NO_PORT
        try:
            self._attach(port)
        except OSError:
            self._detach(port)
            self._heap.retire(port.block, PORT_WORDS, "port")
            raise
        self._ports[number] = self._names[netdev.name] = port
        self._changes[netdev.name] = None
        return number

    def remove(self, number: DpPort) -> None:
        """Remove a port; no thread touches its device any more when this returns.

        Raises:
            OSError: ENODEV.
        """
        port = self.get(number)
        self._detach(port)
        self._heap.retire(port.block, PORT_WORDS, "port")
        del self._ports[number]
        del self._names[port.netdev.name]
        self._changes[port.netdev.name] = None

    def remove_all(self) -> None:
        """Remove every port."""
        for number in list(self._ports):
            self.remove(number)

    def get(self, number: DpPort) -> Port:
        """The port of a number.

        Raises:
            OSError: ENODEV.
        """
        port = self._ports.get(number)
        if port is None:
            raise OSError(errno.ENODEV, f"no port {number}")
        return port

    def get_by_name(self, name: str) -> Port:
        """The port of a device's name.

        Raises:
            OSError: ENODEV.
        """
        port = self._names.get(name)
        if port is None:
            raise OSError(errno.ENODEV, f"no port {name}")
        return port

    def is_free(self, number: int) -> bool:
        """Whether a port number could be given; 0 is only given when it is asked for."""
        return 0 < number < MAX_PORTS and number not in self._ports

    def block(self, number: int) -> int:
        """Where a port's words are, 0 when there is no such port."""
        port = self._ports.get(DpPort(number))
        return 0 if port is None else port.block

    def poll(self) -> PortsChanged | None:
        """The next change, oldest first."""
        if not self._changes:
            return None
        name = next(iter(self._changes))
        del self._changes[name]
        return PortsChanged(name)

    def stats(self, number: DpPort) -> DeviceStats:
        """What the polling threads counted at a port.

        Raises:
            OSError: ENODEV.
        """
        return self.get(number).stats([worker.arena for worker in self._workers])

    def lost(self, number: DpPort) -> int:
        """Upcalls of a port that were lost."""
        block = self.get(number).block
        return sum(worker.arena.words[block + P_UP_LOST] for worker in self._workers)

    def set_upcall_limit(self, limit: int) -> None:
        """Bound how many upcalls of each port may wait."""
        self.upcall_limit = limit
        for port in self._ports.values():
            for worker in self._workers:
                worker.arena.words[port.block + P_UP_LIMIT] = limit

    def _free_number(self) -> DpPort:
        for number in range(self._next, MAX_PORTS):
            if number not in self._ports:
                self._next = number + 1
                return DpPort(number)
        for number in range(1, self._next):
            if number not in self._ports:
                self._next = number + 1
                return DpPort(number)
        raise OSError(errno.EFBIG, "all port numbers are taken")

    # -- devices -----------------------------------------------------------------------------------------------------

    def refresh(self, number: DpPort) -> None:
        """Attach a port again if the device behind it is another one now.

        Raises:
            OSError: ENODEV.
        """
        port = self.get(number)
        port.change_seq = port.netdev.change_seq
        if port.bridge is None and port.attached != _identity(port.netdev):
            self._reattach(port)

    def look_around(self, n_ports: int) -> None:
        """`refresh` some of the ports, each time others."""
        ports = list(self._ports.values()) if len(self._ports) <= n_ports else self._some(n_ports)
        for port in ports:
            if port.change_seq != port.netdev.change_seq:
                self.refresh(port.number)

    def _some(self, n_ports: int) -> list[Port]:
        numbers = list(self._ports)
        chosen = [numbers[(self._turn + i) % len(numbers)] for i in range(n_ports)]
        self._turn += n_ports
        return [self._ports[number] for number in chosen]

    def _reattach(self, port: Port) -> None:
        self._detach(port)
        try:
            self._attach(port)
        except OSError as error:
            # A device that is going away or coming may refuse; its next change tries again.
            log.warning("%s: cannot be polled: %s", port.netdev.name, describe(error))
            self._detach(port)
        self._changes[port.netdev.name] = None

    def attach_all(self, n_rxqs: int) -> None:
        """Attach every port, with `n_rxqs` queues each; no thread runs."""
        self._n_rxqs = n_rxqs
        for port in self._ports.values():
            try:
                self._attach(port)
            except OSError as error:
                log.warning("%s: cannot be polled: %s", port.netdev.name, describe(error))
                self._detach(port)

    def detach_all(self) -> None:
        """Detach every port."""
        for port in self._ports.values():
            self._detach(port)

    def _attach(self, port: Port) -> None:
        port.attached = _identity(port.netdev)
        port.change_seq = port.netdev.change_seq
        queues = port.netdev.compiled_queues(self._n_rxqs)
        if queues is None:
            port.bridge = Bridge(port.netdev)
            queues = [port.bridge.queue]
        port.queues = queues
        port.rows = [self._heap.allocate(QUEUE_ROW, "queue") for _ in queues]
        if self._receivers + len(queues) > MAX_RXQS:
            raise OSError(errno.ENOSPC, f"too many receive queues (at most {MAX_RXQS})")
        for worker in self._workers:
            port.write(worker.arena, self.upcall_limit)
        if not queues:
            return
        for i, worker in enumerate(self._workers):
            commands = [command(C_PORT_SET, port.number, port.rows[i % len(port.rows)])]
            for j in range(0 if self._is_pumped(port) else len(queues)):
                if (port.number + j) % len(self._workers) == i:
                    commands.append(command(C_RX_ADD, port.rows[j], port.block))
                    worker.sleep_on(queues[j].fd)
                    port.receivers.append((i, port.rows[j], queues[j].fd))
            worker.send(commands)
        self._receivers += len(port.receivers)
        self._wait()
        if port.bridge is not None:
            self._bridged[port.number] = port.bridge
            if self._is_pumped(port):
                self._sending[port.bridge.out_fd] = port
                self._epoll.register(port.bridge.out_fd, select.EPOLLIN)
                self._has_packets[port.number] = port
                port.bridge.start(None, partial(self._device_ready, port))
            else:
                port.bridge.start(self._loop, None)

    def _detach(self, port: Port) -> None:
        """Take the port from the threads, wait until they have let go, and give the device its queues back."""
        if port.rows:
            for i, worker in enumerate(self._workers):
                commands = [command(C_RX_DEL, row) for index, row, _ in port.receivers if index == i]
                worker.send([*commands, command(C_PORT_SET, port.number, 0)])
            self._wait()
            port.before = port.stats([worker.arena for worker in self._workers])
            for row in port.rows:
                self._heap.retire(row, QUEUE_ROW, "queue")
        for index, _, fd in port.receivers:
            self._workers[index].sleep_off(fd)
        self._receivers -= len(port.receivers)
        if port.bridge is not None:
            self._bridged.pop(port.number, None)
            self._has_packets.pop(port.number, None)
            self._receiving.pop(port.number, None)
            if self._sending.pop(port.bridge.out_fd, None) is not None:
                self._epoll.unregister(port.bridge.out_fd)
            port.bridge.stop()
            port.bridge = None
        elif port.queues:
            port.netdev.release_queues(port.queues)
        port.queues, port.rows, port.receivers = [], [], []

    def _wait(self) -> None:
        for worker in self._workers:
            worker.submit()
        for worker in self._workers:
            worker.wait()

    def _is_pumped(self, port: Port) -> bool:
        """Whether the packets of a port are moved by `pump`: a Python device's, on a datapath without threads."""
        return self._ready is not None and port.bridge is not None

    def _device_ready(self, port: Port) -> None:
        self._has_packets[port.number] = port
        if self._ready is not None:
            self._ready()

    def pump(self) -> int:
        """Move packets between Python devices and rings, where something waits; how many."""
        if self._ready is None:
            return sum(bridge.pump() for bridge in list(self._bridged.values()))
        active, self._has_packets = self._has_packets, {}
        for fd, _ in self._epoll.poll(0):
            port = self._sending[fd]
            active[port.number] = port
        moved = 0
        for port in active.values():
            if port.bridge is None:
                continue
            n = port.bridge.pump()
            moved += n
            if n:
                self._has_packets[port.number] = port
            self._receiving[port.number] = port
        return moved

    def receiving(self, arena: Arena) -> list[tuple[int, int]]:
        """Queue row and port block of each pumped port that has packets in its ring."""
        for port in list(self._receiving.values()):
            words = arena.words
            row = port.rows[0]
            taken = words[row + QUEUE_RX_PACKETS] + words[row + QUEUE_RX_DROPS]
            if port.bridge is None or taken >= port.bridge.pushed:
                del self._receiving[port.number]
        return [(port.rows[0], port.block) for port in self._receiving.values()]

    def close(self) -> None:
        """Close what waits for devices; all ports are gone."""
        self._epoll.close()

    def info(self, port: Port) -> DpPortInfo:
        """What `Dpif.port_dump` says of a port."""
        return DpPortInfo(port.number, port.netdev.name, port.netdev.type)


def _identity(netdev: Netdev) -> tuple[bool, int]:
    return netdev.present, netdev.ifindex


_NO_PORT: Final = memoryview(bytes(8 * PORT_WORDS)).cast("q")
