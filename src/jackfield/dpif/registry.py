"""Opening and closing datapaths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jackfield.dpif.provider import Dpif
from jackfield.provider import ProviderRegistry

if TYPE_CHECKING:
    from jackfield.clock import Clock

#: The datapath classes: built-in, of installed packages (entry points `jackfield.dpif`), and registered by hand.
DPIFS: Final[ProviderRegistry[Dpif]] = ProviderRegistry(
    "dpif",
    Dpif,  # type: ignore[type-abstract]  # the contract that classes are held against; nothing is made of it
)


def open_dpif(type_name: str, name: str, clock: Clock, *, create: bool = False) -> Dpif:
    """Open a datapath; close it with `close_dpif`.

    Args:
        type_name: "netdev", "dummy" ...; empty means "system", as in the Bridge table.
        name: the datapath's name.
        clock: the time.
        create: make it if it is not there.

    Raises:
        OSError: EINVAL no such type; ENODEV no such datapath; what the class refuses.
    """
    return DPIFS.open(type_name or "system", name, clock, create=create)


def close_dpif(dpif: Dpif) -> None:
    """Close what `open_dpif` gave; never fails, and may be repeated. The datapath itself stays."""
    DPIFS.close(dpif)
