"""The datapath type netdev."""

from jackfield.clock import Clock
from jackfield.dpif.provider import Dpif
from jackfield.dpif.userspace.provider import UserspaceDpif
from tests.dpif.conformance import DpifConformance


class TestConformance(DpifConformance):
    def make(self, name: str, clock: Clock, *, create: bool) -> Dpif:
        return UserspaceDpif(name, clock, create=create)
