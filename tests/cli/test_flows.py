"""`jackfield flows`, `add-flow` and `del-flows`."""

import json
import re
from typing import Any

import pytest

from tests.cli.conftest import Switch, Terminal


def listed(switch: Switch, *arguments: str) -> list[dict[str, Any]]:
    done = switch("flows", "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    rows: list[dict[str, Any]] = json.loads(done.out)
    return rows


def add(switch: Switch, rule: str) -> None:
    done = switch("add-flow", rule)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_rows_by_table_and_falling_priority(switch: Switch) -> None:
    add(switch, "table=3,priority=9,cookie=0x12,idle_timeout=60,tcp,tp_dst=80,actions=drop")
    add(switch, "priority=7,in_port=in,ip,nw_dst=10.0.0.1,actions=output:out")
    first, second, third = listed(switch)
    assert (first["table"], first["priority"], first["actions"]) == (0, 7, "output:out")
    assert first["match"] == "ip,in_port=in,nw_dst=10.0.0.1"
    assert (second["priority"], second["match"], second["actions"]) == (0, "any", "NORMAL")
    assert (third["table"], third["cookie"], third["idle_timeout"], third["actions"]) == (3, "0x12", 60, "drop")
    assert 0 <= third["duration"] < 30
    assert (third["n_packets"], third["n_bytes"]) == (0, 0)


def test_only_some(switch: Switch) -> None:
    add(switch, "table=3,tcp,actions=drop")
    add(switch, "table=3,udp,actions=drop")
    assert [row["match"] for row in listed(switch, "3", "--match", "udp")] == ["udp"]
    assert len(listed(switch, "3")) == 2
    assert listed(switch, "4") == []
    assert switch("flows", "4").out == "no flows\n"
    assert len(listed(switch, "--match", "table=3")) == 2


def test_deleting(switch: Switch) -> None:
    add(switch, "priority=5,tcp,actions=drop")
    add(switch, "priority=5,tcp,tp_dst=80,actions=drop")
    assert switch("del-flows", "--strict", "priority=5,tcp").code == 0
    assert [row["match"] for row in listed(switch)] == ["tcp,tp_dst=80", "any"]
    assert switch("del-flows", "tcp").code == 0
    assert [row["match"] for row in listed(switch)] == ["any"]
    assert switch("del-flows").code == 0
    assert listed(switch) == []


@pytest.mark.parametrize(
    ("arguments", "token"),
    [
        (("add-flow", "ipp,actions=drop"), "ipp"),
        (("add-flow", "ip,actions=outptu:1"), "outptu"),
        (("add-flow", "ip,actions=output:nowhere"), "nowhere"),
        (("add-flow", "tp_dst=80,actions=drop"), "tp_dst"),
        (("add-flow", "ip"), "actions"),
        (("add-flow", "table=5,actions=goto_table:5"), "5"),
        (("add-flow",), "RULE"),
        (("del-flows", "nw_src=banana,ip"), "banana"),
        (("flows", "--match", "color=red"), "color"),
        (("flows", "300"), "300"),
        (("flows", "--watch", "0"), "--watch"),
    ],
)
def test_refusals_are_one_line_that_names_the_token(switch: Switch, arguments: tuple[str, ...], token: str) -> None:
    done = switch(*arguments)
    assert done.code in (1, 2)
    assert done.out == ""
    assert token in done.err
    assert done.err.startswith("jackfield: ")
    assert done.err.count("\n") == 1


def test_narrow_terminal_puts_actions_beneath_the_match(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    actions = "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:02:00:00:00:00:02->arp_sha,output:out"
    add(switch, f"priority=100,arp,in_port=in,arp_tpa=10.0.0.100,arp_op=1,actions={actions}")
    lines = re.sub(r"\x1b\[\d*m", "", switch("flows", stdout=Terminal()).out).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["table", "priority", "match", "packets", "bytes", "age"]
    assert lines[1].split() == ["→", "actions"]
    assert [line.strip() for line in lines[5:9]] == [
        "→ move:NXM_OF_ETH_SRC[]->",
        "NXM_OF_ETH_DST[],",
        "set_field:02:00:00:00:00:02->arp_sha,",
        "output:out",
    ]
    assert lines[9].split()[:5] == ["0", "0", "any", "0", "0"]
    assert any(line.split()[:4] == ["0", "0", "any", "0"] for line in lines)
