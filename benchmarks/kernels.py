"""Cycles per packet of each part of the path through compiled code: `python -m benchmarks.kernels`.

Frames are replayed from memory and dropped at a null device; a part's cost is the difference that it makes. CPU time of
the thread, the least of several rounds; cycles of a clock of `--ghz`.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from numba import njit

from jackfield.dpif import actions as a
from jackfield.dpif.userspace import jit_actions, jit_parse
from jackfield.dpif.userspace.actions_code import compile_actions
from jackfield.flow import fields as f
from jackfield.flow.compose import compose_packet
from jackfield.flow.ports import DpPort
from jackfield.netdev import compiled as c
from jackfield.netdev import jit_io
from jackfield.netdev.jit_ring import MemoryRing, memory_ring_queue
from tests.netdev.jit_rig import CODE, IO, KEYS, Rig

BATCHES = 4000
OUT = a.Output(DpPort(2))


@njit(cache=True, nogil=True, _nrt=False)
def batches(arena: Any, buffers: Any, io: int, q: int, count: int, keys: int, parses: bool, pc: int) -> int:
    """Receive `count` batches; parse them and run the program at `pc` (0: none) if so asked."""
    total = 0
    for _ in range(count):
        n = jit_io.rx(arena, buffers, io, q, c.BATCH)
        if parses:
            for row in range(n):
                total += jit_parse.parse(arena, buffers, io, row, keys + row * jit_parse.DATAPATH_WORDS)
        if pc:
            for row in range(n):
                total += jit_actions.execute(arena, buffers, io, row, pc)
        jit_io.tx_flush(arena, buffers, io)
    return total


@njit(cache=True, nogil=True, _nrt=False)
def through_ring(arena: Any, buffers: Any, io: int, source: int, ring: int, null: int, count: int) -> int:
    """From a replay into a ring, and from the ring away."""
    total = 0
    for _ in range(count):
        for row in range(jit_io.rx(arena, buffers, io, source, c.BATCH)):
            jit_io.tx(arena, buffers, io, ring, row)
        jit_io.tx_flush(arena, buffers, io)
        n = jit_io.rx(arena, buffers, io, ring, c.BATCH)
        for row in range(n):
            jit_io.tx(arena, buffers, io, null, row)
        total += n
    return total


def fastest(run: Callable[[], object], ghz: float, rounds: int = 7) -> float:
    """Cycles per packet of the fastest of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.thread_time()
        run()
        best = min(best, time.thread_time() - start)
    return best * ghz * 1e9 / (BATCHES * c.BATCH)


def put(*pairs: tuple[f.Field, int]) -> a.SetMasked:
    value = mask = 0
    for field, wanted in pairs:
        value, mask = field.put(value, wanted), mask | field.mask
    return a.SetMasked(value, mask)


PROGRAMS: dict[str, a.DpActions] = {
    "set eth_dst": (put((f.ETH_DST, 0xAABBCCDDEEFF)), OUT),
    "set nw_ttl": (put((f.NW_TTL, 3)), OUT),
    "set eth_dst and nw_ttl": (put((f.ETH_DST, 0xAABBCCDDEEFF), (f.NW_TTL, 3)), OUT),
    "set nw_src and nw_dst": (put((f.IP_SRC, 1), (f.IP_DST, 2)), OUT),
    "set both ports": (put((f.TP_SRC, 1), (f.TP_DST, 2)), OUT),
    "push a VLAN tag": (a.PushVlan(0x8100, 0x1005), OUT),
    "output, set eth_dst, output (a copy)": (OUT, put((f.ETH_DST, 7)), OUT),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ghz", type=float, default=2.6)
    ghz = parser.parse_args().ghz
    key = put((f.ETH_TYPE, 0x0800), (f.NW_PROTO, 17), (f.NW_TTL, 64), (f.TP_DST, 80)).value
    frames = [compose_packet(f.TP_SRC.put(f.IP_SRC.put(key, 0x0A010000 + i), 1000 + i), 60) for i in range(c.BATCH)]
    rig = Rig()
    source, null = rig.add(1, c.replay_queue(frames, endless=True)), rig.add(2, c.null_queue())
    to_switch = MemoryRing()
    ring = rig.add(3, memory_ring_queue(to_switch, to_switch))

    def cost(parses: bool, actions: a.DpActions | None) -> float:
        program = compile_actions(actions or (), lambda action: 0)
        rig.arena[CODE : CODE + len(program)] = program
        code = CODE if actions else 0
        return fastest(lambda: batches(rig.arena, rig.buffers, IO, source, BATCHES, KEYS, parses, code), ghz)

    cost(True, (OUT,))
    received, parsed, sent = cost(False, None), cost(True, None), cost(True, (OUT,))
    rows = {"receive (replay)": received, "parse": parsed - received, "output (null)": sent - parsed}
    rows |= {name: cost(True, actions) - sent for name, actions in PROGRAMS.items()}
    through_ring(rig.arena, rig.buffers, IO, source, ring, null, 1)
    rows["memory ring, in and out"] = (
        fastest(lambda: through_ring(rig.arena, rig.buffers, IO, source, ring, null, BATCHES), ghz) - received
    )
    print(f"| part, cycles at {ghz} GHz | cycles |\n| --- | ---: |")
    for name, cycles in rows.items():
        print(f"| {name} | {cycles:.0f} |")
    to_switch.close()


if __name__ == "__main__":
    main()
