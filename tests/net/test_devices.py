"""System and tap devices on real interfaces, in a network namespace of the test's own."""

import asyncio
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jackfield.netdev.packet_socket  # noqa: F401  # brings numpy along, which takes longer than a loop may stand still
from jackfield.netdev.provider import QueueKind
from jackfield.netdev.registry import close_netdevs
from jackfield.netdev.system import SystemNetdev
from jackfield.netdev.tap import TapNetdev
from jackfield.netlink import watcher
from jackfield.netlink.link import LinkSocket
from jackfield.netlink.watcher import LinkWatcher
from tests.netdev.conformance import FRAME, NetdevConformance

pytestmark = pytest.mark.net

CLONE_NEWNET = 0x40000000
ROOT = Path(__file__).parents[2]
ARP_REQUEST = bytes.fromhex(
    "ffffffffffff 020000000002 0806 0001 0800 06 04 0001 020000000002 0a090002 000000000000 0a090001"
) + bytes(18)


@pytest.fixture(autouse=True)
def _namespace() -> Iterator[None]:
    """A namespace that exists for the test only, with the veth pair v0 and v1."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            ip("link add v0 type veth peer name v1")
            yield
            close_netdevs()
        finally:
            libc.setns(before, CLONE_NEWNET)
    finally:
        os.close(before)
    assert watcher._shared is None, "every device gave the watcher back"


def ip(command: str) -> str:
    return subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True, timeout=30).stdout


async def ip_async(command: str) -> None:
    process = await asyncio.create_subprocess_exec("ip", *command.split())
    assert await process.wait() == 0


def state(name: str = "v0") -> dict[str, Any]:
    """What a device must be given back with."""
    found = json.loads(ip(f"-d -j link show dev {name}"))[0]
    return {
        "up": "UP" in found["flags"],
        "flags": set(found["flags"]) - {"LOWER_UP", "NO-CARRIER", "M-DOWN", "UP"},
        "mtu": found["mtu"],
        "address": found["address"],
        "promiscuity": found["promiscuity"],
        "master": found.get("master"),
    }


def qdiscs() -> str:
    return subprocess.run(["tc", "qdisc", "show"], check=True, capture_output=True, text=True).stdout


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"waited 10 s until {what}"
        await asyncio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


def opened(name: str = "v0") -> SystemNetdev:
    device = SystemNetdev(name)
    device.open()
    return device


class TestSystemConformance(NetdevConformance):
    def make(self) -> SystemNetdev:
        return SystemNetdev("v0")


class TestTapConformance(NetdevConformance):
    def make(self) -> TapNetdev:
        return TapNetdev("t0")


# -- giving back -------------------------------------------------------------------------------------------------------


def test_counts_carrier_changes_from_its_opening_on() -> None:
    ip("link set v1 up")
    ip("link set v0 up")
    device = opened()
    assert device.get_carrier()
    assert device.link_resets == 0
    device.close()


@pytest.mark.parametrize("was_up", [True, False])
def test_given_back_as_found(was_up: bool) -> None:
    ip(f"link set v0 {'up' if was_up else 'down'} mtu 1450")
    ip("link set v1 up")
    before, queueing = state(), qdiscs()
    device = opened()
    assert device.get_admin_up()
    assert state()["promiscuity"] == 1
    device.set_mtu(1300)
    device.set_mac(0x020000000077)
    device.set_admin_up(False)
    device.set_admin_up(True)
    assert state()["mtu"] == 1300
    device.close()
    assert state() == before
    if was_up:
        assert qdiscs() == queueing


def test_given_back_down_by_a_controller() -> None:
    ip("link set v0 up")
    device = opened()
    device.set_admin_up(False)
    device.close()
    assert state()["up"]


def test_what_others_changed_meanwhile_stays() -> None:
    device = opened()
    device.set_mtu(1300)
    ip("link set v0 mtu 1200")
    ip("link set v0 down")
    device.close()
    assert (state()["mtu"], state()["up"]) == (1200, False)


def test_promiscuous_mode_of_others_stays() -> None:
    ip("link set v0 promisc on")
    device = opened()
    assert state()["promiscuity"] == 2
    device.close()
    assert state()["promiscuity"] == 1


def test_queues_do_not_outlive_the_device() -> None:
    before = state()
    device = opened()
    queues = device.compiled_queues(1)
    assert [queue.kind for queue in queues] == [QueueKind.PACKET_SOCKET]
    assert queues[0].fd >= 0
    device.release_queues(queues)
    device.close()
    deadline = time.monotonic() + 5
    while state() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state() == before


# -- the host's own stack ----------------------------------------------------------------------------------------------


def hears_arp_reply() -> bool:
    """Whether somebody at v0 answers for 10.9.0.1."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as wire:
        wire.bind(("v1", 0x0806))
        wire.settimeout(0.2)
        wire.send(ARP_REQUEST)
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            try:
                heard = wire.recv(2048)
            except TimeoutError:
                return False
            if heard[20:22] == b"\x00\x02":
                return True
        return False


