"""What forwarding leaves behind for the next packet."""

from collections.abc import Sequence

from jackfield.clock import Clock
from jackfield.dpif.actions import Output, PopVlan
from jackfield.dpif.dummy import DummyDpif
from jackfield.dpif.provider import FlowPut, Upcall, UpcallReply
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from jackfield.netdev.dummy import DummyNetdev
from tests.dpif.conformance import frame

ALWAYS = f.DP_IN_PORT.mask | f.RECIRC_ID.mask
IPV6 = bytes.fromhex("60000000 0008 11 40") + bytes(range(32)) + bytes.fromhex("0007 0008 0008 0000")


def test_headers_of_one_packet_do_not_show_in_the_next() -> None:
    """Wide headers that a pop uncovers, and those of the packet before, are gone from the next packet's key."""
    dpif = DummyDpif("keys", Clock(held_at=1), create=True)
    device = DummyNetdev("p1")
    device.open()
    dpif.port_add(device, DpPort(1))
    seen: list[Upcall] = []

    def callback(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
        seen.extend(upcalls)
        return [UpcallReply(()) for _ in upcalls]

    dpif.register_upcall_cb(callback)
    dpif.enable_upcall()
    try:
        head = frame()[:12]
        tagged = head + bytes.fromhex("88a80001 88a80002 81000003 86dd") + IPV6
        mask = ALWAYS | f.VLAN_TCI.mask
        key = parse_packet(tagged, 1).key & mask
        dpif.operate([FlowPut(1, key, mask, (PopVlan(), Output(DpPort(1))))])
        for packet in (tagged, frame(), head + b"\x86\xdd" + IPV6, frame(), head + b"\x88\xcc" + bytes(46)):
            device.receive(packet)
        assert [up.key for up in seen] == [parse_packet(up.packet, 1).key for up in seen]
        assert len(seen) == 4
    finally:
        dpif.destroy()
        device.close()
