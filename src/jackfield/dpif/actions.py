"""Datapath actions: what a datapath does with a packet, as data.

A datapath knows nothing of OpenFlow: translation (`jackfield.ofproto.pipeline`) boils rules down to a tuple of these.
They are immutable and hashable, so equal action lists can be shared. Keys, values and masks are integers over the
layout of `jackfield.flow.fields`. Text both ways is in `jackfield.dpif.text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from jackfield.flow.ports import DpPort


@dataclass(frozen=True, slots=True)
class Output:
    """Send the packet as it is now to a datapath port."""

    port: DpPort


@dataclass(frozen=True, slots=True)
class Userspace:
    """Hand the packet as it is now to user space as an ACTION upcall.

    Attributes:
        userdata: opaque bytes that come back in the upcall.
        pid: the netlink port id to send to, where the datapath has such (`Dpif.port_get_pid`).
        actions_wanted: whether the upcall shall carry the flow's actions.
    """

    userdata: bytes = b""
    pid: int = 0
    actions_wanted: bool = False


@dataclass(frozen=True, slots=True)
class SetMasked:
    """Rewrite fields: ``key = key & ~mask | value``; only writable packet and metadata fields may be in `mask`."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class PushVlan:
    """Insert a VLAN tag outermost; `tci` has bit 12 (present) set."""

    tpid: int
    tci: int


@dataclass(frozen=True, slots=True)
class PopVlan:
    """Remove the outermost VLAN tag; nothing happens when there is none."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Limit the next output or userspace action to `max_len` bytes (at least 14)."""

    max_len: int


@dataclass(frozen=True, slots=True)
class Hash:
    """Compute `dp_hash` of the packet: algorithm 0 is the layer-4 hash, `basis` seeds it."""

    algorithm: int
    basis: int


@dataclass(frozen=True, slots=True)
class Recirc:
    """Look the packet, as it is now, up again with this `recirc_id`."""

    recirc_id: int


@dataclass(frozen=True, slots=True)
class Sample:
    """With `probability` of 2**32-1, run `actions` on a copy."""

    probability: int
    actions: tuple[DpAction, ...]


@dataclass(frozen=True, slots=True)
class Clone:
    """Run `actions` on a copy; what they change does not show afterwards."""

    actions: tuple[DpAction, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop explicitly, with an error code that counters show; last in its list."""

    reason: int = 0


DpAction: TypeAlias = (
    Output | Userspace | SetMasked | PushVlan | PopVlan | Truncate | Hash | Recirc | Sample | Clone | Drop
)
DpActions: TypeAlias = tuple[DpAction, ...]
