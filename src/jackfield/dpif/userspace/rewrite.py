"""What the actions of a datapath mean, in plain Python.

This is the twin of `jit_actions` and `jit_set`: tests run both on the same packets. It is written to be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from jackfield.dpif import actions as a
from jackfield.dpif.userspace.actions_code import EVERY, hash_l4
from jackfield.flow import fields as f
from jackfield.flow import parse as p
from jackfield.flow.checksum import crc32c, internet_checksum
from jackfield.flow.ports import DpPort

NEEDS_CSUM: Final = 1
"""``VIRTIO_NET_HDR_F_NEEDS_CSUM``"""


@dataclass(frozen=True, slots=True)
class Vnet:
    """A packet's ``struct virtio_net_hdr``: what the device has still to do. Offsets and sizes are in bytes."""

    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0

    @classmethod
    def from_words(cls, first: int, csum_offset: int) -> Vnet:
        """From the two words of a packet row (`jackfield.netdev.compiled`)."""
        parts = (first & 0xFF, first >> 8 & 0xFF, first >> 16 & 0xFFFF, first >> 32 & 0xFFFF, first >> 48 & 0xFFFF)
        return cls(*parts, csum_offset)

    def words(self) -> tuple[int, int]:
        """The two words of a packet row, the first as a signed integer."""
        first = self.flags | self.gso_type << 8 | self.hdr_len << 16 | self.gso_size << 32 | self.csum_start << 48
        return first - (1 << 64) if first >> 63 else first, self.csum_offset

    def moved(self, by: int) -> Vnet:
        """The header after everything behind the Ethernet addresses moved by `by` bytes."""
        return replace(
            self,
            hdr_len=(self.hdr_len + by) & 0xFFFF if self.hdr_len else 0,
            csum_start=(self.csum_start + by) & 0xFFFF if self.flags & NEEDS_CSUM else 0,
        )


