import errno
import socket
from collections.abc import Iterator

import pytest

from jackfield.flow import fields as f
from jackfield.netdev import compiled as c
from jackfield.netdev.compiled import null_queue, replay_queue
from jackfield.netdev.jit_ring import MemoryRing, memory_ring_queue
from jackfield.netdev.provider import CompiledQueue, QueueKind
from tests.netdev import jit_rig
from tests.netdev.jit_rig import IO, Rig

FRAMES = [b"a" * 60, b"b" * 1514, b"c" * 9014, b"", b"d" * c.ROW_ROOM, b"e" * (c.ROW_ROOM + 1)]


def receive(rig: Rig, q: int, limit: int = c.BATCH) -> list[bytes]:
    n = jit_rig.rx(rig.arena, rig.buffers, IO, q, limit)
    return [rig.packet(row) for row in range(n)]


def forward(rig: Rig, source: int, target: int) -> int:
    n = jit_rig.rx(rig.arena, rig.buffers, IO, source, c.BATCH)
    for row in range(n):
        jit_rig.tx(rig.arena, rig.buffers, IO, target, row)
    rig.flush()
    return n


@pytest.fixture
def tap_pair() -> Iterator[tuple[CompiledQueue, socket.socket]]:
    """A queue of kind TAP on a socket that keeps packets apart, as /dev/net/tun does, and the other end."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    yield CompiledQueue(QueueKind.TAP, (near.fileno(),), fd=near.fileno()), far
    near.close()
    far.close()


def test_a_replay_ends_or_begins_again() -> None:
    rig = Rig()
    once = rig.add(1, replay_queue(FRAMES, endless=False))
    assert receive(rig, once) == FRAMES
    assert receive(rig, once) == []
    assert rig.counter(once, c.QUEUE_RX_BYTES) == sum(map(len, FRAMES))
    endless = rig.add(2, replay_queue(FRAMES[:2], endless=True))
    assert receive(rig, endless, 5) == [*FRAMES[:2], *FRAMES[:2], FRAMES[0]]
    assert receive(rig, endless, 1) == [FRAMES[1]]


def test_long_packets_come_in_smaller_batches() -> None:
    rig = Rig()
    q = rig.add(1, replay_queue([b"x" * 9000], endless=True))
    assert len(receive(rig, q)) == c.BIG_ROWS_RX
    assert len(receive(rig, q)) == c.BIG_ROWS_RX
    short = rig.add(2, replay_queue([b"y" * 60], endless=True))
    assert receive(rig, short) == [b"y" * 60] * c.BATCH


def test_null_gives_nothing_and_counts_what_it_swallows() -> None:
    rig = Rig()
    source, null = rig.add(1, replay_queue(FRAMES, endless=False)), rig.add(2, null_queue())
    assert receive(rig, null) == []
    assert forward(rig, source, null) == len(FRAMES)
    assert rig.counter(null, c.QUEUE_TX_PACKETS) == len(FRAMES)
    assert rig.counter(null, c.QUEUE_TX_BYTES) == sum(map(len, FRAMES))


def test_memory_rings_both_ways() -> None:
    rig, to_switch, from_switch = Rig(), MemoryRing(), MemoryRing()
    q = rig.add(1, memory_ring_queue(to_switch, from_switch))
    assert receive(rig, q) == []
    for frame in FRAMES:
        assert to_switch.push(frame)
    assert forward(rig, q, q) == len(FRAMES)
    assert from_switch.pop(100) == FRAMES
    assert receive(rig, q) == []
    to_switch.close()
    from_switch.close()


def test_a_full_memory_ring_drops_and_counts() -> None:
    rig, to_switch, from_switch = Rig(), MemoryRing(1 << 17), MemoryRing(1 << 17)
    q, source = (
        rig.add(1, memory_ring_queue(to_switch, from_switch)),
        rig.add(2, replay_queue([b"x" * 9000], endless=True)),
    )
    for _ in range(4):
        forward(rig, source, q)
    sent, dropped = rig.counter(q, c.QUEUE_TX_PACKETS), rig.counter(q, c.QUEUE_TX_DROPS)
    assert sent + dropped == 4 * c.BIG_ROWS_RX
    assert len(from_switch.pop(100)) == sent == 14
    to_switch.close()
    from_switch.close()


def test_a_memory_ring_gets_complete_checksums() -> None:
    rig, to_switch, from_switch = Rig(), MemoryRing(), MemoryRing()
    q = rig.add(1, memory_ring_queue(to_switch, from_switch))
    row = rig.put(b"\x00" * 34 + b"\x12\x34" + bytes(24), 1 | 34 << 48, 16)
    jit_rig.tx(rig.arena, rig.buffers, IO, q, row)
    rig.flush()
    (frame,) = from_switch.pop(2)
    assert frame[50:52] == (~0x1234 & 0xFFFF).to_bytes(2, "big")
    to_switch.close()
    from_switch.close()


def test_a_tap_carries_vnet_headers_and_packets_of_all_lengths(tap_pair: tuple[CompiledQueue, socket.socket]) -> None:
    rig, (queue, far) = Rig(), tap_pair
    q = rig.add(1, queue)
    header = bytes((1, 1)) + b"\x36\x00" + b"\xa8\x05" + b"\x22\x00" + b"\x10\x00"
    for length in (60, 1514, c.ROW_ROOM, c.ROW_ROOM + 1, 65_550):
        packet = bytes(i % 253 for i in range(length))
        far.send(header + packet)
        assert receive(rig, q) == [packet]
        assert rig.vnet(0) == (0x0022_05A8_0036_0101, 16)
        jit_rig.tx(rig.arena, rig.buffers, IO, q, 0)
        rig.flush()
        assert far.recv(70_000) == header + packet
    far.send(b"short")
    far.send(bytes((2, 0)) + bytes(8) + b"x" * 60)
    assert receive(rig, q) == [b"x" * 60]
    assert rig.vnet(0) == (0, 0)
    assert rig.counter(q, c.QUEUE_RX_DROPS) == 1


def test_what_a_device_does_not_take_is_counted(tap_pair: tuple[CompiledQueue, socket.socket]) -> None:
    rig, (queue, far) = Rig(), tap_pair
    q, source = rig.add(1, queue), rig.add(2, replay_queue([b"x" * 1500], endless=True))
    for _ in range(40):
        forward(rig, source, q)
    sent, dropped = rig.counter(q, c.QUEUE_TX_PACKETS), rig.counter(q, c.QUEUE_TX_DROPS)
    assert sent + dropped == 40 * c.BATCH
    assert dropped
    far.close()
    forward(rig, source, q)
    assert rig.counter(q, c.QUEUE_TX_ERRORS) == c.BATCH
    assert rig.counter(q, c.QUEUE_TX_ERRNO) in (errno.EPIPE, errno.ECONNRESET)


def test_outputs_to_several_queues_keep_their_order() -> None:
    rig, first, second = Rig(), MemoryRing(), MemoryRing()
    one, two = rig.add(1, memory_ring_queue(first, first)), rig.add(2, memory_ring_queue(second, second))
    source = rig.add(3, replay_queue([bytes([i]) * 60 for i in range(200)], endless=False))
    while n := jit_rig.rx(rig.arena, rig.buffers, IO, source, c.BATCH):
        for row in range(n):
            for q in (one, two, one, two, one):
                jit_rig.tx(rig.arena, rig.buffers, IO, q, row)
        rig.flush()
    assert first.pop(1000) == [bytes([i]) * 60 for i in range(200) for _ in range(3)]
    assert second.pop(1000) == [bytes([i]) * 60 for i in range(200) for _ in range(2)]
    first.close()
    second.close()


@pytest.mark.parametrize("size", [1448, 100])
def test_a_large_segment_reaches_a_memory_ring_in_parts(size: int) -> None:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    rig, to_switch, from_switch = Rig(), MemoryRing(), MemoryRing()
    q = rig.add(1, memory_ring_queue(to_switch, from_switch))
    packet = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP() / TCP() / bytes(60_000))
    row = rig.put(packet, 1 | c.GSO_TCPV4 << 8 | size << 32 | 34 << 48, 16)
    assert f.TCP_SRC.get(rig.key(row)) == 20
    jit_rig.tx(rig.arena, rig.buffers, IO, q, row)
    rig.flush()
    frames = from_switch.pop(1000)
    assert len(frames) == -(-60_000 // size)
    assert sum(len(frame) - 54 for frame in frames) == 60_000
    to_switch.close()
    from_switch.close()
