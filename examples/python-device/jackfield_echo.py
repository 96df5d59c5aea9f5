"""A network device in plain Python: a host that answers ARP and ping, without an interface or a stack behind it.

The port's option `ip` is its address. A packet leaves the switch through `transmit`; an answer enters by `deliver`.
"""

import errno
import ipaddress
import struct
from collections.abc import Mapping
from typing import ClassVar

from jackfield.netdev.provider import Netdev
from jackfield.netdev.virtual import VirtualNetdev, required_option

ETHERNET = struct.Struct("!6s6sH")
ARP = struct.Struct("!HHBBH6s4s6s4s")
ETH_ARP = 0x0806
ETH_IPV4 = 0x0800
ARP_REQUEST, ARP_REPLY = 1, 2
ICMP = 1
ECHO_REPLY, ECHO_REQUEST = 0, 8
MORE_FRAGMENTS_OR_OFFSET = 0x3FFF


class EchoNetdev(VirtualNetdev):
    """Answers for one IPv4 address."""

    type: ClassVar[str] = "echo"

    def check_options(self, options: Mapping[str, str]) -> None:
        address(self, options)

    def transmit(self, packet: bytes) -> None:
        """Answer a packet that the switch sent to us, if it asks for an answer."""
        if len(packet) < ETHERNET.size:
            return
        to, sender, ethertype = ETHERNET.unpack_from(packet)
        mine = self.get_mac().to_bytes(6)
        if to != mine and not to[0] & 1:
            return
        answers = {ETH_ARP: self.answer_arp, ETH_IPV4: self.answer_ping}
        if ethertype in answers:
            answer = answers[ethertype](packet[ETHERNET.size :])
            if answer is not None:
                self.deliver(ETHERNET.pack(sender, mine, ethertype) + answer)

    def answer_arp(self, body: bytes) -> bytes | None:
        """RFC 826: tell who has our address."""
        if len(body) < ARP.size:
            return None
        hardware, protocol, hlen, plen, operation, their_mac, their_ip, _, wanted = ARP.unpack_from(body)
        if (hardware, protocol, hlen, plen, operation) != (1, ETH_IPV4, 6, 4, ARP_REQUEST):
            return None
        if wanted != address(self, self.options):
            return None
        return ARP.pack(1, ETH_IPV4, 6, 4, ARP_REPLY, self.get_mac().to_bytes(6), wanted, their_mac, their_ip)

    def answer_ping(self, body: bytes) -> bytes | None:
        """RFC 792: send an echo request back as a reply."""
        header = (body[0] & 15) * 4 if body else 0
        if header < 20 or body[0] >> 4 != 4 or len(body) < header + 8:
            return None
        fragment = int.from_bytes(body[6:8]) & MORE_FRAGMENTS_OR_OFFSET
        wanted = body[16:20] == address(self, self.options)
        if fragment or not wanted or body[9] != ICMP or body[header] != ECHO_REQUEST:
            return None
        # Swapping the addresses leaves the sum as it was; the type falls by 8, so the checksum rises by 0x800.
        total = int.from_bytes(body[header + 2 : header + 4]) + (ECHO_REQUEST << 8)
        checksum = ((total & 0xFFFF) + (total >> 16)).to_bytes(2)
        reply = bytes([ECHO_REPLY]) + body[header + 1 : header + 2] + checksum + body[header + 4 :]
        return body[:12] + body[16:20] + body[12:16] + body[20:header] + reply


def address(device: Netdev, options: Mapping[str, str]) -> bytes:
    """The option `ip` as four bytes."""
    text = required_option(options, "ip", device.name, "an IPv4 address")
    try:
        return ipaddress.IPv4Address(text).packed
    except ValueError as error:
        raise OSError(errno.EINVAL, f"{device.name}: option ip={text} (expected an IPv4 address)") from error
