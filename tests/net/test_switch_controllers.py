"""Controllers of a running switch: os-ken's, several with roles, and those that misbehave."""

import contextlib
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.controller import (
    BEHAVIOURS,
    ERROR,
    FEATURES_REQUEST,
    FLOW_MOD,
    HELLO,
    PACKET_IN,
    ROLE_REQUEST_13,
    Listener,
    Peer,
    apply_output_13,
    dial,
    flow_mod_13,
    free_port,
    misbehaving,
    osken_command,
)
from lab.load import sender
from lab.rig import Rig, rig, until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]


def reaches(net: Rig) -> bool:
    one, two = net.hosts[:2]
    return " 0% packet loss" in one.run(f"ping -n -c 1 -W 1 {two.address}", check=False)


# -- os-ken ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def osken(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    try:
        command = osken_command(port)
    except FileNotFoundError as error:
        pytest.skip(f"{error}: ./run test makes it")
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_osken_drives_and_standalone_takes_over_and_gives_back(tmp_path: Path) -> None:
    port = free_port()
    with rig(2, "--controller", f"tcp:127.0.0.1:{port}", "--fail-mode", "standalone") as net:
        net.expected.append("connect|controller|connmgr|rconn|fail")
        with osken(port, tmp_path / "log"):
            until(lambda: reaches(net), f"a ping passes; log: {(tmp_path / 'log').read_text()[-500:]}", 30)
            rules = {(flow.match, flow.actions) for flow in net.switch.flows(version="OpenFlow13")}
            assert ("priority=0", "CONTROLLER:65535") in rules
            assert any(match.startswith("priority=1,in_port=") and "dl_dst=" in match for match, _ in rules)
            assert not any("NORMAL" in actions for _, actions in rules)
        until(lambda: '"connected": true' not in net.switch.cli("show", "--json").stdout, "the loss is seen", 5)
        # Fifteen seconds of patience, passed at once.
        net.switch.appctl("time/warp 20000 1000")
        until(lambda: standalone(net), "standalone takes over", 30)
        assert reaches(net)
        with osken(port, tmp_path / "log"):
            until(lambda: not standalone(net), "standalone gives back", 30)
            until(lambda: reaches(net), "a ping passes again", 20)
            assert any(flow.match.startswith("priority=1,in_port=") for flow in net.switch.flows())


def standalone(net: Rig) -> bool:
    """Whether the switch forwards by itself, by what it would do with a packet."""
    shown = net.switch.appctl("ofproto/trace br0 in_port=1,dl_src=02:00:00:00:00:07,dl_dst=02:00:00:00:00:08")
    return "NORMAL" in shown


def test_secure_stays_closed_without_its_controller() -> None:
    port = free_port()
    with rig(2, "--controller", f"tcp:127.0.0.1:{port}", "--fail-mode", "secure") as net:
        net.expected.append("connect|controller|connmgr|rconn")
        net.switch.appctl("time/warp 60000 5000")
        assert not reaches(net)
        net.switch.ofctl("add-flow br0 actions=NORMAL")
        assert reaches(net)


def test_standalone_without_any_controller_switches_at_once() -> None:
    with rig(2) as net:
        assert reaches(net)
        (flow,) = net.switch.flows()
        assert (flow.match, flow.actions) == ("priority=0", "NORMAL")


# -- several controllers -----------------------------------------------------------------------------------------------


@pytest.fixture
def two_controllers() -> Iterator[tuple[Rig, Peer, Peer]]:
    with Listener() as first, Listener() as second:
        targets = ["--controller", first.target, "--controller", second.target]
        with rig(2, *targets, "--fail-mode", "secure") as net, first.peer() as one, second.peer() as two:
            yield net, one, two
            net.expected.append("connect|controller|connmgr|rconn")


def role(peer: Peer, wanted: int, generation: int) -> tuple[int, int]:
    answer = peer.answer(peer.send(ROLE_REQUEST_13, struct.pack(">I4xQ", wanted, generation)))
    assert answer[1] != ERROR, struct.unpack_from(">HH", answer[3])
    found: tuple[int, int] = struct.unpack(">I4xQ", answer[3])
    return found


def test_roles(two_controllers: tuple[Rig, Peer, Peer]) -> None:
    net, one, two = two_controllers
    rule = flow_mod_13(instructions=apply_output_13(2))
    assert role(one, 0, 0)[0] == 1
    assert role(one, 2, 5) == (2, 5)
    one.send(FLOW_MOD, rule)
    one.barrier()
    assert role(two, 3, 6)[0] == 3
    assert two.error(FLOW_MOD, rule) == (1, 10)
    assert two.error(ROLE_REQUEST_13, struct.pack(">I4xQ", 2, 4)) == (11, 0)
    assert role(two, 2, 7)[0] == 2
    assert role(one, 0, 0)[0] == 3
    assert one.error(FLOW_MOD, rule) == (1, 10)
    two.send(FLOW_MOD, rule)
    two.barrier()
    assert len(net.switch.flows()) == 1
    shown = net.switch.cli("show", "--json").stdout
    assert shown.count('"connected": true') == 2


