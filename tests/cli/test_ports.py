"""`jackfield ports`."""

import json
import re

from tests.cli.conftest import PACKET, PACKETS, Switch, Terminal


def test_rows(switch: Switch) -> None:
    rows = {row["name"]: row for row in json.loads(switch("ports", "--json").out)}
    assert rows["in"]["number"] == 2
    assert (rows["in"]["rx_packets"], rows["in"]["rx_bytes"]) == (PACKETS, PACKETS * len(PACKET))
    assert (rows["out"]["tx_packets"], rows["out"]["rx_packets"]) == (PACKETS, 0)
    assert rows["out"]["link_up"] is True
    assert rows["out"]["config"] == []
    assert re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", rows["out"]["mac"])
    if switch.bridge in rows:
        assert rows[switch.bridge]["number"] == "LOCAL"


def test_table(switch: Switch) -> None:
    lines = switch("ports").out.splitlines()
    assert lines[0].split() == [
        "port", "name", "address", "link", "config", "received", "bytes", "sent", "bytes", "dropped",
    ]  # fmt: skip
    assert lines[3].split()[:2] == ["2", "in"]
    assert lines[3].split()[5:] == [str(PACKETS), str(PACKETS * len(PACKET)), "0", "0", "0"]


def test_narrow_terminal(switch: Switch, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = re.sub(r"\x1b\[\d*m", "", switch("ports", stdout=Terminal()).out).splitlines()
    assert max(map(len, lines)) <= 80
    assert "address" not in lines[0]
    assert lines[0].split()[-4:] == ["bytes", "sent", "bytes", "dropped"]
