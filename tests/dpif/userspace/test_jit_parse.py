import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings

from jackfield.dpif.userspace import jit_parse
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.netdev import compiled as c
from tests.dpif.userspace.packets import ANY
from tests.netdev.jit_rig import IO, KEYS, Rig, parse

ROOT = Path(__file__).parents[3]
RIG = Rig()


def parse_compiled(packet: bytes) -> tuple[int, int]:
    """Key and wide flag of a packet in row 0, whose key was in use before."""
    meta = RIG.meta(0)
    start = RIG.arena[meta + c.META_OFFSET]
    RIG.buffers[start : start + len(packet)] = np.frombuffer(packet, np.uint8)
    RIG.arena[meta + c.META_LENGTH] = len(packet)
    RIG.arena[KEYS : KEYS + jit_parse.FIRST_WIDE_WORD] = -1
    RIG.arena[KEYS + jit_parse.FIRST_WIDE_WORD : KEYS + f.DATAPATH_WORDS] = 0
    wide = parse(RIG.arena, RIG.buffers, IO, 0, KEYS)
    RIG.arena[KEYS] = 0
    RIG.arena[KEYS + 7 : KEYS + jit_parse.FIRST_WIDE_WORD] = 0
    return RIG.key(0), wide


@settings(max_examples=600, deadline=None)
@given(ANY)
@example(b"")
@example(bytes(13))
@example(bytes(12) + b"\x08\x00")
def test_the_compiled_parser_agrees_with_the_plain_one(packet: bytes) -> None:
    key, wide = parse_compiled(packet)
    assert key == parse_packet(packet).key
    assert wide or key >> 64 * jit_parse.FIRST_WIDE_WORD == 0


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_headers_are_where_the_plain_parser_finds_them(packet: bytes) -> None:
    parse_compiled(packet)
    l3, l4 = (int(RIG.arena[RIG.meta(0) + word]) for word in (c.META_L3, c.META_L4))
    parsed = parse_packet(packet)
    assert l3 in (-1, parsed.l2_5, parsed.l3)
    assert l4 in (-1, parsed.l4)
    if f.TP_SRC.get(parsed.key) or f.TP_DST.get(parsed.key):
        assert l4 == parsed.l4


def test_the_words_composed_at_once_are_those_of_the_table() -> None:
    together = {
        jit_parse.W_NW: (f.NW_PROTO, f.IP_TOS, f.NW_TTL, f.NW_FRAG, f.TP_SRC, f.TP_DST, f.ARP_OP),
        jit_parse.W_FLAGS: (f.TCP_FLAGS, f.VLAN_TPID, f.VLAN2_TPID, f.VLAN2_TCI),
        jit_parse.W_ADDRESS: (f.IP_SRC, f.IP_DST, f.ARP_SPA, f.ARP_TPA),
        jit_parse.W_OPTIONS: (f.ND_OPTIONS_TYPE, f.IPV6_EXTHDR, f.IGMP_GROUP),
        jit_parse.W_SHA: (f.ARP_SHA, f.ND_SLL),
        jit_parse.W_THA: (f.ARP_THA, f.ND_TLL),
        jit_parse.W_NSH: (f.NSH_FLAGS, f.NSH_TTL, f.NSH_MDTYPE, f.NSH_NP, f.NSH_PATH_HEADER),
    }
    for word, fields in together.items():
        assert {field.word for field in fields} == {word}
    assert (f.IP_SRC.shift, f.IP_DST.shift, f.ARP_SPA.shift, f.ARP_TPA.shift) == (0, 32, 0, 32)
    assert (f.NSH_FLAGS.shift, f.NSH_TTL.shift, f.NSH_MDTYPE.shift, f.NSH_NP.shift) == (0, 8, 16, 24)
    assert (f.ETH_TYPE.word, f.ETH_TYPE.shift, f.VLAN_TCI.word, f.VLAN_TCI.shift) == (1, 48, 2, 48)


CHECKED = """
import random, sys
import numpy as np
from tests.netdev.jit_rig import IO, KEYS, Rig, parse
from jackfield.netdev import compiled as c, jit_memory
assert jit_memory.CHECKED
rig = Rig()
seed = random.Random(7)
types = [0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x8847, 0x894F, 0x0010]
# The packet ends where the array does: one byte too far is an error.
buffers = np.zeros(70_000, np.uint8)
noise = np.frombuffer(seed.randbytes(70_000), np.uint8)
for length in [*range(0, 400), *range(400, 65_536, 997), 65_535]:
    for eth_type in types:
        start = len(buffers) - length
        buffers[start:] = noise[:length]
        if length >= 14:
            buffers[start + 12], buffers[start + 13] = eth_type >> 8, eth_type & 255
        if length >= 40 and eth_type in (0x0800, 0x86DD):
            buffers[start + 14] = 0x45 if eth_type == 0x0800 else 0x60
            rest = min(length - (14 if eth_type == 0x0800 else 54), 65535) if length >= 54 else 20
            at = start + (16 if eth_type == 0x0800 else 18)
            buffers[at], buffers[at + 1] = rest >> 8, rest & 255
            if eth_type == 0x86DD:
                buffers[start + 20] = seed.choice([0, 6, 17, 43, 44, 51, 58, 60, 132])
            else:
                buffers[start + 23] = seed.choice([1, 2, 6, 17, 132])
                buffers[start + 20] = 0
        rig.arena[rig.meta(0) + c.META_OFFSET] = start
        rig.arena[rig.meta(0) + c.META_LENGTH] = length
        rig.arena[KEYS : KEYS + 40] = 0
        parse(rig.arena, buffers, IO, 0, KEYS)
print("ok")
"""


@pytest.mark.slow
def test_no_packet_of_any_length_is_read_out_of_bounds() -> None:
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", CHECKED], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.stdout.strip() == "ok", done.stderr[-2000:]


def test_random_bytes_of_every_length_are_parsed_alike() -> None:
    noise = random.Random(3).randbytes(2000)
    for length in range(1500):
        assert (
            parse_compiled(noise[length % 7 : length % 7 + length])[0]
            == parse_packet(noise[length % 7 : length % 7 + length]).key
        )
