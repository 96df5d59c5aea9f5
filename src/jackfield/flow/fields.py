"""The field table: every field of OpenFlow 1.0 to 1.5 and of ovs-fields(7), declared once.

A key, a mask and a set of wildcards are plain integers. Bit ``64 * word + shift`` is where a field begins; word 0 is
the lowest. No field straddles a 64-bit word (128-bit fields take two aligned words), except tunnel options, which are
as long as a controller says. Fields that exclude one another share a place: the addresses of ARP and IPv4, the ports of
TCP, UDP and SCTP and the type and code of ICMP. The first `DATAPATH_WORDS` words are what a datapath sees. Values are
held as the natural integer of their network-order form.

The neighbours: `prerequisites` says when a field exists, `match` makes (value, mask) pairs of fields, `tunnel_options`
adds the fields that a controller maps at run time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from jackfield.flow.prerequisites import Prerequisite

DATAPATH_WORDS: Final = 40
"""Words that a datapath sees; the pipeline's own fields lie above."""
PIPELINE_WORDS: Final = 52
"""Words without the 256 bytes of tunnel options at the top."""
TUN_METADATA_WORD: Final = 52
"""First word of the tunnel options."""
TUN_METADATA_BYTES: Final = 256
KEY_WORDS: Final = TUN_METADATA_WORD + TUN_METADATA_BYTES // 8
DATAPATH_MASK: Final = (1 << 64 * DATAPATH_WORDS) - 1
"""In-place mask of everything a datapath sees."""


class Form(Enum):
    """How a field's value is written (ovs-fields(7), "Format")."""

    DECIMAL = "decimal"
    HEX = "hexadecimal"
    MAC = "Ethernet"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    FRAG = "frag"
    TCP_FLAGS = "TCP flags"
    CT_STATE = "ct state"
    TUN_FLAGS = "tunnel flags"
    OFPORT10 = "OpenFlow 1.0 port"
    OFPORT = "OpenFlow 1.1+ port"
    PACKET_TYPE = "packet type"


class Masking(Enum):
    """Which masks a match may put on a field."""

    EXACT = "exact"
    PREFIX = "prefix"
    ANY = "any"


class OxmId(NamedTuple):
    """One number under which a field travels in NXM or OXM (OpenFlow 1.5.1 section 7.2.3.2).

    Attributes:
        name: as ovs-fields(7) has it.
        oxm_class: 16 bits; 0xffff for experimenter fields.
        number: 7 bits, the field number in its class.
        since: first OpenFlow wire version that has it; 1 for the Nicira extensions, which every version may use.
        experimenter: 32 bits, zero unless the class is 0xffff.
    """

    name: str
    oxm_class: int
    number: int
    since: int
    experimenter: int = 0

    def header(self, n_bytes: int, has_mask: bool = False) -> bytes:
        """The 4 header bytes, 8 for an experimenter field, of a match on a value of `n_bytes` (doubled by a mask)."""
        length = n_bytes * (1 + has_mask) + (4 if self.oxm_class == OXM_CLASS_EXPERIMENTER else 0)
        head = (self.oxm_class << 16 | self.number << 9 | has_mask << 8 | length).to_bytes(4, "big")
        return head + self.experimenter.to_bytes(4, "big") if self.oxm_class == OXM_CLASS_EXPERIMENTER else head


OXM_CLASS_NXM_0: Final = 0x0000
OXM_CLASS_NXM_1: Final = 0x0001
OXM_CLASS_ERICSSON: Final = 0x1000
OXM_CLASS_BASIC: Final = 0x8000
OXM_CLASS_PACKET_REGS: Final = 0x8001
OXM_CLASS_EXPERIMENTER: Final = 0xFFFF

NX_EXPERIMENTER: Final = 0x00002320
ONF_EXPERIMENTER: Final = 0x4F4E4600
NSH_EXPERIMENTER: Final = 0x005AD650

_CLASS_BY_PREFIX: Final = {
    "NXM_OF_": (OXM_CLASS_NXM_0, 0),
    "NXM_NX_": (OXM_CLASS_NXM_1, 0),
    "ERICOXM_OF_": (OXM_CLASS_ERICSSON, 0),
    "OXM_OF_PKT_REG": (OXM_CLASS_PACKET_REGS, 0),
    "OXM_OF_": (OXM_CLASS_BASIC, 0),
    "NXOXM_NSH_": (OXM_CLASS_EXPERIMENTER, NSH_EXPERIMENTER),
    "NXOXM_ET_": (OXM_CLASS_EXPERIMENTER, NX_EXPERIMENTER),
    "ONFOXM_ET_": (OXM_CLASS_EXPERIMENTER, ONF_EXPERIMENTER),
}


