"""`jackfield show`."""

import json
import re

from jackfield.cli.output import render
from jackfield.cli.show import COLUMNS
from tests.cli.conftest import Switch


def test_rows(switch: Switch) -> None:
    (row,) = json.loads(switch("show", "--json").out)
    assert (row["name"], row["datapath"], row["fail_mode"]) == (switch.bridge, "netdev", "standalone")
    assert re.fullmatch("[0-9a-f]{16}", row["datapath_id"])
    assert [port["name"] for port in row["ports"]][:2] == ["out", "in"]
    assert row["ports"][0] == {"number": 1, "name": "out", "type": "null", "link_up": True}
    assert (row["flows"], row["controllers"]) == (1, [])
    assert row["errors"]["gone"].startswith("unknown netdev type nonsense")


def test_table_tells_of_missing_ports(switch: Switch) -> None:
    text = switch("show").out
    assert "gone: unknown netdev type nonsense" in text
    assert "out, in" in text


def test_controllers_stand_beneath_each_other() -> None:
    row = {
        "name": "br0",
        "datapath_id": "0000000000000001",
        "datapath": "netdev",
        "fail_mode": "secure",
        "ports": [],
        "flows": 12345,
        "controllers": [
            {"target": "tcp:192.0.2.1:6653", "state": "ACTIVE", "connected": True, "role": "master"},
            {"target": "tcp:192.0.2.2:6653", "state": "BACKOFF", "connected": False, "role": "other"},
        ],
        "errors": {},
    }
    heading, _, first, second = render([row], COLUMNS, None)
    assert "missing" not in heading
    assert first.endswith("12,345  tcp:192.0.2.1:6653 (master)")
    assert second.split() == ["tcp:192.0.2.2:6653", "(backoff)"]
