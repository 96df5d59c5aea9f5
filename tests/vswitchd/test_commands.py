"""What the control commands about bridges answer."""

import asyncio
import json
from pathlib import Path

from jackfield.clock import Clock
from jackfield.daemon.unixctl import Commands
from jackfield.vswitchd.bridge import Bridge
from jackfield.vswitchd.commands import register_commands
from jackfield.vswitchd.config import BridgeConfig, PortConfig


def test_show(held_clock: Clock, short_dir: Path) -> None:
    configured = BridgeConfig(
        "br0", (PortConfig("p1"), PortConfig("bad", "nonsense")), "dummy", 0x12, ("tcp:127.0.0.1:1",), "secure"
    )

    async def go() -> None:
        commands = Commands()
        bridge = Bridge(configured, held_clock, short_dir, None)
        register_commands(commands, lambda: [bridge])
        try:
            await bridge.start()
            (shown,) = json.loads(await commands.run("jackfield/show", []))
            assert await commands.run("ofproto/list", []) == "br0\n"
        finally:
            await bridge.stop()
        assert (shown["name"], shown["datapath_id"], shown["datapath"]) == ("br0", "0000000000000012", "dummy")
        assert (shown["fail_mode"], shown["flows"]) == ("secure", 0)
        assert shown["ports"] == [
            {"number": 1, "name": "p1", "type": "dummy", "link_up": True},
            {"number": "LOCAL", "name": "br0", "type": "dummy", "link_up": True},
        ]
        assert list(shown["errors"]) == ["bad"]
        (controller,) = shown["controllers"]
        assert (controller["target"], controller["connected"], controller["role"]) == (
            "tcp:127.0.0.1:1",
            False,
            "other",
        )

    asyncio.run(go())


def test_no_bridges() -> None:
    commands = Commands()
    register_commands(commands, list)
    assert json.loads(asyncio.run(commands.run("jackfield/show", []))) == []
