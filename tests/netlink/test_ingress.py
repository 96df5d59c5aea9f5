"""What can be said without privileges; that packets are dropped is in tests/net/test_devices.py."""

import os
import threading

import pytest

from jackfield.netlink.ingress import IngressGuard


def test_nothing_to_remove() -> None:
    IngressGuard().remove(4711)


def test_refusal_leaves_no_socket() -> None:
    guard = IngressGuard()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError):
        guard.add(0x7FFFFFF0, "a-name-no-interface-can-have")
    for thread in threading.enumerate():
        if thread.name == "close":
            thread.join(10)
    assert set(os.listdir("/proc/self/fd")) == before
    guard.remove(0x7FFFFFF0)