NO_OFFLOAD: Final = Vnet()


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet went to a port."""

    port: DpPort
    packet: bytes
    vnet: Vnet = NO_OFFLOAD


@dataclass(frozen=True, slots=True)
class HandedUp:
    """A packet went to user space, perhaps truncated."""

    action: a.Userspace
    packet: bytes
    vnet: Vnet = NO_OFFLOAD


@dataclass(frozen=True, slots=True)
class Recirculated:
    """A packet is to be looked up again; `key` is its key, with `recirc_id`."""

    packet: bytes
    key: int
    vnet: Vnet = NO_OFFLOAD


@dataclass(frozen=True, slots=True)
class Dropped:
    """A drop action ended a list."""

    reason: int


Effect: TypeAlias = Sent | HandedUp | Recirculated | Dropped


@dataclass(slots=True)
class _Packet:
    data: bytearray
    key: int
    vnet: Vnet
    truncate: int = 0
    effects: list[Effect] = field(default_factory=list)

    def copy(self) -> _Packet:
        return _Packet(bytearray(self.data), self.key, self.vnet, self.truncate, self.effects)


def execute_actions(
    packet: bytes,
    key: int,
    actions: a.DpActions,
    vnet: Vnet = NO_OFFLOAD,
    chance: Callable[[int], bool] = lambda probability: probability == EVERY,
) -> list[Effect]:
    """What actions do with a packet.

    Args:
        packet: the frame.
        key: its key; the packet's part is what `parse_packet` says.
        actions: what to do.
        vnet: its vnet header.
        chance: whether to take a sample of a probability.

    Returns:
        What happened, in order.
    """
    state = _Packet(bytearray(packet), key, vnet)
    _run(state, actions, chance)
    return state.effects


def _run(packet: _Packet, actions: a.DpActions, chance: Callable[[int], bool]) -> None:
    for action in actions:
        match action:
            case a.Output(port):
                data, vnet = _truncated(packet)
                packet.effects.append(Sent(port, data, vnet))
            case a.Userspace():
                limit = packet.truncate or len(packet.data)
                packet.truncate = 0
                packet.effects.append(HandedUp(action, bytes(packet.data[:limit]), packet.vnet))
            case a.SetMasked(value, mask):
                _set_fields(packet, value, mask)
            case a.PushVlan(tpid, tci):
                if len(packet.data) >= 14:
                    packet.data[12:12] = (tpid << 16 | tci & ~f.VLAN_CFI).to_bytes(4, "big")
                    packet.vnet = packet.vnet.moved(4)
                    _parse_again(packet)
            case a.PopVlan():
                if len(packet.data) >= 18 and int.from_bytes(packet.data[12:14], "big") in p.VLAN_ETH_TYPES:
                    del packet.data[12:16]
                    packet.vnet = packet.vnet.moved(-4)
                    _parse_again(packet)
            case a.Truncate(max_len):
                packet.truncate = max_len
            case a.Hash(_, basis):
                packet.key = f.DP_HASH.put(packet.key, hash_l4(packet.key, basis))
            case a.Recirc(recirc_id):
                _parse_again(packet)
                key = f.RECIRC_ID.put(packet.key, recirc_id)
                packet.effects.append(Recirculated(bytes(packet.data), key, packet.vnet))
            case a.Sample(probability, body):
                if chance(probability):
                    _run(packet.copy(), body, chance)
            case a.Clone(body):
                _run(packet.copy(), body, chance)
            case a.Drop(reason):
                packet.effects.append(Dropped(reason))


def _truncated(packet: _Packet) -> tuple[bytes, Vnet]:
    """What an output sends: all of it, or the part that a truncation left, with its checksum complete."""
    limit, packet.truncate = packet.truncate, 0
    if not limit or len(packet.data) <= limit:
        return bytes(packet.data), packet.vnet
    return complete_checksum(bytes(packet.data), *packet.vnet.words())[:limit], NO_OFFLOAD


def _parse_again(packet: _Packet) -> None:
    packet.key = p.parse_packet(packet.data, metadata=packet.key & METADATA_MASK).key


METADATA_MASK: Final = sum(((1 << 64) - 1) << 64 * word for word in (0, *range(7, 13), *range(27, 40)))
"""The words of a key that do not come from the packet's bytes."""


def complete_checksum(packet: bytes, vnet: int, csum_offset: int) -> bytes:
    """The packet with its partial checksum, if it has one, completed.

    Args:
        packet: the whole frame.
        vnet: the first word of its vnet header,
        csum_offset: and the second (`jackfield.netdev.compiled`).
    """
    header = Vnet.from_words(vnet, csum_offset)
    field = header.csum_start + header.csum_offset
    if not header.flags & NEEDS_CSUM or field + 2 > len(packet):
        return packet
    data = bytearray(packet)
    parsed = p.parse_packet(packet)
    sctp = f.NW_PROTO.get(parsed.key) == p.IPPROTO_SCTP and parsed.l4 == header.csum_start
    if sctp and header.csum_offset == 8 and parsed.end - parsed.l4 >= 12:
        data[field : field + 4] = bytes(4)
        data[field : field + 4] = crc32c(data[parsed.l4 : parsed.end]).to_bytes(4, "little")
        return bytes(data)
    checksum = internet_checksum(data[header.csum_start :])
    # The sum includes what is in the field: the sum of the pseudo header.
    data[field : field + 2] = (checksum or 0xFFFF).to_bytes(2, "big")
    return bytes(data)


# -- setting fields ----------------------------------------------------------------------------------------------------


def _set_fields(packet: _Packet, value: int, mask: int) -> None:
    """Set each field that the packet has; the others stay as they are."""
    for word in range(f.DATAPATH_WORDS):
        in_word = mask & ((1 << 64) - 1) << 64 * word
        if in_word:
            _set_word(packet, value & in_word, in_word)


