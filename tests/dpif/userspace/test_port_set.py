"""Numbers and changes of ports."""

import errno
from collections.abc import Iterator

import pytest

from jackfield.clock import Clock
from jackfield.dpif.userspace.provider import UserspaceDpif
from jackfield.flow.ports import DpPort
from jackfield.netdev.null import NullNetdev
from jackfield.netdev.provider import CompiledQueue


class Refusing(NullNetdev):
    """A device that cannot be polled."""

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue]:
        raise OSError(errno.EPERM, f"{self.name}: no")


@pytest.fixture
def dpif() -> Iterator[UserspaceDpif]:
    dpif = UserspaceDpif("set", Clock(), create=True)
    yield dpif
    dpif.destroy()


def test_numbers_go_up_from_one_and_leave_out_what_is_taken(dpif: UserspaceDpif) -> None:
    assert dpif.port_add(NullNetdev("a")) == 1
    assert dpif.port_add(NullNetdev("b"), DpPort(2)) == 2
    assert dpif.port_add(NullNetdev("c")) == 3
    dpif.port_del(DpPort(1))
    assert dpif.port_add(NullNetdev("d")) == 4, "a number just given up rests for a while"
    assert dpif.port_add(NullNetdev("e"), DpPort(0)) == 0


def test_numbers_are_reused_when_all_were_given(dpif: UserspaceDpif) -> None:
    dpif.port_add(NullNetdev("a"), DpPort(65_535))
    dpif._datapath.ports._next = 65_535
    assert dpif.port_add(NullNetdev("b")) == 1


def test_a_device_that_refuses_leaves_nothing_behind(dpif: UserspaceDpif) -> None:
    with pytest.raises(OSError, match="no") as caught:
        dpif.port_add(Refusing("a"), DpPort(5))
    assert caught.value.errno == errno.EPERM
    assert not dpif.port_dump()
    assert dpif.port_poll() is None
    assert dpif.port_add(NullNetdev("a"), DpPort(5)) == 5


def test_statistics_are_those_of_the_port(dpif: UserspaceDpif) -> None:
    dpif.port_add(NullNetdev("a"), DpPort(5))
    assert dpif.port_stats(DpPort(5)).tx_packets == 0
    with pytest.raises(OSError, match="6") as caught:
        dpif.port_stats(DpPort(6))
    assert caught.value.errno == errno.ENODEV


def test_many_queues_are_spread(dpif: UserspaceDpif) -> None:
    class Several(NullNetdev):
        def compiled_queues(self, n_queues: int) -> list[CompiledQueue]:
            return [queue for _ in range(n_queues) for queue in super(Several, self).compiled_queues(1)]

    dpif.port_add(Several("a"), DpPort(1))
    dpif.poll_threads_set(4, "3")
    port = dpif._datapath.ports.get(DpPort(1))
    assert sorted(index for index, _, _ in port.receivers) == [0, 0, 1, 1]
    assert len(set(port.rows)) == 4
