"""A device that swallows what it is sent and gives nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from jackfield.netdev.provider import CompiledQueue, DeviceStats
from jackfield.netdev.virtual import VirtualNetdev


class NullNetdev(VirtualNetdev):
    """The device behind type "null"; it does not count, the datapath does."""

    type: ClassVar[str] = "null"

    def get_stats(self) -> DeviceStats:
        """Nothing counted here."""
        return DeviceStats()

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue]:
        """One queue of the kind that swallows."""
        from jackfield.netdev.compiled import null_queue

        return [null_queue()]

    def release_queues(self, queues: Sequence[CompiledQueue]) -> None:
        """Nothing is held."""
