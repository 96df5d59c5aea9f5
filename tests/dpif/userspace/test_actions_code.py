import pytest

from jackfield.dpif import actions as a
from jackfield.dpif.userspace import actions_code as code
from jackfield.dpif.userspace.actions_code import EVERY, compile_actions, hash_l4
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort

ONE, TWO = a.Output(DpPort(1)), a.Output(DpPort(2))
TTL = a.SetMasked(f.NW_TTL.put(0, 3), f.NW_TTL.mask)
SET_TTL = [code.OP_SET, f.NW_TTL.word, 3 << f.NW_TTL.shift, 0xFF << f.NW_TTL.shift]


def program(*actions: a.DpAction) -> list[int]:
    words = compile_actions(actions, lambda action: len(action.userdata))
    assert words[-1] == code.OP_END
    return words[:-1]


def test_nothing_is_a_drop() -> None:
    assert program() == []


def test_an_output_needs_a_copy_only_when_the_packet_changes_afterwards() -> None:
    assert program(ONE, TWO) == [code.OP_OUTPUT, 1, code.OP_OUTPUT, 2]
    assert program(ONE, TTL, TWO) == [code.OP_OUTPUT_COPY, 1, *SET_TTL, code.OP_OUTPUT, 2]
    assert program(ONE, a.PopVlan())[0] == code.OP_OUTPUT_COPY
    assert program(ONE, a.Recirc(5)) == [code.OP_OUTPUT_COPY, 1, code.OP_RECIRC_LAST, 5]
    assert program(ONE, a.Truncate(20), TWO) == [code.OP_OUTPUT, 1, code.OP_TRUNCATE, 20, code.OP_OUTPUT, 2]


def test_a_body_gets_a_copy_when_it_changes_what_others_still_want() -> None:
    quiet, loud = [code.OP_OUTPUT, 1, code.OP_END], [*SET_TTL, code.OP_OUTPUT, 1, code.OP_END]
    assert program(a.Clone((ONE,)), TWO) == [code.OP_BLOCK, EVERY, 0, len(quiet), *quiet, code.OP_OUTPUT, 2]
    assert program(a.Clone((TTL, ONE)), TWO) == [code.OP_BLOCK, EVERY, 1, len(loud), *loud, code.OP_OUTPUT, 2]
    assert program(a.Clone((TTL, ONE))) == [code.OP_BLOCK, EVERY, 0, len(loud), *loud]
    assert program(TWO, a.Clone((TTL, ONE)))[:2] == [code.OP_OUTPUT_COPY, 2]
    assert program(a.Clone((ONE,)), TTL)[4] == code.OP_OUTPUT_COPY
    assert program(a.Clone((a.Recirc(1),)), ONE)[4] == code.OP_RECIRC


def test_a_sample_keeps_its_probability() -> None:
    assert program(a.Sample(99, (a.Userspace(b"abc"),)))[:6] == [code.OP_BLOCK, 99, 0, 3, code.OP_USERSPACE, 3]


def test_words_are_signed() -> None:
    (_, word, value, mask) = program(a.SetMasked(f.TP_DST.put(0, 0xFFFF), f.TP_DST.mask))
    assert (word, value, mask) == (f.TP_DST.word, -(1 << 48), -(1 << 48))
    inner = program(a.Clone((a.SetMasked(f.TP_DST.put(0, 0xFFFF), f.TP_DST.mask), ONE)), TWO)
    assert all(-(1 << 63) <= word < 1 << 63 for word in inner)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (a.Truncate(13), "truncate to 13 bytes"),
        (a.Hash(1, 0), "hash algorithm 1"),
        (a.SetMasked(0, f.CT_MARK.mask), "cannot set ct_mark"),
        (a.SetMasked(0, f.ETH_TYPE.mask), "these bits"),
        (a.SetMasked(0, f.VLAN_CFI << f.VLAN_TCI.offset), "cannot set"),
        (a.SetMasked(1 << f.NW_TTL.offset, 0), "outside its mask"),
        (a.Clone((a.Clone((a.Hash(7, 0),)),)), "hash algorithm 7"),
    ],
)
def test_what_this_datapath_does_not_have_is_refused(action: a.DpAction, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        program(action)


def test_the_hash_looks_at_the_connection_only() -> None:
    key = f.IP_SRC.put(f.NW_PROTO.put(0, 17), 0x0A000001)
    assert hash_l4(key, 0) == hash_l4(f.NW_TTL.put(f.ETH_SRC.put(key, 5), 64), 0)
    assert len({hash_l4(f.TP_SRC.put(key, port), 0) for port in range(1000)}) == 1000
    assert hash_l4(key, 0) != hash_l4(key, 1)
    assert 0 < hash_l4(key, 0) <= 0xFFFF_FFFF
