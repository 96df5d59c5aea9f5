import dataclasses

import pytest

from jackfield.openflow import actions as a


def test_actions_are_values():
    assert a.DecTtl() == a.DecTtl((0,))
    assert len({a.StripVlan(), a.StripVlan(), a.Exit()}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.GotoTable(1).table_id = 2


def test_instructions_have_the_order_in_which_they_are_executed():
    order = sorted(a.INSTRUCTION_RANK, key=a.INSTRUCTION_RANK.__getitem__)
    assert order == [a.ClearActions, a.WriteActions, a.WriteMetadata, a.GotoTable]
    assert all(issubclass(kind, a.Instruction) for kind in order)