def _set_word(packet: _Packet, value: int, mask: int) -> None:
    old = packet.key
    if old & mask == value:
        return
    headers = _Headers(packet)
    for place in headers.places:
        wanted = mask & place.field.mask
        if wanted and (old ^ value) & wanted:
            new = old & ~wanted | value & wanted
            headers.write(place, place.field.get(new))
            packet.key = packet.key & ~wanted | value & wanted
    metadata = mask & METADATA_MASK
    packet.key = packet.key & ~metadata | value & metadata


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a field is in a packet: `shift` bits above the low end of `size` bytes at `offset`.

    `covered` says which checksums sum these bytes: the IPv4 header's, the pseudo header's part of the transport's, the
    transport's own.
    """

    field: f.Field
    offset: int
    size: int
    shift: int = 0
    covered: str = ""


class _Headers:
    """The headers of a packet, as far as they are whole: where fields are, and which checksums follow them."""

    def __init__(self, packet: _Packet) -> None:
        self._packet = packet
        self._data = packet.data
        self.places: list[_Place] = []
        self._l4 = self._protocol = -1
        parsed = p.parse_packet(packet.data)
        self._end = parsed.end
        self._l3 = l3 = parsed.l3
        key = parsed.key
        if len(self._data) < 14:
            return
        self.places += [_Place(f.ETH_DST, 0, 6), _Place(f.ETH_SRC, 6, 6)]
        if f.VLAN_TCI.get(key) & f.VLAN_CFI:
            self.places.append(_Place(_TCI, 14, 2))
        eth_type = f.ETH_TYPE.get(key)
        if eth_type == p.ETH_TYPE_IPV4 and parsed.l4 >= 0:
            self.places += [
                _Place(f.IP_TOS, l3 + 1, 1, 0, "ip"),
                _Place(f.NW_TTL, l3 + 8, 1, 0, "ip"),
                _Place(f.IP_SRC, l3 + 12, 4, 0, "ip pseudo"),
                _Place(f.IP_DST, l3 + 16, 4, 0, "ip pseudo"),
            ]
            self._find_transport(parsed, _L4_HEADER_BYTES_IPV4)
        elif eth_type == p.ETH_TYPE_IPV6 and (f.IPV6_SRC.get(key) or f.IPV6_DST.get(key) or parsed.l4 >= 0):
            routed = _is_routed(self._data, l3, parsed.end)
            self.places += [
                _Place(f.IPV6_SRC, l3 + 8, 16, 0, "pseudo"),
                _Place(f.IPV6_DST, l3 + 24, 16, 0, "" if routed else "pseudo"),
            ]
            if parsed.l4 >= 0:
                self.places += [
                    _Place(f.IP_TOS, l3, 4, 20),
                    _Place(f.NW_TTL, l3 + 7, 1),
                    _Place(f.IPV6_LABEL, l3, 4),
                ]
                self._find_transport(parsed, _L4_HEADER_BYTES_IPV6)
        elif eth_type in (p.ETH_TYPE_ARP, p.ETH_TYPE_RARP) and _is_arp(self._data, l3):
            self.places += [
                _Place(f.ARP_OP, l3 + 6, 2),
                _Place(f.ARP_SHA, l3 + 8, 6),
                _Place(f.ARP_SPA, l3 + 14, 4),
                _Place(f.ARP_THA, l3 + 18, 6),
                _Place(f.ARP_TPA, l3 + 24, 4),
            ]
        elif eth_type in p.MPLS_ETH_TYPES and len(self._data) - l3 >= 0 and len(self._data) - parsed.l2_5 >= 4:
            self.places.append(_Place(f.MPLS_LSES[0], parsed.l2_5, 4))

    def _find_transport(self, parsed: p.Parsed, sizes: dict[int, int]) -> None:
        protocol = f.NW_PROTO.get(parsed.key)
        l4 = parsed.l4
        if f.NW_FRAG.get(parsed.key) & f.NW_FRAG_LATER or self._end - l4 < sizes.get(protocol, 1 << 16):
            return
        self._l4, self._protocol = l4, protocol
        if protocol in (p.IPPROTO_TCP, p.IPPROTO_UDP, p.IPPROTO_SCTP):
            self.places += [_Place(f.TP_SRC, l4, 2, 0, "own"), _Place(f.TP_DST, l4 + 2, 2, 0, "own")]
        else:
            self.places += [_Place(_ICMP_TYPE, l4, 1, 0, "own"), _Place(_ICMP_CODE, l4 + 1, 1, 0, "own")]
        if protocol == p.IPPROTO_ICMPV6 and bytes(self._data[l4 : l4 + 2]) in _NEIGHBOUR and self._end - l4 >= 24:
            self._find_neighbour(parsed.key, l4)

    def _find_neighbour(self, key: int, l4: int) -> None:
        """Neighbour discovery: what the key does not hold, because the message contradicts itself, is not to be set."""
        if int.from_bytes(self._data[l4 + 8 : l4 + 24], "big") == f.ND_TARGET.get(key):
            self.places.append(_Place(f.ND_TARGET, l4 + 8, 16, 0, "own"))
        for option, address in ((p.ND_OPT_SOURCE_LINKADDR, f.ND_SLL), (p.ND_OPT_TARGET_LINKADDR, f.ND_TLL)):
            place = _find_option(self._data, l4 + 24, self._end, option, address.get(key))
            if place is not None:
                self.places.append(_Place(address, place + 2, 6, 0, "own"))

    def write(self, place: _Place, value: int) -> None:
        """Put a field's value into the packet; the checksums that cover it follow."""
        at = slice(place.offset, place.offset + place.size)
        before = bytes(self._data[at])
        old = int.from_bytes(before, "big")
        mask = place.field.max_value << place.shift
        crc_before = self._crc()
        self._data[at] = (old & ~mask | value << place.shift).to_bytes(place.size, "big")
        if place.field is _TCI:
            self._data[place.offset] = before[0] & 0x10 | self._data[place.offset] & 0xEF
        if "ip" in place.covered.split():
            self._update(self._l3 + 10, place, before)
        if "pseudo" in place.covered or "own" in place.covered:
            self._update_transport(place, before, crc_before)

    def _crc(self) -> int:
        """SCTP's checksum as it should be, 0 for other packets."""
        if self._protocol != p.IPPROTO_SCTP or self._partial(8):
            return 0
        data = bytearray(self._data[self._l4 : self._end])
        data[8:12] = bytes(4)
        return crc32c(data)

    def _update_transport(self, place: _Place, before: bytes, crc_before: int) -> None:
        if self._protocol == p.IPPROTO_SCTP and "own" in place.covered and not self._partial(8):
            crc_at = slice(self._l4 + 8, self._l4 + 12)
            crc = int.from_bytes(self._data[crc_at], "little") ^ crc_before ^ self._crc()
            self._data[crc_at] = crc.to_bytes(4, "little")
        offset = _CSUM_OFFSETS.get(self._protocol)
        if offset is None or (self._protocol in _WITHOUT_PSEUDO_HEADER and "own" not in place.covered):
            return
        partial = self._partial(offset)
        if partial and "pseudo" not in place.covered:
            return
        at = self._l4 + offset
        if self._protocol == p.IPPROTO_UDP and not partial and self._data[at : at + 2] == b"\0\0":
            return
        self._update(at, place, before, partial=partial)
        if self._protocol == p.IPPROTO_UDP and not partial and self._data[at : at + 2] == b"\0\0":
            self._data[at : at + 2] = b"\xff\xff"

    def _partial(self, offset: int) -> bool:
        vnet = self._packet.vnet
        return bool(vnet.flags & NEEDS_CSUM) and (vnet.csum_start, vnet.csum_offset) == (self._l4, offset)

    def _update(self, at: int, place: _Place, before: bytes, *, partial: bool = False) -> None:
        """RFC 1624 equation 3; a partial checksum is a sum, not inverted."""
        after = self._data[place.offset : place.offset + place.size]
        odd = place.offset - at & 1
        old, new = (_sum(b"\0" * odd + part) for part in (before, bytes(after)))
        checksum = int.from_bytes(self._data[at : at + 2], "big")
        if partial:
            checksum = _fold(checksum + (~old & 0xFFFF) + new)
        else:
            checksum = ~_fold((~checksum & 0xFFFF) + (~old & 0xFFFF) + new) & 0xFFFF
        self._data[at : at + 2] = checksum.to_bytes(2, "big")


