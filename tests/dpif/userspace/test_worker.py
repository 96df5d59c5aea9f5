"""The two rings between the main thread and a polling thread."""

import time

from jackfield.dpif.userspace.flows import command
from jackfield.dpif.userspace.state import (
    C_SYNC,
    SLEEPING,
)
from jackfield.dpif.userspace.worker import Worker


def test_wait_wakes_a_sleeper(worker: Worker) -> None:
    for _ in range(20):
        time.sleep(0.002)
        worker.send([command(C_SYNC)])
        worker.wait()
        assert worker.done() == worker.sent
    if not worker.synchronous:
        time.sleep(0.01)
        assert worker.arena.words[SLEEPING] == 1


def test_stop_may_be_repeated(worker: Worker) -> None:
    worker.stop()
    worker.stop()
    worker.start(None)
    worker.send([command(C_SYNC)])
    worker.wait()
    assert worker.done() == worker.sent
