"""Closing what takes the kernel long to close.

Some descriptors (packet sockets, the owner of an nf_tables table) wait in close(2) until every CPU has left the network
code, 10 to 30 ms. What they stood for has been given back by then, so nobody needs to wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


def close_in_background(close: Callable[[], object]) -> None:
    """Call `close` in a thread of its own; the process does not end before it is done."""
    threading.Thread(target=close, name="close").start()
