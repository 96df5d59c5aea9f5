import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.framing import Framer


def message(body):
    return bytes((1, 2)) + (8 + len(body)).to_bytes(2, "big") + bytes(4) + body


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 300), max_size=20))
def test_any_split_gives_the_same_messages(bodies, cuts):
    messages = [message(body) for body in bodies]
    stream = b"".join(messages)
    framer = Framer()
    found = []
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in itertools.pairwise(edges):
        framer.feed(stream[start:end])
        found += framer.frames()
    assert found == messages
    assert framer.pending == 0


def test_incomplete_message_waits():
    framer = Framer()
    framer.feed(message(b"abcdef")[:10])
    assert list(framer.frames()) == []
    assert framer.pending == 10
    framer.feed(b"cdef")
    assert list(framer.frames()) == [message(b"abcdef")]


@pytest.mark.parametrize("length", range(8))
def test_length_below_the_header_is_an_error(length):
    framer = Framer()
    framer.feed(message(b"x") + bytes((1, 0, 0, length)) + bytes(4))
    frames = framer.frames()
    assert next(frames) == message(b"x")
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
        next(frames)


def test_longest_message():
    framer = Framer()
    framer.feed(message(bytes(65527)))
    assert [len(frame) for frame in framer.frames()] == [65535]
