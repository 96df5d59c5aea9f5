"""Places in the key that translation touches for every packet, as plain numbers.

All of them are in-place masks of `jackfield.flow.fields`, or offsets (bits) of a field in the key.
"""

from __future__ import annotations

from typing import Final

from jackfield.flow import fields as f
from jackfield.flow.parse import ETH_TYPE_IPV4, ETH_TYPE_IPV6, ETH_TYPE_VLAN

DP_IN_PORT: Final = f.DP_IN_PORT.mask
IN_PORT: Final = f.IN_PORT.mask
IN_PORT_OFF: Final = f.IN_PORT.offset
RECIRC_ID: Final = f.RECIRC_ID.mask
RECIRC_ID_OFF: Final = f.RECIRC_ID.offset
ETH_SRC: Final = f.ETH_SRC.mask
ETH_SRC_OFF: Final = f.ETH_SRC.offset
ETH_DST: Final = f.ETH_DST.mask
ETH_DST_OFF: Final = f.ETH_DST.offset
ETH_TYPE: Final = f.ETH_TYPE.mask
ETH_TYPE_OFF: Final = f.ETH_TYPE.offset
VLAN_TCI: Final = f.VLAN_TCI.mask
VLAN_TCI_OFF: Final = f.VLAN_TCI.offset
VLAN_PRESENT: Final = f.VLAN_CFI << f.VLAN_TCI.offset
VLAN_VID: Final = 0xFFF << f.VLAN_TCI.offset
VLAN_PCP: Final = f.VLAN_PCP.mask
VLAN_TPID: Final = f.VLAN_TPID.mask
VLAN_TAG: Final = VLAN_TCI | VLAN_TPID
VLAN2_PRESENT: Final = f.VLAN_CFI << f.VLAN2_TCI.offset
VLAN2_TAG: Final = f.VLAN2_TCI.mask | f.VLAN2_TPID.mask
ANY_VLAN_TAG: Final = VLAN_TAG | VLAN2_TAG
WITHOUT_TAG2: Final = f.DATAPATH_MASK & ~(VLAN2_TAG & ~VLAN2_PRESENT)
WITHOUT_TAGS: Final = f.DATAPATH_MASK & ~(ANY_VLAN_TAG & ~VLAN_PRESENT)
"""Masks of the key of a packet with one tag, and of one with none."""
NW_TTL: Final = f.NW_TTL.mask
NW_TTL_OFF: Final = f.NW_TTL.offset
NW_FRAG: Final = f.NW_FRAG.mask
NW_PROTO: Final = f.NW_PROTO.mask
FRAG_ANY: Final = f.NW_FRAG_ANY << f.NW_FRAG.offset
FRAG_LATER: Final = f.NW_FRAG_LATER << f.NW_FRAG.offset
#: What ip_frag can hold: the bits a megaflow matches on.
FRAG_BITS: Final = FRAG_ANY | FRAG_LATER
TP_SRC: Final = f.TP_SRC.mask
TP_DST: Final = f.TP_DST.mask
PORTS: Final = TP_SRC | TP_DST
SKB_PRIORITY: Final = f.SKB_PRIORITY.mask
SKB_PRIORITY_OFF: Final = f.SKB_PRIORITY.offset
ACTSET_OUTPUT: Final = f.ACTSET_OUTPUT.mask
ACTSET_OUTPUT_OFF: Final = f.ACTSET_OUTPUT.offset
METADATA: Final = f.METADATA.mask
DATAPATH: Final = f.DATAPATH_MASK

REGISTERS: Final = sum(each.mask for each in f.REGS)
TUNNEL: Final = sum(word << 64 * place for place, word in ((i, (1 << 64) - 1) for i in range(31, 40)))
CONNTRACK: Final = (
    f.CT_STATE.mask
    | f.CT_ZONE.mask
    | f.CT_MARK.mask
    | f.CT_LABEL.mask
    | f.CT_NW_PROTO.mask
    | f.CT_NW_SRC.mask
    | f.CT_NW_DST.mask
    | f.CT_IPV6_SRC.mask
    | f.CT_IPV6_DST.mask
    | f.CT_TP_SRC.mask
    | f.CT_TP_DST.mask
)
PIPELINE: Final = ((1 << 64 * f.KEY_WORDS) - 1) ^ DATAPATH
"""Everything a datapath does not see."""
KNOWN_PIPELINE: Final = (1 << 64 * f.PIPELINE_WORDS) - 1 ^ DATAPATH
"""Of these, what is the same for all packets of a megaflow and worth comparing with rules: all but tunnel options."""

IPV4: Final = ETH_TYPE_IPV4 << ETH_TYPE_OFF
IPV6: Final = ETH_TYPE_IPV6 << ETH_TYPE_OFF
PARTIAL_VLAN: Final = ETH_TYPE_VLAN << ETH_TYPE_OFF

ALWAYS: Final = DP_IN_PORT | RECIRC_ID | f.PACKET_TYPE.mask | ETH_TYPE | VLAN_PRESENT
"""What every megaflow matches on.

Open vSwitch's datapaths tell tagged frames from others without being asked; here that is a bit like any other.
"""
