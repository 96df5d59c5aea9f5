"""The datapath type "dummy": the userspace datapath without threads, for tests.

A packet that comes in on a port is finished (upcall, learning, output) before the call that brought it returns, and
flows were used at the time of the `Clock` exactly, held or not. The code that forwards is the same as netdev's.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from jackfield.dpif.userspace.datapath import Datapath
from jackfield.dpif.userspace.provider import UserspaceDpif
from jackfield.flow.ports import DpPort
from jackfield.netdev.provider import Netdev

_FIRST_OTHER: Final = 100
_NUMBER: Final = re.compile(r"\d+")


class DummyDpif(UserspaceDpif):
    """One open dummy datapath."""

    type: ClassVar[str] = "dummy"
    synchronous: ClassVar[bool] = True
    _datapaths: ClassVar[dict[str, Datapath]] = {}

    @classmethod
    def port_open_type(cls, port_type: str) -> str:
        """Every port is a dummy device, internal ones too."""
        return "dummy" if port_type in ("internal", "tap", "system", "") else port_type

    def port_add(self, netdev: Netdev, port_no: DpPort | None = None) -> DpPort:
        """Number a port by the first number in its device's name, if that is free; bridges count from 100."""
        if port_no is None:
            port_no = self._number_for(netdev.name)
        return super().port_add(netdev, port_no)

    def _number_for(self, name: str) -> DpPort | None:
        ports = self._datapath.ports
        found = _NUMBER.search(name)
        if found is not None:
            base = _FIRST_OTHER if name.startswith("br") else 0
            number = base + int(found.group())
            if ports.is_free(number):
                return DpPort(number)
        return None
