"""The demo: a running OpenFlow switch between three hosts, in about a minute; nothing stays behind.

Needs the project's virtual environment and nothing else: no Open vSwitch, no iproute2. As root it runs as it is,
otherwise inside a user namespace where the machine allows one.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from jackfield.cli.output import fold

HERE = Path(__file__).resolve().parent
JACKFIELD = [str(Path(sys.executable).parent / "jackfield")]
HOSTS = {"alice": "10.0.0.1", "bob": "10.0.0.2", "carol": "10.0.0.3"}
SERVICE = 7000
console = Console(highlight=False)


class Host:
    """One of the demo's hosts: the process of `demo_host.py` and the switch's end of its cable."""

    def __init__(self, name: str, address: str, number: int) -> None:
        self.name = name
        self.address = address
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.port = f"jf-{name}"
        self.plugged = False
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "demo_host.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,  # Ctrl-C is for the demo, which ends the others in order
        )
        self._answer()

    def plug(self) -> None:
        """Join the host to this machine by a veth pair with default offloads."""
        from pyroute2 import IPRoute, NetlinkError

        with IPRoute() as ip:
            try:
                peer = {"ifname": "e0", "net_ns_pid": self.process.pid}
                ip.link("add", ifname=self.port, kind="veth", peer=peer)
                self.plugged = True
            except NetlinkError as error:
                hint = ": is another demo running?" if error.code == errno.EEXIST else ""
                raise RuntimeError(f"cannot make the interface {self.port}{hint} ({error.args[-1]})") from error
            ip.link("set", index=ip.link_lookup(ifname=self.port)[0], state="up")
        self.ask("configure", address=self.address, mac=self.mac)
        self.ask("serve", port=SERVICE, text=f"hello from {self.name}")

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have the host do something; its result."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {do}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """Pull the cable and end the process; its namespace goes with it."""
        from pyroute2 import IPRoute

        if self.plugged:
            # By itself it would go only when the kernel has forgotten the last connection of the namespace.
            with IPRoute() as ip:
                for index in ip.link_lookup(ifname=self.port):
                    ip.link("del", index=index)
        self.process.terminate()
        self.process.wait()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the host {self.name} ended unexpectedly")
        return json.loads(line)


class Demo:
    """The steps, in the order in which they are shown."""

    def __init__(self, rundir: Path) -> None:
        self.rundir = rundir
        self.hosts: list[Host] = []
        self.switch: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.interrupted = False

    def run(self) -> None:
        """Everything up to the last figure."""
        self.step("Compiled code", "the datapath is compiled from Python once, and cached")
        subprocess.run([*JACKFIELD, "warm"], check=True)
        self.start()
        alice, bob, carol = self.hosts
        self.step("MAC learning", "nobody has told the switch anything: it learns who is where")
        self.check("alice pings bob", times := alice.ask("ping", to=bob.address), f"{min(times, default=0):.2f} ms")
        self.check("bob pings carol", times := bob.ask("ping", to=carol.address), f"{min(times, default=0):.2f} ms")
        self.check("TCP alice to carol", text := alice.ask("fetch", to=carol.address, port=SERVICE), repr(text))
        sent = alice.ask("udp", to=bob.address, port=SERVICE, count=100)
        time.sleep(0.1)
        self.check("UDP alice to bob", (got := bob.ask("received")) == sent, f"{got} of {sent} datagrams")
        self.show("ports")

        self.step("A rule that drops", "UDP from alice is dropped, all else is switched as before")
        self.add_flow(f"table=0,priority=100,udp,nw_src={alice.address},actions=drop")
        alice.ask("udp", to=bob.address, port=SERVICE, count=50)
        time.sleep(0.1)
        self.check("no datagram arrives", (got := bob.ask("received")) == 0, f"{got} of 50")
        self.check("ping still passes", alice.ask("ping", to=bob.address, count=1), "")
        self.check("the rule counted them", (seen := self.packets("udp")) == 50, f"n_packets={seen}")
        self.jackfield("del-flows", "udp")

        self.step("A rule that rewrites", "10.0.0.100 exists nowhere; the switch turns it into bob and back")
        self.add_flow(
            f"priority=100,arp,arp_tpa=10.0.0.100,arp_op=1,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
            f"mod_dl_src:{bob.mac},load:2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
            f"set_field:{bob.mac}->arp_sha,move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],set_field:10.0.0.100->arp_spa,in_port"
        )
        self.add_flow(f"priority=100,ip,nw_dst=10.0.0.100,actions=mod_nw_dst:{bob.address},NORMAL")
        self.add_flow(
            f"priority=100,ip,nw_src={bob.address},nw_dst={alice.address},actions=mod_nw_src:10.0.0.100,NORMAL"
        )
        text = alice.ask("fetch", to="10.0.0.100", port=SERVICE)
        self.check("TCP to 10.0.0.100 reaches bob", text == "hello from bob", repr(text))
        self.show("flows")
        self.jackfield("del-flows", "arp")
        self.jackfield("del-flows", "ip")

        self.step("A rule that redirects", "what alice sends to bob leaves at carol's port instead")
        self.add_flow(
            f"priority=100,in_port={alice.port},ip,nw_dst={bob.address},"
            f"actions=mod_dl_dst:{carol.mac},mod_nw_dst:{carol.address},output:{carol.port}"
        )
        alice.ask("udp", to=bob.address, port=SERVICE, count=50)
        time.sleep(0.1)
        there, here = carol.ask("received"), bob.ask("received")
        self.check("carol gets bob's datagrams", (there, here) == (50, 0), f"carol {there}, bob {here}")
        seen = self.packets("ip")
        self.check("the rule counted them", seen == 50, f"n_packets={seen}")
        self.jackfield("del-flows", "ip")

        self.step("Rates", "between two hosts' kernel stacks, default offloads, measured now")
        rate = alice.ask("tcp", to=bob.address, port=SERVICE, seconds=3)
        self.check("TCP, one connection", rate > 0, f"{rate / 1e9:.1f} Gbit/s")
        before = self.transmitted(bob)
        sent = alice.ask("flood", to=bob.address, seconds=3)
        time.sleep(0.1)
        forwarded = self.transmitted(bob) - before
        lost = max(0.0, 100 * (1 - forwarded / sent))
        self.check("UDP, 60-byte packets", forwarded > 0, f"{forwarded / 3:,.0f} packets/s, {lost:.1f} % lost")
        console.print("     [dim]one Python program sends; ./run bench measures the switch itself[/]")
        self.show("datapath", "flows")

    def start(self) -> None:
        """Plug three hosts and start the switch."""
        self.step("A switch", "jackfield up --bridge br0 with three ports")
        for number, (name, address) in enumerate(HOSTS.items(), 1):
            self.hosts.append(Host(name, address, number))
            self.hosts[-1].plug()
        ports = [word for host in self.hosts for word in ("--port", host.port)]
        started = time.monotonic()
        with (self.rundir / "up.log").open("wb") as log:
            self.switch = subprocess.Popen(
                [*JACKFIELD, "up", "--bridge", "br0", *ports, "--rundir", str(self.rundir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        while not self.answers():
            if self.switch.poll() is not None or time.monotonic() - started > 60:
                console.print((self.rundir / "up.log").read_text(), style="red")
                raise RuntimeError("the switch did not start")
            time.sleep(0.02)
        self.check("ready", True, f"{time.monotonic() - started:.1f} s after its start")

    def answers(self) -> bool:
        """Whether the switch serves its management socket."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.rundir / "br0.mgmt")) == 0

    def stop(self) -> None:
        """End the switch and the hosts."""
        if self.switch is not None and self.switch.poll() is None:
            self.switch.send_signal(signal.SIGTERM)
            try:
                self.switch.wait(10)
            except subprocess.TimeoutExpired:
                self.failures += 1
                console.print("[red]the switch did not stop when told to[/]")
                self.switch.kill()
                self.switch.wait()
        for host in self.hosts:
            host.close()

    def step(self, title: str, text: str) -> None:
        """Announce what comes next."""
        console.print(f"\n[bold]{title}[/]", soft_wrap=True)
        console.print(f"  [dim]{text}[/]", soft_wrap=True)

    def check(self, what: str, passed: object, detail: str) -> None:
        """Show one result."""
        mark = "[green]ok[/]" if passed else "[red]FAILED[/]"
        self.failures += not passed
        console.print(f"  {mark:<4} {what:<32} ", end="")
        console.print(detail, markup=False)

    def jackfield(self, *arguments: str) -> str:
        """Run a jackfield command against the switch; its output."""
        done = subprocess.run(
            [*JACKFIELD, "--rundir", str(self.rundir), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"jackfield {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def add_flow(self, rule: str) -> None:
        """Add a rule, and show it."""
        console.print("  [cyan]jackfield add-flow[/] \\", soft_wrap=True)
        for line in fold(f"'{rule}'", console.width - 4):
            console.print(f"    {line}", markup=False, soft_wrap=True)
        self.jackfield("add-flow", rule)

    def packets(self, match: str) -> int:
        """Packets counted by the rules that match."""
        flows = json.loads(self.jackfield("flows", "--json", "--match", match))
        return sum(flow["n_packets"] for flow in flows)

    def transmitted(self, host: Host) -> int:
        """Packets that the switch has sent to a host."""
        ports = json.loads(self.jackfield("ports", "--json"))
        return int(next(port["tx_packets"] for port in ports if port["name"] == host.port))

    def show(self, *arguments: str) -> None:
        """Run a jackfield command for its table."""
        console.print(f"  [cyan]jackfield {' '.join(arguments)}[/]")
        sys.stdout.flush()
        subprocess.run([*JACKFIELD, "--rundir", str(self.rundir), *arguments], check=True)

    def explain(self) -> None:
        """What a user may try on the switch that is left running."""
        assert self.switch is not None
        enter = "nsenter -U --preserve-credentials -n" if "JACKFIELD_DEMO_USERNS" in os.environ else "nsenter -n"
        alice = self.hosts[0]
        lines = [
            f"\nThe switch keeps running, as process {self.switch.pid}. Try, in another terminal:",
            f"  export PATH={Path(JACKFIELD[0]).parent}:$PATH OVS_RUNDIR={self.rundir}",
            "  jackfield show",
            "  jackfield flows --watch",
            "  jackfield add-flow priority=9,icmp,actions=drop",
            f"  jackfield trace in_port={alice.port},icmp",
            f"  {enter} -t {alice.process.pid} ping {HOSTS['bob']}",
            "and with Open vSwitch's clients:",
            "  ovs-ofctl dump-flows br0",
            "  ovs-appctl fdb/show br0",
            "Ctrl-C here ends it.",
        ]
        console.print("\n".join(lines), soft_wrap=True, markup=False)
        try:
            self.switch.wait()
        except KeyboardInterrupt:
            console.print("stopping")
        else:
            self.failures += 1
            console.print("[red]the switch ended by itself[/]")


def user_namespace(arguments: list[str]) -> None:
    """Run again inside a user namespace when this is not root; says why where that is not allowed."""
    if os.geteuid() == 0:
        return
    wrapper = ["unshare", "-Urnm"]
    if shutil.which("unshare") is None or subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        console.print("[red]The demo needs root, or a machine that lets users make namespaces (unshare -Urnm).[/]")
        raise SystemExit(1)
    os.environ["JACKFIELD_DEMO_USERNS"] = "1"
    os.execvp("unshare", [*wrapper, sys.executable, str(Path(__file__).resolve()), *arguments])


def main() -> int:
    """Run the demo; 0 when everything it showed was as it should be."""
    parser = argparse.ArgumentParser(prog="./run demo", description="Watch an OpenFlow switch forward real packets.")
    parser.add_argument("--keep", action="store_true", help="leave the switch running until Ctrl-C")
    options = parser.parse_args()
    user_namespace(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jackfield-demo-") as folder:
        demo = Demo(Path(folder))
        try:
            demo.run()
            if options.keep:
                demo.explain()
        except KeyboardInterrupt:
            demo.interrupted = True
        except RuntimeError as error:
            demo.failures += 1
            console.print(f"[red]{error}[/]")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            demo.stop()
    failed = f"{demo.failures} {'thing' if demo.failures == 1 else 'things'} went wrong"
    result = failed if demo.failures else "interrupted" if demo.interrupted else "all as it should be"
    console.print(f"\n{result}; {time.monotonic() - started:.0f} s; nothing is left behind.")
    return 1 if demo.failures else 130 if demo.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
