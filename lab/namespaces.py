"""Two namespaces, each joined to the machine's own by a veth pair: the rig of every measurement with real stacks."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass


def sh(command: str, *, check: bool = True, timeout: float = 120) -> str:
    """Run a shell command; its standard output. A failure carries its standard error."""
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise RuntimeError(f"{command}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


@dataclass(frozen=True)
class Host:
    """A namespace with one interface, `e0`.

    Attributes:
        netns: name of the namespace.
        port: the veth end on the switch's side.
        address: IPv4 address without prefix length.
        mac: Ethernet address of `e0`.
    """

    netns: str
    port: str
    address: str
    mac: str

    def run(self, command: str, *, check: bool = True, timeout: float = 120) -> str:
        """Run a command inside."""
        return sh(f"ip netns exec {self.netns} {command}", check=check, timeout=timeout)

    def popen(self, command: str) -> subprocess.Popen[str]:
        """Start a command inside."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.netns, *command.split()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextlib.contextmanager
def hosts(count: int, prefix: str = "jfb") -> Iterator[list[Host]]:
    """Make `count` hosts 10.99.0.1, .2, ... and remove them afterwards, whatever happened."""
    tag = f"{prefix}{os.getpid() % 100000}"
    made: list[Host] = []
    try:
        for n in range(1, count + 1):
            host = Host(f"{tag}n{n}", f"{tag}p{n}", f"10.99.0.{n}", f"02:00:00:00:99:{n:02x}")
            sh(f"ip netns add {host.netns}")
            made.append(host)
            sh(
                f"ip link add {host.port} type veth peer name e0 netns {host.netns} && ip link set {host.port} up"
                f" && ip -n {host.netns} link set lo up && ip -n {host.netns} link set e0 address {host.mac} up"
                f" && ip -n {host.netns} addr add {host.address}/24 dev e0"
            )
        yield made
    finally:
        for host in made:
            sh(f"ip netns del {host.netns}", check=False)
            sh(f"ip link del {host.port}", check=False)


def iperf3(server: Host, client: Host, arguments: str, seconds: int = 4) -> dict[str, float]:
    """Run iperf3 between two hosts: `bits_per_second` received and `lost_percent` (UDP)."""
    import json

    listening = server.popen("iperf3 -s -1")
    try:
        for _ in range(50):
            if "5201" in server.run("ss -ltn"):
                break
        text = client.run(
            f"iperf3 -J -c {server.address} -t {seconds} {arguments} --connect-timeout 3000",
            check=False,
            timeout=seconds + 30,
        )
    finally:
        listening.terminate()
        listening.wait()
    result = json.loads(text)
    if "error" in result:
        raise RuntimeError(f"iperf3 {arguments}: {result['error']}")
    end = result["end"]
    received = end.get("sum_received") or end["sum"]
    return {
        "bits_per_second": received["bits_per_second"],
        "lost_percent": end.get("sum", {}).get("lost_percent", 0.0),
    }


def ping(client: Host, server: Host, count: int = 100, interval: float = 0.02) -> tuple[float, float]:
    """Median round trip in ms and loss in percent of `count` pings."""
    text = client.run(f"ping -n -c {count} -i {interval} {server.address}", check=False)
    times = sorted(float(found) for found in re.findall(r"time=([\d.]+) ms", text))
    if not times:
        raise RuntimeError(f"no ping came back: {text[-300:]}")
    return times[len(times) // 2], 100.0 * (count - len(times)) / count
