"""Random packets, flows and actions through the whole engine; run by itself, with bounds checks on.

Usage: NUMBA_BOUNDSCHECK=1 python -m tests.dpif.userspace.fuzz_engine SECONDS SEED
"""

import random
import sys
import time
from collections.abc import Sequence

from jackfield.clock import Clock
from jackfield.dpif.actions import (
    Clone,
    DpAction,
    DpActions,
    Drop,
    Hash,
    Output,
    PopVlan,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    Truncate,
    Userspace,
)
from jackfield.dpif.dummy import DummyDpif
from jackfield.dpif.provider import Execute, FlowDel, FlowPut, PutFlags, Upcall, UpcallReply
from jackfield.dpif.userspace.actions_code import SETTABLE_FIELDS, SETTABLE_MASK
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort
from jackfield.netdev.dummy import DummyNetdev
from tests.dpif.conformance import frame

ALWAYS = f.DP_IN_PORT.mask | f.RECIRC_ID.mask
PORTS = 4
HEADERS = (
    "0800 4500 0030 0000 0000 4011 0000 0a000001 0a000002 03e8 07d0 001c 0000",
    "0800 4500 0034 0000 2000 4006 0000 0a000001 0a000002 03e8 07d0 00000000 00000000 5002 0000 0000 0000",
    "86dd 6000 0000 0008 11 40" + "00" * 32 + "0007 0008 0008 0000",
    "86dd 6000 0000 0020 3a ff" + "00" * 32 + "8700 0000 0000 0000" + "11" * 16 + "0101 020000000001",
    "86dd 6000 0000 0020 00 40" + "00" * 32 + "2b00 0000 0000 0000 2c00 0000 0000 0000 1100 0001 0000 0000",
    "0806 0001 0800 0604 0001 020000000001 0a000001 000000000000 0a000002",
    "8847 00001000 00002040 00003100",
    "894f 0fc1 0103 00000102" + "22" * 16,
    "8100 0001 8100 0002 0800",
    "0026 aaaa0300 00000800",
)


def packet(chance: random.Random) -> bytes:
    """Anything, often something that begins like a packet."""
    kind = chance.randrange(8)
    if kind == 0:
        return chance.randbytes(chance.choice((0, 1, 13, 14, 15, 59, 60, 61, 1514, 9000, 65_535)))
    if kind == 1:
        return chance.randbytes(chance.randrange(200))
    data = bytearray(frame()[:12])
    for _ in range(chance.randrange(3)):
        data += bytes.fromhex(chance.choice(("8100", "88a8"))) + chance.randbytes(2)
    data += bytes.fromhex(chance.choice(HEADERS)) + chance.randbytes(chance.choice((0, 3, 40, 1400, 3000)))
    for _ in range(chance.randrange(4)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.choice((len(data), len(data), chance.randrange(len(data) + 1)))])


def actions(chance: random.Random, depth: int = 0) -> DpActions:
    """A list of anything the datapath has."""
    return tuple(_action(chance, depth) for _ in range(chance.randrange(6)))


def _action(chance: random.Random, depth: int) -> DpAction:
    kind = chance.randrange(12 if depth < 4 else 10)
    if kind < 3:
        return Output(DpPort(chance.choice((1, 2, 3, 4, 5, 65_535, 0xFFFFFFFF))))
    if kind < 5:
        mask = 0
        for field in chance.sample(SETTABLE_FIELDS, chance.randrange(1, 4)):
            mask |= field.mask & chance.choice((-1, chance.getrandbits(2560))) & SETTABLE_MASK
        return SetMasked(chance.getrandbits(2560) & mask, mask)
    if kind == 5:
        return PushVlan(chance.choice((0x8100, 0x88A8)), 0x1000 | chance.getrandbits(16))
    if kind == 6:
        return PopVlan()
    if kind == 7:
        return chance.choice((Truncate(chance.randrange(14, 2000)), Hash(0, chance.getrandbits(32)), Drop(1)))
    if kind == 8:
        return Userspace(chance.randbytes(4))
    if kind == 9:
        return Recirc(chance.randrange(1, 4))
    body = actions(chance, depth + 1)
    return Clone(body) if kind == 10 else Sample(chance.getrandbits(32), body)


def fuzz(seconds: float, seed: int) -> int:
    """Run for a time; how many packets that were."""
    chance = random.Random(seed)
    dpif = DummyDpif("fuzz", Clock(held_at=1), create=True)
    devices = [DummyNetdev(f"p{i + 1}") for i in range(PORTS)]
    for device in devices:
        device.set_mtu(65_535)
        device.open()
        dpif.port_add(device)

    def callback(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
        return [UpcallReply(actions(chance), _put(chance, up.key) if chance.random() < 0.5 else None) for up in upcalls]

    dpif.register_upcall_cb(callback)
    dpif.enable_upcall()
    count = 0
    end = time.monotonic() + seconds
    ufids = range(200)
    while time.monotonic() < end:
        devices[chance.randrange(PORTS)].receive(packet(chance))
        count += 1
        if chance.random() < 0.1:
            dpif.operate(
                [FlowDel(chance.choice(ufids)), Execute(packet(chance), chance.getrandbits(2560), actions(chance))]
            )
        for device in devices:
            device.transmitted.clear()
    stats = dpif.get_stats()
    assert stats.hits + stats.misses >= count // 2
    dpif.destroy()
    return count


def _put(chance: random.Random, key: int) -> FlowPut:
    mask = ALWAYS
    for field in chance.sample((f.ETH_SRC, f.ETH_TYPE, f.IP_DST, f.NW_PROTO, f.TP_DST, f.IPV6_SRC, f.VLAN_TCI), 2):
        mask |= field.mask & chance.choice((-1, chance.getrandbits(2560)))
    return FlowPut(chance.randrange(200), key & mask, mask, actions(chance), PutFlags.CREATE | PutFlags.MODIFY)


if __name__ == "__main__":
    print(fuzz(float(sys.argv[1]), int(sys.argv[2])))
