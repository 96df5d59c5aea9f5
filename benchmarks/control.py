"""The control path: flow-mods, dumps, memory, start."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.forwarding import Switch
from benchmarks.result import Figure
from lab.namespaces import Host, hosts
from lab.ours import Jackfield, jackfield
from lab.peer import OpenVSwitch, installed, open_vswitch

FLOWS = 100_000


def flow_file(folder: Path) -> Path:
    """A file of rules for ovs-ofctl add-flows, each matching a destination address and a UDP port."""
    path = folder / "flows"
    path.write_text(
        "".join(
            f"priority=100,udp,nw_dst=10.{n >> 16}.{n >> 8 & 255}.{n & 255},tp_dst={1000 + n % 7},actions=output:1\n"
            for n in range(FLOWS)
        )
    )
    return path


def measure_side(switch: Switch, port: Host, flows: Path) -> dict[str, float]:
    """All figures of one side."""
    switch.bridge("br0", [port.port])
    time.sleep(1)
    empty = switch.resident_kb()
    started = time.monotonic()
    switch.ofctl(f"add-flows br0 {flows}")
    figures = {"add": FLOWS / (time.monotonic() - started)}
    figures["memory"] = (switch.resident_kb() - empty) / FLOWS
    times = []
    for _ in range(3):
        started = time.monotonic()
        lines = switch.ofctl("dump-flows br0 'udp'").count("\n")
        times.append(time.monotonic() - started)
        if lines < FLOWS:
            raise RuntimeError(f"dump-flows printed {lines} lines for {FLOWS} flows")
    figures["dump"] = min(times)
    started = time.monotonic()
    switch.ofctl("del-flows br0")
    figures["delete"] = time.monotonic() - started
    return figures


def first_packet(switch: Jackfield | OpenVSwitch) -> float:
    """Seconds from the start of the switch until a ping crosses it."""
    with hosts(2) as (one, two):
        for host, other in ((one, two), (two, one)):
            host.run(f"ip neigh add {other.address} lladdr {other.mac} dev e0")
        pinging = one.popen(f"ping -n -i 0.005 -c 1 -w 60 {two.address}")
        started = time.monotonic()
        if isinstance(switch, OpenVSwitch):
            switch.start()
        switch.bridge("br0", [one.port, two.port])
        if pinging.wait():
            raise RuntimeError("no ping crossed the switch")
        return time.monotonic() - started


def measure() -> list[Figure]:
    """Both sides."""
    peer: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="jfb-flows-") as folder, hosts(1) as (port,):
        flows = flow_file(Path(folder))
        with jackfield() as switch:
            ours = measure_side(switch, port, flows)
            ours["lag"] = switch.lag_ms()
        if installed():
            with open_vswitch() as other:
                peer = measure_side(other, port, flows)
    with jackfield() as switch:
        ours["start"] = first_packet(switch)
    get = peer.get
    return [
        Figure("flow-mods, ovs-ofctl add-flows of 100,000", "/s", ours["add"], get("add"), True, "0.5x", "1.0x"),
        Figure("dump-flows of 100,000", "s", ours["dump"], get("dump"), False, "3x", "1x"),
        Figure("memory for a flow", "kB", ours["memory"], get("memory"), False, "3x", "1x"),
        Figure("del-flows of 100,000", "s", ours["delete"], get("delete"), False),
        Figure("start to first packet", "s", ours["start"], None, False, "2 s", "1 s", "compiled code cached"),
        Figure("main-loop lag under these loads", "ms", ours["lag"], None, False, "50 ms", "10 ms"),
    ]
