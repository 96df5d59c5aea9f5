"""What all bridges of one datapath type share: the datapath, its megaflows, its upcalls.

One datapath backs them all, "ovs-netdev" for type "netdev": patch ports exist in translation only, and rules of two
patched bridges make one megaflow. The first bridge of a type opens the datapath, the last one destroys it.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from jackfield.clock import Clock, spawn
from jackfield.dpif.provider import Dpif
from jackfield.dpif.registry import close_dpif, open_dpif
from jackfield.errors import refuse
from jackfield.flow.hash import FlowIds
from jackfield.log import get_logger
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.bridge import XPort
from jackfield.ofproto.pipeline.flows import Megaflow, MegaflowTable
from jackfield.ofproto.pipeline.freeze import FrozenTable
from jackfield.ofproto.pipeline.report import Report
from jackfield.ofproto.pipeline.revalidate import Revalidator
from jackfield.ofproto.pipeline.translate import Translation
from jackfield.ofproto.pipeline.upcall import UPCALLS_PER_PORT, UpcallHandler, settle

if TYPE_CHECKING:
    from jackfield.netdev.provider import Netdev
    from jackfield.ofproto.pipeline.provider import PipelineProvider

log = get_logger("ofproto_dpif")

_RECIRCULATION_TIME: Final = 1_000
"""Ms for which the frozen states of a packet that made no megaflow stay."""

_backers: dict[str, Backer] = {}

_WAKE_DELAY: Final = 2
"""Within how many ms changes are worked off that no barrier asks for."""


class Backer:
    """One datapath and what its bridges share; see `acquire`.

    Attributes:
        dpif: the datapath.
        bridges: by number.
        ports: by datapath port number.
    """

    def __init__(self, dpif: Dpif, clock: Clock) -> None:
        self.dpif = dpif
        self.clock = clock
        self.ids = FlowIds()
        self.flows = MegaflowTable()
        self.frozen = FrozenTable()
        self.bridges: dict[int, PipelineProvider] = {}
        self.ports: dict[int, XPort] = {}
        self._patches: dict[str, XPort] = {}
        self._changed_devices: dict[str, None] = {}
        self._next_bridge = 1
        self.revalidator = Revalidator(self)
        self.upcalls = UpcallHandler(self)
        dpif.set_upcall_limit(UPCALLS_PER_PORT)
        dpif.flow_flush()
        if dpif.direct_upcalls:
            dpif.register_upcall_cb(self.upcalls.handle)
            dpif.enable_upcall()
        else:
            dpif.recv_set(True)
            self._wait_for_upcalls()

    # -- bridges ---------------------------------------------------------------------------------------------------

    def add_bridge(self, provider: PipelineProvider) -> int:
        """A new bridge; returns its number."""
        number = self._next_bridge
        self._next_bridge += 1
        self.bridges[number] = provider
        return number

    def release(self, number: int, *, delete: bool) -> None:
        """A bridge is gone; with the last one the datapath goes, unless it shall outlive the process."""
        del self.bridges[number]
        if self.bridges:
            self.revalidator.everything_changed()
            return
        self.revalidator.purge()
        _backers.pop(self.dpif.type, None)
        if self.dpif.direct_upcalls:
            self.dpif.disable_upcall()
        else:
            self.dpif.recv_set(False)
        if delete:
            self.dpif.destroy()
        close_dpif(self.dpif)

    def wake(self) -> None:
        """Have `run` called soon: so much later that a controller's barriers, which do the work at once, come first."""
        for bridge in self.bridges.values():
            bridge.ofproto.wake_provider(within=_WAKE_DELAY)
            return

    def run(self, now: int) -> int | None:
        """Do what is due; returns the clock ms of what is next."""
        self.upcalls.confirm()
        if self.dpif.run():
            self.revalidator.everything_changed()
        times = (self.revalidator.run(now), self.dpif.wait())
        return min((each for each in times if each is not None), default=None)

    def drive(self, work: Generator[None, None, None], at_once: bool, name: str) -> None:
        """Do work now, or in slices of the main loop."""
        if not at_once:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                at_once = True
        if at_once:
            for _ in work:
                pass
        else:
            spawn(work, name=name)

    # -- ports -----------------------------------------------------------------------------------------------------

    def add_port(self, port: XPort, netdev: Netdev) -> None:
        """Let packets in and out of a port.

        Raises:
            OSError: the datapath's refusal.
        """
        if port.peer_name is not None:
            self._patches[port.name] = port
            self._join_patches(port)
            return
        try:
            number = self.dpif.port_add(netdev)
        except FileExistsError:
            # It may have been left there by another process.
            number = self.dpif.port_query_by_name(netdev.name).port_no
            if number in self.ports:
                raise refuse(errno.EBUSY, f"{netdev.name}: the device is a port of another bridge") from None
        port.set_dp_port(number)
        port.pid = self.dpif.port_get_pid(number, 0)
        self.ports[number] = port

    def remove_port(self, port: XPort) -> None:
        """Let go of a port."""
        if port.peer_name is not None:
            if self._patches.get(port.name) is port:
                del self._patches[port.name]
            if port.peer is not None:
                other, port.peer = port.peer, None
                other.peer = None
                other.bridge.port_changed(other)
            return
        number = port.dp_port
        if number is not None and self.ports.pop(number, None) is not None:
            try:
                self.dpif.port_del(number)
            except OSError as error:
                log.warning("%s: failed to remove port from the datapath: %s", port.name, error)
            self.revalidator.topic_changed(port.topic)

    def repeer(self, port: XPort, peer_name: str) -> None:
        """A patch port names another peer."""
        if port.peer_name == peer_name:
            return
        if port.peer is not None:
            port.peer.bridge.port_changed(port.peer)
            port.peer.peer = None
            port.peer = None
        port.peer_name = peer_name
        self._join_patches(port)
        port.bridge.port_changed(port)

    def _join_patches(self, port: XPort) -> None:
        """Two patch ports that name each other are joined."""
        peer = self._patches.get(port.peer_name or "")
        if peer is not None and peer is not port and peer.peer_name == port.name:
            port.peer, peer.peer = peer, port
            peer.bridge.port_changed(peer)

    def poll_device(self, wanted: dict[str, XPort]) -> str | None:
        """One device out of `wanted` that changed in the datapath, "" for "any", None for none."""
        while (change := self.dpif.port_poll()) is not None:
            if change.name is None:
                return ""
            self._changed_devices[change.name] = None
        for name in self._changed_devices:
            if name in wanted:
                del self._changed_devices[name]
                return name
        return None

    # -- packets ---------------------------------------------------------------------------------------------------

    def translate(self, key: int, *, learn: bool, report: Report | None = None) -> Translation | None:
        """Translate a packet's datapath key; None when it belongs to no bridge."""
        port = self.ports.get(key & k.DP_IN_PORT)
        recirc_id = key & k.RECIRC_ID
        if recirc_id:
            state = self.frozen.get(recirc_id >> k.RECIRC_ID_OFF)
            provider = None if state is None else self.bridges.get(state.bridge)
            if state is None or provider is None:
                return None
            t = Translation(provider.bridge, key, None, self.clock.now(), self.frozen, learn=learn, report=report)
            t.thaw(state)
        elif port is None:
            return None
        else:
            t = Translation(port.bridge, key, port, self.clock.now(), self.frozen, learn=learn, report=report)
            t.start(port)
        if port is not None:
            t.pid = port.pid
        t.run()
        return t

    def settle(self, t: Translation, length: int, now: int) -> None:
        """Credit one packet of a translation that does not become a megaflow."""
        settle(t, length, now)
        if t.recirc_ids:
            self.clock.call_later(_RECIRCULATION_TIME, t.release)

    def forget(self, flow: Megaflow) -> None:
        """A megaflow is not in the datapath."""
        if self.flows.get(flow.ufid) is flow:
            self.flows.remove(flow)
            for recirc_id in flow.recirc_ids:
                self.frozen.release(recirc_id)

    def _wait_for_upcalls(self) -> None:
        self.dpif.recv_wait(0, self._upcalls_waiting)

    def _upcalls_waiting(self) -> None:
        if self.upcalls.poll():
            self.clock.call_later(0, self._upcalls_waiting)
        else:
            self._wait_for_upcalls()


def acquire(type_name: str, clock: Clock) -> Backer:
    """The backer of a datapath type, opened for the first bridge.

    Raises:
        OSError: the datapath cannot be had.
    """
    backer = _backers.get(type_name)
    if backer is None:
        dpif = open_dpif(type_name, f"ovs-{type_name}", clock, create=True)
        backer = _backers[type_name] = Backer(dpif, clock)
    return backer


def backers() -> list[Backer]:
    """All backers there are."""
    return list(_backers.values())