def _fold(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _sum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) & 1)
    return _fold(sum(int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2)))


def _is_arp(data: bytearray, l3: int) -> bool:
    return len(data) - l3 >= 28 and data[l3 : l3 + 6] == b"\x00\x01\x08\x00\x06\x04"


def _is_routed(data: bytearray, l3: int, end: int) -> bool:
    """Whether a routing header among the extension headers has segments left (RFC 8200 section 4.4)."""
    protocol, place, routed = data[l3 + 6], l3 + 40, False
    while protocol in (p.IPPROTO_HOPOPTS, p.IPPROTO_ROUTING, p.IPPROTO_DSTOPTS, p.IPPROTO_AH, p.IPPROTO_FRAGMENT):
        if end - place < 8:
            break
        if protocol == p.IPPROTO_FRAGMENT and int.from_bytes(data[place + 2 : place + 4], "big") & 0xFFF8:
            break
        routed = routed or (protocol == p.IPPROTO_ROUTING and data[place + 3] > 0)
        units = {p.IPPROTO_FRAGMENT: 8, p.IPPROTO_AH: (data[place + 1] + 2) * 4}
        protocol, place = data[place], place + units.get(protocol, (data[place + 1] + 1) * 8)
    return routed


def _find_option(data: bytearray, place: int, end: int, kind: int, address: int) -> int | None:
    """Where the first neighbour discovery option of a kind with a link address begins."""
    wanted = bytes((kind, 1)) + address.to_bytes(6, "big")
    while end - place >= 8 and 0 < data[place + 1] * 8 <= end - place:
        if data[place : place + 8] == wanted:
            return place
        place += data[place + 1] * 8
    return None


