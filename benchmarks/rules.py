"""The traffic and the rules of the in-memory rig: what both sides are given.

Flow i has nw_src 10.1.(i>>8).(i&255), nw_dst 10.2.0.(7i&255), tp_src 1024 + (31i mod 50000) and tp_dst 80 + (i mod 7);
16,384 packets of 60 bytes are drawn from the flows at random, the same for both sides.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path

PACKETS = 16_384


def rules(in_port: int, out_port: int) -> list[str]:
    """657 rules of four shapes, in the syntax of ovs-ofctl."""
    lines = [
        f"priority=100,ip,nw_src=10.1.{i % 40}.{i},actions=mod_dl_dst:02:00:00:00:00:{i:02x},dec_ttl,output:{out_port}"
        for i in range(256)
    ]
    lines += [
        f"priority=90,udp,tp_dst={80 + i % 7},nw_dst=10.2.0.{i},"
        f"actions=mod_dl_src:02:00:00:00:01:{i:02x},output:{out_port}"
        for i in range(256)
    ]
    lines += [f"priority=80,udp,tp_src={1024 + 31 * i},actions=output:{out_port}" for i in range(200)]
    lines.append(f"priority=0,in_port={in_port},actions=output:{out_port}")
    return lines


def frame(flow: int) -> bytes:
    """The 60-byte packet of a flow."""
    source = struct.pack("!BBH", 10, 1, flow & 0xFFFF)
    destination = struct.pack("!BBBB", 10, 2, 0, 7 * flow & 255)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, 0, 0, 64, 17, 0, source, destination)
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + ip[12:]
    udp = struct.pack("!HHHH", 1024 + 31 * flow % 50000, 80 + flow % 7, 26, 0)
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + ip + udp + bytes(18)


def traffic(flows: int) -> list[bytes]:
    """The packets, drawn at random from `flows` flows."""
    chance = random.Random(flows)
    frames = [frame(flow) for flow in range(flows)]
    return [frames[chance.randrange(flows)] for _ in range(PACKETS)]


def write_pcap(path: Path, frames: Sequence[bytes]) -> None:
    """Write frames as a pcap file."""
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for data in frames:
            out.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)
