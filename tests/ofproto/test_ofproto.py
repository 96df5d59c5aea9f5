import asyncio

import pytest

from jackfield.clock import Clock
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_NORMAL, OfPort
from jackfield.ofproto.ofproto import Ofproto, random_datapath_id
from jackfield.ofproto.ports import Port
from jackfield.ofproto.provider import ofproto_registry
from jackfield.ofproto.settings import Settings
from jackfield.openflow.actions import Output
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import FragmentHandling, PortConfig, PortMod
from tests.ofproto.fakes import FakeNetdev, FakeProvider, make_switch

Switch = tuple[Ofproto, FakeProvider]


def test_life_and_death(held_clock: Clock) -> None:
    ofproto, provider = make_switch(held_clock)
    port = ofproto.add_port(FakeNetdev("p1"))
    assert provider.told == [("port_added", "p1")]
    asyncio.run(ofproto.destruct(delete=True))
    assert provider.told[1:] == [("port_deleted", "p1"), ("destruct", True)]
    assert port.netdev.on_change is None
    assert ofproto_registry.instances("fake") == []
    asyncio.run(ofproto.destruct())
    assert provider.names().count("destruct") == 1
    ofproto_registry.close_all()


def test_a_provider_that_cannot_construct_leaves_nothing(held_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_provider: FakeProvider) -> None:
        raise OSError(19, "no datapath")

    monkeypatch.setattr(FakeProvider, "construct", fail)
    with pytest.raises(OSError, match="no datapath"):
        make_switch(held_clock)
    assert ofproto_registry.instances("fake") == []
    ofproto_registry.close_all()


def test_without_controllers_a_standalone_switch_is_a_plain_one(switch: Switch) -> None:
    ofproto, _ = switch
    lookup = ofproto.tables[0].classifier.lookup
    assert lookup(0, ofproto.version)[0] is None
    ofproto.connections.fail_mode = "standalone"
    rule = lookup(0, ofproto.version)[0]
    assert rule is not None
    assert (rule.match, rule.priority, rule.actions) == (Match(), 0, (Output(OFPP_NORMAL),))
    ofproto.connections.fail_mode = "secure"
    assert lookup(0, ofproto.version)[0] is None


def test_ports_come_and_go(switch: Switch) -> None:
    ofproto, provider = switch
    port = ofproto.add_port(FakeNetdev("p1"), OfPort(7))
    assert ofproto.ports.by_name("p1") is port
    with pytest.raises(FileExistsError):
        ofproto.add_port(FakeNetdev("p1"))
    ofproto.delete_port(port)
    ofproto.delete_port(port)
    assert provider.names() == ["port_added", "port_deleted"]
    provider.refuse_ports = True
    with pytest.raises(OSError, match="busy"):
        ofproto.add_port(FakeNetdev("p2"))
    assert len(ofproto.ports) == 0


def test_what_happens_to_a_device_is_told(switch: Switch) -> None:
    ofproto, provider = switch
    seen: list[Port] = []
    ofproto.on_port_change = seen.append
    netdev = FakeNetdev("p1")
    port = ofproto.add_port(netdev)
    netdev.carrier = False
    netdev.notify_change()
    assert provider.told[-1] == ("port_modified", "p1")
    assert seen == [port]


def test_ports_that_the_datapath_lost_are_deleted(switch: Switch) -> None:
    ofproto, provider = switch
    for name in ("p1", "p2", "p3"):
        ofproto.add_port(FakeNetdev(name))
    provider.vanished, provider.polled = {"p2"}, ["p2", "unknown"]
    ofproto.wake_provider()
    ofproto.clock.advance(0)
    assert [port.name for port in ofproto.ports] == ["p1", "p3"]
    provider.vanished, provider.polled = {"p3"}, [""]
    ofproto.poll_ports()
    assert [port.name for port in ofproto.ports] == ["p1"]


def test_run_is_called_when_it_asked_to_be(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    ofproto, provider = switch
    runs: list[int] = []

    def run() -> int:
        runs.append(ofproto.clock.now())
        return runs[-1] + 1000

    monkeypatch.setattr(provider, "run", run)
    start = ofproto.clock.now()
    ofproto.wake_provider()
    ofproto.clock.advance(2500)
    assert runs == [start, start + 1000, start + 2000]
    ofproto.wake_provider()
    ofproto.clock.advance(0)
    assert runs[-1] == start + 2500


def port_mod(port: Port, config: int, mask: int, hw_addr: int | None = None) -> PortMod:
    return PortMod(port.ofp_port, port.hw_addr if hw_addr is None else hw_addr, PortConfig(config), PortConfig(mask))


def test_port_mod(switch: Switch) -> None:
    ofproto, provider = switch
    port = ofproto.add_port(FakeNetdev("p1"))
    ofproto.port_mod(port_mod(port, PortConfig.NO_FLOOD | PortConfig.NO_FWD, PortConfig.NO_FLOOD))
    assert provider.told[-1] == ("port_reconfigured", "p1", 0, PortConfig.NO_FLOOD)
    ofproto.port_mod(port_mod(port, PortConfig.PORT_DOWN, PortConfig.PORT_DOWN))
    assert not port.netdev.get_admin_up()
    assert port.config == PortConfig.PORT_DOWN | PortConfig.NO_FLOOD
    ofproto.port_mod(port_mod(port, 0, PortConfig.PORT_DOWN))
    assert port.netdev.get_admin_up()
    told = len(provider.told)
    ofproto.port_mod(port_mod(port, PortConfig.NO_FLOOD, PortConfig.NO_FLOOD))
    assert len(provider.told) == told


def test_port_mod_refusals(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    ofproto, _ = switch
    port = ofproto.add_port(FakeNetdev("p1"))

    def name_of(mod: PortMod) -> str:
        with pytest.raises(OpenFlowError) as caught:
            ofproto.port_mod(mod)
        return caught.value.name

    assert name_of(port_mod(port, 1, 1, hw_addr=5)) == "OFPPMFC_BAD_HW_ADDR"
    assert name_of(PortMod(OfPort(99), 0, PortConfig(0), PortConfig(1))) == "OFPPMFC_BAD_PORT"

    def refuse(_self: FakeNetdev, up: bool) -> None:
        raise OSError(1, "not allowed")

    monkeypatch.setattr(FakeNetdev, "set_admin_up", refuse)
    assert name_of(port_mod(port, 1, 1)) == "OFPPMFC_EPERM"


def test_settings_and_identity(switch: Switch) -> None:
    ofproto, provider = switch
    assert ofproto.datapath_id == ofproto.fallback_datapath_id
    assert random_datapath_id() >> 24 == 0x002320
    ofproto.set_datapath_id(0x1234)
    assert ofproto.datapath_id == 0x1234
    ofproto.set_datapath_id(None)
    assert ofproto.datapath_id == ofproto.fallback_datapath_id
    ofproto.configure(Settings(forward_bpdu=True))
    ofproto.configure(Settings(forward_bpdu=True))
    assert provider.told == [("settings",)]
    assert not ofproto.set_fragments(FragmentHandling.REASM)
    assert ofproto.set_fragments(FragmentHandling.NX_MATCH)
    assert ofproto.fragments is FragmentHandling.NX_MATCH
