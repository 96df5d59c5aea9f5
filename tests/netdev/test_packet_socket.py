"""Errors; what the sockets do is in tests/net/test_packet_io.py."""

import errno

import pytest

from jackfield.netdev.packet_socket import close_queues, open_queues


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(OSError, match="nosuch0: cannot open a packet socket") as refused:
        open_queues("nosuch0", 1)
    assert refused.value.errno in (errno.ENODEV, errno.EPERM)


def test_closing_nothing() -> None:
    close_queues([])