def oxm_id(name: str, number: int, since: int = 1) -> OxmId:
    """The number of a field by its NXM/OXM name, whose prefix says the class."""
    prefix = next(prefix for prefix in _CLASS_BY_PREFIX if name.startswith(prefix))
    oxm_class, experimenter = _CLASS_BY_PREFIX[prefix]
    return OxmId(name, oxm_class, number, since, experimenter)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of the key.

    Attributes:
        name: as ovs-fields(7) has it; what ovs-ofctl takes and `FIELD_BY_NAME` is keyed by.
        width: bits that actions can name (``name[0..width-1]``).
        offset: bit of the key where the value's bit 0 lies.
        mask: the field's bits, in place. Wider than `width` where the value says more than actions may touch: the
            "present" bit beside a VLAN id, the full number beside a 16-bit port.
        n_bytes: bytes of a value in NXM or OXM.
        form: how values are written.
        masking: which masks a match may have, in NXM, OXM and text.
        prerequisite: what else a packet must be for the field to exist.
        writable: whether actions may set it.
        aliases: further names that text may use.
        oxm: its numbers, oldest OpenFlow version first; empty for fields that never travel.
        of10: what a match of OpenFlow 1.0 may say; None where it cannot name the field.
        of11: the same for OpenFlow 1.1.
    """

    name: str
    width: int
    offset: int
    mask: int
    n_bytes: int
    form: Form
    masking: Masking
    prerequisite: Prerequisite
    writable: bool
    aliases: tuple[str, ...]
    oxm: tuple[OxmId, ...]
    of10: Masking | None
    of11: Masking | None

    @property
    def word(self) -> int:
        """The word of the key that holds the field's lowest bit."""
        return self.offset >> 6

    @property
    def shift(self) -> int:
        """The lowest bit's place in its word."""
        return self.offset & 63

    @property
    def max_value(self) -> int:
        """The largest value, which is also the exact-match mask of a value."""
        return self.mask >> self.offset

    def get(self, key: int) -> int:
        """The field's value in a key, or its mask out of a mask."""
        return (key & self.mask) >> self.offset

    def put(self, key: int, value: int) -> int:
        """The key with the field set; bits of `value` that the field does not have are dropped."""
        return key & ~self.mask | value << self.offset & self.mask

    def oxm_for(self, version: int) -> OxmId | None:
        """The number to send to a peer of an OpenFlow wire version: the newest it knows, else the oldest there is."""
        if not self.oxm:
            return None
        return next((oxm for oxm in reversed(self.oxm) if oxm.since <= version), self.oxm[0])

    def __repr__(self) -> str:
        return f"<Field {self.name}>"


_DECLARED: Final[list[Field]] = []


def _field(
    name: str,
    width: int,
    word: int,
    shift: int = 0,
    form: Form = Form.DECIMAL,
    masking: Masking = Masking.ANY,
    prerequisite: Prerequisite = Prerequisite.NONE,
    *oxm: tuple[str, int] | tuple[str, int, int],
    writable: bool = True,
    aliases: tuple[str, ...] = (),
    n_bytes: int = 0,
    in_place: int = 0,
    of10: Masking | None = None,
    of11: Masking | None = None,
) -> Field:
    """Declare a field; `in_place` is its mask relative to bit 0 where that is not `width` ones."""
    offset = 64 * word + shift
    mask = in_place or (1 << width) - 1
    numbers = tuple(oxm_id(*number) for number in oxm)
    size = n_bytes or (width + 7) // 8
    field = Field(
        name, width, offset, mask << offset, size, form, masking, prerequisite, writable, aliases, numbers, of10, of11
    )
    _DECLARED.append(field)
    return field


_EXACT: Final = Masking.EXACT
_ANY: Final = Masking.ANY
_DEC: Final = Form.DECIMAL
_HEX: Final = Form.HEX
_P: Final = Prerequisite
_OF12: Final = 3
_OF13: Final = 4
_OF15: Final = 6

