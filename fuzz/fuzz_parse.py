"""Any bytes as a packet: both parsers, plain and compiled, agree and read nothing beyond its end.

Best run with NUMBA_BOUNDSCHECK=1, so that a wrong index is an error.
"""

import numpy as np

from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.netdev import compiled as c
from tests.netdev.jit_rig import IO, KEYS, Rig, parse

_RIG = Rig()
_BUFFERS = np.zeros(c.BIG_ROOM, np.uint8)


def fuzz(data: bytes) -> None:
    """One input: a packet that ends where the packet memory does."""
    data = data[: c.BIG_ROOM]
    start = len(_BUFFERS) - len(data)
    _BUFFERS[start:] = np.frombuffer(data, np.uint8)
    _RIG.arena[_RIG.meta(0) + c.META_OFFSET] = start
    _RIG.arena[_RIG.meta(0) + c.META_LENGTH] = len(data)
    _RIG.arena[KEYS : KEYS + f.DATAPATH_WORDS] = 0
    parse(_RIG.arena, _BUFFERS, IO, 0, KEYS)
    assert _RIG.key(0) == parse_packet(data).key
