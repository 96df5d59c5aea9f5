"""Values come out whole, wherever the stream is cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.errors import ProtocolError
from jackfield.io.jsonstream import JsonSplitter

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
CONTAINERS = st.lists(VALUES, max_size=4) | st.dictionaries(st.text(), VALUES, max_size=4)


@given(st.lists(CONTAINERS, max_size=5), st.lists(st.integers(1, 30), min_size=1, max_size=8), st.booleans())
def test_values_come_out_whatever_the_pieces(values: list[object], sizes: list[int], ascii_only: bool) -> None:
    data = b" \n".join(json.dumps(value, ensure_ascii=ascii_only).encode() for value in values)
    splitter = JsonSplitter()
    found: list[object] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        found += splitter.feed(data[:size])
        data = data[size:]
        turn += 1
    assert found == values


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_a_protocol_error(data: bytes) -> None:
    splitter = JsonSplitter()
    try:
        for value in splitter.feed(data):
            assert isinstance(value, dict | list)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    "data", [b"null", b"]", b"{]", b'{"a"}', b"[1,]", b"[" * 200, b'["\xff"]', b"[1" + b" " * 2000]
)
def test_what_cannot_be_followed_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(JsonSplitter(limit=1000).feed(data))


def test_values_before_the_bad_one_are_still_seen() -> None:
    seen = []
    with pytest.raises(ProtocolError):
        for value in JsonSplitter().feed(b"{}[1] oops"):
            seen.append(value)
    assert seen == [{}, [1]]


def test_a_value_in_many_pieces_costs_one_pass() -> None:
    splitter = JsonSplitter()
    text = json.dumps(["x" * 100] * 5000).encode()
    found = []
    for start in range(0, len(text), 100):
        found += splitter.feed(text[start : start + 100])
        assert splitter._position == 0 or splitter._position >= start
    assert len(found) == 1
