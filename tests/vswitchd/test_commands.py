import asyncio
import json
from pathlib import Path

from jackfield.clock import Clock
from jackfield.daemon.unixctl import Commands
from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort
from jackfield.openflow.actions import Output
from jackfield.openflow.messages import FlowMod, FlowModCommand
from jackfield.vswitchd.bridge import Bridge
from jackfield.vswitchd.commands import memory, register_commands
from jackfield.vswitchd.config import BridgeConfig, PortConfig


def test_what_is_told_of_a_bridge(short_dir: Path, held_clock: Clock) -> None:
    async def main() -> None:
        config = BridgeConfig("br0", (PortConfig("p1", "dummy"), PortConfig("p2", "nosuch")), "dummy", 0x12)
        bridge = Bridge(config, held_clock, short_dir, None)
        commands = Commands()
        register_commands(commands, lambda: [bridge])
        await bridge.start()
        try:
            change = FlowMod(FlowModCommand.ADD, match=Match(), priority=5, actions=(Output(OfPort(1)),))
            assert bridge.ofproto.flows.apply(change) is None
            (shown,) = json.loads(await commands.run("jackfield/show", []))
            assert (shown["name"], shown["datapath"], shown["datapath_id"]) == ("br0", "dummy", f"{0x12:016x}")
            assert "nosuch" in shown["errors"]["p2"]
            assert shown["controllers"] == []
            figures = memory([bridge])
            assert (figures["ports"], figures["rules"], figures["udpif keys"]) == (2, shown["flows"], 0)
            assert figures["rules"] == 2
        finally:
            await bridge.stop()

    asyncio.run(main())