# fmt: off
# Datapath metadata.
DP_IN_PORT = _field("dp_in_port", 32, 0, 0, _DEC, _EXACT, writable=False)
DP_HASH = _field("dp_hash", 32, 7, 0, _HEX, _ANY, _P.NONE, ("NXM_NX_DP_HASH", 35), writable=False)
RECIRC_ID = _field("recirc_id", 32, 0, 32, _HEX, _EXACT, _P.NONE, ("NXM_NX_RECIRC_ID", 36), writable=False)
CONJ_ID = _field("conj_id", 32, 42, 0, _DEC, _EXACT, _P.NONE, ("NXM_NX_CONJ_ID", 37), writable=False)
PACKET_TYPE = _field("packet_type", 32, 6, 32, Form.PACKET_TYPE, _EXACT, _P.NONE,
                     ("OXM_OF_PACKET_TYPE", 44, _OF15), writable=False)

# Ports. The 16-bit form and the 32-bit form are one value.
IN_PORT = _field("in_port", 16, 40, 0, Form.OFPORT10, _EXACT, _P.NONE, ("NXM_OF_IN_PORT", 0),
                 in_place=0xFFFFFFFF, of10=_EXACT, of11=_EXACT)
IN_PORT_OXM = _field("in_port_oxm", 32, 40, 0, Form.OFPORT, _EXACT, _P.NONE, ("OXM_OF_IN_PORT", 0, _OF12),
                     of11=_EXACT)
SKB_PRIORITY = _field("skb_priority", 32, 7, 32, _HEX, _EXACT, writable=False)
PKT_MARK = _field("pkt_mark", 32, 8, 0, _HEX, _ANY, _P.NONE, ("NXM_NX_PKT_MARK", 33))
ACTSET_OUTPUT = _field("actset_output", 32, 40, 32, Form.OFPORT, _EXACT, _P.NONE,
                       ("ONFOXM_ET_ACTSET_OUTPUT", 43, _OF13), ("OXM_OF_ACTSET_OUTPUT", 43, _OF15), writable=False)

# Ethernet and VLAN. A tag's "present" bit (the CFI bit) is part of vlan_vid and vlan_tci.
ETH_SRC = _field("eth_src", 48, 2, 0, Form.MAC, _ANY, _P.ETHERNET, ("NXM_OF_ETH_SRC", 2),
                 ("OXM_OF_ETH_SRC", 4, _OF12), aliases=("dl_src",), of10=_EXACT, of11=_ANY)
ETH_DST = _field("eth_dst", 48, 1, 0, Form.MAC, _ANY, _P.ETHERNET, ("NXM_OF_ETH_DST", 1),
                 ("OXM_OF_ETH_DST", 3, _OF12), aliases=("dl_dst",), of10=_EXACT, of11=_ANY)
ETH_TYPE = _field("eth_type", 16, 1, 48, _HEX, _EXACT, _P.ETHERNET, ("NXM_OF_ETH_TYPE", 3),
                  ("OXM_OF_ETH_TYPE", 5, _OF12), aliases=("dl_type",), writable=False, of10=_EXACT, of11=_EXACT)
VLAN_TCI = _field("vlan_tci", 16, 2, 48, _HEX, _ANY, _P.ETHERNET, ("NXM_OF_VLAN_TCI", 4),
                  of10=_EXACT, of11=_EXACT)
DL_VLAN = _field("dl_vlan", 12, 2, 48, _DEC, _EXACT, _P.ETHERNET, n_bytes=2, in_place=0x1FFF,
                 of10=_EXACT, of11=_EXACT)
VLAN_VID = _field("vlan_vid", 12, 2, 48, _DEC, _ANY, _P.ETHERNET, ("OXM_OF_VLAN_VID", 6, _OF12),
                  n_bytes=2, in_place=0x1FFF, of10=_EXACT, of11=_EXACT)
DL_VLAN_PCP = _field("dl_vlan_pcp", 3, 2, 61, _DEC, _EXACT, _P.ETHERNET, of10=_EXACT, of11=_EXACT)
VLAN_PCP = _field("vlan_pcp", 3, 2, 61, _DEC, _EXACT, _P.VLAN_VID, ("OXM_OF_VLAN_PCP", 7, _OF12),
                  of10=_EXACT, of11=_EXACT)

# MPLS, the outermost label.
MPLS_LABEL = _field("mpls_label", 20, 21, 12, _DEC, _EXACT, _P.MPLS, ("OXM_OF_MPLS_LABEL", 34, _OF12),
                    n_bytes=4, of11=_EXACT)
