import errno
import os
import threading

import pytest

from jackfield.netdev.promiscuous import PromiscuousMode


def test_nothing_to_take_back() -> None:
    PromiscuousMode().remove(4711)


def test_no_such_interface_and_no_descriptor_left() -> None:
    mode = PromiscuousMode()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:
        mode.add(0x7FFFFFFF)
    assert caught.value.errno in (errno.ENODEV, errno.EPERM)
    for thread in threading.enumerate():
        if thread.name == "close":
            thread.join(10)
    assert set(os.listdir("/proc/self/fd")) == before
