"""Any bytes as a packet, a vnet header and actions: the interpreter, checksums, segmentation and the way into a ring.

Best run with NUMBA_BOUNDSCHECK=1, so that a wrong index is an error. That results are right is tested elsewhere
(tests/dpif/userspace/test_jit_actions.py); here they only have to end well.
"""

import random

from jackfield.dpif import actions as a
from jackfield.dpif.userspace.actions_code import SETTABLE_FIELDS, SETTABLE_MASK, compile_actions
from jackfield.dpif.userspace.jit_actions import UPCALL
from jackfield.flow.ports import DpPort
from jackfield.netdev import compiled as c
from jackfield.netdev.jit_ring import MemoryRing, memory_ring_queue
from tests.netdev.jit_rig import CODE, IO, Rig, execute, next_recirc, resume

_RIG = Rig()
_IN, _OUT = MemoryRing(), MemoryRing()
_RIG.add(1, memory_ring_queue(_IN, _OUT))


def _actions(chance: random.Random, depth: int = 0) -> a.DpActions:
    return tuple(_action(chance, depth) for _ in range(chance.randrange(7)))


def _action(chance: random.Random, depth: int) -> a.DpAction:
    kind = chance.randrange(12 if depth < 3 else 10)
    if kind < 3:
        return a.Output(DpPort(chance.choice((1, 1, 1, 2, 99))))
    if kind < 6:
        field = chance.choice(SETTABLE_FIELDS)
        mask = field.put(0, chance.getrandbits(128)) & SETTABLE_MASK
        return a.SetMasked(field.put(0, chance.getrandbits(128)) & mask, mask)
    if kind == 6:
        return a.PushVlan(0x8100, chance.getrandbits(16) | 0x1000)
    if kind == 7:
        return a.PopVlan()
    if kind == 8:
        return chance.choice((a.Truncate(chance.randrange(14, 200)), a.Hash(0, 5), a.Drop(1)))
    if kind == 9:
        return chance.choice((a.Userspace(), a.Recirc(7)))
    body = _actions(chance, depth + 1)
    return a.Clone(body) if kind == 10 else a.Sample(chance.getrandbits(32), body)


def fuzz(data: bytes) -> None:
    """One input: eleven bytes choose actions and the vnet header, the rest is the packet."""
    chance = random.Random(data[:11])
    kind = chance.choice((c.GSO_NONE, c.GSO_TCPV4, c.GSO_TCPV6, c.GSO_UDP_L4, chance.randrange(256)))
    start = chance.choice((34, 38, 54, chance.getrandbits(16)))
    first = (
        chance.getrandbits(1) | kind << 8 | chance.getrandbits(16) << 16 | chance.getrandbits(12) << 32 | start << 48
    )
    program = compile_actions(_actions(chance), lambda action: 0)
    _RIG.arena[CODE : CODE + len(program)] = program
    row = _RIG.put(
        data[11 : 11 + c.BIG_ROOM], first - (1 << 64) if first >> 63 else first, chance.choice((6, 8, 16, 99))
    )
    if row >= 0:
        status = execute(_RIG.arena, _RIG.buffers, IO, row, CODE)
        while status == UPCALL:
            status = resume(_RIG.arena, _RIG.buffers, IO)
        while next_recirc(_RIG.arena, IO) >= 0:
            pass
    _RIG.flush()
    while _OUT.pop(64):
        pass
