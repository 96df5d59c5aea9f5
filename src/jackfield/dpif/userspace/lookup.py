"""What a lookup means: the plain twin of `jit_lookup`.

A megaflow fits a key that is equal to its own under its mask. Which of several that fit is hit is not said: flows of
one datapath do not overlap unless they do the same. The caches and hash tables of the compiled side change nothing of
this; a test runs both on the same packets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Megaflow(NamedTuple):
    """A flow as far as a lookup sees it; `key` has no bit outside `mask`."""

    ufid: int
    key: int
    mask: int


def fitting(flows: Iterable[Megaflow], key: int) -> set[int]:
    """UFIDs of all flows that fit a key; the compiled side hits one of them, and misses when there is none."""
    return {flow.ufid for flow in flows if key & flow.mask == flow.key}
