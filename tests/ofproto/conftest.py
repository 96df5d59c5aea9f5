from collections.abc import Iterator

import pytest

from jackfield.clock import Clock
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.provider import ofproto_registry
from tests.ofproto.fakes import FakeProvider, make_switch


@pytest.fixture
def switch(held_clock: Clock) -> Iterator[tuple[Ofproto, FakeProvider]]:
    """A switch without ports or flows, and its provider; the clock is held."""
    yield make_switch(held_clock)
    ofproto_registry.close_all()
