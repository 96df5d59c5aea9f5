"""A bridge kept as it was configured, on the dummy datapath."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jackfield.clock import Clock
from jackfield.flow.ports import OFPP_LOCAL, OfPort
from jackfield.netdev.provider import Netdev
from jackfield.netdev.registry import find_netdev, open_netdevs
from jackfield.vswitchd import bridge as bridge_module
from jackfield.vswitchd.bridge import Bridge, load
from jackfield.vswitchd.config import BridgeConfig, PortConfig

LOW, MIDDLE, HIGH = "02:00:00:00:00:01", "02:00:00:00:00:05", "02:00:00:00:00:09"


def port(name: str, mac: str = MIDDLE, **more: Any) -> PortConfig:
    return PortConfig(name, options={"hwaddr": mac}, **more)


def config(*ports: PortConfig, **more: Any) -> BridgeConfig:
    return BridgeConfig("br0", ports, "dummy", **more)


@contextlib.asynccontextmanager
async def running(folder: Path, configured: BridgeConfig) -> AsyncIterator[Bridge]:
    made = Bridge(configured, Clock(held_at=1_000_000), folder, None)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
    assert open_netdevs() == []
    assert sorted(folder.iterdir()) == []


def device(name: str) -> Netdev:
    found = find_netdev(name)
    assert found is not None
    return found


def run(folder: Path, configured: BridgeConfig, check: Callable[[Bridge], None]) -> None:
    async def go() -> None:
        async with running(folder, configured) as made:
            check(made)

    asyncio.run(go())


def test_ports_have_the_numbers_they_ask_for(short_dir: Path) -> None:
    def check(bridge: Bridge) -> None:
        numbers = {each.name: each.ofp_port for each in bridge.ofproto.ports}
        assert numbers == {"br0": OFPP_LOCAL, "p1": 1, "p2": 7}
        assert bridge.errors == {}

    run(short_dir, config(port("p1"), port("p2", ofport_request=OfPort(7))), check)


def test_sockets_answer(short_dir: Path) -> None:
    def check(bridge: Bridge) -> None:
        for suffix in ("mgmt", "snoop"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(short_dir / f"br0.{suffix}"))

    run(short_dir, config(), check)


def test_address_and_datapath_id_follow_the_smallest_address(short_dir: Path) -> None:
    def check(bridge: Bridge) -> None:
        assert device("br0").get_mac() == 0x020000000005
        assert bridge.ofproto.datapath_id == 0x020000000005
        device("p2").set_mac(0x020000000001)
        assert device("br0").get_mac() == 0x020000000001
        assert bridge.ofproto.datapath_id == 0x020000000001

    run(short_dir, config(port("p1", MIDDLE), port("p2", HIGH), port("int0", LOW, type="internal")), check)


def test_bridge_without_ports_has_its_own_address(short_dir: Path) -> None:
    def check(bridge: Bridge) -> None:
        assert bridge.ofproto.datapath_id == device("br0").get_mac() != 0

    run(short_dir, config(), check)


def test_configured_datapath_id_stays(short_dir: Path) -> None:
    def check(bridge: Bridge) -> None:
        device("p1").set_mac(0x020000000001)
        assert bridge.ofproto.datapath_id == 0xAB

    run(short_dir, config(port("p1"), datapath_id=0xAB), check)


def test_internal_ports_follow_the_smallest_mtu(short_dir: Path) -> None:
    ports = (
        port("p1", mtu_request=1400),
        port("p2"),
        port("int0", type="internal"),
        port("int1", type="internal", mtu_request=1300),
    )

    def check(bridge: Bridge) -> None:
        mtus = {name: device(name).get_mtu() for name in ("br0", "p1", "p2", "int0", "int1")}
        assert mtus == {"br0": 1400, "p1": 1400, "p2": 1500, "int0": 1400, "int1": 1300}
        device("p2").set_mtu(1200)
        assert [device(name).get_mtu() for name in ("br0", "int0", "int1")] == [1200, 1200, 1300]
        device("p2").set_mtu(9000)
        assert device("br0").get_mtu() == 1400

    run(short_dir, config(*ports), check)


def test_mtu_of_the_local_port_that_was_asked_for(short_dir: Path) -> None:
    def check(bridge: Bridge) -> None:
        assert device("br0").get_mtu() == 1280
        assert [each.name for each in bridge.ofproto.ports] == ["br0", "p1"]

    run(short_dir, config(port("p1"), PortConfig("br0", "internal", mtu_request=1280)), check)


def test_a_port_that_cannot_be_had_does_not_disturb_the_others(short_dir: Path) -> None:
    ports = (
        PortConfig("p1", "nonsense"),
        port("p2", mac="not-an-address"),
        port("p3", ofport_request=OfPort(5)),
        port("p4", ofport_request=OfPort(5)),
        port("p5", mtu_request=70000),
    )

    def check(bridge: Bridge) -> None:
        assert {each.name for each in bridge.ofproto.ports} == {"br0", "p3"}
        assert set(bridge.errors) == {"p1", "p2", "p4", "p5"}
        assert bridge.errors["p1"].startswith("unknown netdev type nonsense")
        assert "hwaddr" in bridge.errors["p2"]
        assert "OpenFlow port 5 is taken" in bridge.errors["p4"]
        assert find_netdev("p4") is None

    run(short_dir, config(*ports), check)


class Watcher:
    """Stands in for the watcher of links: `appear` tells of an interface."""

    def __init__(self) -> None:
        self.waiting: dict[str, Callable[[object], None]] = {}

    def watch_name(self, name: str, callback: Callable[[object], None]) -> Any:
        self.waiting[name] = callback
        watcher = self

        class Watch:
            def cancel(self) -> None:
                watcher.waiting.pop(name, None)

        return Watch()

    def appear(self, name: str) -> None:
        self.waiting[name](object())


def test_a_port_is_added_when_its_device_appears(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = {"br0"}
    real, watcher = bridge_module.open_netdev, Watcher()

    def open_netdev(name: str, *arguments: Any) -> Netdev:
        if name not in there:
            raise OSError(errno.ENODEV, f"{name}: there is no such network interface")
        return real(name, *arguments)

    monkeypatch.setattr(bridge_module, "open_netdev", open_netdev)
    monkeypatch.setattr(bridge_module, "acquire_watcher", lambda: watcher)
    monkeypatch.setattr(bridge_module, "release_watcher", lambda: None)

    def check(bridge: Bridge) -> None:
        assert bridge.errors["p1"] == "there is no such network interface (No such device)"
        watcher.appear("p1")  # and is gone again
        assert set(bridge.errors) == {"p1", "p2"}
        there.add("p1")
        watcher.appear("p1")
        assert set(bridge.errors) == {"p2"}
        assert {each.name for each in bridge.ofproto.ports} == {"br0", "p1"}
        assert bridge.ofproto.datapath_id == 0x020000000001
        assert set(watcher.waiting) == {"p2"}

    run(short_dir, config(port("p1", LOW), port("p2")), check)
    assert watcher.waiting == {}


def test_without_tun_the_switch_goes_on_without_a_local_port(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = bridge_module.open_netdev

    def open_netdev(name: str, *arguments: Any) -> Netdev:
        if name == "br0":
            raise OSError(errno.ENODEV, "br0: /dev/net/tun is not there")
        return real(name, *arguments)

    monkeypatch.setattr(bridge_module, "open_netdev", open_netdev)

    def check(bridge: Bridge) -> None:
        assert [each.name for each in bridge.ofproto.ports] == ["p1"]
        assert bridge.ofproto.datapath_id == 0x020000000005

    run(short_dir, config(port("p1")), check)
    assert "could not add network device br0 to bridge br0: /dev/net/tun is not there" in caplog.text


def test_start_that_fails_leaves_nothing(short_dir: Path) -> None:
    async def go() -> None:
        made = Bridge(config(port("p1"), controllers=("nonsense",)), Clock(held_at=0), short_dir, None)
        with pytest.raises(ValueError, match="nonsense"):
            await made.start()
        await made.stop()
        await made.stop()

    asyncio.run(go())
    assert open_netdevs() == []
    assert list(short_dir.iterdir()) == []


def test_load_imports_what_is_needed_and_refuses_unknown_datapaths() -> None:
    load(config(PortConfig("p1", "nonsense")))
    with pytest.raises(ValueError, match="no datapath of type foo: expected one of dummy, netdev"):
        load(BridgeConfig("br0", (), "foo"))
