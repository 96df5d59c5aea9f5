"""Minutes to hours of what a switch must live through: `./run soak [--minutes N] [NAME...]`.

Each soak ends with an account of what must hold, and fails when it does not. Their short forms are in `tests/net/`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from lab.controller import BEHAVIOURS, FLOW_MOD, Listener, apply_output_13, flow_mod_13, misbehaving
from lab.load import change_rules_under_load, lost, sender
from lab.namespaces import hosts, iperf3, own_network, ping, sh
from lab.ours import jackfield
from lab.rig import Rig, rig, until

FLOWS = 1_000_000
MOST_DATAPATH_FLOWS = 200_000
"""The flow limit that is never passed; it adapts downwards, and the flows there are follow within seconds."""
ANSWER = 1.0
"""Seconds within which stock clients must be answered, whatever happens."""


def answered(net: Rig, *command: str) -> float:
    """Run a stock client; how long it took."""
    started = time.monotonic()
    done = net.switch.client(*command)
    took = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert took < ANSWER, f"{' '.join(command)} took {took:.2f} s"
    return took


def load(minutes: float) -> str:
    """Full load with rules changing: every packet is counted by exactly one rule, and every rule is there."""
    with rig(3) as net:
        result = change_rules_under_load(net, seconds=minutes * 60)
        assert result.counted == result.received - result.dropped, result
        assert result.missing_rules == [], result
        return (
            f"{result.received:,} packets received, {result.dropped:,} of them dropped by a full ring,"
            f" {result.counted:,} counted by rules; {result.changes:,} changes of 20 rules each"
        )


def flows(minutes: float) -> str:
    """A million random flows offered, again and again: memory and flow count bounded, TCP goes on, all are answered."""
    with rig(4) as net, ThreadPoolExecutor() as pool:
        flooder, sink, one, two = net.hosts
        before = net.switch.resident_kb()
        seconds = max(minutes * 60, 10)
        slowest, most, offered = 0.0, 0, 0
        with sender(flooder, seconds, sink.mac, "random-source") as flood:
            established = pool.submit(iperf3, two, one, "", int(seconds) - 3)
            while flood.poll() is None:
                for command in (("ovs-ofctl", "dump-flows", "br0"), ("ovs-appctl", "upcall/show")):
                    slowest = max(slowest, answered(net, *command))
                shown = json.loads(net.switch.cli("datapath", "show", "--json").stdout)[0]
                most = max(most, int(shown["flows"]))
                assert most <= MOST_DATAPATH_FLOWS, f"{most} flows"
                time.sleep(0.2)
            offered = int(flood.communicate()[0])
        worst = established.result(60)["worst_second"]
        memory = net.switch.resident_kb() - before
        assert offered >= FLOWS or minutes < 0.5, f"only {offered:,} flows were offered"
        assert memory < 400_000, f"{memory:,} kB"
        assert worst > 10e6, f"TCP fell to {worst / 1e6:.1f} Mbit/s"
        return (
            f"{offered:,} flows offered, {most:,} at once, {lost(net):,} packets without a place in the queues,"
            f" {memory:,} kB more memory, slowest answer {slowest:.2f} s, worst second of TCP {worst / 1e6:,.0f} Mbit/s"
        )


def flaps(minutes: float) -> str:
    """Ports that vanish, come back, go down and up; two others keep pinging without loss."""
    chance = random.Random(1)
    with hosts(2, "jfs", quiet=True) as made, jackfield() as switch, ExitStack() as clean:
        names = [f"flap{n}" for n in range(4)]
        for name in names:
            clean.callback(sh, f"ip link del {name}", check=False)
        switch.bridge("br0", [*(host.port for host in made), *names])
        net = Rig(switch, made)
        until(lambda: "br0 runs with" in switch.log, "the switch runs", 60)
        pinging = made[0].popen(f"ping -n -q -i 0.02 -w {max(int(minutes * 60), 5)} {made[1].address}")
        count = 0
        memory = switch.resident_kb()
        with pinging:
            while pinging.poll() is None:
                name = chance.choice(names)
                there = f"{name}:" in sh("ip -o link show").replace("@", ":")
                if not there:
                    sh(f"ip link add {name} type veth peer name {name}x && ip link set {name}x up")
                elif chance.random() < 0.5:
                    sh(f"ip link del {name}")
                else:
                    sh(f"ip link set {name} down && ip link set {name} up")
                count += 1
                answered(net, "ovs-ofctl", "dump-ports", "br0")
            assert pinging.stdout is not None
            text = pinging.stdout.read()
        assert " 0% packet loss" in text, text[-200:]
        for name in names:
            sh(f"ip link show {name} || ip link add {name} type veth peer name {name}x")
        until(lambda: all(name in switch.ofctl("show br0") for name in names), "all ports are there", 10)
        growth = switch.resident_kb() - memory
        assert growth < 50_000, f"{growth:,} kB more memory"
        return f"{count:,} flaps of 4 ports, no ping lost, {growth:,} kB more memory"


def controllers(minutes: float) -> str:
    """Controllers that send garbage, stall and vanish, and one that is killed again and again; forwarding goes on."""
    with ExitStack() as stack:
        targets = [stack.enter_context(misbehaving(name)) for name in BEHAVIOURS]
        good = stack.enter_context(Listener())
        words = [word for target in (*targets, good.target) for word in ("--controller", target)]
        net = stack.enter_context(rig(2, *words, "--fail-mode", "secure"))
        net.expected.append(".")
        end = time.monotonic() + minutes * 60
        kills = 0
        memory = net.switch.resident_kb()
        net.switch.ofctl("add-flow br0 priority=1,actions=NORMAL")
        while time.monotonic() < end:
            with good.peer() as peer:
                for number in range(20):
                    peer.send(FLOW_MOD, flow_mod_13(priority=100 + number, instructions=apply_output_13(0xFFFFFFFA)))
                started = time.monotonic()
                peer.barrier()
                assert time.monotonic() - started < ANSWER
                answered(net, "ovs-ofctl", "dump-flows", "br0")
                answered(net, "ovs-appctl", "version")
                assert ping(*net.hosts, 5)[1] == 0
            kills += 1
        growth = net.switch.resident_kb() - memory
        assert growth < 50_000, f"{growth:,} kB more memory"
        return f"{kills:,} controllers killed among {len(targets)} that misbehave, {growth:,} kB more memory"


def restarts(minutes: float) -> str:
    """Starts and stops, by signal and by kill: always up within seconds, down within one, nothing left."""
    end = time.monotonic() + minutes * 60
    count, slowest = 0, 0.0
    with hosts(2, "jfs", quiet=True) as made:
        before = sh("ip -o link show | sed 's/ mode .*//'")
        while time.monotonic() < end or not count:
            with jackfield() as switch:
                switch.bridge("br0", [host.port for host in made])
                until(lambda each=switch: "br0 runs with" in each.log, "the switch runs", 60)  # type: ignore[misc]  # bound now
                assert ping(*made, 3)[1] == 0
                if count % 3 == 2:
                    switch.process.kill()
                    switch.process.wait()
                else:
                    took = switch.stop()
                    slowest = max(slowest, took)
                    assert took < 1.0, f"stopping took {took:.2f} s"
            until(lambda: sh("ip -o link show | sed 's/ mode .*//'") == before, "devices are as before", 5)
            count += 1
    return f"{count:,} starts, slowest stop {slowest:.2f} s"


SOAKS: dict[str, Callable[[float], str]] = {
    "load": load,
    "flows": flows,
    "flaps": flaps,
    "controllers": controllers,
    "restarts": restarts,
}


def main() -> int:
    """See the module's text; 0 when all held."""
    parser = argparse.ArgumentParser(prog="./run soak", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SOAKS)} [all]")
    parser.add_argument("--minutes", type=float, default=1.0, metavar="N", help="for each [1]")
    options = parser.parse_args()
    for name in options.names:
        if name not in SOAKS:
            parser.error(f"there is no soak {name} (there are {', '.join(SOAKS)})")
    failed = []
    for name in options.names or SOAKS:
        print(f"{name}: {options.minutes:g} minutes", flush=True)
        try:
            with own_network():
                print(f"  held: {SOAKS[name](options.minutes)}", flush=True)
        except (AssertionError, RuntimeError, subprocess.SubprocessError, OSError) as error:
            print(f"  FAILED: {error}", flush=True)
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