MPLS_TC = _field("mpls_tc", 3, 21, 9, _DEC, _EXACT, _P.MPLS, ("OXM_OF_MPLS_TC", 35, _OF12), of11=_EXACT)
MPLS_BOS = _field("mpls_bos", 1, 21, 8, _DEC, _EXACT, _P.MPLS, ("OXM_OF_MPLS_BOS", 36, _OF13), writable=False)
MPLS_TTL = _field("mpls_ttl", 8, 21, 0, _DEC, _EXACT, _P.MPLS, ("NXM_NX_MPLS_TTL", 30))

# IPv4, IPv6.
NW_PROTO = _field("nw_proto", 8, 3, 0, _DEC, _EXACT, _P.IP_ANY, ("NXM_OF_IP_PROTO", 6),
                  ("OXM_OF_IP_PROTO", 10, _OF12), aliases=("ip_proto",), writable=False, of10=_EXACT, of11=_EXACT)
IP_SRC = _field("ip_src", 32, 4, 0, Form.IPV4, _ANY, _P.IPV4, ("NXM_OF_IP_SRC", 7), ("OXM_OF_IPV4_SRC", 11, _OF12),
                aliases=("nw_src",), of10=Masking.PREFIX, of11=_ANY)
IP_DST = _field("ip_dst", 32, 4, 32, Form.IPV4, _ANY, _P.IPV4, ("NXM_OF_IP_DST", 8), ("OXM_OF_IPV4_DST", 12, _OF12),
                aliases=("nw_dst",), of10=Masking.PREFIX, of11=_ANY)
IPV6_SRC = _field("ipv6_src", 128, 13, 0, Form.IPV6, _ANY, _P.IPV6, ("NXM_NX_IPV6_SRC", 19),
                  ("OXM_OF_IPV6_SRC", 26, _OF12))
IPV6_DST = _field("ipv6_dst", 128, 15, 0, Form.IPV6, _ANY, _P.IPV6, ("NXM_NX_IPV6_DST", 20),
                  ("OXM_OF_IPV6_DST", 27, _OF12))
IPV6_LABEL = _field("ipv6_label", 20, 6, 0, _HEX, _ANY, _P.IPV6, ("NXM_NX_IPV6_LABEL", 27),
                    ("OXM_OF_IPV6_FLABEL", 28, _OF12), n_bytes=4)
IPV6_EXTHDR = _field("ipv6_exthdr", 9, 23, 16, _HEX, _ANY, _P.IPV6, ("OXM_OF_IPV6_EXTHDR", 39, _OF13),
                     n_bytes=2, writable=False)
NW_TTL = _field("nw_ttl", 8, 3, 16, _DEC, _EXACT, _P.IP_ANY, ("NXM_NX_IP_TTL", 29))
NW_TOS = _field("nw_tos", 8, 3, 8, _DEC, _EXACT, _P.IP_ANY, ("NXM_OF_IP_TOS", 5), in_place=0xFC,
                of10=_EXACT, of11=_EXACT)
IP_DSCP = _field("ip_dscp", 6, 3, 10, _DEC, _EXACT, _P.IP_ANY, ("OXM_OF_IP_DSCP", 8, _OF12), of10=_EXACT, of11=_EXACT)
NW_ECN = _field("nw_ecn", 2, 3, 8, _DEC, _EXACT, _P.IP_ANY, ("NXM_NX_IP_ECN", 28), ("OXM_OF_IP_ECN", 9, _OF12),
                aliases=("ip_ecn",), of11=_EXACT)
NW_FRAG = _field("ip_frag", 2, 3, 24, Form.FRAG, _ANY, _P.IP_ANY, ("NXM_NX_IP_FRAG", 26),
                 aliases=("nw_frag",), writable=False)

# ARP.
ARP_OP = _field("arp_op", 16, 3, 0, _DEC, _EXACT, _P.ARP, ("NXM_OF_ARP_OP", 15), ("OXM_OF_ARP_OP", 21, _OF12),
                n_bytes=2, in_place=0xFF, of10=_EXACT, of11=_EXACT)
ARP_SPA = _field("arp_spa", 32, 4, 0, Form.IPV4, _ANY, _P.ARP, ("NXM_OF_ARP_SPA", 16), ("OXM_OF_ARP_SPA", 22, _OF12),
                 of10=Masking.PREFIX, of11=_ANY)
