"""What an administrator sets about a switch, beside its ports, controllers and flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jackfield import __version__

DEFAULT_MAC_AGING_S: Final = 300
DEFAULT_MAC_TABLE_SIZE: Final = 8192


@dataclass(frozen=True, slots=True)
class Descriptions:
    """What a description request is answered with (OpenFlow 1.0.1 section 5.3.5)."""

    manufacturer: str = "Jackfield"
    hardware: str = "Open vSwitch compatible"
    software: str = __version__
    serial_number: str = "None"
    datapath: str = "None"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the switch as a whole (ovs-vswitchd.conf.db(5), Bridge table).

    Attributes:
        forward_bpdu: whether NORMAL forwards frames for the reserved multicast addresses.
        mac_aging_s: seconds after which NORMAL forgets an address.
        mac_table_size: how many addresses NORMAL remembers.
        flood_vlans: VLANs that NORMAL floods without learning.
    """

    forward_bpdu: bool = False
    mac_aging_s: int = DEFAULT_MAC_AGING_S
    mac_table_size: int = DEFAULT_MAC_TABLE_SIZE
    flood_vlans: frozenset[int] = frozenset()
