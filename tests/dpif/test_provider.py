"""The parts of the contract that are code."""

from jackfield.clock import Clock
from jackfield.dpif.dummy import DummyDpif
from jackfield.dpif.provider import DpFlow, Dpif, FlowDump, FlowStats
from jackfield.flow.ports import DpPort


class Listed(FlowDump):
    """A dump of a list, in batches smaller than asked for."""

    def __init__(self, flows: list[DpFlow]) -> None:
        self.flows = flows
        self.finished = 0

    def next_batch(self, max_flows: int) -> list[DpFlow]:
        batch, self.flows = self.flows[: min(max_flows, 3)], self.flows[min(max_flows, 3) :]
        return batch

    def finish(self) -> None:
        self.finished += 1


def test_iterating_a_dump_gives_all_and_finishes() -> None:
    flows = [DpFlow(i, None, None, None, FlowStats()) for i in range(10)]
    dump = Listed(list(flows))
    assert list(dump) == flows
    assert dump.finished == 1


def test_defaults() -> None:
    """A datapath with direct upcalls has nothing to poll."""
    dpif: Dpif = DummyDpif("defaults", Clock(held_at=0), create=True)
    dpif.recv_set(True)
    dpif.handlers_set(3)
    dpif.recv_purge()
    assert dpif.recv(0, 10) == []
    assert dpif.wait() is None
    assert dpif.port_get_pid(DpPort(1), 0) == 0
    assert dpif.port_open_type("patch") == "patch"
    assert dpif.queue_to_priority(3) == 3
    assert (dpif.netflow_engine_type, dpif.netflow_engine_id) == (0, 0)
    dpif.destroy()
