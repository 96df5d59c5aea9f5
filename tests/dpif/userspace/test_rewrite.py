"""The plain meaning of actions, held to scapy's idea of packets."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet

from jackfield.dpif import actions as a
from jackfield.dpif.userspace import rewrite
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
IPV4 = IP(src="10.0.0.1", dst="10.0.0.2", ttl=64, tos=0)
IPV6 = IPv6(src="fd00::1", dst="fd00::2", hlim=64)
OUT = a.Output(DpPort(1))


def sent(packet: Packet | bytes, *actions: a.DpAction, vnet: rewrite.Vnet = rewrite.NO_OFFLOAD) -> list[rewrite.Sent]:
    data = bytes(packet)
    effects = rewrite.execute_actions(data, parse_packet(data).key, actions, vnet)
    return [effect for effect in effects if isinstance(effect, rewrite.Sent)]


def put(*pairs: tuple[f.Field, int]) -> a.SetMasked:
    value = mask = 0
    for field, wanted in pairs:
        value, mask = field.put(value, wanted), mask | field.mask
    return a.SetMasked(value, mask)


ADDRESSES = put((f.IP_SRC, 0x0B000001), (f.IP_DST, 0x0B000002), (f.NW_TTL, 63), (f.IP_TOS, 0xB8))
NEW_IPV4 = IP(src="11.0.0.1", dst="11.0.0.2", ttl=63, tos=0xB8)
NET6 = 0xFD01 << 112
ADDRESSES6 = put((f.IPV6_SRC, NET6 | 1), (f.IPV6_DST, NET6 | 2), (f.NW_TTL, 63), (f.IPV6_LABEL, 0x12345))
NEW_IPV6 = IPv6(src="fd01::1", dst="fd01::2", hlim=63, fl=0x12345)
PORTS = put((f.TP_SRC, 1111), (f.TP_DST, 2222))


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        (ETHER / IPV4 / UDP(), put((f.ETH_DST, 7)), Ether(src=ETHER.src, dst="00:00:00:00:00:07") / IPV4 / UDP()),
        (ETHER / IPV4 / TCP(sport=1, dport=2) / b"odd", ADDRESSES, ETHER / NEW_IPV4 / TCP(sport=1, dport=2) / b"odd"),
        (ETHER / IPV4 / UDP(sport=1, dport=2) / b"x", PORTS, ETHER / IPV4 / UDP(sport=1111, dport=2222) / b"x"),
        (ETHER / IPV4 / ICMP(id=9), put((f.TP_SRC, 0), (f.TP_DST, 4)), ETHER / IPV4 / ICMP(type=0, code=4, id=9)),
        (ETHER / IPV6 / TCP(sport=1, dport=2) / b"x", ADDRESSES6, ETHER / NEW_IPV6 / TCP(sport=1, dport=2) / b"x"),
        (ETHER / IPV6 / UDP(sport=1, dport=2), PORTS, ETHER / IPV6 / UDP(sport=1111, dport=2222)),
        (
            ETHER / IPV4 / SCTP(sport=1, dport=2) / SCTPChunkData(data=b"abcd"),
            PORTS,
            ETHER / IPV4 / SCTP(sport=1111, dport=2222) / SCTPChunkData(data=b"abcd"),
        ),
        (
            ETHER / IPV6 / ICMPv6ND_NS(tgt="fd00::3") / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"),
            put((f.ND_TARGET, 0xFD00 << 112 | 5), (f.ND_SLL, 0x020000000009)),
            ETHER / IPV6 / ICMPv6ND_NS(tgt="fd00::5") / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:09"),
        ),
        (
            ETHER / ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", hwdst="00:00:00:00:00:00", pdst="10.0.0.2"),
            put((f.ARP_OP, 2), (f.ARP_SPA, 0x0A000002), (f.ARP_TPA, 0x0A000001), (f.ARP_SHA, 5), (f.ARP_THA, 6)),
            ETHER / ARP(op=2, hwsrc="00:00:00:00:00:05", psrc="10.0.0.2", hwdst="00:00:00:00:00:06", pdst="10.0.0.1"),
        ),
        (ETHER / Dot1Q(vlan=5, id=1) / IPV4, put((f.VLAN_VID, 9)), ETHER / Dot1Q(vlan=9, id=1) / IPV4),
        (ETHER / IPV4 / UDP(chksum=0) / b"x", ADDRESSES, ETHER / NEW_IPV4 / UDP(chksum=0) / b"x"),
    ],
)  # fmt: skip
def test_setting_fields(before: Packet, action: a.SetMasked, after: Packet) -> None:
    mask = action.mask & ~(f.VLAN_CFI << f.VLAN_TCI.offset)
    (effect,) = sent(before, a.SetMasked(action.value & mask, mask), OUT)
    assert effect.packet.hex() == bytes(after).hex()


def test_fields_of_headers_that_are_not_there_stay_away() -> None:
    packet = bytes(ETHER / IPV4 / UDP())[:30]
    assert sent(packet, ADDRESSES, PORTS, ADDRESSES6, OUT)[0].packet == packet
    assert sent(b"short", put((f.ETH_SRC, 1)), a.PushVlan(0x8100, 0x1005), a.PopVlan(), OUT)[0].packet == b"short"


def test_tags_move_what_lies_behind() -> None:
    vnet = rewrite.Vnet(1, 1, 54, 1448, 34, 16)
    packet = bytes(ETHER / IPV4 / TCP())
    tagged, plain = sent(packet, a.PushVlan(0x88A8, 0x3007), OUT, a.PopVlan(), OUT, vnet=vnet)
    assert tagged.packet == packet[:12] + bytes.fromhex("88a82007") + packet[12:]
    assert tagged.vnet == rewrite.Vnet(1, 1, 58, 1448, 38, 16)
    assert (plain.packet, plain.vnet) == (packet, vnet)
    assert rewrite.Vnet.from_words(*vnet.words()) == vnet


def test_what_a_clone_does_shows_nowhere_else() -> None:
    packet = bytes(ETHER / IPV4 / UDP())
    first, second = sent(packet, a.Clone((put((f.ETH_SRC, 1)), OUT)), OUT)
    assert first.packet[6:12] == bytes((0, 0, 0, 0, 0, 1))
    assert second.packet == packet


def test_truncation_is_for_the_next_output_only() -> None:
    packet = bytes(ETHER / IPV4 / UDP() / bytes(100))
    short, whole = sent(packet, a.Truncate(40), OUT, OUT)
    assert (short.packet, whole.packet) == (packet[:40], packet)


def test_a_truncated_packet_has_its_checksum_complete() -> None:
    whole = bytes(ETHER / IPV4 / TCP() / bytes(100))
    partial = bytearray(whole)
    segment = len(whole) - 34
    pseudo = rewrite._sum(whole[26:34] + bytes((0, 6)) + segment.to_bytes(2, "big"))
    partial[50:52] = pseudo.to_bytes(2, "big")
    (effect,) = sent(bytes(partial), a.Truncate(60), OUT, vnet=rewrite.Vnet(1, 0, 0, 0, 34, 16))
    assert effect == rewrite.Sent(DpPort(1), whole[:60])


def test_recirculation_carries_the_key_as_it_is_now() -> None:
    packet = bytes(ETHER / IPV4 / UDP())
    key = f.PKT_MARK.put(parse_packet(packet, 3).key, 77)
    (effect,) = rewrite.execute_actions(packet, key, (a.PushVlan(0x8100, 0x1005), a.Recirc(9)))
    assert isinstance(effect, rewrite.Recirculated)
    assert effect.key == f.RECIRC_ID.put(f.PKT_MARK.put(parse_packet(effect.packet, 3).key, 77), 9)


def test_hand_up_and_drop() -> None:
    action = a.Userspace(b"cookie")
    packet = bytes(ETHER / IPV4 / UDP())
    effects = rewrite.execute_actions(packet, parse_packet(packet).key, (a.Truncate(20), action, a.Drop(4)))
    assert effects == [rewrite.HandedUp(action, packet[:20]), rewrite.Dropped(4)]
    sample = a.Sample(5, (OUT,))
    assert rewrite.execute_actions(packet, 0, (sample,)) == []
    assert len(rewrite.execute_actions(packet, 0, (sample,), chance=lambda probability: probability == 5)) == 1
