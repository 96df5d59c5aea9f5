"""Making and swallowing packets at rates that Python loops do not reach.

The sender is a compiled `sendmmsg` loop on a packet socket, the receiver an XDP program that drops and lets the
kernel count, so that the switch in the middle is what limits.

Run inside a namespace: ``python -m lab.traffic send DEV DST_MAC SECONDS [random-source]`` prints packets sent.
``python -m lab.traffic drop DEV`` attaches the dropping program and keeps it until its input ends.
"""

from __future__ import annotations

import ctypes
import platform
import socket
import struct
import sys
import time

import numpy as np
from numba import njit, types

BATCH = 64
_sendmmsg = types.ExternalFunction("sendmmsg", types.int32(types.int32, types.intp, types.uint32, types.int32))


@njit(nogil=True, cache=True)
def _send(fd, messages, frames, random_source, rounds, state):  # type: ignore[no-untyped-def]  # typed by numba
    """Send `rounds` batches; with `random_source`, each packet gets a source address of its own.

    `state` (one word) is where the sequence of addresses goes on from one call to the next.
    """
    sent = 0
    seed = state[0]
    for _ in range(rounds):
        if random_source:
            for i in range(BATCH):
                seed ^= seed << np.uint64(13)
                seed ^= seed >> np.uint64(7)
                seed ^= seed << np.uint64(17)
                for b in range(5):
                    frames[i, 7 + b] = np.uint8((seed >> np.uint64(8 * b)) & np.uint64(255))
        r = _sendmmsg(fd, messages.ctypes.data, BATCH, 0)
        if r > 0:
            sent += r
    state[0] = seed
    return sent


def udp_frame(destination: bytes, source: bytes, length: int = 60) -> bytes:
    """A UDP packet from 10.99.0.1 to 10.99.0.2 of `length` bytes."""
    payload = length - 42
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + payload, 0, 0, 64, 17, 0, b"\x0a\x63\0\1", b"\x0a\x63\0\2")
    words = struct.unpack("!10H", ip)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + ip[12:]
    return destination + source + b"\x08\x00" + ip + struct.pack("!HHHH", 1000, 2000, 8 + payload, 0) + bytes(payload)


def send(device: str, destination: str, seconds: float, random_source: bool) -> int:
    """Send for `seconds`; the number of packets the kernel took."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
    sock.bind((device, 0))
    frame = udp_frame(bytes.fromhex(destination.replace(":", "")), bytes.fromhex("020000009901"))
    frames = np.tile(np.frombuffer(frame, np.uint8), (BATCH, 1)).copy()
    vectors = np.zeros((BATCH, 2), np.int64)
    messages = np.zeros((BATCH, 8), np.int64)
    for i in range(BATCH):
        vectors[i] = frames[i].ctypes.data, len(frame)
        messages[i, 2], messages[i, 3] = vectors[i].ctypes.data, 1
    state = np.array([88172645463325252], np.uint64)
    _send(sock.fileno(), messages, frames, random_source, 0, state)
    end = time.monotonic() + seconds
    sent = 0
    while time.monotonic() < end:
        sent += _send(sock.fileno(), messages, frames, random_source, 200, state)
    return sent


def attach_drop(device: str) -> None:
    """Attach an XDP program that drops everything to a device of this namespace."""
    from pyroute2 import IPRoute

    # Two instructions: move XDP_DROP into the return register, and leave.
    program = struct.pack("<BBhi", 0xB7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0)
    instructions = ctypes.create_string_buffer(program)
    license_text = ctypes.create_string_buffer(b"GPL")
    # union bpf_attr for BPF_PROG_LOAD: type XDP (6), instruction count, instructions, licence
    attribute = struct.pack("<IIQQ", 6, 2, ctypes.addressof(instructions), ctypes.addressof(license_text)) + bytes(96)
    buffer = ctypes.create_string_buffer(attribute)
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(number, 5, buffer, len(attribute))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "the kernel refused the XDP program")
    with IPRoute() as ip:
        index = ip.link_lookup(ifname=device)[0]
        ip.link("set", index=index, xdp_fd=fd)


def main(arguments: list[str]) -> None:
    """See the module's text."""
    if arguments[0] == "send":
        device, destination, seconds = arguments[1:4]
        print(send(device, destination, float(seconds), "random-source" in arguments), flush=True)
    else:
        attach_drop(arguments[1])
        print("attached", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
