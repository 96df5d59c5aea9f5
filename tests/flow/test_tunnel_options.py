"""Fields that a controller maps at run time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.tunnel_options import MAX_TOTAL_BYTES, NO_TUNNEL_OPTIONS, TunnelOptions

LENGTHS = st.integers(1, 31).map(lambda words: 4 * words)


def test_a_mapped_option_is_a_field() -> None:
    options = NO_TUNNEL_OPTIONS.add(3, 0xFFFF, 0x80, 8)
    field = options.field_by_name("tun_metadata3")
    assert (field.width, field.n_bytes) == (64, 8)
    assert field.oxm[0].header(8).hex() == "00015608"
    assert options.field_by_oxm(1, 43) is field
    assert options.field_by_name("NXM_NX_TUN_METADATA3") is field
    assert options.field_by_oxm(1, 40) is None
    assert options.field_by_oxm(0x8000, 5) is f.ETH_TYPE
    assert options.field_by_oxm(0xFFFF, 1, f.NSH_EXPERIMENTER) is f.NSH_FLAGS
    assert options.field_by_name("nw_src") is f.IP_SRC
    option = options.get(3)
    assert option is not None
    assert option.present_mask == f.TUN_METADATA_PRESENT.put(0, 8)


@given(st.lists(st.tuples(LENGTHS, st.booleans()), max_size=40))
def test_options_never_overlap(changes: list[tuple[int, bool]]) -> None:
    options = NO_TUNNEL_OPTIONS
    for number, (n_bytes, removes) in enumerate(changes):
        first = next(iter(options), None)
        if removes and first is not None:
            options = options.remove(first.number)
        try:
            options = options.add(number, 1, number, n_bytes)
        except ValueError as error:
            assert "in all" in str(error) or "no room" in str(error)  # noqa: PT017 - the only two reasons there are
    union = 0
    for option, field in zip(options, options.fields(), strict=True):
        assert field.mask.bit_count() == 8 * option.n_bytes
        assert not field.mask & union
        assert not field.mask & ((1 << 64 * f.TUN_METADATA_WORD) - 1)
        assert field.mask.bit_length() <= 64 * f.KEY_WORDS
        union |= field.mask
    assert union.bit_count() <= 8 * MAX_TOTAL_BYTES


def test_places_stay_and_are_used_again() -> None:
    options = NO_TUNNEL_OPTIONS.add(0, 1, 0, 4).add(1, 1, 1, 8).add(2, 1, 2, 4)
    without = options.remove(1)
    assert without.field_by_name("tun_metadata2").mask == options.field_by_name("tun_metadata2").mask
    assert without.add(7, 1, 7, 8).field_by_name("tun_metadata7").mask == options.field_by_name("tun_metadata1").mask
    assert options == TunnelOptions(options)
    assert hash(options) == hash(TunnelOptions(options))
    assert options != without


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((64, 1, 1, 4), "there are 64 fields"),
        ((1, 1, 1, 5), "multiple of 4"),
        ((1, 1, 1, 128), "from 4 to 124"),
        ((0, 1, 1, 4), "tun_metadata0 is bound already"),
        ((1, 0xFFFF, 0, 4), "class 0xffff type 0x0 is bound already"),
    ],
)
def test_refusals(arguments: tuple[int, int, int, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        NO_TUNNEL_OPTIONS.add(0, 0xFFFF, 0, 4).add(*arguments)


def test_all_of_them_have_a_limit() -> None:
    options = NO_TUNNEL_OPTIONS.add(0, 1, 0, 124).add(1, 1, 1, 124).add(2, 1, 2, 4)
    with pytest.raises(ValueError, match="252 bytes in all"):
        options.add(3, 1, 3, 4)
    with pytest.raises(ValueError, match="not bound"):
        options.remove(9)
