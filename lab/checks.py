"""Traffic of two kernels across a switch, and what must come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lab.namespaces import iperf3
from lab.rig import Rig

ENOUGH = 50e6
"""Bits per second: far below what passes, far above what survives of TCP with broken segments."""


@contextlib.contextmanager
def offloads(net: Rig, during: str, afterwards: str) -> Iterator[None]:
    """Set what the hosts leave to their devices."""
    for host in net.hosts:
        host.run(f"ethtool -K e0 {during}")
    try:
        yield
    finally:
        for host in net.hosts:
            host.run(f"ethtool -K e0 {afterwards}")


def tcp_both_ways(net: Rig, arguments: str = "", to: str = "") -> None:
    one, two = net.hosts[:2]
    for direction in ("", "-R"):
        result = iperf3(two, one, f"{direction} {arguments}", 1, to)
        assert result["bits_per_second"] > ENOUGH, f"TCP {direction}: {result}"
    for host in (one, two):
        assert host.counter("TcpInCsumErrors") == 0


def udp_both_ways(net: Rig, arguments: str = "", to: str = "") -> None:
    one, two = net.hosts[:2]
    for direction in ("", "-R"):
        result = iperf3(two, one, f"-u -b 20M {direction} {arguments}", 1, to)
        assert result["lost_percent"] < 1, f"UDP {direction}: {result}"
        assert result["bits_per_second"] > 15e6, f"UDP {direction}: {result}"
    for host in (one, two):
        assert host.counter("UdpInCsumErrors") == 0
