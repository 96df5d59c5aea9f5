"""Namespaces, each joined to the machine's own by a veth pair: the rig of every measurement with real stacks."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3

_tags = itertools.count()


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

    def packet_socket(self, timeout: float = 2.0) -> socket.socket:
        """A packet socket on `e0`, to send and receive whole frames."""
        libc = ctypes.CDLL(None, use_errno=True)
        before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        inside = os.open(f"/run/netns/{self.netns}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(inside, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {self.netns}")
            try:
                made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                made.bind(("e0", 0))
            finally:
                libc.setns(before, CLONE_NEWNET)
        finally:
            os.close(inside)
            os.close(before)
        made.settimeout(timeout)
        return made

    def counter(self, name: str) -> int:
        """A counter of the kernel's stack inside, named as nstat(8) does, like TcpInCsumErrors."""
        found = re.search(rf"^{name}\s+(\d+)", self.run(f"nstat -asz {name}"), re.MULTILINE)
        if found is None:
            raise ValueError(f"nstat knows no {name}")
        return int(found.group(1))


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """A network namespace that this thread, and what it starts, is in for a while; so names and addresses are free.

    Raises:
        OSError: there can be none.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            sh("ip link set lo up")
            yield
        finally:
            libc.setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


@contextlib.contextmanager
def hosts(count: int, prefix: str = "jfb", *, quiet: bool = False, mtu: int = 1500) -> Iterator[list[Host]]:
    """Make `count` hosts 10.99.0.1, .2, ... and remove them afterwards, whatever happened.

    With `quiet`, the kernels have no IPv6 addresses and know their neighbours, and so send nothing by themselves.
    """
    tag = f"{prefix}{os.getpid() % 100000}{chr(ord('a') + next(_tags) % 26)}"
    made: list[Host] = []
    mode = "none" if quiet else "eui64"
    try:
        for n in range(1, count + 1):
            host = Host(f"{tag}n{n}", f"{tag}p{n}", f"10.99.0.{n}", f"02:00:00:00:99:{n:02x}")
            sh(f"ip netns add {host.netns}")
            made.append(host)
            sh(
                f"ip link add {host.port} mtu {mtu} type veth peer name e0 mtu {mtu} netns {host.netns}"
                f" && ip link set {host.port} addrgenmode {mode} up && ip -n {host.netns} link set lo up"
                f" && ip -n {host.netns} link set e0 address {host.mac} addrgenmode {mode} up"
                f" && ip -n {host.netns} addr add {host.address}/24 dev e0"
            )
        if quiet:
            for host in made:
                for other in made:
                    if other is not host:
                        sh(f"ip -n {host.netns} neigh add {other.address} lladdr {other.mac} dev e0 nud permanent")
        yield made
    finally:
        for host in made:
            sh(f"ip netns del {host.netns}", check=False)
            sh(f"ip link del {host.port}", check=False)


def iperf3(server: Host, client: Host, arguments: str, seconds: float = 4, to: str = "") -> dict[str, float]:
    """Run iperf3 from `client` to the server at `to` (its own address unless given).

    Returns:
        `bits_per_second` received, `lost_percent` (UDP), and `worst_second`: bits per second in the worst interval of
        a second.
    """
    listening = server.popen("iperf3 -s -1")
    try:
        for _ in range(100):
            if ":5201" in server.run("ss -ltn"):
                break
            time.sleep(0.02)
        text = client.run(
            f"iperf3 -J -c {to or server.address} -t {seconds} {arguments} --connect-timeout 3000",
            check=False,
            timeout=seconds + 30,
        )
    finally:
        listening.terminate()
        listening.communicate()
    result = json.loads(text)
    if "error" in result:
        raise RuntimeError(f"iperf3 {arguments}: {result['error']}")
    end = result["end"]
    received = end.get("sum_received") or end["sum"]
    return {
        "bits_per_second": received["bits_per_second"],
        "lost_percent": end.get("sum", {}).get("lost_percent", 0.0),
        "worst_second": min((each["sum"]["bits_per_second"] for each in result["intervals"]), default=0.0),
    }


def ping(client: Host, server: Host, count: int = 100, interval: float = 0.02) -> tuple[float, float]:
    """Median round trip in ms and loss in percent of `count` pings."""
    text = client.run(f"ping -n -c {count} -i {interval} {server.address}", check=False)
    times = sorted(float(found) for found in re.findall(r"time=([\d.]+) ms", text))
    if not times:
        raise RuntimeError(f"no ping came back: {text[-300:]}")
    return times[len(times) // 2], 100.0 * (count - len(times)) / count
