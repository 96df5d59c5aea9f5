"""The datapath type "netdev": the contract of `jackfield.dpif.provider` on compiled code in polling threads."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from jackfield.dpif.provider import Dpif, DpOp, DpPortInfo, DpStats, FlowDump, PortsChanged, UpcallCallback
from jackfield.dpif.userspace.datapath import Datapath
from jackfield.dpif.userspace.warm import kernels
from jackfield.flow.ports import DPP_LOCAL, DpPort
from jackfield.netdev.provider import DeviceStats, Netdev

if TYPE_CHECKING:
    from jackfield.clock import Clock

_PORTS_PER_RUN: Final = 64

#: What dpif/show-dp-features prints, in its order.
_FEATURES: Final = {
    "Masked set action": "Yes",
    "Tunnel push pop": "No",
    "Ufid": "Yes",
    "Truncate action": "Yes",
    "Clone action": "Yes",
    "Sample nesting": "10",
    "Conntrack eventmask": "No",
    "Conntrack clear": "No",
    "Max dp_hash algorithm": "0",
    "Check pkt length action": "No",
    "Conntrack timeout policy": "No",
    "Explicit Drop action": "Yes",
    "Optimized Balance TCP mode": "No",
    "Conntrack all-zero IP SNAT": "No",
    "MPLS Label add": "No",
    "Max VLAN headers": "2",
    "Max MPLS depth": "3",
    "Recirc": "Yes",
    "CT state": "No",
    "CT zone": "No",
    "CT mark": "No",
    "CT label": "No",
    "CT state NAT": "No",
    "CT orig tuple": "No",
    "CT orig tuple for IPv6": "No",
    "IPv6 ND Extension": "No",
}


class UserspaceDpif(Dpif):
    """One open userspace datapath; all instances of a name share a `Datapath`."""

    type: ClassVar[str] = "netdev"
    direct_upcalls: ClassVar[bool] = True
    #: No threads: everything happens on the caller's.
    synchronous: ClassVar[bool] = False
    _datapaths: ClassVar[dict[str, Datapath]] = {}

    def __init__(self, name: str, clock: Clock, *, create: bool = False) -> None:
        super().__init__(name, clock)
        datapath = self._datapaths.get(name)
        if datapath is None:
            if not create:
                raise OSError(errno.ENODEV, f"no datapath {self.type}@{name}")
            datapath = Datapath(name, clock, kernels(), synchronous=self.synchronous)
            self._datapaths[name] = datapath
        self._datapath = datapath
        self.features = dict(_FEATURES)

    # -- the class -------------------------------------------------------------------------------------------------

    @classmethod
    def enumerate(cls) -> list[str]:
        """Names of the datapaths of this process."""
        return list(cls._datapaths)

    @classmethod
    def port_open_type(cls, port_type: str) -> str:
        """Internal ports are taps."""
        return "tap" if port_type == "internal" else port_type

    @classmethod
    def datapath_version(cls) -> str:
        """It comes with the switch."""
        return "<built-in>"

    # -- the datapath ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing is held by an instance."""

    def destroy(self) -> None:
        """End the threads and give the devices back."""
        if self._datapaths.get(self.base_name) is self._datapath:
            del self._datapaths[self.base_name]
            self._datapath.close()

    def run(self) -> bool:
        """Look for devices that came or went, and do what no event loop does."""
        self._datapath.run(_PORTS_PER_RUN)
        return False

    def get_stats(self) -> DpStats:
        """The threads' counters, summed."""
        return self._datapath.get_stats()

    # -- ports -----------------------------------------------------------------------------------------------------

    def port_add(self, netdev: Netdev, port_no: DpPort | None = None) -> DpPort:
        """Poll a device."""
        return self._datapath.ports.add(netdev, port_no)

    def port_del(self, port_no: DpPort) -> None:
        """Stop polling a device."""
        if port_no == DPP_LOCAL:
            raise OSError(errno.EINVAL, "the local port cannot be removed")
        self._datapath.remove_port(port_no)

    def port_query_by_number(self, port_no: DpPort) -> DpPortInfo:
        """A port by number."""
        ports = self._datapath.ports
        return ports.info(ports.get(port_no))

    def port_query_by_name(self, name: str) -> DpPortInfo:
        """A port by its device's name."""
        ports = self._datapath.ports
        return ports.info(ports.get_by_name(name))

    def port_dump(self) -> list[DpPortInfo]:
        """All ports, by number."""
        ports = self._datapath.ports
        return sorted((ports.info(port) for port in ports), key=lambda info: info.port_no)

    def port_poll(self) -> PortsChanged | None:
        """A port that was added, removed or attached again."""
        return self._datapath.ports.poll()

    def port_refresh(self, port_no: DpPort) -> None:
        """Attach the port again if its device is another one now."""
        self._datapath.ports.refresh(port_no)

    def port_stats(self, port_no: DpPort) -> DeviceStats:
        """What the threads counted."""
        return self._datapath.ports.stats(port_no)

    # -- flows -----------------------------------------------------------------------------------------------------

    def flow_flush(self) -> None:
        """Remove all flows."""
        self._datapath.flush()

    def flow_dump(self, *, terse: bool = False) -> FlowDump:
        """A cursor over the flows."""
        return self._datapath.dump(terse=terse)

    def operate(self, ops: Sequence[DpOp]) -> None:
        """Change, read and execute."""
        self._datapath.operate(ops)

    # -- upcalls ---------------------------------------------------------------------------------------------------

    def register_upcall_cb(self, callback: UpcallCallback) -> None:
        """Set who answers upcalls."""
        self._datapath.set_callback(callback)

    def enable_upcall(self) -> None:
        """Let packets come up."""
        self._datapath.enable_upcalls(True)

    def disable_upcall(self) -> None:
        """Let no packet come up."""
        self._datapath.enable_upcalls(False)

    def set_upcall_limit(self, per_port: int) -> None:
        """Bound each port's waiting upcalls."""
        self._datapath.ports.set_upcall_limit(per_port)

    # -- settings --------------------------------------------------------------------------------------------------

    def poll_threads_set(self, n_rxqs: int, cpu_mask: str | None) -> None:
        """One thread on each CPU of the mask; None for all CPUs but one."""
        if n_rxqs < 1:
            raise OSError(errno.EINVAL, f"{n_rxqs} receive queues (expected at least one)")
        cpus = Datapath.default_cpus() if cpu_mask is None else list(_cpus_of(cpu_mask))
        self._datapath.set_threads(n_rxqs, cpus)


def _cpus_of(mask: str) -> list[int | None]:
    """The CPUs a hexadecimal mask names, with or without 0x."""
    try:
        bits = int(mask, 16)
    except ValueError:
        raise OSError(errno.EINVAL, f"CPU mask {mask} (expected hexadecimal digits)") from None
    available = os.sched_getaffinity(0)
    cpus: list[int | None] = [cpu for cpu in range(max(bits, 0).bit_length()) if bits >> cpu & 1 and cpu in available]
    if not cpus:
        raise OSError(errno.EINVAL, f"CPU mask {mask} names no CPU of this machine")
    return cpus