ARP_TPA = _field("arp_tpa", 32, 4, 32, Form.IPV4, _ANY, _P.ARP, ("NXM_OF_ARP_TPA", 17), ("OXM_OF_ARP_TPA", 23, _OF12),
                 of10=Masking.PREFIX, of11=_ANY)
ARP_SHA = _field("arp_sha", 48, 17, 0, Form.MAC, _ANY, _P.ARP, ("NXM_NX_ARP_SHA", 17), ("OXM_OF_ARP_SHA", 24, _OF12))
ARP_THA = _field("arp_tha", 48, 18, 0, Form.MAC, _ANY, _P.ARP, ("NXM_NX_ARP_THA", 18), ("OXM_OF_ARP_THA", 25, _OF12))

# NSH (RFC 8300).
NSH_FLAGS = _field("nsh_flags", 8, 24, 0, _DEC, _ANY, _P.NSH, ("NXOXM_NSH_FLAGS", 1))
NSH_TTL = _field("nsh_ttl", 8, 24, 8, _DEC, _EXACT, _P.NSH, ("NXOXM_NSH_TTL", 10))
NSH_MDTYPE = _field("nsh_mdtype", 8, 24, 16, _DEC, _EXACT, _P.NSH, ("NXOXM_NSH_MDTYPE", 2), writable=False)
NSH_NP = _field("nsh_np", 8, 24, 24, _DEC, _EXACT, _P.NSH, ("NXOXM_NSH_NP", 3), writable=False)
NSH_SPI = _field("nsh_spi", 24, 24, 40, _HEX, _EXACT, _P.NSH, ("NXOXM_NSH_SPI", 4), n_bytes=4, aliases=("nsp",))
NSH_SI = _field("nsh_si", 8, 24, 32, _DEC, _EXACT, _P.NSH, ("NXOXM_NSH_SI", 5), aliases=("nsi",))
NSH_C1 = _field("nsh_c1", 32, 25, 0, _HEX, _ANY, _P.NSH, ("NXOXM_NSH_C1", 6), aliases=("nshc1",))
NSH_C2 = _field("nsh_c2", 32, 25, 32, _HEX, _ANY, _P.NSH, ("NXOXM_NSH_C2", 7), aliases=("nshc2",))
NSH_C3 = _field("nsh_c3", 32, 26, 0, _HEX, _ANY, _P.NSH, ("NXOXM_NSH_C3", 8), aliases=("nshc3",))
NSH_C4 = _field("nsh_c4", 32, 26, 32, _HEX, _ANY, _P.NSH, ("NXOXM_NSH_C4", 9), aliases=("nshc4",))

# Transport. All of them share tp_src and tp_dst.
TCP_SRC = _field("tcp_src", 16, 3, 32, _DEC, _ANY, _P.TCP, ("NXM_OF_TCP_SRC", 9), ("OXM_OF_TCP_SRC", 13, _OF12),
                 aliases=("tp_src",), of10=_EXACT, of11=_EXACT)
TCP_DST = _field("tcp_dst", 16, 3, 48, _DEC, _ANY, _P.TCP, ("NXM_OF_TCP_DST", 10), ("OXM_OF_TCP_DST", 14, _OF12),
                 aliases=("tp_dst",), of10=_EXACT, of11=_EXACT)
TCP_FLAGS = _field("tcp_flags", 12, 5, 0, Form.TCP_FLAGS, _ANY, _P.TCP, ("NXM_NX_TCP_FLAGS", 34),
                   ("ONFOXM_ET_TCP_FLAGS", 42, _OF13), ("OXM_OF_TCP_FLAGS", 42, _OF15), writable=False)
UDP_SRC = _field("udp_src", 16, 3, 32, _DEC, _ANY, _P.UDP, ("NXM_OF_UDP_SRC", 11), ("OXM_OF_UDP_SRC", 15, _OF12),
                 of10=_EXACT, of11=_EXACT)
UDP_DST = _field("udp_dst", 16, 3, 48, _DEC, _ANY, _P.UDP, ("NXM_OF_UDP_DST", 12), ("OXM_OF_UDP_DST", 16, _OF12),
                 of10=_EXACT, of11=_EXACT)
