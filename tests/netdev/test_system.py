"""What can be said about system devices without privileges; the rest is in tests/net/test_devices.py."""

import errno

import pytest

from jackfield.netdev.system import SystemNetdev
from jackfield.netlink import watcher


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("lo", errno.EINVAL, "lo: a loopback interface cannot be a port"),
        ("jf-nothing", errno.ENODEV, "jf-nothing: there is no such network interface"),
        ("a-name-that-is-too-long", errno.ENODEV, "a-name-that-is-too-long: there is no such"),
    ],
)
def test_refusals(name: str, number: int, text: str) -> None:
    with pytest.raises(OSError, match=text) as caught:
        SystemNetdev(name).open()
    assert caught.value.errno == number
    assert watcher._shared is None, "nothing is held after a refusal"


def test_closed_device_answers() -> None:
    device = SystemNetdev("eth0")
    device.close()
    assert not device.present
    assert (device.ifindex, device.get_mac(), device.get_mtu()) == (0, 0, None)
    assert device.compiled_queues(1) == []
    with pytest.raises(OSError, match="eth0"):
        device.set_admin_up(True)
