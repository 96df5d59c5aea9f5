import contextlib
import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.netlink.link import IFF_LOOPBACK, IFF_RUNNING, IFF_UP, STATS64, LinkSocket, parse_link
from jackfield.netlink.socket import NetlinkError, attribute

HEADER = struct.Struct("=BxHiII")


def message(family: int = 0, flags: int = IFF_UP | IFF_RUNNING, *more: bytes) -> bytes:
    return HEADER.pack(family, 1, 7, flags, 0) + attribute(3, b"eth7\0") + b"".join(more)


def test_all_that_is_looked_at() -> None:
    u32 = struct.Struct("=I").pack
    link = parse_link(
        message(
            0,
            IFF_UP | IFF_RUNNING,
            attribute(1, bytes.fromhex("020000000007")),
            attribute(4, u32(9000)),
            attribute(5, u32(3)),
            attribute(10, u32(12)),
            attribute(16, b"\x06"),
            attribute(18, attribute(1, b"veth\0") + attribute(2, b"ignored")),
            attribute(30, u32(2)),
            attribute(35, u32(41)),
            attribute(50, u32(68)),
            attribute(51, u32(65535)),
        )
    )
    assert link is not None
    assert link == (7, "eth7", 0x020000000007, 9000, 0x41, 1, "veth", 6, 12, 3, 41, 2, 68, 65535)
    assert link.up
    assert link.carrier


def test_bare_message() -> None:
    link = parse_link(message(0, 0))
    assert link is not None
    assert (link.mac, link.mtu, link.kind, link.master, link.up, link.carrier) == (0, 0, "", 0, False, False)


def test_address_of_another_length_is_no_mac() -> None:
    link = parse_link(message(0, 0, attribute(1, bytes(20))))
    assert link is not None
    assert link.mac == 0


def test_bridge_ports_messages_are_not_about_the_link() -> None:
    assert parse_link(message(socket.AF_BRIDGE)) is None


def test_name_that_is_not_utf8_survives() -> None:
    link = parse_link(HEADER.pack(0, 1, 7, 0, 0) + attribute(3, b"\xff\xfe\0"))
    assert link is not None
    assert link.name.encode(errors="surrogateescape") == b"\xff\xfe"


@pytest.mark.parametrize("body", [b"", bytes(15), HEADER.pack(0, 1, 7, 0, 0), message() + b"\x03\x00\x01\x00"])
def test_malformed(body: bytes) -> None:
    with pytest.raises(NetlinkError):
        parse_link(body)


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    for body in (tail, message() + tail):
        with contextlib.suppress(NetlinkError):
            parse_link(body)


def test_the_kernels_loopback() -> None:
    requests = LinkSocket()
    found = requests.find("lo")
    assert found is not None
    assert found.flags & IFF_LOOPBACK
    assert requests.get(found.ifindex) == found
    assert found in requests.dump()
    assert set(requests.stats(found.ifindex)) == set(STATS64)
    requests.close()


@pytest.mark.parametrize("name", ["jf-nothing", "", "sixteen-bytes-xx"])
def test_no_such_link(name: str) -> None:
    requests = LinkSocket()
    assert requests.find(name) is None
    with pytest.raises(OSError) as caught:
        requests.get(0x7FFFFFF0)
    assert caught.value.errno == errno.ENODEV
    requests.close()
