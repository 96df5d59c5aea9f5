import random

from hypothesis import given
from hypothesis import strategies as st

from jackfield.ofproto.prefixes import PrefixSet

WIDTH = 8
prefixes = st.tuples(st.integers(0, 255), st.integers(1, 8)).map(lambda p: (p[0] >> 8 - p[1] << 8 - p[1], p[1]))


def bits_by_definition(there: list[tuple[int, int]], value: int) -> int:
    """The least n such that every value with the same n leading bits has the same prefixes out of `there`."""

    def holds(prefix: tuple[int, int], candidate: int) -> bool:
        return candidate >> 8 - prefix[1] == prefix[0] >> 8 - prefix[1]

    for n in range(WIDTH + 1):
        alike = [v for v in range(256) if v >> WIDTH - n == value >> WIDTH - n]
        if all(holds(p, v) == holds(p, value) for p in there for v in alike):
            return n
    raise AssertionError("all bits settle everything")


@given(st.lists(prefixes, max_size=12), st.integers(0, 255))
def test_bits_needed_is_the_least_that_settles_every_prefix(there: list[tuple[int, int]], value: int) -> None:
    prefix_set = PrefixSet(WIDTH)
    for prefix in there:
        prefix_set.add(*prefix)
    assert prefix_set.bits_needed(value) == bits_by_definition(there, value)
    for length in range(1, 9):
        expected = (value >> 8 - length << 8 - length, length) in there
        assert prefix_set.has(value, length) == expected


@given(st.lists(prefixes, max_size=12), st.lists(prefixes, max_size=12), st.integers(0, 255))
def test_what_was_discarded_counts_no_more(stay: list[tuple[int, int]], go: list[tuple[int, int]], value: int) -> None:
    prefix_set = PrefixSet(WIDTH)
    for prefix in stay + go:
        prefix_set.add(*prefix)
    for prefix in go:
        prefix_set.discard(*prefix)
    assert len(prefix_set) == len(set(stay))
    assert prefix_set.bits_needed(value) == bits_by_definition(stay, value)


def test_many_prefixes_of_a_wide_field() -> None:
    chooser = random.Random(1)
    addresses = [chooser.getrandbits(128) for _ in range(5000)]
    prefix_set = PrefixSet(128)
    for address in addresses:
        prefix_set.add(address, 128)
    for address in addresses[:2500]:
        prefix_set.discard(address, 128)
    left = sorted(addresses[2500:])
    for value in [chooser.getrandbits(128) for _ in range(200)] + left[:50]:
        expected = max(min(128, 128 - (value ^ other).bit_length() + 1) for other in left)
        assert prefix_set.bits_needed(value) == expected
        assert prefix_set.has(value, 128) == (value in left)
