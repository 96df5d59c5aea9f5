from collections import OrderedDict
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from jackfield.ofproto.pipeline.mac_learning import MacTable


def make(changes: list[bytes] | None = None) -> tuple[MacTable, list[Any]]:
    seen = [] if changes is None else changes
    return MacTable(7, cast(Any, seen.append)), [object() for _ in range(4)]


def test_learn_refresh_move_and_age() -> None:
    changes: list[bytes] = []
    table, (one, two, *_) = make(changes)
    key = table.learn(5, 0x020000000001, one, 1_000)
    assert key == table.key(5, 0x020000000001)
    assert changes == [key]
    assert table.lookup(5, 0x020000000001) is one
    assert table.lookup(6, 0x020000000001) is None
    assert table.learn(5, 0x020000000001, one, 2_000) == key
    assert changes == [key]
    table.learn(5, 0x020000000001, two, 3_000)
    assert changes == [key, key]
    assert table.lookup(5, 0x020000000001) is two
    assert table.run(302_999) == 303_000
    assert len(table) == 1
    assert table.run(303_000) is None
    assert len(table) == 0
    assert changes == [key, key, key]
    assert (table.learned, table.moved, table.expired) == (1, 1, 1)


def test_group_addresses_are_not_learned() -> None:
    table, (one, *_) = make()
    assert table.learn(0, 0xFFFFFFFFFFFF, one, 1) is None
    assert len(table) == 0


def test_late_news_does_not_move_an_address_back() -> None:
    table, (one, two, *_) = make()
    key = cast(bytes, table.learn(0, 2, one, 1_000))
    table.learn(0, 2, two, 2_000)
    table.refresh(key, 0, 2, one, 1_500)
    assert table.lookup(0, 2) is two
    table.refresh(key, 0, 2, one, 2_500)
    assert table.lookup(0, 2) is one
    table.flush()
    table.refresh(key, 0, 2, two, 2_600)
    assert table.lookup(0, 2) is two


def test_the_port_that_floods_addresses_pays() -> None:
    table, (good, bad, *_) = make()
    table.set_max_entries(20)
    for mac in range(5):
        table.learn(0, 0x1000 + mac, good, mac)
    for mac in range(1_000):
        table.learn(0, 0x2000 + mac, bad, 10 + mac)
    assert len(table) == 20
    assert all(table.lookup(0, 0x1000 + mac) is good for mac in range(5))
    assert table.lookup(0, 0x2000 + 999) is bad
    table.flush_port(bad)
    assert len(table) == 5


@given(
    st.lists(st.tuples(st.sampled_from("LFXR"), st.integers(0, 3), st.integers(2, 30), st.integers(0, 9)), max_size=80)
)
def test_against_a_plain_model(steps: list[tuple[str, int, int, int]]) -> None:
    """The same entries, in the same order of use, as an ordered dict for each port has."""
    table, ports = make()
    table.set_max_entries(10)
    model: dict[int, OrderedDict[int, int]] = {i: OrderedDict() for i in range(4)}
    now = 0
    for what, number, mac, delay in steps:
        now += delay
        if what == "L":
            there = any(mac in order for order in model.values())
            if not there and sum(map(len, model.values())) >= 10:
                most = max(map(len, model.values()))
                victim = next(iter(table._ports_by_count[most]))
                model[ports.index(victim)].popitem(last=False)
            for i, order in model.items():
                if i != number:
                    order.pop(mac, None)
            if model[number].get(mac, -1) < now:
                model[number].pop(mac, None)
                model[number][mac] = now
            table.learn(0, mac, ports[number], now)
        elif what == "F":
            model[number].clear()
            table.flush_port(ports[number])
        elif what == "X":
            table.ageing = 20
            table.run(now)
            for order in model.values():
                for each in [each for each, used in order.items() if used <= now - 20]:
                    del order[each]
        else:
            table.flush()
            for order in model.values():
                order.clear()
        assert {entry.mac: ports.index(entry.port) for entry in table} == {
            each: i for i, order in model.items() for each in order
        }
        assert table._most == max(map(len, model.values()))