SCTP_SRC = _field("sctp_src", 16, 3, 32, _DEC, _ANY, _P.SCTP, ("OXM_OF_SCTP_SRC", 17, _OF12), of11=_EXACT)
SCTP_DST = _field("sctp_dst", 16, 3, 48, _DEC, _ANY, _P.SCTP, ("OXM_OF_SCTP_DST", 18, _OF12), of11=_EXACT)
ICMP_TYPE = _field("icmp_type", 8, 3, 32, _DEC, _EXACT, _P.ICMPV4, ("NXM_OF_ICMP_TYPE", 13),
                   ("OXM_OF_ICMPV4_TYPE", 19, _OF12), in_place=0xFFFF, of10=_EXACT, of11=_EXACT)
ICMP_CODE = _field("icmp_code", 8, 3, 48, _DEC, _EXACT, _P.ICMPV4, ("NXM_OF_ICMP_CODE", 14),
                   ("OXM_OF_ICMPV4_CODE", 20, _OF12), in_place=0xFFFF, of10=_EXACT, of11=_EXACT)
ICMPV6_TYPE = _field("icmpv6_type", 8, 3, 32, _DEC, _EXACT, _P.ICMPV6, ("NXM_NX_ICMPV6_TYPE", 21),
                     ("OXM_OF_ICMPV6_TYPE", 29, _OF12), in_place=0xFFFF)
ICMPV6_CODE = _field("icmpv6_code", 8, 3, 48, _DEC, _EXACT, _P.ICMPV6, ("NXM_NX_ICMPV6_CODE", 22),
                     ("OXM_OF_ICMPV6_CODE", 30, _OF12), in_place=0xFFFF)
ND_TARGET = _field("nd_target", 128, 19, 0, Form.IPV6, _ANY, _P.ND, ("NXM_NX_ND_TARGET", 23),
                   ("OXM_OF_IPV6_ND_TARGET", 31, _OF12))
ND_SLL = _field("nd_sll", 48, 17, 0, Form.MAC, _ANY, _P.ND_SOLICIT, ("NXM_NX_ND_SLL", 24),
                ("OXM_OF_IPV6_ND_SLL", 32, _OF12))
ND_TLL = _field("nd_tll", 48, 18, 0, Form.MAC, _ANY, _P.ND_ADVERT, ("NXM_NX_ND_TLL", 25),
                ("OXM_OF_IPV6_ND_TLL", 33, _OF12))
ND_RESERVED = _field("nd_reserved", 32, 22, 32, _DEC, _EXACT, _P.ND, ("ERICOXM_OF_ICMPV6_ND_RESERVED", 1))
ND_OPTIONS_TYPE = _field("nd_options_type", 8, 23, 0, _DEC, _EXACT, _P.ND, ("ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", 2))

# Tunnels.
TUN_ID = _field("tun_id", 64, 32, 0, _HEX, _ANY, _P.NONE, ("NXM_NX_TUN_ID", 16), ("OXM_OF_TUNNEL_ID", 38, _OF13),
                aliases=("tunnel_id",))
TUN_SRC = _field("tun_src", 32, 31, 0, Form.IPV4, _ANY, _P.NONE, ("NXM_NX_TUN_IPV4_SRC", 31))
TUN_DST = _field("tun_dst", 32, 31, 32, Form.IPV4, _ANY, _P.NONE, ("NXM_NX_TUN_IPV4_DST", 32))
TUN_IPV6_SRC = _field("tun_ipv6_src", 128, 33, 0, Form.IPV6, _ANY, _P.NONE, ("NXM_NX_TUN_IPV6_SRC", 109))
TUN_IPV6_DST = _field("tun_ipv6_dst", 128, 35, 0, Form.IPV6, _ANY, _P.NONE, ("NXM_NX_TUN_IPV6_DST", 110))
TUN_GBP_ID = _field("tun_gbp_id", 16, 38, 0, _DEC, _ANY, _P.NONE, ("NXM_NX_TUN_GBP_ID", 38))
TUN_GBP_FLAGS = _field("tun_gbp_flags", 8, 38, 16, _HEX, _ANY, _P.NONE, ("NXM_NX_TUN_GBP_FLAGS", 39))
TUN_FLAGS = _field("tun_flags", 1, 37, 0, Form.TUN_FLAGS, _ANY, _P.NONE, ("NXM_NX_TUN_FLAGS", 104), n_bytes=2)
TUN_ERSPAN_VER = _field("tun_erspan_ver", 4, 38, 24, _DEC, _ANY, _P.NONE, ("NXOXM_ET_ERSPAN_VER", 12))
TUN_ERSPAN_IDX = _field("tun_erspan_idx", 20, 38, 32, _HEX, _ANY, _P.NONE, ("NXOXM_ET_ERSPAN_IDX", 11), n_bytes=4)
TUN_ERSPAN_DIR = _field("tun_erspan_dir", 1, 39, 0, _DEC, _ANY, _P.NONE, ("NXOXM_ET_ERSPAN_DIR", 13))
TUN_ERSPAN_HWID = _field("tun_erspan_hwid", 6, 39, 8, _HEX, _ANY, _P.NONE, ("NXOXM_ET_ERSPAN_HWID", 14))
TUN_GTPU_FLAGS = _field("tun_gtpu_flags", 8, 39, 16, _HEX, _ANY, _P.NONE, ("NXOXM_ET_GTPU_FLAGS", 15), writable=False,
                        aliases=("gtpu_flags",))
