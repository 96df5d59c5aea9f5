"""Packets of real kernels through the I/O kernels: offloads, VLAN tags, large segments, rewriting, several queues."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from jackfield.dpif import actions as a
from jackfield.dpif.userspace.actions_code import compile_actions
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort
from jackfield.netdev import compiled as c
from jackfield.netdev.packet_socket import close_queues, open_queues, read_drops
from jackfield.netdev.provider import CompiledQueue
from lab.namespaces import Host, hosts, iperf3, ping, sh
from tests.netdev import jit_rig
from tests.netdev.jit_rig import CODE, IO, QUEUES, Rig

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]

LEFT, RIGHT = DpPort(0), DpPort(1)
PROGRAMS = CODE + 2000


class Bridge:
    """Two ports joined by compiled code on a thread; what comes in by one is done to by its actions, or just sent."""

    def __init__(self, ports: list[str], actions: tuple[a.DpActions, ...] = ()) -> None:
        self.queues = [queue for port in ports for queue in open_queues(port, socket.if_nametoindex(port))]
        self.rig = Rig()
        self.rows = [self.rig.add(number, queue) for number, queue in enumerate(self.queues)]
        place = CODE
        for number, each in enumerate(actions):
            program = compile_actions(each, lambda action: 0)
            self.rig.arena[place : place + len(program)] = program
            self.rig.arena[PROGRAMS + number] = place
            place += len(program)
        self.stop = np.zeros(1, np.int64)
        self.pollfds = np.frombuffer(
            bytearray(b"".join(struct.pack("ihh", queue.fd, 1, 0) for queue in self.queues)), np.uint8
        )
        arguments = (
            self.rig.arena, self.rig.buffers, IO, QUEUES, PROGRAMS if actions else 0, len(self.queues),
            self.pollfds.ctypes.data, self.stop.ctypes.data,
        )  # fmt: skip
        self.stop[0] = 1
        jit_rig.serve(*arguments)
        self.stop[0] = 0
        self.thread = threading.Thread(target=jit_rig.serve, args=arguments)
        self.thread.start()

    def counter(self, word: int) -> int:
        return sum(self.rig.counter(row, word) for row in self.rows)

    def close(self) -> None:
        self.stop[0] = 1
        self.thread.join()
        close_queues(self.queues)


@contextlib.contextmanager
def bridge(pair: list[Host], actions: tuple[a.DpActions, ...] = ()) -> Iterator[Bridge]:
    made = Bridge([host.port for host in pair], actions)
    try:
        yield made
    finally:
        made.close()


def assert_stacks_are_content(*pair: Host) -> None:
    for host in pair:
        for counter in ("TcpInCsumErrors", "UdpInCsumErrors", "IcmpInCsumErrors", "IpInHdrErrors"):
            assert host.counter(counter) == 0, counter


def test_tcp_and_udp_with_default_offloads() -> None:
    with hosts(2, "pk") as pair, bridge(pair) as switch:
        left, right = pair
        assert ping(left, right, 20)[1] == 0
        assert iperf3(right, left, "", 2)["bits_per_second"] > 100e6
        assert iperf3(right, left, "-R", 2)["bits_per_second"] > 100e6
        udp = iperf3(right, left, "-u -b 50M", 2)
        assert udp["bits_per_second"] > 40e6
        assert_stacks_are_content(left, right)
        # Segments crossed whole: far more bytes than packets of an MTU have.
        assert switch.counter(c.QUEUE_RX_BYTES) > 4000 * switch.counter(c.QUEUE_RX_PACKETS)
        assert switch.counter(c.QUEUE_TX_ERRORS) == 0
        assert switch.counter(c.QUEUE_RX_DROPS) == 0
        assert read_drops(switch.queues) == 0


def test_a_device_that_cannot_cut_segments_gets_them_cut() -> None:
    with hosts(2, "pk") as pair:
        for host in pair:
            sh(f"ethtool -K {host.port} tso off tx off")
        with bridge(pair) as switch:
            left, right = pair
            assert iperf3(right, left, "", 2)["bits_per_second"] > 100e6
            assert_stacks_are_content(left, right)
            assert switch.counter(c.QUEUE_TX_DROPS) + switch.counter(c.QUEUE_TX_ERRORS) == 0


def test_ipv6_and_jumbo_frames() -> None:
    with hosts(2, "pk", mtu=9000) as pair, bridge(pair) as switch:
        left, right = pair
        for number, host in enumerate(pair, 1):
            host.run(f"ip addr add fd00:99::{number}/64 dev e0 nodad")
        left.run("ping -6 -n -c 3 -i 0.1 -s 8900 -M do fd00:99::2")
        assert iperf3(right, left, "-6", 2, to="fd00:99::2")["bits_per_second"] > 100e6
        left.run("ping -n -c 3 -i 0.1 -s 65000 10.99.0.2")
        assert_stacks_are_content(left, right)
        assert switch.counter(c.QUEUE_TX_ERRORS) == 0


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
def test_tags_around_large_segments_survive_a_wire(tpid: int) -> None:
    """Tags are pushed at either end and popped at the other; in between the kernel takes them off, we put them back."""
    push = a.PushVlan(tpid, 7 | 3 << 13 | f.VLAN_CFI)
    near, far = DpPort(1), DpPort(2)
    actions: tuple[a.DpActions, ...] = (
        (push, a.Output(near)),
        (a.PopVlan(), a.Output(LEFT)),
        (a.PopVlan(), a.Output(DpPort(3))),
        (push, a.Output(far)),
    )
    with hosts(2, "pk") as pair:
        left, right = pair
        # A packet socket lets the four bytes of an 802.1Q tag pass beyond the MTU, those of another tag not.
        mtu = 1500 if tpid == 0x8100 else 1504
        sh(f"ip link add pkwire0 mtu {mtu} type veth peer name pkwire1 mtu {mtu}")
        try:
            sh("ip link set pkwire0 addrgenmode none up && ip link set pkwire1 addrgenmode none up")
            switch = Bridge([left.port, "pkwire0", "pkwire1", right.port], actions)
            try:
                left.run("ping -n -c 3 -i 0.1 10.99.0.2")
                for direction in ("", "-R"):
                    assert iperf3(right, left, direction, 2)["bits_per_second"] > 50e6
                assert_stacks_are_content(left, right)
                # Four bytes more than the hosts sent, and whole segments.
                wire = switch.rows[2]
                assert switch.rig.counter(wire, c.QUEUE_RX_BYTES) > 4000 * switch.rig.counter(wire, c.QUEUE_RX_PACKETS)
                assert switch.counter(c.QUEUE_TX_ERRORS) == 0
            finally:
                switch.close()
        finally:
            sh("ip link del pkwire0")


@pytest.mark.parametrize("tags", ["81000007", "88a8e00a", "81002000", "88a80064810000c8", "8100100181001002"])
def test_tags_that_the_kernel_took_off_are_put_back(tags: str) -> None:
    with hosts(1, "pk", quiet=True) as (host,):
        rig, row, queues = one_queue(host)
        frame = bytes.fromhex("020000000099 020000009901" + tags + "88b5") + bytes(range(50))
        with host.packet_socket() as sender:
            sender.send(frame)
        time.sleep(0.05)
        assert receive(rig, row) == [frame]
        close_queues(queues)


def test_rewritten_addresses_and_ports_keep_partial_checksums_right() -> None:
    """10.99.0.77 stands for the right host, port 5301 for its 5201: translated on the way there and back."""
    there = f.IP_DST.put(f.TP_DST.put(0, 5201), int.from_bytes(socket.inet_aton("10.99.0.2"), "big"))
    back = f.IP_SRC.put(f.TP_SRC.put(0, 5301), int.from_bytes(socket.inet_aton("10.99.0.77"), "big"))
    actions = (
        (a.SetMasked(there, f.IP_DST.mask | f.TP_DST.mask), a.Output(RIGHT)),
        (a.SetMasked(back, f.IP_SRC.mask | f.TP_SRC.mask), a.Output(LEFT)),
    )
    with hosts(2, "pk", quiet=True) as pair, bridge(pair, actions) as switch:
        left, right = pair
        left.run(f"ip neigh add 10.99.0.77 lladdr {right.mac} dev e0 nud permanent")
        for arguments in ("-p 5301", "-p 5301 -R"):
            assert iperf3(right, left, arguments, 2, to="10.99.0.77")["bits_per_second"] > 50e6
        assert_stacks_are_content(left, right)
        assert switch.counter(c.QUEUE_TX_ERRORS) == 0


def receive(rig: Rig, row: int) -> list[bytes]:
    n = jit_rig.rx(rig.arena, rig.buffers, IO, row, c.BATCH)
    return [rig.packet(at) for at in range(n)]


def test_several_queues_share_packets_by_flow() -> None:
    with hosts(1, "pk", quiet=True) as (host,):
        queues = open_queues(host.port, socket.if_nametoindex(host.port), 2)
        rig = Rig()
        rows = [rig.add(number, queue) for number, queue in enumerate(queues)]
        with host.packet_socket() as sender:
            for number in range(20):
                for flow in range(40):
                    head = bytes.fromhex("020000000099 020000009901 0800 4500002c 00000000 40110000 0a630001 0a630002")
                    ports = struct.pack(">HHHH", 1000 + flow, 2000, 24, 0)
                    sender.send(head + ports + struct.pack(">HH", flow, number) + bytes(12))
        time.sleep(0.1)
        seen: list[dict[int, list[int]]] = [{}, {}]
        for by_flow, row in zip(seen, rows, strict=True):
            while frames := receive(rig, row):
                for frame in frames:
                    flow, number = struct.unpack_from(">HH", frame, 42)
                    by_flow.setdefault(flow, []).append(number)
        close_queues(queues)
        assert all(seen)
        assert not seen[0].keys() & seen[1].keys()
        assert all(numbers == list(range(20)) for numbers in (seen[0] | seen[1]).values())
        assert len(seen[0] | seen[1]) == 40


def one_queue(host: Host) -> tuple[Rig, int, list[CompiledQueue]]:
    queues = open_queues(host.port, socket.if_nametoindex(host.port))
    rig = Rig()
    return rig, rig.add(0, queues[0]), queues


def send(rig: Rig, row: int, packet: bytes) -> None:
    jit_rig.tx(rig.arena, rig.buffers, IO, row, rig.put(packet))
    rig.flush()


def test_what_a_device_refuses_is_counted_and_the_rest_goes() -> None:
    with hosts(1, "pk", quiet=True) as (host,):
        rig, row, queues = one_queue(host)
        good = bytes.fromhex("020000009901 020000000099 88b5") + bytes(50)
        with host.packet_socket() as receiver:
            for packet in (good, bytes(5), good[:14] + bytes(5000), good):
                jit_rig.tx(rig.arena, rig.buffers, IO, row, rig.put(packet))
            rig.flush()
            assert [receiver.recv(100) for _ in range(2)] == [good, good]
        assert rig.counter(row, c.QUEUE_TX_PACKETS) == 2
        assert rig.counter(row, c.QUEUE_TX_ERRORS) == 2
        close_queues(queues)
        close_queues(queues)


def test_a_device_that_goes_down_or_away_drops_and_counts() -> None:
    with hosts(1, "pk", quiet=True) as (host,):
        rig, row, queues = one_queue(host)
        sh(f"ip link set {host.port} down")
        send(rig, row, bytes(60))
        assert rig.counter(row, c.QUEUE_TX_DROPS) == 1
        assert receive(rig, row) == []
        sh(f"ip link del {host.port}")
        send(rig, row, bytes(60))
        assert rig.counter(row, c.QUEUE_TX_DROPS) == 2
        assert receive(rig, row) == []
        close_queues(queues)


def test_a_ring_that_is_full_loses_and_says_so() -> None:
    with hosts(1, "pk", quiet=True) as (host,):
        queues = open_queues(host.port, socket.if_nametoindex(host.port), frames=128)
        rig = Rig()
        row = rig.add(0, queues[0])
        with host.packet_socket() as sender:
            for _ in range(300):
                sender.send(bytes.fromhex("020000000099 020000009901 88b5") + bytes(50))
        time.sleep(0.1)
        assert read_drops(queues) == 300 - 128
        received = 0
        while frames := receive(rig, row):
            received += len(frames)
        assert received == 128
        assert read_drops(queues) == 0
        close_queues(queues)


def test_only_the_device_that_was_meant_is_opened() -> None:
    with pytest.raises(OSError, match="nosuch0: cannot open a packet socket"):
        open_queues("nosuch0", 1)
    with hosts(1, "pk", quiet=True) as (host,), pytest.raises(OSError, match="another device"):
        open_queues(host.port, socket.if_nametoindex(host.port) + 1000)
