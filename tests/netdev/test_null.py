from jackfield.netdev.null import NullNetdev
from jackfield.netdev.provider import QueueKind
from tests.netdev.conformance import NetdevConformance


class TestConformance(NetdevConformance):
    def make(self) -> NullNetdev:
        return NullNetdev("n0")


def test_compiled_and_uncounted() -> None:
    device = NullNetdev("n0")
    device.open()
    (queue,) = device.compiled_queues(4)
    assert (queue.kind, queue.fd) == (QueueKind.NULL, -1)
    assert device.get_stats().rx_packets is None
