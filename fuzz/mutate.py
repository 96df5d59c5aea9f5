"""Inputs made from kept ones by random changes: the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_INTERESTING = (0, 1, 7, 8, 16, 64, 0x7F, 0x80, 0xFF)


def mutations(seeds: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Changed inputs without end."""
    chance = random.Random(seed)
    while True:
        data = bytearray(chance.choice(seeds) if seeds and chance.random() < 0.9 else chance.randbytes(40))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            _change(data, chance, seeds)
        yield bytes(data[:70_000])


def _change(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    place = chance.randrange(len(data) + 1)
    kind = chance.randrange(7)
    if kind == 0 and data:
        data[place % len(data)] = chance.choice((*_INTERESTING, chance.randrange(256)))
    elif kind == 1 and data:
        data[place % len(data)] ^= 1 << chance.randrange(8)
    elif kind == 2:
        del data[place : place + chance.choice((1, 2, 4, 8, 1000))]
    elif kind == 3:
        data[place:place] = chance.randbytes(chance.choice((1, 2, 4, 8, 100)))
    elif kind == 4 and seeds:
        other = chance.choice(seeds)
        start = chance.randrange(len(other) + 1)
        data[place:place] = other[start : start + chance.randrange(40)]
    elif kind == 5:
        data += data[place : place + 64]
    else:
        # Numbers in text are the likeliest to be out of range.
        data[place:place] = str(chance.choice((-1, 0, 255, 65536, 1 << 32, 1 << 64, 1 << 130))).encode()
