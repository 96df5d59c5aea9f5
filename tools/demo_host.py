"""A host of the demo: a process in a network namespace of its own that sends and receives what it is told.

It needs no packages: pings, TCP and UDP are made with sockets. It reads one JSON object per line and answers each with
one. The namespace lives as long as the process, so that nothing stays behind whatever happens.

Requests: ``{"do": "configure", "address": "10.0.0.1", "mac": "02:..."}``, ``{"do": "ping", "to": ...}``,
``{"do": "serve", "port": N, "text": ...}``, ``{"do": "fetch", "to": ..., "port": N}``,
``{"do": "tcp", "to": ..., "port": N, "seconds": S}``, ``{"do": "udp", "to": ..., "port": N, "count": N}``,
``{"do": "received"}``, ``{"do": "flood", "to": ..., "seconds": S}``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

CLONE_NEWNET = 0x40000000
TIMEOUT = 2.0


class Host:
    """What a host can do; each public method answers one request."""

    def __init__(self) -> None:
        self.udp_received = 0

    def configure(self, address: str, mac: str) -> str:
        """Give `e0` its addresses and bring it up."""
        from pyroute2 import IPRoute

        # Without IPv6 the host sends nothing unasked; where /proc/sys cannot be written, there is more to see.
        with contextlib.suppress(OSError), open("/proc/sys/net/ipv6/conf/e0/disable_ipv6", "w") as switch:
            switch.write("1")
        with IPRoute() as ip:
            ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")
            index = ip.link_lookup(ifname="e0")[0]
            ip.link("set", index=index, address=mac, state="up")
            ip.addr("add", index=index, address=address, prefixlen=24)
        return "up"

    def ping(self, to: str, count: int = 3) -> list[float]:
        """Round trips in ms of the echo requests that were answered."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sock.settimeout(TIMEOUT / 2)
        times = []
        for sequence in range(count):
            body = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, sequence) + b"jackfield" * 6
            total = sum(struct.unpack(f"!{len(body) // 2}H", body))
            total = (total >> 16) + (total & 0xFFFF)
            started = time.perf_counter()
            sock.sendto(body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + body[4:], (to, 0))
            try:
                while True:
                    reply = sock.recv(2048)[20:]
                    if reply[0] == 0 and struct.unpack("!HH", reply[4:8]) == (os.getpid() & 0xFFFF, sequence):
                        times.append((time.perf_counter() - started) * 1000)
                        break
            except TimeoutError:
                continue
        sock.close()
        return times

    def serve(self, port: int, text: str) -> str:
        """Answer TCP connections with `text`, then swallow what comes; count UDP datagrams on the same number."""
        listener = socket.create_server(("", port), backlog=16)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("", port))

        def answer(connection: socket.socket) -> None:
            # A client that has measured enough resets the connection; that is no failure of the server's.
            with connection, contextlib.suppress(ConnectionResetError):
                connection.sendall(text.encode() + b"\n")
                while connection.recv(1 << 20):
                    pass

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def count() -> None:
            while True:
                datagrams.recv(65536)
                self.udp_received += 1

        for loop in (accept, count):
            threading.Thread(target=loop, daemon=True).start()
        return "serving"

    def fetch(self, to: str, port: int) -> str:
        """The line that a TCP server greets with; empty when it cannot be reached."""
        try:
            with socket.create_connection((to, port), timeout=TIMEOUT) as connection:
                return connection.makefile().readline().strip()
        except OSError:
            return ""

    def tcp(self, to: str, port: int, seconds: float) -> float:
        """Bits per second of one TCP connection that sends as fast as it can."""
        with socket.create_connection((to, port), timeout=TIMEOUT) as connection:
            connection.settimeout(TIMEOUT + seconds)
            block = bytes(1 << 18)
            started = time.perf_counter()
            sent = 0
            while time.perf_counter() - started < seconds:
                sent += connection.send(block)
            return sent * 8 / (time.perf_counter() - started)

    def udp(self, to: str, port: int, count: int) -> int:
        """Send `count` datagrams, a little apart; how many were sent."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(count):
                sock.sendto(b"jackfield" * 100, (to, port))
                time.sleep(0.0005)
        return count

    def received(self) -> int:
        """Datagrams that have arrived since last asked."""
        count, self.udp_received = self.udp_received, 0
        return count

    def flood(self, to: str, seconds: float) -> int:
        """Send small datagrams to a port nobody listens on, as fast as one process can; how many."""
        sent = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((to, 9))
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                for _ in range(100):
                    try:
                        sock.send(b"0123456789abcdef01")
                    except ConnectionRefusedError:
                        continue  # the receiver's stack says that nobody listens
                sent += 100
        return sent


def main() -> None:
    """Leave the caller's network namespace, say so, and serve requests until the input ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace could not be made")
    host = Host()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        method: Callable[..., Any] = getattr(host, request.pop("do"))
        try:
            answer = {"result": method(**request)}
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
