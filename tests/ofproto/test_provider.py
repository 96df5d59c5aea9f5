"""The contract's own defaults, and the registry that `Ofproto` opens providers from."""

import pytest

from jackfield.clock import Clock
from jackfield.flow.match import Match
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.provider import OfprotoProvider, ofproto_registry
from jackfield.openflow.messages import FragmentHandling, PacketOut
from tests.ofproto.fakes import FakeNetdev, FakeProvider, make_switch


def test_a_type_nobody_provides_is_refused(held_clock: Clock) -> None:
    with pytest.raises(OSError, match="unknown ofproto type nothing"):
        Ofproto("nothing", "br0", held_clock)


def test_what_a_provider_need_not_say(switch: tuple[Ofproto, FakeProvider]) -> None:
    ofproto, provider = switch
    port = ofproto.add_port(FakeNetdev("p1", rx_packets=4))
    rule = ofproto.flows.add_internal(Match(), 1, ())
    default = OfprotoProvider
    assert default.run(provider) is None
    assert default.port_is_present(provider, "p1")
    assert default.port_stats(provider, port).rx_packets == 4
    assert default.set_fragments(provider, FragmentHandling.DROP)
    assert not default.set_fragments(provider, FragmentHandling.REASM)
    default.rule_check(provider, rule)
    default.packet_check(provider, PacketOut(b"", ()))


def test_instances_are_counted(held_clock: Clock) -> None:
    make_switch(held_clock, "one")
    make_switch(held_clock, "two")
    assert FakeProvider.enumerate_names("fake") == ["one", "two"]
    with pytest.raises(OSError, match="2 open instances"):
        ofproto_registry.unregister("fake")
    ofproto_registry.close_all()
