"""Forwarding between real kernel stacks: small packets, TCP, ping, flow set-ups."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from benchmarks.result import Figure
from lab.namespaces import Host, hosts, iperf3, ping
from lab.ours import Jackfield, jackfield
from lab.peer import installed, open_vswitch

SECONDS = 4


class Switch(Protocol):
    """Either side."""

    def bridge(self, name: str, ports: list[str]) -> None:
        """Make a bridge."""

    def appctl(self, arguments: str) -> str:
        """Run ovs-appctl."""

    def ofctl(self, arguments: str) -> str:
        """Run ovs-ofctl."""

    def resident_kb(self) -> int:
        """Resident memory."""


@contextlib.contextmanager
def dropping(host: Host) -> Iterator[None]:
    """Let a host's interface swallow all packets before its stack sees them."""
    process = subprocess.Popen(
        ["ip", "netns", "exec", host.netns, sys.executable, "-m", "lab.traffic", "drop", "e0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline().strip() != b"attached":
            raise RuntimeError("the dropping program could not be attached")
        yield
    finally:
        process.stdin.close()
        process.wait()


def transmitted(host: Host) -> int:
    """Packets the switch has sent towards a host."""
    return int(Path(f"/sys/class/net/{host.port}/statistics/tx_packets").read_text())


def small_packets(sender: Host, receiver: Host) -> float:
    """Packets per second that reach the receiver's interface, 60-byte UDP, one direction."""
    ping(receiver, sender, 3)
    with dropping(receiver):
        process = sender.popen(f"{sys.executable} -m lab.traffic send e0 {receiver.mac} {SECONDS + 3}")
        time.sleep(2)  # the sender compiles its loop
        before, started = transmitted(receiver), time.monotonic()
        time.sleep(SECONDS)
        rate = (transmitted(receiver) - before) / (time.monotonic() - started)
        process.wait()
    return rate


def set_ups(switch: Switch, sender: Host, receiver: Host) -> float:
    """Megaflows made per second while every packet brings a source address of its own."""

    def answered() -> int:
        """Packets that had no flow and were answered with one: our "missed" counts those that were lost, too."""
        words = switch.appctl("dpctl/show").replace(":", " ").split()
        missed, lost = (int(words[words.index(name) + 1]) for name in ("missed", "lost"))
        return missed - lost if isinstance(switch, Jackfield) else missed

    with dropping(receiver):
        process = sender.popen(f"{sys.executable} -m lab.traffic send e0 {receiver.mac} {SECONDS + 3} random-source")
        time.sleep(2)
        before, started = answered(), time.monotonic()
        time.sleep(SECONDS)
        rate = (answered() - before) / (time.monotonic() - started)
        process.wait()
    return rate


def measure_side(switch: Switch, tcp: bool) -> dict[str, float]:
    """All figures of one side, in one life of it."""
    with hosts(2) as (sender, receiver):
        switch.bridge("br0", [sender.port, receiver.port])
        ping(sender, receiver, 5)
        figures = {"ping": ping(sender, receiver)[0]}
        if tcp:
            figures["tcp"] = iperf3(receiver, sender, "", SECONDS)["bits_per_second"] / 1e9
            figures["udp lost"] = iperf3(receiver, sender, "-u -b 500M", SECONDS)["lost_percent"]
        figures["small"] = small_packets(sender, receiver)
        figures["set-ups"] = set_ups(switch, sender, receiver)
        if hasattr(switch, "lag_ms"):
            figures["lag"] = switch.lag_ms()
    return figures


def measure() -> list[Figure]:
    """Both sides, the peer at its best setting for each figure."""
    with jackfield() as switch:
        ours = measure_side(switch, tcp=True)
    peer: dict[str, float] = {}
    if installed():
        with open_vswitch(["userspace-tso-enable=true"]) as switch_with_tso:
            peer = measure_side(switch_with_tso, tcp=True)
        with open_vswitch(["smc-enable=true"]) as plain:
            best = measure_side(plain, tcp=False)
        for key in ("small", "set-ups"):
            peer[key] = max(peer[key], best[key])
        peer["ping"] = min(peer["ping"], best["ping"])
    get = peer.get
    return [
        Figure("veth to veth, 60-byte UDP", "packets/s", ours["small"], get("small"), True, "1.0x", "1.4x"),
        Figure(
            "iperf3 TCP, default offloads",
            "Gbit/s",
            ours["tcp"],
            get("tcp"),
            True,
            "0.8x",
            "1.2x",
            "Open vSwitch with userspace-tso-enable",
        ),
        Figure("iperf3 UDP 500 Mbit/s, lost", "%", ours["udp lost"], get("udp lost"), False),
        Figure("ping through an idle switch, median", "ms", ours["ping"], get("ping"), False, "1.0x", "0.5x"),
        Figure("flow set-ups, random sources, NORMAL", "/s", ours["set-ups"], get("set-ups"), True, "0.5x", "1.0x"),
        Figure("main-loop lag under these loads", "ms", ours["lag"], None, False, "50 ms", "10 ms"),
    ]
