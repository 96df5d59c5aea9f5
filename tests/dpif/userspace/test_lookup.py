"""The compiled lookup and its plain twin on the same packets."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.clock import Clock
from jackfield.dpif.dummy import DummyDpif
from jackfield.dpif.provider import FlowDel, FlowGet, FlowPut
from jackfield.dpif.userspace.lookup import Megaflow, fitting
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from jackfield.netdev.dummy import DummyNetdev
from tests.dpif.conformance import frame

ALWAYS = f.DP_IN_PORT.mask | f.RECIRC_ID.mask
FIELDS = (f.ETH_SRC, f.ETH_DST, f.ETH_TYPE, f.IP_SRC, f.IP_DST, f.NW_PROTO, f.TP_SRC, f.TP_DST, f.NW_TTL, f.VLAN_TCI,
          f.IPV6_SRC, f.IPV6_DST, f.ARP_SHA)  # fmt: skip


def packets(chance: random.Random) -> list[bytes]:
    """Packets of few values, so that flows hit many of them."""
    made = []
    for _ in range(40):
        head = bytes([0, 0, 0, 0, 0, chance.randrange(3), 2, 0, 0, 0, 0, chance.randrange(3)])
        if chance.random() < 0.3:
            head += bytes.fromhex("81000005")
        kind = chance.randrange(4)
        if kind == 0:
            body = b"\x08\x00" + frame()[14:26] + bytes([10, 0, 0, chance.randrange(3), 10, 0, 0, 1]) + frame()[34:]
        elif kind == 1:
            addresses = bytes(15) + bytes([chance.randrange(3)]) + bytes(15) + bytes([chance.randrange(2)])
            body = (
                b"\x86\xdd\x60\x00\x00\x00\x00\x08\x11\x40"
                + addresses
                + bytes([0, 7, 0, chance.randrange(2), 0, 8, 0, 0])
            )
        elif kind == 2:
            body = bytes.fromhex("080600010800060400010200000000") + bytes([chance.randrange(3)]) + bytes(16)
        else:
            body = bytes.fromhex("88cc") + bytes(50)
        made.append((head + body).ljust(60, b"\0"))
    return made


@pytest.fixture
def dummy() -> Iterator[tuple[DummyDpif, DummyNetdev]]:
    dpif = DummyDpif("twin", Clock(held_at=1), create=True)
    device = DummyNetdev("p1")
    device.open()
    dpif.port_add(device, DpPort(1))
    yield dpif, device
    dpif.destroy()
    device.close()


def test_fitting() -> None:
    flows = [Megaflow(1, 0x10, 0xF0), Megaflow(2, 0x1, 0xF), Megaflow(3, 0, 0)]
    assert fitting(flows, 0x11) == {1, 2, 3}
    assert fitting(flows, 0x20) == {3}
    assert fitting([], 5) == set()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_twins_agree(seed: int) -> None:
    """Each packet is counted by a flow that the twin finds, whatever comes and goes between the packets."""
    chance = random.Random(seed)
    dpif = DummyDpif("twins", Clock(held_at=1), create=True)
    device = DummyNetdev("p1")
    device.open()
    dpif.port_add(device, DpPort(1))
    try:
        traffic = packets(chance)
        flows: dict[int, Megaflow] = {}
        for step in range(60):
            for _ in range(chance.randrange(4)):
                mask = ALWAYS
                for field in chance.sample(FIELDS, chance.randrange(4)):
                    mask |= field.mask if chance.random() < 0.7 else field.mask & chance.getrandbits(2560)
                key = parse_packet(chance.choice(traffic), 1).key & mask
                if not any(flow.key == key and flow.mask == mask for flow in flows.values()):
                    dpif.operate([FlowPut(step * 10 + _, key, mask, ())])
                    flows[step * 10 + _] = Megaflow(step * 10 + _, key, mask)
            if flows and chance.random() < 0.5:
                ufid = chance.choice(list(flows))
                dpif.operate([FlowDel(ufid)])
                del flows[ufid]
            before = {ufid: _packets(dpif, ufid) for ufid in flows}
            misses = dpif.get_stats().misses
            packet = chance.choice(traffic)
            device.receive(packet)
            hit = {ufid for ufid in flows if _packets(dpif, ufid) != before[ufid]}
            expected = fitting(flows.values(), parse_packet(packet, 1).key)
            assert hit <= expected
            assert len(hit) == (1 if expected else 0)
            assert dpif.get_stats().misses - misses == (0 if expected else 1)
    finally:
        dpif.destroy()
        device.close()


def _packets(dpif: DummyDpif, ufid: int) -> int:
    op = FlowGet(ufid)
    dpif.operate([op])
    assert op.flow is not None
    return op.flow.stats.packets


def test_a_table_grows_and_shrinks(dummy: tuple[DummyDpif, DummyNetdev]) -> None:
    dpif, device = dummy
    mask = ALWAYS | f.ETH_SRC.mask
    frames = [frame(i) for i in range(5000)]
    keys = [parse_packet(packet, 1).key & mask for packet in frames]
    for first in range(0, 5000, 1000):
        dpif.operate([FlowPut(i, keys[i], mask, ()) for i in range(first, first + 1000)])
    gone = random.Random(1).sample(range(5000), 2500)
    dpif.operate([FlowDel(i) for i in gone])
    for packet in frames:
        device.receive(packet)
    assert dpif.get_stats().hits == 2500
    assert dpif.get_stats().misses == 2500
    left = set(range(5000)) - set(gone)
    assert all(_packets(dpif, i) == 1 for i in left)


def test_busy_tables_are_tried_first(dummy: tuple[DummyDpif, DummyNetdev]) -> None:
    """After enough lookups, a packet of the busiest table costs one probe, however many tables there are."""
    dpif, device = dummy
    for i in range(20):
        mask = ALWAYS | f.ETH_SRC.mask | ((1 << i) - 1) << f.ETH_DST.offset
        dpif.operate([FlowPut(i, parse_packet(frame(1000 + i), 1).key & mask, mask, ())])
    last = ALWAYS | f.ETH_SRC.mask | f.TP_SRC.mask
    busy = [frame(i) for i in range(20_000)]
    dpif.operate([FlowPut(100 + i, parse_packet(p, 1).key & last, last, ()) for i, p in enumerate(busy)])
    for packet in busy[:17_000]:
        device.receive(packet)
    before = dpif.get_stats()
    for packet in busy[17_000:17_100]:
        device.receive(packet)
    after = dpif.get_stats()
    assert after.hits - before.hits == 100
    assert after.mask_hits - before.mask_hits == 100
