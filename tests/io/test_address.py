"""The text form of addresses, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.io.address import OVSDB_PORT, Address, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp:10.0.0.1:6633", Address("tcp", host="10.0.0.1", port=6633)),
        ("tcp:switch.example", Address("tcp", host="switch.example", port=6653)),
        ("ssl:[::1]:6640", Address("ssl", host="::1", port=6640)),
        ("tcp:[fe80::1%eth0]", Address("tcp", host="fe80::1%eth0", port=6653)),
        ("unix:/run/a:b.sock", Address("unix", path="/run/a:b.sock")),
        ("ptcp:", Address("tcp", True, port=6653)),
        ("ptcp:0:127.0.0.1", Address("tcp", True, "127.0.0.1", 0)),
        ("pssl:6640:[::]", Address("ssl", True, "::", 6640)),
        ("ptcp:6653:::1", Address("tcp", True, "::1", 6653)),
        ("punix:x.mgmt", Address("unix", True, path="x.mgmt")),
    ],
)
def test_reads_what_users_write(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
    assert parse_address(str(expected)) == expected


def test_the_default_port_is_the_callers() -> None:
    assert parse_address("tcp:h", OVSDB_PORT).port == 6640


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", '"" is not a connection'),
        ("udp:10.0.0.1", "expected one of tcp:HOST"),
        ("tcp:", "names no host"),
        ("unix:", "names no file"),
        ("tcp:h:99999", '"99999" is not a port'),
        ("tcp:h:0", '"0" is not a port'),
        ("tcp:h:x", '"x" is not a port'),
        ("tcp:h:²", "is not a port"),
        ("tcp:fe80::1", "needs brackets"),
        ("tcp:[fe80::zz]:1", '"fe80::zz" is not an IPv6 address'),
        ("tcp:[::1", "expected [IPv6-address]:PORT"),
        ("tcp:a b:1", "is not a host"),
    ],
)
def test_names_what_it_cannot_read(text: str, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_address(text)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.text(max_size=40)
    | st.sampled_from(["tcp:", "ptcp:", "ssl:[", "punix:"]).flatmap(lambda k: st.text().map(k.__add__))
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(address)) == address
