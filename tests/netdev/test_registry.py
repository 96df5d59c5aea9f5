import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackfield.netdev import registry
from jackfield.netdev.dummy import DummyNetdev
from jackfield.netdev.registry import close_netdev, close_netdevs, find_netdev, open_netdev, open_netdevs

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    close_netdevs()
    yield
    close_netdevs()


def errno_of_opening(name: str, kind: str, **options: str) -> int | None:
    with pytest.raises(OSError) as caught:
        open_netdev(name, kind, options)
    return caught.value.errno


def test_opens_and_finds() -> None:
    device = open_netdev("d0", "dummy", {"hwaddr": "02:00:00:00:00:07"})
    assert isinstance(device, DummyNetdev)
    assert device.get_mac() == 0x020000000007
    assert find_netdev("d0") is device
    assert open_netdevs() == [device]


def test_every_built_in_type_is_known() -> None:
    assert {"system", "tap", "internal", "patch", "dummy", "pcap", "null"} <= set(registry.NETDEVS.types())
    for kind in ("system", "tap", "internal", "patch", "dummy", "pcap", "null"):
        assert registry.NETDEVS.get(kind).__module__.startswith("jackfield.netdev.")


def test_devices_come_without_what_takes_long_to_import() -> None:
    program = (
        "import sys\n"
        "from jackfield.netdev.registry import NETDEVS\n"
        "for kind in NETDEVS.types(): NETDEVS.get(kind)\n"
        "print([each for each in ('numba', 'numpy', 'pyroute2', 'llvmlite') if each in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.stdout == "[]\n", done.stderr


def test_empty_type_is_system() -> None:
    with pytest.raises(OSError, match="no such network interface") as caught:
        open_netdev("jf-nothing", "")
    assert caught.value.errno == errno.ENODEV


def test_unknown_type() -> None:
    with pytest.raises(OSError, match=r"unknown netdev type bogus \(known: .*dummy.*\)") as caught:
        open_netdev("d0", "bogus")
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\nb", "\0", "a\t"])
def test_impossible_names(name: str) -> None:
    assert errno_of_opening(name, "dummy") == errno.EINVAL


def test_one_device_of_a_name_whatever_its_type() -> None:
    open_netdev("d0", "dummy")
    with pytest.raises(OSError, match=r"d0: .* open already \(type dummy\)") as caught:
        open_netdev("d0", "null")
    assert caught.value.errno == errno.EBUSY


def test_failed_open_leaves_nothing() -> None:
    assert errno_of_opening("p0", "patch") == errno.EINVAL
    assert find_netdev("p0") is None
    assert registry.NETDEVS.instances("patch") == []
    assert open_netdev("p0", "patch", {"peer": "p1"}).present


def test_close_frees_the_name_and_may_be_repeated() -> None:
    device = open_netdev("d0", "dummy")
    close_netdev(device)
    other = open_netdev("d0", "null")
    close_netdev(device)
    assert find_netdev("d0") is other


def test_class_in_use_stays() -> None:
    device = open_netdev("d0", "dummy")
    with pytest.raises(OSError) as caught:
        registry.NETDEVS.unregister("dummy")
    assert caught.value.errno == errno.EBUSY
    close_netdev(device)
    registry.NETDEVS.unregister("dummy")


def test_close_all_may_be_repeated() -> None:
    open_netdev("d0", "dummy")
    open_netdev("d1", "null")
    close_netdevs()
    close_netdevs()
    assert open_netdevs() == []
    assert open_netdev("d0", "dummy").present
