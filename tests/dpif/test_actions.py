"""Actions as data."""

import dataclasses

import pytest

from jackfield.dpif.actions import Clone, DpActions, Output, PushVlan, Sample, Userspace
from jackfield.flow.ports import DpPort


def test_equal_lists_are_one_key() -> None:
    def make() -> DpActions:
        return (Clone((Output(DpPort(1)), Sample(5, (Userspace(b"x"),)))), PushVlan(0x8100, 0x1001))

    assert make() == make()
    assert len({make(), make(), (*make(), Output(DpPort(2)))}) == 2


def test_actions_do_not_change() -> None:
    action = Output(DpPort(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        action.port = DpPort(2)  # type: ignore[misc]  # that is the point
