"""What can be said about taps without privileges; the rest is in tests/net/test_devices.py."""

import errno

import pytest

from jackfield.netdev import tap
from jackfield.netdev.tap import TapNetdev
from jackfield.netlink import watcher


@pytest.mark.parametrize("name", ["", "t%d", "sixteen-bytes-xx", "é" * 8])
def test_impossible_names(name: str) -> None:
    with pytest.raises(OSError, match="not a name for an interface") as caught:
        TapNetdev(name).open()
    assert caught.value.errno == errno.EINVAL


def test_missing_tun_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "TUN_PATH", "/dev/net/no-such")
    with pytest.raises(OSError, match="t0: /dev/net/no-such is not there") as caught:
        TapNetdev("t0").open()
    assert caught.value.errno == errno.ENODEV
    assert watcher._shared is None


def test_something_that_is_not_tun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "TUN_PATH", "/dev/null")
    with pytest.raises(OSError, match="t0: ") as caught:
        TapNetdev("t0").open()
    assert caught.value.errno == errno.ENOTTY


def test_closed_device_answers() -> None:
    device = TapNetdev("t0")
    device.close()
    assert (device.present, device.compiled_queues(1)) == (False, [])
