"""`jackfield datapath`."""

import json

from jackfield.cli.datapath import FLOW_COLUMNS
from jackfield.cli.output import render
from tests.cli.conftest import PACKETS, Switch


def test_show(switch: Switch) -> None:
    (row,) = json.loads(switch("datapath", "show", "--json").out)
    assert row["name"] == "netdev@ovs-netdev"
    assert row["hits"] + row["misses"] == PACKETS
    assert {"out", "in"} <= {port["name"] for port in row["ports"]}
    heading, _, line = switch("datapath", "show").out.splitlines()
    assert heading.split() == ["datapath", "hits", "misses", "lost", "flows", "masks", "ports"]
    assert line.startswith("netdev@ovs-netdev")
    assert ":out" in line


def test_flows(switch: Switch) -> None:
    rows = json.loads(switch("datapath", "flows", "--json").out)
    for row in rows:  # those of the five packets, unless they have gone already
        assert "in_port(in)" in row["match"]
    text = switch("datapath", "flows").out
    assert text == "no datapath flows\n" or text.split()[:5] == ["match", "actions", "packets", "bytes", "used"]


def test_long_matches_are_folded_at_commas() -> None:
    row = {
        "match": "recirc_id(0),in_port(veth-a),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800)",
        "actions": "veth-b",
        "packets": 538_770,
        "bytes": 4_140_799_066,
        "used": 0.21,
    }
    lines = render([row, {**row, "used": None}], FLOW_COLUMNS, 80)
    assert max(map(len, lines)) <= 80
    assert lines[2].split()[-3:] == ["539k", "4.14G", "0.2s"]
    assert lines[2].split()[0].endswith(",")
    assert lines[-1].startswith("dst=") or lines[-1].startswith("eth")
    assert "never" in "".join(lines)