_TCI: Final = replace(f.VLAN_TCI, mask=0xEFFF << f.VLAN_TCI.offset)
_ICMP_TYPE: Final = replace(f.TP_SRC, mask=0xFF << f.TP_SRC.offset)
_ICMP_CODE: Final = replace(f.TP_DST, mask=0xFF << f.TP_DST.offset)
_NEIGHBOUR: Final = (bytes((p.ND_NEIGHBOR_SOLICIT, 0)), bytes((p.ND_NEIGHBOR_ADVERT, 0)))
_CSUM_OFFSETS: Final = {
    p.IPPROTO_TCP: 16,
    p.IPPROTO_UDP: 6,
    p.IPPROTO_ICMP: 2,
    p.IPPROTO_IGMP: 2,
    p.IPPROTO_ICMPV6: 2,
}
_WITHOUT_PSEUDO_HEADER: Final = (p.IPPROTO_ICMP, p.IPPROTO_IGMP)
_L4_HEADER_BYTES: Final = {p.IPPROTO_TCP: 20, p.IPPROTO_UDP: 8, p.IPPROTO_SCTP: 12}
_L4_HEADER_BYTES_IPV4: Final = {**_L4_HEADER_BYTES, p.IPPROTO_ICMP: 8, p.IPPROTO_IGMP: 8}
_L4_HEADER_BYTES_IPV6: Final = {**_L4_HEADER_BYTES, p.IPPROTO_ICMPV6: 4}
