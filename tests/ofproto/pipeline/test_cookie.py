import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.errors import ProtocolError
from jackfield.flow import fields as f
from jackfield.ofproto.pipeline.cookie import ControllerCookie, decode

cookies = st.builds(
    ControllerCookie,
    bridge_id=st.integers(0, 2**32 - 1),
    table_id=st.integers(0, 254),
    rule_cookie=st.integers(0, 2**64 - 1),
    reason=st.integers(0, 255),
    in_port=st.integers(0, 2**32 - 1),
    controller_id=st.integers(0, 0xFFFF),
    max_len=st.none() | st.integers(0, 0xFFFF),
    implicit_miss=st.booleans(),
    pipeline=st.integers(0, 2 ** (64 * 12) - 1).map(lambda bits: bits << 64 * f.DATAPATH_WORDS),
    userdata=st.binary(max_size=100),
)


@given(cookies)
def test_there_and_back(cookie: ControllerCookie) -> None:
    assert decode(cookie.encode()) == cookie


@given(st.binary(max_size=80))
def test_anything_else_is_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(data)


def test_cut_short() -> None:
    data = ControllerCookie(1, 2, 3, 4, 5, userdata=b"abc").encode()
    with pytest.raises(ProtocolError, match="ends within"):
        decode(data[:-1])
