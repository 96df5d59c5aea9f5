"""Hashes of flows: the same for both directions, and identifiers nobody outside can guess.

Python's own hash of an integer is predictable; a table whose keys packets choose is keyed by `FlowIds`, seeded anew at
every start.
"""

from __future__ import annotations

from hashlib import blake2b
from os import urandom
from typing import Final

from jackfield.flow import fields as f
from jackfield.flow.prerequisites import Prerequisite, met_by_key

UFID_BYTES: Final = 16
_KEY_BYTES: Final = 8 * f.KEY_WORDS
_PORT_PROTOCOLS: Final = (Prerequisite.TCP, Prerequisite.UDP, Prerequisite.SCTP)


class FlowIds:
    """Makes the identifiers of flows under one random key."""

    def __init__(self, seed: bytes | None = None) -> None:
        """A new random key, or `seed` (16 to 64 bytes) for results that repeat."""
        self._seed = urandom(32) if seed is None else seed

    def ufid(self, key: int, mask: int) -> int:
        """The 128-bit identifier of a flow; equal for keys that are equal under the mask."""
        masked = key & mask
        data = masked.to_bytes(_KEY_BYTES, "little") + mask.to_bytes(_KEY_BYTES, "little")
        return int.from_bytes(blake2b(data, digest_size=UFID_BYTES, key=self._seed).digest(), "big")

    def digest(self, value: int, n_bytes: int) -> bytes:
        """16 bytes to key a table by in place of `value`, a number of at most `n_bytes` bytes that packets choose."""
        return blake2b(value.to_bytes(n_bytes, "little"), digest_size=UFID_BYTES, key=self._seed).digest()


def format_ufid(ufid: int) -> str:
    """As ``dpctl/dump-flows -m`` prints it: 8-4-4-4-12 hexadecimal digits."""
    digits = f"{ufid:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_ufid(text: str) -> int:
    """The identifier of such a text, hyphens or none.

    Raises:
        ValueError: it is not 32 hexadecimal digits.
    """
    digits = text.replace("-", "")
    if len(digits) != 32 or not all(char in "0123456789abcdefABCDEF" for char in digits):
        raise ValueError(f"{text}: invalid UFID (expected 32 hexadecimal digits)")
    return int(digits, 16)


def _hash32(basis: int, *parts: int) -> int:
    data = b"".join(part.to_bytes(16, "little") for part in parts)
    return int.from_bytes(blake2b(data, digest_size=4, salt=basis.to_bytes(16, "little")).digest(), "little")


def flow_hash_5tuple(key: int, basis: int = 0) -> int:
    """A 32-bit hash of addresses, protocol and ports; 0 for what is not IP. `basis` has 32 bits."""
    is_ipv4 = met_by_key(Prerequisite.IPV4, key)
    if not is_ipv4 and not met_by_key(Prerequisite.IPV6, key):
        return 0
    src, dst = (f.IP_SRC, f.IP_DST) if is_ipv4 else (f.IPV6_SRC, f.IPV6_DST)
    return _hash32(basis, src.get(key), dst.get(key), f.NW_PROTO.get(key), *_l4_ports(key))


def flow_hash_symmetric_l4(key: int, basis: int = 0, with_udp: bool = True) -> int:
    """A 32-bit hash of both ends, the same in either direction (ovs-actions(7), hash method "symmetric_l4").

    Ethernet addresses, Ethertype and VLAN id, IP addresses and protocol, TCP and SCTP ports, and UDP's if `with_udp`.
    """
    parts = [
        f.ETH_SRC.get(key) ^ f.ETH_DST.get(key),
        f.ETH_TYPE.get(key),
        f.VLAN_TCI.get(key) & 0xFFF,
    ]
    if met_by_key(Prerequisite.IPV4, key):
        parts.append(f.IP_SRC.get(key) ^ f.IP_DST.get(key))
    elif met_by_key(Prerequisite.IPV6, key):
        parts.append(f.IPV6_SRC.get(key) ^ f.IPV6_DST.get(key))
    else:
        return _hash32(basis, *parts)
    parts.append(f.NW_PROTO.get(key))
    if with_udp or not met_by_key(Prerequisite.UDP, key):
        src_port, dst_port = _l4_ports(key)
        parts.append(src_port ^ dst_port)
    return _hash32(basis, *parts)


def _l4_ports(key: int) -> tuple[int, int]:
    if any(met_by_key(prerequisite, key) for prerequisite in _PORT_PROTOCOLS):
        return f.TP_SRC.get(key), f.TP_DST.get(key)
    return 0, 0
