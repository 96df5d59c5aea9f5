import random
from typing import Any, cast

import pytest

from jackfield.flow import fields as f
from jackfield.ofproto.pipeline.sweep import DependencyIndex, Group

MASKS = (
    f.IP_SRC.mask,
    f.IP_SRC.mask | f.ETH_TYPE.mask,
    0xFFFFFF00 << f.IP_SRC.offset | f.REGS[3].mask,
    f.IN_PORT.mask | f.TCP_DST.mask,
    0,
)


def drain(work: Any) -> Any:
    try:
        while True:
            next(work)
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("seed", range(8))
def test_the_same_as_asking_each(seed: int) -> None:
    rnd = random.Random(seed)
    index = DependencyIndex()
    table = object()
    there: dict[Any, tuple[int, int, Any]] = {}

    def bits() -> int:
        key = 0
        for field in (f.IP_SRC, f.ETH_TYPE, f.REGS[3], f.IN_PORT, f.TCP_DST):
            key = field.put(key, rnd.choice((1, 2, 0x0A000001, 0x0A000002)))
        return key

    for _ in range(12):
        for _ in range(rnd.randint(0, 400)):
            owner, key, mask = object(), bits(), rnd.choice(MASKS)
            there[owner] = (key, mask, index.add(cast(Any, owner), table, key, mask))
        for owner in rnd.sample(list(there), len(there) // 3):
            index.remove(table, there.pop(owner)[2])
        rules = {mask: {bits() & mask for _ in range(rnd.choice((1, 3, 30)))} for mask in rnd.sample(MASKS, 2)}
        expected = {
            owner
            for owner, (key, mask, _) in there.items()
            for rule_mask, values in rules.items()
            for value in values
            if (key ^ value) & mask & rule_mask == 0
        }
        assert drain(index.overlapping(table, rules)) == expected
        assert drain(index.overlapping(object(), rules)) == set()
        assert len(index) == len(there)
    for _, _, dependency in there.values():
        index.remove(table, dependency)
    assert len(index) == 0


def test_members_may_go_while_a_sweep_pauses() -> None:
    group = Group(f.IP_SRC.mask)
    members = [group.add(cast(Any, i), i << f.IP_SRC.offset) for i in range(70_000)]
    steps = group.overlapping(f.IP_SRC.mask, [69_999 << f.IP_SRC.offset])
    assert next(steps) == []
    for member in members[100:69_000]:
        group.remove(member)
    assert [each for found in steps for each in found] == []
    assert len(group) == 1_100
