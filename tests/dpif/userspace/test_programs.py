"""Sharing of compiled action lists."""

import errno

import pytest

from jackfield.dpif.actions import Clone, Output, SetMasked, Userspace
from jackfield.dpif.userspace.heap import Heap
from jackfield.dpif.userspace.programs import _IDLE_LIMIT, Programs
from jackfield.dpif.userspace.state import HEAP, HEAP_WORDS, Arena, new_seeds
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort


@pytest.fixture
def programs() -> Programs:
    return Programs([Arena(new_seeds()), Arena(new_seeds())], Heap(HEAP, HEAP_WORDS))


def test_equal_lists_share_a_program(programs: Programs) -> None:
    first = programs.acquire((Output(DpPort(1)), Output(DpPort(2))))
    assert programs.acquire((Output(DpPort(1)), Output(DpPort(2)))) is first
    assert programs.acquire((Output(DpPort(2)),)) is not first


def test_all_arenas_have_it(programs: Programs) -> None:
    program = programs.acquire((Output(DpPort(7)),))
    one, other = (arena.words[program.offset : program.offset + program.size].tolist() for arena in programs._arenas)
    assert one == other
    assert 7 in one


def test_an_idle_program_is_kept_for_a_while(programs: Programs) -> None:
    program = programs.acquire((Output(DpPort(1)),))
    programs.release(program)
    assert programs.acquire((Output(DpPort(1)),)) is program
    programs.release(program)
    for port in range(2, _IDLE_LIMIT + 3):
        programs.release(programs.acquire((Output(DpPort(port)),)))
    assert programs.acquire((Output(DpPort(1)),)) is not program


def test_userspace_actions_have_numbers(programs: Programs) -> None:
    actions = (Userspace(b"a"), Clone((Userspace(b"b"),)), Output(DpPort(1)))
    program = programs.acquire(actions)
    found = [programs.userspace(number) for number in program.numbers]
    assert {(action.userdata, whole) for action, whole in filter(None, found)} == {(b"a", actions), (b"b", actions)}
    programs.release(program)
    for port in range(_IDLE_LIMIT + 1):
        programs.release(programs.acquire((Output(DpPort(port)),)))
    assert [programs.userspace(number) for number in program.numbers] == [None, None]


def test_what_cannot_be_is_refused(programs: Programs) -> None:
    bad = (SetMasked(0, f.RECIRC_ID.mask),)
    for call in (programs.acquire, programs.check):
        with pytest.raises(OSError, match="cannot set") as caught:
            call(bad)
        assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="words") as caught:
        programs.check(tuple(Output(DpPort(1)) for _ in range(10_000)))
    assert caught.value.errno == errno.EINVAL
