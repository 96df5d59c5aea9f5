"""What a driver says about itself and its link, by the ethtool ioctl (linux/ethtool.h, linux/sockios.h)."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from typing import Final

from jackfield.netdev.provider import LinkFeatures

_SIOCETHTOOL: Final = 0x8946
_GDRVINFO: Final = 0x00000003
_GLINKSETTINGS: Final = 0x0000004C

# OpenFlow 1.3.5, section 7.2.1, enum ofp_port_features.
PF_10MB_HD: Final = 1 << 0
PF_10MB_FD: Final = 1 << 1
PF_100MB_HD: Final = 1 << 2
PF_100MB_FD: Final = 1 << 3
PF_1GB_HD: Final = 1 << 4
PF_1GB_FD: Final = 1 << 5
PF_10GB_FD: Final = 1 << 6
PF_40GB_FD: Final = 1 << 7
PF_100GB_FD: Final = 1 << 8
PF_1TB_FD: Final = 1 << 9
PF_OTHER: Final = 1 << 10
PF_COPPER: Final = 1 << 11
PF_FIBER: Final = 1 << 12
PF_AUTONEG: Final = 1 << 13
PF_PAUSE: Final = 1 << 14
PF_PAUSE_ASYM: Final = 1 << 15

# enum ethtool_link_mode_bit_indices -> features; a mode that is not here is PF_OTHER.
_MODES: Final = {
    0: PF_10MB_HD,
    1: PF_10MB_FD,
    2: PF_100MB_HD,
    3: PF_100MB_FD,
    4: PF_1GB_HD,
    5: PF_1GB_FD,
    6: PF_AUTONEG,
    7: PF_COPPER,
    8: PF_COPPER,
    9: PF_COPPER,
    10: PF_FIBER,
    11: PF_COPPER,
    13: PF_PAUSE,
    14: PF_PAUSE_ASYM,
    16: 0,  # backplane: a medium OpenFlow has no word for
    **dict.fromkeys((17, 41), PF_1GB_FD),
    **dict.fromkeys((12, 18, 19, 20, *range(42, 47)), PF_10GB_FD),
    **dict.fromkeys(range(23, 27), PF_40GB_FD),
    **dict.fromkeys((*range(36, 40), *range(57, 62), *range(75, 80)), PF_100GB_FD),
    67: PF_100MB_FD,
    68: PF_1GB_FD,
    **dict.fromkeys(range(49, 52), 0),  # forward error correction
    74: 0,
    90: PF_100MB_HD,
    91: PF_100MB_FD,
}

_SPEEDS: Final = {
    (10, False): PF_10MB_HD,
    (10, True): PF_10MB_FD,
    (100, False): PF_100MB_HD,
    (100, True): PF_100MB_FD,
    (1_000, False): PF_1GB_HD,
    (1_000, True): PF_1GB_FD,
    (10_000, True): PF_10GB_FD,
    (40_000, True): PF_40GB_FD,
    (100_000, True): PF_100GB_FD,
    (1_000_000, True): PF_1TB_FD,
}
_PORTS: Final = {0: PF_COPPER, 1: PF_COPPER, 2: PF_COPPER, 3: PF_FIBER, 4: PF_COPPER, 5: PF_COPPER}
_DUPLEX: Final = {0: False, 1: True}

_SETTINGS: Final = struct.Struct("=II6BBb4B28x")  # struct ethtool_link_settings without its masks
_MAX_WORDS: Final = 127
_UNKNOWN_SPEED: Final = 0xFFFFFFFF


def _ioctl(name: str, command: bytearray) -> bytearray:
    """Pass `command` to the driver of interface `name` in a struct ifreq; it is filled in place.

    Raises:
        OSError: ENODEV, EOPNOTSUPP.
    """
    memory = (ctypes.c_char * len(command)).from_buffer(command)
    request = struct.pack("=16sQ16x", name.encode(errors="surrogateescape"), ctypes.addressof(memory))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
    return command


def _features(words: tuple[int, ...]) -> int:
    features = 0
    for number, word in enumerate(words):
        while word:
            bit = (word & -word).bit_length() - 1
            features |= _MODES.get(32 * number + bit, PF_OTHER)
            word &= word - 1
    return features


def link_features(name: str) -> LinkFeatures:
    """Speed and modes of an interface; all unknown when its driver does not say."""
    try:
        probe = _ioctl(name, bytearray(_SETTINGS.pack(_GLINKSETTINGS, *([0] * 13))))
        words = -_SETTINGS.unpack(probe)[9]  # the kernel answers with the negative of what it wants
        if not 0 < words <= _MAX_WORDS:
            return LinkFeatures()
        head = _SETTINGS.pack(_GLINKSETTINGS, *([0] * 8), words, *([0] * 4))
        answer = _ioctl(name, bytearray(head + bytes(12 * words)))
    except OSError:
        return LinkFeatures()
    return parse_settings(bytes(answer))


def parse_settings(answer: bytes) -> LinkFeatures:
    """The features of a struct ethtool_link_settings with its three masks (supported, advertised, the peer's)."""
    _, speed, duplex, port, _, autoneg, _, _, _, words, *_ = _SETTINGS.unpack_from(answer)
    masks = struct.unpack_from(f"={3 * words}I", answer, _SETTINGS.size)
    known = 0 if speed == _UNKNOWN_SPEED else speed
    full = _DUPLEX.get(duplex)
    current = 0
    if known:
        current = _SPEEDS.get((known, full is not False), PF_OTHER) | _PORTS.get(port, 0)
        current |= PF_AUTONEG if autoneg else 0
    return LinkFeatures(
        speed_mbps=known,
        full_duplex=full,
        current=current,
        supported=_features(masks[:words]),
        advertised=_features(masks[words : 2 * words]),
        peer=_features(masks[2 * words :]),
    )


def driver_info(name: str) -> dict[str, str]:
    """Driver name, driver version and firmware version, as `Interface.status` shows them; empty when unknown."""
    try:
        answer = _ioctl(name, bytearray(struct.pack("=I", _GDRVINFO) + bytes(192)))
    except OSError:
        return {}
    fields = struct.unpack_from("=4x32s32s32s", answer)
    driver, version, firmware = (field.split(b"\0", 1)[0].decode(errors="replace") for field in fields)
    return {"driver_name": driver, "driver_version": version, "firmware_version": firmware}
