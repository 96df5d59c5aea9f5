"""A worker, with and without a thread of its own."""

from collections.abc import Iterator

import pytest

from jackfield.dpif.actions import Userspace
from jackfield.dpif.userspace.actions_code import compile_actions
from jackfield.dpif.userspace.state import (
    HEAP,
    new_seeds,
)
from jackfield.dpif.userspace.warm import kernels
from jackfield.dpif.userspace.worker import Worker
from jackfield.flow.parse import parse_packet


@pytest.fixture(params=[True, False], ids=["synchronous", "thread"])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    worker = Worker(kernels(), new_seeds(), synchronous=request.param)
    worker.start(None)
    yield worker
    worker.close()


def handed_up(worker: Worker, packet: bytes) -> bytes | None:
    """The command that executes "hand it up" on a packet."""
    words = compile_actions((Userspace(b"x"),), lambda action: 0)
    for i, word in enumerate(words):
        worker.arena.words[HEAP + i] = word
    return worker.execute(packet, parse_packet(packet, 1).key, HEAP, 0)
