from collections.abc import Callable, Iterator

import pytest

from jackfield.clock import Clock
from tests.ofproto.pipeline import fake_dpif
from tests.ofproto.pipeline.fake_dpif import Switch


@pytest.fixture
def make_switch() -> Iterator[Callable[[str], Switch]]:
    fake_dpif.register()
    clock = Clock(held_at=1_000_000)
    switches: list[Switch] = []
    wakes = [0]

    def make(name: str = "br0") -> Switch:
        switches.append(Switch(clock, name, wakes))
        return switches[-1]

    yield make
    for switch in switches:
        for number in list(switch.ports):
            switch.delete_port(number)
        switch.provider.destruct(delete=True)
    fake_dpif.unregister()


@pytest.fixture
def switch(make_switch: Callable[[str], Switch]) -> Switch:
    made = make_switch("br0")
    for number in (1, 2, 3):
        made.add_port(number)
    return made
