import errno

import pytest

from jackfield.netdev.patch import PatchNetdev
from tests.netdev.conformance import NetdevConformance


class TestConformance(NetdevConformance):
    def bad_options(self) -> dict[str, str]:
        return {"peer": "p0"}

    def make(self) -> PatchNetdev:
        return PatchNetdev("p0", {"peer": "p1"})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, r"p0: option peer is missing \(expected the name of the port at the other end\)"),
        ({"peer": ""}, "option peer is missing"),
        ({"peer": "p0"}, "p0: option peer=p0"),
    ],
)
def test_bad_peers(options: dict[str, str], text: str) -> None:
    with pytest.raises(OSError, match=text) as caught:
        PatchNetdev("p0", options).open()
    assert caught.value.errno == errno.EINVAL


def test_changing_the_peer_is_a_change() -> None:
    device = PatchNetdev("p0", {"peer": "p1"})
    device.open()
    device.set_options({"peer": "p1"})
    assert device.change_seq == 1
    device.set_options({"peer": "p2"})
    assert (device.peer, device.change_seq) == ("p2", 2)


def test_belongs_to_no_datapath() -> None:
    assert not PatchNetdev.carries_packets
    device = PatchNetdev("p0", {"peer": "p1"})
    device.open()
    assert device.get_carrier()
    assert device.get_mtu() is None


def test_credits() -> None:
    device = PatchNetdev("p0", {"peer": "p1"})
    device.open()
    device.add_rx(2, 120)
    device.add_tx(3, 180)
    device.add_tx(1, 1500)
    stats = device.get_stats()
    assert (stats.rx_packets, stats.rx_bytes, stats.tx_packets, stats.tx_bytes) == (2, 120, 4, 1680)
