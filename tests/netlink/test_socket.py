import contextlib
import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.netlink.socket import (
    F_ACK_TLVS,
    F_CAPPED,
    NESTED,
    NETLINK_ROUTE,
    NLMSG_ERROR,
    Message,
    NetlinkError,
    NetlinkSocket,
    attribute,
    attributes,
    check,
    frame,
    messages,
)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=5))
def test_framed_messages_are_read_back(parts: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(frame(kind, flags, 7, body) for kind, flags, body in parts)
    assert list(messages(data)) == [Message(kind, flags, 7, body) for kind, flags, body in parts]
    assert len(data) % 4 == 0


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=6))
def test_attributes_are_read_back(wanted: dict[int, bytes]) -> None:
    assert attributes(b"".join(attribute(kind, value) for kind, value in wanted.items())) == wanted


def test_nested_mark_is_not_part_of_the_type() -> None:
    assert attributes(attribute(4 | NESTED, b"abcd")) == {4: b"abcd"}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (lambda: list(messages(data)), lambda: attributes(data)):
        with contextlib.suppress(NetlinkError):
            read()


@pytest.mark.parametrize(
    "data",
    [
        bytes(15),
        struct.pack("=IHHII", 15, 2, 0, 1, 0),
        struct.pack("=IHHII", 17, 2, 0, 1, 0),
        struct.pack("=IHHII", 0xFFFFFFFF, 2, 0, 1, 0),
    ],
)
def test_lengths_that_lie(data: bytes) -> None:
    with pytest.raises(NetlinkError):
        list(messages(data))


def test_messages_before_the_bad_one_are_given() -> None:
    found = messages(frame(3, 0, 1, b"good") + b"\xff" * 16)
    assert next(found).body == b"good"
    with pytest.raises(NetlinkError):
        next(found)


def test_acknowledgement_and_refusal() -> None:
    check(Message(NLMSG_ERROR, 0, 1, struct.pack("=i", 0)))
    with pytest.raises(OSError, match="No such device") as caught:
        check(Message(NLMSG_ERROR, F_CAPPED, 1, struct.pack("=i", -errno.ENODEV) + bytes(16)))
    assert caught.value.errno == errno.ENODEV
    with pytest.raises(NetlinkError):
        check(Message(NLMSG_ERROR, 0, 1, b"abc"))


@pytest.mark.parametrize("capped", [True, False])
def test_explanation_of_the_kernel_is_passed_on(capped: bool) -> None:
    request = frame(16, 5, 1, b"request!")
    head = struct.pack("=i", -errno.EINVAL) + (request[:16] if capped else request)
    flags = F_ACK_TLVS | (F_CAPPED if capped else 0)
    with pytest.raises(OSError, match=r"Invalid argument \(mtu less than device minimum\)"):
        check(Message(NLMSG_ERROR, flags, 1, head + attribute(1, b"mtu less than device minimum\0")))


def test_the_kernel_refuses_an_unknown_request() -> None:
    socket = NetlinkSocket(NETLINK_ROUTE)
    with pytest.raises(OSError) as caught:
        socket.request(0xFFF0, 0, bytes(16))
    assert caught.value.errno in (errno.EOPNOTSUPP, errno.EPERM)
    assert socket.port_id
    socket.close()
    socket.close()


def test_unknown_protocol() -> None:
    with pytest.raises(OSError):
        NetlinkSocket(31)
