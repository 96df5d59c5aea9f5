"""The same random rules and packets, traced by stock ovs-vswitchd and by us: actions, final packets, megaflows."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jackfield.clock import Clock
from jackfield.flow import fields as f
from jackfield.flow.ports import OFPP_LOCAL, OfPort
from jackfield.flow.text import parse_match
from jackfield.ofproto.pipeline.trace import trace_flow
from tests.ofproto.pipeline import fake_dpif
from tests.ofproto.pipeline.fake_dpif import Switch

pytestmark = [
    pytest.mark.net,
    pytest.mark.skipif(shutil.which("ovs-vswitchd") is None, reason="needs openvswitch-switch"),
    pytest.mark.skipif(os.geteuid() != 0, reason="ovs-vswitchd needs root"),
]

PROTOCOLS = ("", "ip", "tcp", "udp", "arp", "ipv6", "tcp6", "icmp")
HAS_NW = frozenset({"ip", "tcp", "udp", "icmp"})
PORTS_OF = {"tcp": "tcp", "tcp6": "tcp", "udp": "udp"}
ACTIONS = (
    *("output:1", "output:2", "output:3", "output:7", "IN_PORT", "FLOOD", "ALL", "LOCAL", "NORMAL", "CONTROLLER"),
    *("mod_dl_src:02:00:00:00:00:09", "mod_dl_dst:02:00:00:00:00:01", "mod_vlan_vid:3", "mod_vlan_pcp:2", "strip_vlan"),
    *("mod_nw_src:10.0.0.9", "mod_nw_dst:10.0.0.8", "mod_nw_tos:8", "mod_tp_src:80", "mod_tp_dst:81", "dec_ttl"),
    *("load:2->NXM_NX_REG1[]", "load:1->NXM_NX_REG1[0..7]", "move:NXM_OF_ETH_SRC[0..15]->NXM_NX_REG1[0..15]"),
    *("push:NXM_OF_ETH_DST[]", "pop:NXM_OF_ETH_SRC[]", "load:5->NXM_OF_IP_TOS[2..7]", "load:7->NXM_NX_PKT_MARK[]"),
    *(
        "note:00.11",
        "exit",
        "load:4->NXM_NX_IP_TTL[]",
        "load:1->NXM_OF_ARP_OP[]",
        "resubmit(2,{next})",
        "resubmit(,{next})",
    ),
)
TABLES = 4


class Stock:
    def __init__(self, rundir: Path) -> None:
        self.env = {**os.environ, "OVS_RUNDIR": str(rundir), "OVS_LOGDIR": str(rundir), "OVS_DBDIR": str(rundir)}
        self.rundir = rundir

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.env, cwd=self.rundir, capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode:
            raise ValueError(done.stderr)
        return done.stdout

    def start(self) -> None:
        database = f"unix:{self.rundir}/db.sock"
        self.run("ovsdb-tool", "create", "conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        self.run("ovsdb-server", "conf.db", "--detach", "--pidfile", f"--remote=p{database}", "-vconsole:off")
        self.run("ovs-vsctl", "--no-wait", f"--db={database}", "init")
        self.run(
            *("ovs-vswitchd", database, "--enable-dummy=override", "--disable-system", "--detach", "--pidfile"),
            "-vconsole:off",
        )
        bridge = ("add-br", "br0", "--", "set", "bridge", "br0", "datapath-type=dummy", "fail-mode=secure")
        ports = [
            word
            for n in (1, 2, 3)
            for word in ("--", "add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", f"ofport_request={n}")
        ]
        self.run("ovs-vsctl", f"--db={database}", *bridge, *ports)

    def stop(self) -> None:
        for daemon in ("ovs-vswitchd", "ovsdb-server"):
            if (self.rundir / f"{daemon}.pid").exists():
                self.run("ovs-appctl", "-t", daemon, "exit")


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    rundir = tmp_path_factory.mktemp("ovs")
    stock = Stock(rundir)
    try:
        stock.start()
        yield stock
    finally:
        stock.stop()


def a_match(rnd: random.Random) -> str:
    protocol = rnd.choice(PROTOCOLS)
    wanted = [protocol] if protocol else []

    def maybe(chance: float, text: Callable[[], str]) -> None:
        if rnd.random() < chance:
            wanted.append(text())

    maybe(0.4, lambda: f"in_port={rnd.randint(1, 3)}")
    maybe(0.25, lambda: f"dl_src=02:00:00:00:00:0{rnd.randint(1, 3)}")
    maybe(0.15, lambda: "dl_dst=02:00:00:00:00:00/ff:ff:ff:ff:ff:f0")
    maybe(0.2, lambda: rnd.choice(("dl_vlan=1", "dl_vlan=2", "vlan_tci=0/0x1fff")))
    maybe(0.2, lambda: f"reg1={rnd.randint(0, 2)}")
    if protocol in HAS_NW:
        maybe(0.4, lambda: f"nw_src=10.0.0.{rnd.choice((0, 64, 128))}/{rnd.choice((8, 24, 26, 32))}")
        maybe(0.2, lambda: f"nw_ttl={rnd.choice((1, 2, 64))}")
        maybe(0.2, lambda: f"nw_tos={rnd.choice((0, 4, 8))}")
    if protocol in PORTS_OF:
        maybe(0.4, lambda: f"tp_dst={rnd.choice((80, 81))}")
        maybe(0.2, lambda: rnd.choice(("tp_src=80", "tp_src=0x50/0xfff0")))
    if protocol == "arp":
        maybe(0.4, lambda: f"arp_op={rnd.choice((1, 2))}")
    if protocol in ("ipv6", "tcp6"):
        maybe(0.5, lambda: f"ipv6_src=fe80::{rnd.randint(1, 2)}/{rnd.choice((10, 64, 128))}")
    return ",".join(wanted)


def a_packet(rnd: random.Random) -> str:
    protocol = rnd.choice(PROTOCOLS)
    has = [f"in_port={rnd.randint(1, 3)}", protocol or "dl_type=0x1234"]
    has += [f"dl_src=02:00:00:00:00:0{rnd.randint(1, 4)}", f"dl_dst=02:00:00:00:00:0{rnd.randint(1, 4)}"]
    if rnd.random() < 0.3:
        has.append(f"dl_vlan={rnd.randint(1, 3)},dl_vlan_pcp={rnd.randint(0, 3)}")
    if protocol in HAS_NW:
        has.append(f"nw_src=10.0.0.{rnd.choice((1, 65, 129))},nw_dst=10.0.0.{rnd.randint(1, 3)}")
        has.append(f"nw_ttl={rnd.choice((1, 2, 64))},nw_tos={rnd.choice((0, 4, 8))}")
    if protocol in PORTS_OF:
        name = PORTS_OF[protocol]
        has.append(f"{name}_src={rnd.choice((80, 85, 99))},{name}_dst={rnd.choice((80, 81, 82))}")
    if protocol == "arp":
        has.append(f"arp_op={rnd.choice((1, 2))}")
    if protocol in ("ipv6", "tcp6"):
        has.append(f"ipv6_src=fe80::{rnd.randint(1, 3)},nw_ttl={rnd.choice((1, 64))}")
    return ",".join(has)


def line(trace: str, title: str) -> str:
    return next(each.removeprefix(title).strip() for each in trace.splitlines() if each.startswith(title))


def datapath_actions(trace: str, ports: dict[str, str]) -> list[str]:
    """The actions; neighbouring outputs sorted, because floods have no order; numbers that do not matter set to 0."""
    text = line(trace, "Datapath actions:")
    text = re.sub(r"(dont_send|recirc_id)=\d+", r"\1=0", text)
    actions: list[str] = []
    run: list[str] = []
    for action in re.findall(r"(?:[^,(]|\((?:[^()]|\([^()]*\))*\))+", text):
        if action.isdigit():
            run.append(ports.get(action, action))
        else:
            actions += [*sorted(run), action]
            run = []
    return actions + sorted(run)


@pytest.mark.parametrize("seed", range(12))
def test_traces_agree(stock: Stock, seed: int) -> None:
    rnd = random.Random(seed)
    fake_dpif.register()
    switch = Switch(Clock(held_at=1_000))
    try:
        switch.add_port(OFPP_LOCAL, "br0")
        for number in (1, 2, 3):
            switch.add_port(number)
        ports = {str(switch.dp(number)): str(number) if number != OFPP_LOCAL else "100" for number in switch.ports}
        stock.run("ovs-ofctl", "del-flows", "br0")
        for table in range(TABLES):
            for priority in rnd.sample(range(1, 10), rnd.randint(2, 7)):
                match = a_match(rnd)
                actions = ",".join(rnd.choice(ACTIONS) for _ in range(rnd.randint(1, 4))).format(next=table + 1)
                rule = f"table={table},priority={priority},{match},actions={actions}"
                try:
                    stock.run("ovs-ofctl", "-O", "OpenFlow10", "add-flow", "br0", rule)
                except ValueError:
                    continue  # An action whose prerequisites the match does not have: refused before translation.
                switch.add_flow(match, actions, priority, table)
        names = {port.name: OfPort(port.ofp_port) for port in switch.ports.values()}
        for _ in range(25):
            packet = a_packet(rnd)
            theirs = stock.run("ovs-appctl", "ofproto/trace", "br0", packet)
            ours = trace_flow(switch.backer, switch.provider.bridge, packet, names)
            both = f"\n{packet}\n{theirs}\n{ours}"
            assert datapath_actions(ours, ports) == datapath_actions(theirs, {}), both
            assert line(ours, "Flow:") == line(theirs, "Flow:"), both
            assert line(ours, "Final flow:") == line(theirs, "Final flow:"), both
            their_mask = mask_of(line(theirs, "Megaflow:"))
            our_mask = mask_of(line(ours, "Megaflow:"))
            # No narrower than stock; that a frame is tagged or not is known anyway.
            assert our_mask & ~their_mask & ~(f.VLAN_CFI << f.VLAN_TCI.offset) == 0, both
    finally:
        for number in list(switch.ports):
            switch.delete_port(number)
        switch.provider.destruct(delete=True)
        fake_dpif.unregister()


def mask_of(megaflow: str) -> int:
    """What a megaflow's text looks at; a second tag's absence and the 8 bits of an ICMP type go without saying."""
    text = re.sub(r",vlan_tci1=0x0000(/0x[0-9a-f]+)?", "", megaflow)
    return parse_match(re.sub(r"(icmp_(?:type|code)=[^,/]+)/0xff", r"\1", text)).mask
