"""Opening datapaths by type."""

import errno

import pytest

from jackfield.clock import Clock
from jackfield.dpif.dummy import DummyDpif
from jackfield.dpif.registry import DPIFS, close_dpif, open_dpif


def test_open_and_close() -> None:
    dpif = open_dpif("dummy", "here", Clock(held_at=0), create=True)
    assert isinstance(dpif, DummyDpif)
    assert dpif in DPIFS.instances("dummy")
    dpif.destroy()
    close_dpif(dpif)
    close_dpif(dpif)
    assert dpif not in DPIFS.instances("dummy")


def test_unknown_type() -> None:
    with pytest.raises(OSError, match="nonsense") as caught:
        open_dpif("nonsense", "x", Clock(held_at=0), create=True)
    assert caught.value.errno == errno.EINVAL


def test_not_there() -> None:
    with pytest.raises(OSError, match="nowhere") as caught:
        open_dpif("dummy", "nowhere", Clock(held_at=0))
    assert caught.value.errno == errno.ENODEV
