"""The stock ovs-ofctl against the switch model; its provider forwards nothing, a whole switch is tested elsewhere."""

import asyncio
import gc
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jackfield.clock import Clock
from jackfield.flow.ports import OFPP_LOCAL, OfPort
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.provider import PacketInEvent, ofproto_registry
from jackfield.openflow.messages import PacketInReason, PacketOut, PortConfig
from tests.ofproto.fakes import FakeNetdev, FakeProvider, make_switch

pytestmark = [
    pytest.mark.net,
    pytest.mark.skipif(shutil.which("ovs-ofctl") is None, reason="ovs-ofctl is not installed"),
]

versions = pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13"])

FRAME = bytes.fromhex("ffffffffffff 0200000000aa 0800") + bytes(46)


class Served:
    """A switch with ports br0 (LOCAL), p1, p2, served to ovs-ofctl."""

    def __init__(self, directory: Path, version: str) -> None:
        self.ofproto: Ofproto
        self.provider: FakeProvider
        self.ofproto, self.provider = make_switch(Clock())
        self.directory = directory
        self.target = f"unix:{directory}/br0.mgmt"
        self._version = version

    async def start(self) -> None:
        self.ofproto.add_port(FakeNetdev("br0"), OFPP_LOCAL)
        for i in (1, 2):
            self.ofproto.add_port(FakeNetdev(f"p{i}", rx_packets=10 * i, tx_bytes=i))
        await self.ofproto.connections.listen(f"{self.directory}/br0.mgmt", f"{self.directory}/br0.snoop")

    async def run(self, command: str, *words: str) -> tuple[int, str]:
        """Exit code and output (both streams) of one ovs-ofctl."""
        process = await asyncio.create_subprocess_exec(
            *("ovs-ofctl", "-O", self._version, *command.split(), self.target, *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 20)
        return process.returncode or 0, out.decode()

    async def ofctl(self, command: str, *words: str) -> str:
        """Output of an ovs-ofctl that succeeds."""
        code, out = await self.run(command, *words)
        assert code == 0, f"{command} {words}: {out}"
        assert "OFPT_ERROR" not in out, f"{command} {words}: {out}"
        return out

    async def flows(self) -> list[str]:
        """What dump-flows prints of each flow, less its age."""
        lines = [line for line in (await self.ofctl("--names dump-flows")).splitlines() if line.startswith(" ")]
        return [re.sub(r"(duration|idle_age)=[^ ]* ", "", line).strip() for line in lines]


Talk = Callable[[Served], Awaitable[None]]


@pytest.fixture
def serve(short_dir: Path) -> Callable[[str, Talk], None]:
    """Runs a coroutine with a served switch."""

    async def main(version: str, talk: Talk) -> None:
        served = Served(short_dir, version)
        try:
            await served.start()
            await talk(served)
        finally:
            await served.ofproto.destruct()
            ofproto_registry.close_all()

    def run(version: str, talk: Talk) -> None:
        # What the test runner has in memory is not to be searched for garbage while the loop's lag is measured.
        gc.collect()
        gc.freeze()
        try:
            asyncio.run(main(version, talk))
        finally:
            gc.unfreeze()

    return run


@versions
def test_show(serve: Callable[[str, Talk], None], version: str) -> None:
    async def talk(s: Served) -> None:
        s.ofproto.set_datapath_id(0x1122334455667788)
        shown = await s.ofctl("show")
        assert "dpid:1122334455667788" in shown
        assert "n_tables:254, n_buffers:0" in shown
        assert " 1(p1): addr:" in shown
        assert " LOCAL(br0): addr:" in shown
        assert "frags=normal" in shown
        assert "Manufacturer: Jackfield" in await s.ofctl("dump-desc")

    serve(version, talk)


@versions
def test_flows_added_modified_and_deleted(serve: Callable[[str, Talk], None], version: str) -> None:
    async def talk(s: Served) -> None:
        rewrite = "mod_dl_dst:00:00:00:00:00:09" if version == "OpenFlow10" else "set_field:00:00:00:00:00:09->eth_dst"
        await s.ofctl("add-flow", "table=3,priority=7,cookie=0x5,idle_timeout=60,tcp,nw_src=10.0.0.0/8,actions=1")
        await s.ofctl("add-flow", "priority=1,in_port=p1,actions=set_field:00:00:00:00:00:09->eth_dst,2")
        await s.ofctl("add-flow", "priority=2,arp,actions=drop")
        assert sorted(await s.flows()) == [
            f"cookie=0x0, table=0, n_packets=0, n_bytes=0, priority=1,in_port=p1 actions={rewrite},output:p2",
            "cookie=0x0, table=0, n_packets=0, n_bytes=0, priority=2,arp actions=drop",
            "cookie=0x5, table=3, n_packets=0, n_bytes=0, idle_timeout=60, priority=7,tcp,nw_src=10.0.0.0/8"
            " actions=output:p1",
        ]
        await s.ofctl("mod-flows", "table=3,cookie=0x5/-1,ip,actions=2")
        assert any("nw_src=10.0.0.0/8 actions=output:p2" in line for line in await s.flows())
        await s.ofctl("--strict mod-flows", "priority=2,arp,actions=NORMAL")
        assert any("arp actions=NORMAL" in line for line in await s.flows())
        await s.ofctl("--strict del-flows", "priority=9,arp")
        assert len(await s.flows()) == 3
        await s.ofctl("--strict del-flows", "priority=2,arp")
        assert len(await s.flows()) == 2
        await s.ofctl("del-flows", "cookie=0x5/-1")
        assert len(await s.flows()) == 1
        await s.ofctl("del-flows")
        assert await s.flows() == []

    serve(version, talk)


@versions
def test_a_file_of_flows(serve: Callable[[str, Talk], None], version: str) -> None:
    async def talk(s: Served) -> None:
        file = s.directory / "flows"
        flows = [f"priority={i % 9 + 1},ip,nw_dst=10.0.{i >> 8}.{i & 255},actions=1" for i in range(3000)]
        file.write_text("\n".join(flows))
        await s.ofctl("add-flows", str(file))
        assert s.ofproto.flows.n_flows == 3000
        assert len(await s.flows()) == 3000
        assert "flow_count=3000" in await s.ofctl("dump-aggregate")
        assert "flow_count=1" in await s.ofctl("dump-aggregate", "ip,nw_dst=10.0.1.7")
        file.write_text("priority=5,ip,nw_dst=10.0.0.4,actions=2\n")
        await s.ofctl("replace-flows", str(file))
        assert len(await s.flows()) == 1
        assert "active=1," in await s.ofctl("dump-tables")
        if version == "OpenFlow13":
            features = await s.ofctl("dump-table-features")
            assert "tables 1...252: ditto" in features
            assert re.search(r"arbitrary mask: .*ip_{src,dst}", features)

    serve(version, talk)


@versions
def test_ports(serve: Callable[[str, Talk], None], version: str) -> None:
    async def talk(s: Served) -> None:
        stats = await s.ofctl("dump-ports")
        assert "3 ports" in stats
        assert re.search(r"port +p?2: rx pkts=20, bytes=\?", stats)
        assert re.search(r"port +p?1: rx pkts=10", await s.ofctl("dump-ports", "1"))
        port = s.ofproto.ports.get(OfPort(1))
        assert port is not None
        await s.ofctl("mod-port", "p1", "no-forward")
        await s.ofctl("mod-port", "p1", "down")
        assert port.config == PortConfig.NO_FWD | PortConfig.PORT_DOWN
        assert not port.netdev.get_admin_up()
        await s.ofctl("mod-port", "p1", "up")
        assert port.netdev.get_admin_up()
        assert re.search(r"1\(p1\).*\n +config: +NO_FWD", await s.ofctl("dump-ports-desc"))

    serve(version, talk)


@versions
def test_fragments_and_packets(serve: Callable[[str, Talk], None], version: str) -> None:
    async def talk(s: Served) -> None:
        for mode in ("drop", "nx-match", "normal"):
            await s.ofctl("set-frags", mode)
            assert (await s.ofctl("get-frags")).strip() == mode
        await s.ofctl("packet-out", f"in_port=1 packet={FRAME.hex()} actions=2")
        (out,) = [call[1] for call in s.provider.told if call[0] == "packet_out"]
        assert isinstance(out, PacketOut)
        assert (out.data, out.in_port) == (FRAME, 1)

    serve(version, talk)


@versions
def test_refusals_reach_the_client(serve: Callable[[str, Talk], None], version: str) -> None:
    async def talk(s: Served) -> None:
        code, out = await s.run("add-flow", "table=254,actions=drop")
        assert (code, "BAD_TABLE_ID" in out) == (1, True), out
        await s.ofctl("add-flow", "priority=5,in_port=1,actions=drop")
        code, out = await s.run("add-flow", "check_overlap,priority=5,ip,actions=drop")
        assert (code, "OFPFMFC_OVERLAP" in out) == (1, True), out

    serve(version, talk)


@versions
def test_a_monitor_sees_what_happens(serve: Callable[[str, Talk], None], version: str) -> None:
    async def talk(s: Served) -> None:
        monitor = await asyncio.create_subprocess_exec(
            *("ovs-ofctl", "-O", version, f"--unixctl={s.directory}/monitor.ctl", "monitor", s.target, "65535"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        seen = b""

        async def until(word: bytes) -> None:
            nonlocal seen
            while word not in seen:
                assert monitor.stdout is not None
                more = await asyncio.wait_for(monitor.stdout.read(4096), 10)
                assert more, seen
                seen += more

        try:
            async with asyncio.timeout(10):
                while not any(session.miss_send_len for session in s.ofproto.connections.sessions):
                    await asyncio.sleep(0.01)
            s.ofproto.connections.packet_in(
                PacketInEvent(FRAME, OfPort(1), PacketInReason.ACTION, table_id=4, cookie=0x77, max_len=20)
            )
            await until(b"total_len=60")
            await until(b"data_len=60 (unbuffered)")
            assert b"cookie=0x77" in seen
            s.ofproto.delete_port(s.ofproto.ports.select(OfPort(2))[0])
            await until(b"DEL: 2(p2)")
            await s.ofctl("add-flow", "send_flow_rem,in_port=1,actions=drop")
            await s.ofctl("del-flows")
            await until(b"reason=delete")
        finally:
            monitor.kill()
            await monitor.wait()

    serve(version, talk)