def test_packets_go_to_all_but_secondaries(two_controllers: tuple[Rig, Peer, Peer]) -> None:
    net, one, two = two_controllers
    assert role(two, 3, 1)[0] == 3
    one.send(FLOW_MOD, flow_mod_13(instructions=apply_output_13(0xFFFFFFFD)))
    one.barrier()
    with net.hosts[0].packet_socket() as out:
        out.send(bytes.fromhex("ffffffffffff 020000009901 88b5") + bytes(46))
    while one.receive()[1] != PACKET_IN:
        pass
    two.socket.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            assert two.receive()[1] != PACKET_IN


def test_snoop_sees_what_passes(two_controllers: tuple[Rig, Peer, Peer]) -> None:
    net, one, _ = two_controllers
    with net.switch.popen("ovs-ofctl", "snoop", "br0") as snoop:
        assert snoop.stdout is not None
        time.sleep(0.3)
        one.barrier()
        one.answer(one.send(FEATURES_REQUEST))
        time.sleep(0.3)
        snoop.terminate()
        text = snoop.stdout.read()
    assert "OFPT_BARRIER_REQUEST (OF1.3)" in text
    assert "OFPT_FEATURES_REPLY (OF1.3)" in text


# -- bad company -------------------------------------------------------------------------------------------------------


def quick(net: Rig) -> None:
    """Stock clients are answered within a second."""
    for command in (["ovs-ofctl", "dump-flows", "br0"], ["ovs-appctl", "version"]):
        started = time.monotonic()
        done = net.switch.client(*command)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - started < 1, command


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_controller_that_misbehaves_disturbs_nobody(behaviour: str) -> None:
    with (
        misbehaving(behaviour) as target,
        Listener() as good,
        rig(2, "--controller", target, "--controller", good.target, "--fail-mode", "secure") as net,
        good.peer() as peer,
    ):
        net.expected.append(".")
        peer.send(FLOW_MOD, flow_mod_13(instructions=apply_output_13(0xFFFFFFFA)))
        peer.barrier()
        until(lambda: reaches(net), "a ping passes", 5)
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            started = time.monotonic()
            peer.barrier()
            assert time.monotonic() - started < 1
            quick(net)
        assert reaches(net)


def test_a_controller_that_does_not_read_its_packets_holds_up_nobody() -> None:
    with (
        Listener() as deaf,
        Listener() as good,
        rig(2, "--controller", deaf.target, "--controller", good.target, "--fail-mode", "secure") as net,
        deaf.peer(),
        good.peer() as two,
    ):
        net.expected.append(".")
        two.send(FLOW_MOD, flow_mod_13(priority=5, instructions=apply_output_13(0xFFFFFFFD)))
        two.barrier()
        before = net.switch.resident_kb()
        with sender(net.hosts[0], 3) as sending:
            while sending.poll() is None:
                started = time.monotonic()
                two.barrier()
                assert time.monotonic() - started < 1
                quick(net)
            sending.communicate()
        assert net.switch.resident_kb() - before < 100_000


@pytest.mark.parametrize(
    ("hello", "agreed"),
    [
        (struct.pack(">BBHI", 1, HELLO, 8, 1), 1),
        (struct.pack(">BBHI", 4, HELLO, 8, 1), 4),
        (struct.pack(">BBHI", 9, HELLO, 8, 1), 4),
        (struct.pack(">BBHIHHI", 6, HELLO, 16, 1, 1, 8, 1 << 1 | 1 << 6), 1),
        (struct.pack(">BBHIHHI", 4, HELLO, 16, 1, 1, 8, 1 << 2 | 1 << 3), None),
        (struct.pack(">BBHI", 0, HELLO, 8, 1), None),
    ],
)
def test_versions_are_agreed_on_or_refused(hello: bytes, agreed: int | None) -> None:
    with rig(0) as net:
        net.expected.append(".")
        with dial(net.switch.rundir / "br0.mgmt", agreed or 4, greet=False) as peer:
            peer.socket.sendall(hello)
            assert peer.receive()[1] == HELLO
            if agreed is None:
                version, kind, _, body = peer.receive()
                assert (kind, body[:4]) == (ERROR, struct.pack(">HH", 0, 0))
                assert version >= 1
                with pytest.raises(EOFError):
                    peer.receive()
            else:
                assert peer.answer(peer.send(FEATURES_REQUEST))[:2] == (agreed, 6)
        quick(net)