TUN_GTPU_MSGTYPE = _field("tun_gtpu_msgtype", 8, 39, 24, _DEC, _ANY, _P.NONE, ("NXOXM_ET_GTPU_MSGTYPE", 16),
                          writable=False, aliases=("gtpu_msgtype",))

# Registers: reg0 is the most significant part of xreg0, xreg0 of xxreg0.
REGS = tuple(
    _field(f"reg{i}", 32, 44 + 2 * (i // 4) + (1 - i // 2 % 2), 32 * (1 - i % 2), _HEX, _ANY, _P.NONE,
           (f"NXM_NX_REG{i}", i))
    for i in range(16)
)
XREGS = tuple(
    _field(f"xreg{i}", 64, 44 + 2 * (i // 2) + (1 - i % 2), 0, _HEX, _ANY, _P.NONE, (f"OXM_OF_PKT_REG{i}", i, _OF13))
    for i in range(8)
)
XXREGS = tuple(
    _field(f"xxreg{i}", 128, 44 + 2 * i, 0, _HEX, _ANY, _P.NONE, (f"NXM_NX_XXREG{i}", 111 + i)) for i in range(4)
)

# Connection tracking.
CT_STATE = _field("ct_state", 32, 9, 0, Form.CT_STATE, _ANY, _P.NONE, ("NXM_NX_CT_STATE", 105), writable=False)
CT_ZONE = _field("ct_zone", 16, 9, 32, _HEX, _EXACT, _P.NONE, ("NXM_NX_CT_ZONE", 106), writable=False)
CT_MARK = _field("ct_mark", 32, 8, 32, _HEX, _ANY, _P.NONE, ("NXM_NX_CT_MARK", 107))
CT_LABEL = _field("ct_label", 128, 11, 0, _HEX, _ANY, _P.NONE, ("NXM_NX_CT_LABEL", 108))
CT_NW_PROTO = _field("ct_nw_proto", 8, 9, 48, _DEC, _EXACT, _P.CT, ("NXM_NX_CT_NW_PROTO", 119), writable=False)
CT_NW_SRC = _field("ct_nw_src", 32, 10, 0, Form.IPV4, _ANY, _P.CT, ("NXM_NX_CT_NW_SRC", 120), writable=False)
CT_NW_DST = _field("ct_nw_dst", 32, 10, 32, Form.IPV4, _ANY, _P.CT, ("NXM_NX_CT_NW_DST", 121), writable=False)
CT_IPV6_SRC = _field("ct_ipv6_src", 128, 27, 0, Form.IPV6, _ANY, _P.CT, ("NXM_NX_CT_IPV6_SRC", 122), writable=False)
CT_IPV6_DST = _field("ct_ipv6_dst", 128, 29, 0, Form.IPV6, _ANY, _P.CT, ("NXM_NX_CT_IPV6_DST", 123), writable=False)
CT_TP_SRC = _field("ct_tp_src", 16, 17, 48, _DEC, _ANY, _P.CT, ("NXM_NX_CT_TP_SRC", 124), writable=False)
CT_TP_DST = _field("ct_tp_dst", 16, 18, 48, _DEC, _ANY, _P.CT, ("NXM_NX_CT_TP_DST", 125), writable=False)

METADATA = _field("metadata", 64, 41, 0, _HEX, _ANY, _P.NONE, ("OXM_OF_METADATA", 2, _OF12), of11=_ANY)
FIELDS: Final[tuple[Field, ...]] = tuple(_DECLARED)
"""Every field OpenFlow or match text can name, each after those it has as prerequisites; without tunnel options."""

# What only the switch and its datapath see: parts without a name in OpenFlow, and the whole of what it names in parts.
IP_TOS = _field("ip_tos", 8, 3, 8, _HEX, _ANY, _P.IP_ANY, writable=False)
TP_SRC = _field("tp_src", 16, 3, 32, _DEC, _ANY, _P.IP_ANY, writable=False)
TP_DST = _field("tp_dst", 16, 3, 48, _DEC, _ANY, _P.IP_ANY, writable=False)
VLAN_TPID = _field("vlan_tpid", 16, 5, 16, _HEX, _ANY, _P.ETHERNET, writable=False)
VLAN2_TPID = _field("vlan2_tpid", 16, 5, 32, _HEX, _ANY, _P.ETHERNET, writable=False)
VLAN2_TCI = _field("vlan2_tci", 16, 5, 48, _HEX, _ANY, _P.ETHERNET, writable=False)
MPLS_LSES = tuple(
    _field(f"mpls_lse{i}", 32, 21 + i // 2, 32 * (i % 2), _HEX, _ANY, _P.MPLS, writable=False) for i in range(3)
)
NSH_PATH_HEADER = _field("nsh_path_header", 32, 24, 32, _HEX, _ANY, _P.NSH, writable=False)
IGMP_GROUP = _field("igmp_group_ip4", 32, 23, 32, Form.IPV4, _ANY, _P.IGMP, writable=False)
TUN_DP_FLAGS = _field("tun_dp_flags", 16, 37, 0, _HEX, _ANY, writable=False)
TUN_TOS = _field("tun_tos", 8, 37, 16, _HEX, _ANY, writable=False)
TUN_TTL = _field("tun_ttl", 8, 37, 24, _DEC, _ANY, writable=False)
TUN_TP_SRC = _field("tun_tp_src", 16, 37, 32, _DEC, _ANY, writable=False)
TUN_TP_DST = _field("tun_tp_dst", 16, 37, 48, _DEC, _ANY, writable=False)
TUN_METADATA_PRESENT = _field("tun_metadata_present", 64, 43, 0, _HEX, _ANY, writable=False)
# fmt: on

INTERNAL_FIELDS: Final[tuple[Field, ...]] = tuple(_DECLARED[len(FIELDS) :])
"""Fields that never travel in OpenFlow; the datapath's text form and the pipeline name them."""

# Bits and values that several modules need.
VLAN_CFI: Final = 0x1000
"""In vlan_tci, vlan_vid and dl_vlan: a tag is present."""
NW_FRAG_ANY: Final = 1
NW_FRAG_LATER: Final = 2
CT_STATE_FLAGS: Final = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")
"""Names of the bits of ct_state, bit 0 first."""
TUN_FLAG_OAM: Final = 1
TUN_FLAG_DONT_FRAGMENT: Final = 2
TUN_FLAG_CSUM: Final = 4
TUN_FLAG_KEY: Final = 8
TCP_FLAG_NAMES: Final = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]")
"""Names of the bits of tcp_flags, bit 0 first; the last three are reserved bits, named by their value."""


def _index_by_name(fields: Iterable[Field]) -> dict[str, Field]:
    index: dict[str, Field] = {}
    for field in fields:
        for name in (field.name, *field.aliases):
            index.setdefault(name, field)
    return index


FIELD_BY_NAME: Final[dict[str, Field]] = _index_by_name(FIELDS)
"""Fields OpenFlow can name, by name and alias."""
ANY_FIELD_BY_NAME: Final[dict[str, Field]] = _index_by_name(INTERNAL_FIELDS + FIELDS)
"""The same with the internal ones, which win a shared name (tp_src, tp_dst)."""
FIELD_BY_OXM_NAME: Final[dict[str, Field]] = {oxm.name: field for field in FIELDS for oxm in field.oxm}
FIELD_BY_OXM: Final[dict[tuple[int, int, int], Field]] = {
    (oxm.oxm_class, oxm.experimenter, oxm.number): field for field in FIELDS for oxm in field.oxm
}
"""Fields by (class, experimenter or 0, number)."""


def field_by_name(name: str) -> Field:
    """The field of a name or alias of ovs-fields(7), or of an NXM/OXM name.

    Raises:
        ValueError: there is none.
    """
    field = FIELD_BY_NAME.get(name) or FIELD_BY_OXM_NAME.get(name)
    if field is None:
        raise ValueError(f"{name}: unknown field")
    return field
