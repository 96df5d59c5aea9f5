"""Full load on a switch whose rules change meanwhile, and the account of every packet afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.namespaces import Host
from lab.rig import Rig, until

ROOT = Path(__file__).parents[1]
_REMOVED = re.compile(r"OFPT_FLOW_REMOVED.*?\bpkts(\d+) ", re.DOTALL)


def sender(host: Host, seconds: float, destination: str = "02:00:00:00:99:02", *words: str) -> subprocess.Popen[str]:
    """Start the compiled sender of `lab.traffic` inside a host; it prints the number of packets sent."""
    return subprocess.Popen(
        [
            "ip",
            "netns",
            "exec",
            host.netns,
            sys.executable,
            "-m",
            "lab.traffic",
            "send",
            "e0",
            destination,
            str(seconds),
            *words,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Account:
    """What became of the packets.

    Attributes:
        sent: packets the sender's kernel took.
        received: packets the switch's first port received.
        dropped: of these, what the port, or the datapath for want of room in its queues, says it dropped.
        counted: what the rules counted, those that were removed meanwhile included.
        changes: how often rules were changed.
        missing_rules: rules that should be there at the end, and are not.
    """

    sent: int = 0
    received: int = 0
    dropped: int = 0
    counted: int = 0
    changes: int = 0
    missing_rules: list[str] = field(default_factory=list)


def change_rules_under_load(net: Rig, seconds: float) -> Account:
    """Send as fast as possible from the first host to the second while rules come, change and go.

    Every packet hits exactly one rule at any time: there is a lowest one that fits all, and higher ones that are added,
    modified and deleted; each tells its final count when it goes.
    """
    account = Account()
    switch = net.switch
    folder = switch.rundir
    add, modify, delete = folder / "add", folder / "modify", folder / "delete"
    rules = [f"priority={n},in_port=1,udp,tp_dst=2000" for n in range(10, 20)]
    rules += [f"priority={n},in_port=1,ip,nw_src=10.99.0.0/{n}" for n in range(20, 30)]
    add.write_text("".join(f"send_flow_rem,{rule},actions=output:2\n" for rule in rules))
    modify.write_text("".join(f"modify_strict {rule},actions=output:3\n" for rule in rules))
    delete.write_text("".join(f"delete_strict {rule}\n" for rule in rules))
    net.set_flows("priority=1,in_port=1,actions=output:2")
    told = folder / "removed"
    with told.open("w") as out:
        monitor = subprocess.Popen(
            ["ovs-ofctl", "-O", "OpenFlow13", "monitor", "br0", "65534"],
            env=switch.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        time.sleep(0.3)
        before, lost_before = first_port(net), lost(net)
        with sender(net.hosts[0], seconds) as sending:
            while sending.poll() is None:
                for file in (add, modify, delete):
                    switch.ofctl(f"-O OpenFlow13 add-flows br0 {file}")
                    account.changes += 1
            output, errors = sending.communicate()
        if sending.returncode:
            raise RuntimeError(f"the sender failed: {errors[-300:]}")
        account.sent = int(output)
        switch.ofctl(f"-O OpenFlow13 add-flows br0 {add}")
        there = {flow.match for flow in switch.flows()}
        account.missing_rules = [rule for rule in rules if not any(same(rule, match) for match in there)]
        switch.ofctl(f"-O OpenFlow13 add-flows br0 {delete}")

        def total() -> int:
            return sum(flow.packets for flow in switch.flows()) + sum(map(int, _REMOVED.findall(told.read_text())))

        settled = [-1]

        def still() -> bool:
            settled.append(total())
            return settled[-1] == settled[-2]

        until(still, "the counters stand still", 10, pause=0.5)
        account.counted = total()
        after = first_port(net)
        account.received = after["rx_pkts"] - before["rx_pkts"]
        account.dropped = after.get("rx_drop", 0) - before.get("rx_drop", 0) + lost(net) - lost_before
    finally:
        monitor.terminate()
        monitor.wait(10)
    return account


def same(rule: str, match: str) -> bool:
    """Whether a rule's text and a dumped match mean the same; addresses are dumped without their host bits."""

    def parts(text: str) -> set[str]:
        words = {word for word in text.split(",") if not word.startswith(("in_port", "nw_src"))}
        prefix = re.search(r"nw_src=[\d.]+(/\d+)", text)
        return words | ({prefix.group(1)} if prefix else set())

    return parts(rule) == parts(match)


def first_port(net: Rig) -> dict[str, int]:
    """Counters of the first host's port."""
    counters = net.switch.port_counters()
    return next(counters[name] for name in (net.hosts[0].port, "1") if name in counters)


def lost(net: Rig) -> int:
    """Packets the datapath lost on their way to the switch model."""
    found = re.search(r"lost:(\d+)", net.switch.appctl("dpctl/show"))
    return int(found.group(1)) if found else 0
