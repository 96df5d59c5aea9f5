import struct

import pytest

from jackfield.netdev import ethtool
from jackfield.netdev.ethtool import driver_info, link_features, parse_settings
from jackfield.netdev.provider import LinkFeatures


def settings(
    speed: int, duplex: int, port: int, autoneg: int, supported: int = 0, advertised: int = 0, peer: int = 0
) -> bytes:
    """A struct ethtool_link_settings as linux/ethtool.h lays it out, with masks of four words."""
    head = struct.pack("=IIBBBBBBBbBBBB7I", 0x4C, speed, duplex, port, 0, autoneg, 0, 0, 0, 4, 0, 0, 0, 0, *[0] * 7)
    return head + b"".join(mask.to_bytes(16, "little") for mask in (supported, advertised, peer))


def test_gigabit_copper() -> None:
    modes = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 13
    found = parse_settings(settings(1000, 1, 0, 1, modes, modes, 1 << 5 | 1 << 6))
    assert found == LinkFeatures(
        speed_mbps=1000,
        full_duplex=True,
        current=ethtool.PF_1GB_FD | ethtool.PF_COPPER | ethtool.PF_AUTONEG,
        supported=0xF | ethtool.PF_1GB_FD | ethtool.PF_AUTONEG | ethtool.PF_COPPER | ethtool.PF_PAUSE,
        advertised=0xF | ethtool.PF_1GB_FD | ethtool.PF_AUTONEG | ethtool.PF_COPPER | ethtool.PF_PAUSE,
        peer=ethtool.PF_1GB_FD | ethtool.PF_AUTONEG,
    )


@pytest.mark.parametrize(
    ("speed", "duplex", "port", "current"),
    [
        (10, 0, 0, ethtool.PF_10MB_HD | ethtool.PF_COPPER),
        (100, 1, 0, ethtool.PF_100MB_FD | ethtool.PF_COPPER),
        (10_000, 1, 3, ethtool.PF_10GB_FD | ethtool.PF_FIBER),
        (25_000, 1, 3, ethtool.PF_OTHER | ethtool.PF_FIBER),
        (40_000, 1, 0xEF, ethtool.PF_40GB_FD),
        (100_000, 1, 3, ethtool.PF_100GB_FD | ethtool.PF_FIBER),
    ],
)
def test_current_mode(speed: int, duplex: int, port: int, current: int) -> None:
    found = parse_settings(settings(speed, duplex, port, 0))
    assert (found.speed_mbps, found.current) == (speed, current)


def test_unknown_speed_and_duplex() -> None:
    found = parse_settings(settings(0xFFFFFFFF, 0xFF, 0, 1))
    assert (found.speed_mbps, found.full_duplex, found.current) == (0, None, 0)


@pytest.mark.parametrize(
    ("mode", "feature"),
    [
        (18, ethtool.PF_10GB_FD),
        (24, ethtool.PF_40GB_FD),
        (37, ethtool.PF_100GB_FD),
        (31, ethtool.PF_OTHER),
        (50, 0),
        (42, ethtool.PF_10GB_FD),
        (62, ethtool.PF_OTHER),
        (10, ethtool.PF_FIBER),
        (14, ethtool.PF_PAUSE_ASYM),
    ],
)
def test_modes_beyond_the_first_word(mode: int, feature: int) -> None:
    assert parse_settings(settings(0, 0, 0, 0, supported=1 << mode)).supported == feature


def test_an_interface_that_is_not_there_is_unknown() -> None:
    assert link_features("jf-nothing") == LinkFeatures()
    assert driver_info("jf-nothing") == {}