@pytest.fixture
def _addressed() -> None:
    for command in ("addr add 10.9.0.1/24 dev v0", "link set v0 up", "link set v1 up"):
        ip(command)


@pytest.mark.usefixtures("_addressed")
def test_the_hosts_stack_is_silent_while_packet_sockets_hear() -> None:
    assert hears_arp_reply()
    device = opened()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tapped:
        tapped.bind(("v0", 3))
        tapped.settimeout(2)
        assert not hears_arp_reply()
        while tapped.recv(2048)[: len(ARP_REQUEST)] != ARP_REQUEST:
            pass
    stats = device.get_stats()
    assert (stats.rx_packets or 0) > 0
    assert (stats.rx_dropped, stats.rx_errors) == (0, 0), "what the switch takes is not an error of the interface"
    device.close()
    assert hears_arp_reply()


@pytest.mark.usefixtures("_addressed")
def test_a_killed_process_leaves_nothing() -> None:
    program = (
        "import sys, time\n"
        "from jackfield.netdev.registry import open_netdev\n"
        "open_netdev('v0')\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        assert state()["promiscuity"] == 1
        assert not hears_arp_reply()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert hears_arp_reply()
    assert state()["promiscuity"] == 0


def test_root_of_a_user_namespace_can_do_it() -> None:
    if subprocess.run(["unshare", "-Urn", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces")
    program = (
        "import subprocess\n"
        "from jackfield.netdev import system\n"
        "from jackfield.netdev.registry import open_netdev, close_netdevs\n"
        "subprocess.run('ip link add v0 type veth peer name v1', shell=True, check=True)\n"
        "device = open_netdev('v0')\n"
        "tap = open_netdev('t0', 'tap')\n"
        "print(device.get_admin_up(), len(system._guard._guarded), tap.present)\n"
        "close_netdevs()\n"
    )
    done = subprocess.run(
        ["unshare", "-Urn", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.stdout == "True 1 True\n", done.stderr


# -- news --------------------------------------------------------------------------------------------------------------


def test_changes_from_outside_are_seen() -> None:
    async def test() -> None:
        device = opened()
        assert device.link_resets == 0
        seqs: list[int] = []
        device.on_change = lambda changed: seqs.append(changed.change_seq)
        assert not device.get_carrier()
        await ip_async("link set v1 up")
        await until(device.get_carrier, "the carrier is up")
        resets = device.link_resets
        await ip_async("link set v1 down")
        await until(lambda: not device.get_carrier(), "the carrier is down")
        assert device.link_resets > resets
        await ip_async("link set v0 mtu 1300")
        await until(lambda: device.get_mtu() == 1300, "the MTU is seen")
        await ip_async("link set v0 address 02:00:00:00:00:99")
        await until(lambda: device.get_mac() == 0x020000000099, "the address is seen")
        await ip_async("link set v0 down")
        await until(lambda: not device.get_admin_up(), "it is down")
        assert len(seqs) >= 5
        assert seqs == sorted(set(seqs))
        device.close()

    run(test)


def test_own_changes_are_not_undone_by_older_news() -> None:
    async def test() -> None:
        device = opened()
        shown: list[int | None] = []
        device.on_change = lambda changed: shown.append(changed.get_mtu())
        for mtu in range(1400, 1420):
            device.set_mtu(mtu)
        await asyncio.sleep(0.1)
        assert shown == sorted(shown, key=lambda mtu: mtu or 0)
        assert device.get_mtu() == 1419
        device.close()

    run(test)


def test_vanishes_and_comes_back() -> None:
    async def test() -> None:
        device = opened()
        device.set_mtu(1300)
        first = device.ifindex
        queues = device.compiled_queues(1)
        await ip_async("link del v0")
        await until(lambda: not device.present, "it is gone")
        assert (device.ifindex, device.get_carrier(), device.get_admin_up()) == (0, False, False)
        device.release_queues(queues)
        assert device.compiled_queues(1) == []
        assert device.get_stats().rx_packets is None
        with pytest.raises(OSError, match="v0: the device is gone"):
            device.set_mtu(1400)
        await ip_async("link add v0 type veth peer name v1")
        await ip_async("link set v1 up")
        await until(lambda: device.present and device.get_carrier(), "it is back")
        assert device.ifindex != first
        assert (device.get_mtu(), device.get_admin_up()) == (1300, True)
        assert state()["promiscuity"] == 1
        device.release_queues(device.compiled_queues(1))
        device.close()
        assert (state()["up"], state()["mtu"]) == (False, 1500)

    run(test)


def test_renamed_is_given_back_and_taken_again() -> None:
    async def test() -> None:
        before = state()
        device = opened()
        index = device.ifindex
        await ip_async("link set v0 name other")
        await until(lambda: not device.present, "the name is gone")
        assert state("other") == before
        await ip_async("link set other name v0")
        await until(lambda: device.present, "the name is back")
        assert device.ifindex == index
        assert state()["promiscuity"] == 1
        device.close()
        assert state() == before

    run(test)


def test_name_taken_by_something_that_is_no_port(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        device = opened()
        await ip_async("link del v0")
        await until(lambda: not device.present, "it is gone")
        await ip_async("tuntap add dev v0 mode tun")
        await until(lambda: "not an Ethernet interface" in caplog.text, "it is refused")
        assert not device.present
        device.close()

    run(test)


def test_not_ethernet_is_refused() -> None:
    ip("tuntap add dev tun0 mode tun")
    with pytest.raises(OSError, match="tun0: not an Ethernet interface") as caught:
        opened("tun0")
    assert caught.value.errno == errno.EINVAL
    ip("link del tun0")


# -- the watcher -------------------------------------------------------------------------------------------------------


def make_links(count: int) -> None:
    batch = "".join(f"link add a{number} type veth peer name b{number}\n" for number in range(count))
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True, timeout=60)


def catch_up(watching: LinkWatcher) -> None:
    deadline = time.monotonic() + 10
    requests = LinkSocket()
    wanted = {link.ifindex: link.name for link in requests.dump()}
    while {link.ifindex: link.name for link in watching.links.values()} != wanted:
        assert time.monotonic() < deadline
        watching.process()
    requests.close()


def test_lost_notifications_are_made_up_for() -> None:
    watching = LinkWatcher(room=4096)
    seen: list[str] = []
    gone: list[str] = []
    watching.watch_name("a99", lambda link: seen.append("a99") if link else gone.append("a99"))
    watching.watch_name("v0", lambda link: gone.append("v0") if link is None else None)
    make_links(100)
    ip("link del v0")
    catch_up(watching)
    assert seen == ["a99"]
    assert gone == ["v0"]
    for number in range(100):
        if number % 10:
            continue
        ip(f"link del a{number}")
    catch_up(watching)
    watching.stop()


def test_many_links_do_not_stall_the_loop() -> None:
    make_links(500)

    async def test() -> None:
        device = opened("a7")
        watching = watcher.acquire()
        assert len(watching.links) >= 1000
        told: list[object] = []
        watching.watch_all(lambda before, after: told.append(after))
        watching.resync()
        await until(lambda: not watching._dump_seq, "all links are read again")
        told.clear()
        await ip_async("link set b7 up")
        await until(device.get_carrier, "the carrier is up")
        assert len(told) < 20, "one link's news is about one link and its peer"
        watcher.release()
        device.close()

    run(test)


# -- taps --------------------------------------------------------------------------------------------------------------


def test_tap_lives_from_open_to_close() -> None:
    device = TapNetdev("t0")
    device.open()
    assert not state("t0")["up"], "it comes up when somebody says so"
    device.set_admin_up(True)
    device.set_mac(0x020000000042)
    device.set_mtu(9000)
    assert device.get_carrier()
    assert (state("t0")["address"], state("t0")["mtu"]) == ("02:00:00:00:00:42", 9000)
    device.close()
    assert json.loads(ip("-j link show type tun") or "[]") == []


def test_tap_does_not_take_over_an_interface() -> None:
    ip("tuntap add dev t0 mode tap")
    for name in ("v0", "t0"):
        with pytest.raises(OSError, match=f"{name}: an interface of this name exists") as caught:
            TapNetdev(name).open()
        assert caught.value.errno == errno.EBUSY
    assert state("t0")["mtu"] == 1500


def test_tap_moves_packets_with_vnet_headers() -> None:
    device = TapNetdev("t0")
    device.open()
    ip("link set t0 addrgenmode none")
    device.set_admin_up(True)
    (queue,) = device.compiled_queues(1)
    assert (queue.kind, tuple(queue.words)) == (QueueKind.TAP, (queue.fd,))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as host:
        host.bind(("t0", 3))
        host.settimeout(2)
        assert os.write(queue.fd, bytes(10) + FRAME) == 10 + len(FRAME)
        assert host.recv(2048) == FRAME
        host.send(FRAME + b"back")
    assert os.read(queue.fd, 65536) == bytes(10) + FRAME + b"back"
    with pytest.raises(BlockingIOError):
        os.read(queue.fd, 65536)
    stats = device.get_stats()
    assert (stats.rx_packets, stats.rx_bytes) == (1, len(FRAME) + 4), "received means into the switch"
    assert (stats.tx_packets, stats.tx_bytes) == (1, len(FRAME))
    device.close()


def test_tap_offers_its_offloads_to_the_host() -> None:
    device = TapNetdev("t0")
    device.open()
    for command in (0x16, 0x18, 0x1E):  # ETHTOOL_GTXCSUM, GSG, GTSO
        value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, 0x8946, struct.pack("=16sQ16x", b"t0", ctypes.addressof(value)))
        assert struct.unpack("=II", value.raw)[1] == 1
    device.close()


def test_tap_that_somebody_deletes() -> None:
    async def test() -> None:
        device = TapNetdev("t0")
        device.open()
        device.set_admin_up(True)
        await ip_async("link del t0")
        await until(lambda: not device.present, "it is gone")
        assert device.compiled_queues(1) == []
        await ip_async("tuntap add dev t0 mode tap")
        await asyncio.sleep(0.1)
        assert not device.present, "another interface of the name is not ours"
        device.close()

    run(test)
    assert state("t0")["promiscuity"] == 0
