"""Which unasked messages a connection gets before it says anything about it.

ovs-vswitchd's documentation ("Asynchronous Messages") and OpenFlow 1.3.5 section 6.3.5 agree on all but what a table
miss without a flow does: before OpenFlow 1.3 it reaches controllers, since then it does not (see `PacketInEvent`).
"""

from __future__ import annotations

from functools import cache

from jackfield.openflow.messages import AsyncConfig, FlowRemovedReason, PacketInReason, PortReason


def _bits(*reasons: int) -> int:
    return sum(1 << reason for reason in reasons)


_PACKETS = _bits(
    PacketInReason.NO_MATCH,
    PacketInReason.ACTION,
    PacketInReason.ACTION_SET,
    PacketInReason.GROUP,
    PacketInReason.PACKET_OUT,
)
_PORTS = _bits(*PortReason)
_REMOVALS = _bits(*FlowRemovedReason)


@cache
def default_async_config(version: int, *, invalid_ttl: bool) -> AsyncConfig:
    """The configuration at the start; `invalid_ttl` is the flag of a set-config (OpenFlow 1.1 and 1.2)."""
    packets = _PACKETS | (_bits(PacketInReason.INVALID_TTL) if invalid_ttl else 0)
    return AsyncConfig(primary=(packets, _PORTS, _REMOVALS), secondary=(0, _PORTS, 0))
