import errno
from typing import ClassVar

import pytest

from jackfield.netdev.provider import DeviceStats, Netdev, unsupported


class Smallest(Netdev):
    """Only what the contract makes mandatory."""

    type: ClassVar[str] = "smallest"

    def open(self) -> None: ...

    def close(self) -> None: ...

    def get_mac(self) -> int:
        return 0

    def get_mtu(self) -> int | None:
        return None

    def get_admin_up(self) -> bool:
        return False

    def set_admin_up(self, up: bool) -> None: ...

    def get_carrier(self) -> bool:
        return False

    def get_stats(self) -> DeviceStats:
        return DeviceStats()


def test_mandatory_methods_suffice() -> None:
    device = Smallest("d")
    assert (device.ifindex, device.link_resets, device.present) == (0, 0, True)
    assert device.compiled_queues(1) is None
    assert device.receive_batch(8) == []
    assert device.send_batch([b"x"]) == 0
    assert device.get_status() == {}


@pytest.mark.parametrize("missing", ["open", "close", "get_mac", "get_stats"])
def test_mandatory_methods_are_mandatory(missing: str) -> None:
    made = type("Made", (Smallest,), {missing: getattr(Netdev, missing)})
    with pytest.raises(TypeError, match=missing):
        made("d")


def test_optional_setters_say_so() -> None:
    device = Smallest("d7")
    for call in (lambda: device.set_mac(1), lambda: device.set_mtu(1500)):
        with pytest.raises(OSError, match=r"d7: a device of type smallest does not support") as caught:
            call()
        assert caught.value.errno == errno.EOPNOTSUPP
    assert unsupported(device, "flying").errno == errno.EOPNOTSUPP


def test_change_is_counted_before_it_is_told() -> None:
    device = Smallest("d")
    seen: list[int] = []
    device.on_change = lambda changed: seen.append(changed.change_seq)
    device.notify_change()
    device.notify_change()
    assert seen == [2, 3]


def test_notifications_without_a_listener_are_harmless() -> None:
    device = Smallest("d")
    device.notify_ready()
    device.notify_change()
    assert device.change_seq == 2
