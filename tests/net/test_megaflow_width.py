"""The same rules and packets here and in the stock switch: what we look at is never more than what it looked at.

The stock switch says with `ofproto/trace` which rule it chose and which bits its megaflow would match on.
"""

import random
import re

import pytest

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.text import parse_match
from jackfield.flow.text_flow import parse_flow
from jackfield.ofproto.classifier import Classifier
from jackfield.ofproto.rule import Rule
from tests.flow.conftest import StockSwitch, stock_switch  # noqa: F401  # the second is a fixture

pytestmark = pytest.mark.net

# What every megaflow of a switch holds, whatever its tables say. That a packet has no VLAN tag is part of its Ethernet
# type to a datapath, so the stock switch does not show it.
ALWAYS = f.IN_PORT.mask | f.RECIRC_ID.mask | f.PACKET_TYPE.mask | f.ETH_TYPE.mask | f.NW_FRAG.mask
UNTAGGED = f.VLAN_TCI.mask
# ICMP's type and code are bytes in the place of ports.
HIGH_BYTES = 0xFF00 << f.TP_SRC.offset | 0xFF00 << f.TP_DST.offset

MACS = ("0a:00:00:00:00:01", "0a:00:00:00:00:02", "50:00:00:00:00:09")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.7.9", "10.9.0.1", "192.168.1.1", "224.0.0.5")
ADDRESSES6 = ("2001:db8::1", "2001:db8::2", "2001:db8:ffff::1", "fe80::5")
PORTS = (22, 80, 81, 443, 1024, 40000)


@pytest.fixture
def stock(request: pytest.FixtureRequest) -> StockSwitch:
    switch: StockSwitch = request.getfixturevalue("stock_switch")
    return switch


def packet(chooser: random.Random) -> str:
    """One packet, all of its fields given."""
    parts = [f"in_port={chooser.choice((1, 2))}", f"dl_src={chooser.choice(MACS)}", f"dl_dst={chooser.choice(MACS)}"]
    kind = chooser.choice(("tcp", "udp", "icmp", "arp", "tcp6", "udp6", "vlan"))
    if kind == "arp":
        return ",".join(("arp", *parts, f"arp_spa={chooser.choice(ADDRESSES)}", f"arp_tpa={chooser.choice(ADDRESSES)}"))
    if kind == "vlan":
        parts.append("vlan_tci=0x1005")
        kind = "udp"
    if kind.endswith("6"):
        parts += [f"ipv6_src={chooser.choice(ADDRESSES6)}", f"ipv6_dst={chooser.choice(ADDRESSES6)}"]
    else:
        parts += [f"nw_src={chooser.choice(ADDRESSES)}", f"nw_dst={chooser.choice(ADDRESSES)}"]
    parts += ["nw_ttl=64", f"nw_tos={chooser.choice((0, 32))}"]
    if kind == "icmp":
        parts += [f"icmp_type={chooser.choice((0, 8))}", "icmp_code=0"]
    else:
        parts += [f"{kind[:3]}_src={chooser.choice(PORTS)}", f"{kind[:3]}_dst={chooser.choice(PORTS)}"]
    return ",".join((kind, *parts))


def rule_match(chooser: random.Random) -> str:
    """One match, made of some of the fields that packets have."""
    kind = chooser.choice(("", "ip", "tcp", "udp", "icmp", "arp", "ipv6", "tcp6", "tcp", "ip"))
    parts = [kind] if kind else []

    def maybe(text: str, chance: float = 0.35) -> None:
        if chooser.random() < chance:
            parts.append(text)

    maybe(f"in_port={chooser.choice((1, 2))}")
    maybe(f"dl_src={chooser.choice(MACS)}", 0.2)
    maybe(f"dl_dst={chooser.choice((*MACS, '01:00:00:00:00:00/01:00:00:00:00:00'))}", 0.2)
    maybe(f"vlan_tci={chooser.choice(('0x1005', '0x1000/0x1000', '0'))}", 0.15)
    if kind in ("ip", "tcp", "udp", "icmp"):
        maybe(f"nw_src={chooser.choice(ADDRESSES)}/{chooser.choice((8, 16, 24, 31, 32))}")
        maybe(f"nw_dst={chooser.choice(ADDRESSES)}/{chooser.choice((8, 16, 24, 32))}")
        maybe("nw_tos=32", 0.15)
    if kind in ("ipv6", "tcp6"):
        maybe(f"ipv6_src={chooser.choice(ADDRESSES6)}/{chooser.choice((32, 64, 128))}")
        maybe(f"ipv6_dst={chooser.choice(ADDRESSES6)}/{chooser.choice((48, 128))}")
    if kind == "arp":
        maybe(f"arp_tpa={chooser.choice(ADDRESSES)}/{chooser.choice((16, 32))}")
    if kind in ("tcp", "udp", "tcp6"):
        maybe(f"tp_src={chooser.choice(PORTS)}")
        maybe(chooser.choice((f"tp_dst={chooser.choice(PORTS)}", "tp_dst=0x50/0xfff0")))
    if kind == "icmp":
        maybe("icmp_type=8", 0.5)
    return ",".join(parts)


def install(stock: StockSwitch, texts: list[str]) -> Classifier:
    """Put rules into the stock switch and into a classifier; each has a priority of its own."""
    flows = [f"priority={priority}{',' if text else ''}{text},actions=drop" for priority, text in enumerate(texts, 1)]
    (stock.directory / "flows").write_text("\n".join(flows))
    stock.run("ovs-ofctl", "replace-flows", f"unix:{stock.directory}/br0.mgmt", "flows")
    classifier = Classifier()
    for priority, text in enumerate(texts, 1):
        classifier.insert(Rule(parse_match(text), priority))
    return classifier


def traced(stock: StockSwitch, text: str) -> tuple[int | None, Match]:
    """The priority that the stock switch finds for a packet (None for a miss), and its megaflow."""
    shown = stock.appctl("ofproto/trace", "br0", text)
    megaflow = re.search(r"^Megaflow: (.*)$", shown, re.MULTILINE)
    assert megaflow is not None, shown
    found = re.search(r"^ 0\. .*priority (\d+)", shown, re.MULTILINE)
    assert found is not None or "No match" in shown, shown
    words = [word for word in megaflow[1].split(",") if word != "eth" and not word.startswith("recirc_id=")]
    match = parse_match(",".join(word for word in words if not word.startswith("icmp_")))
    for word in words:
        # Parts of ICMP's numbers, which text cannot otherwise have.
        part = re.fullmatch(r"icmp_(type|code)=(\w+)(?:/(\w+))?", word)
        if part is not None:
            value, mask = int(part[2], 0), int(part[3] or "0xff", 0)
            match = match.with_field(f.TP_SRC if part[1] == "type" else f.TP_DST, value & mask, mask)
    return None if found is None else int(found[1]), match


def check(stock: StockSwitch, classifier: Classifier, text: str) -> tuple[int, int]:
    """Hold one packet to the stock switch's answer; how many bits we looked at, and how many it did."""
    rule, looked = classifier.lookup(parse_flow(text), 1)
    priority, megaflow = traced(stock, text)
    assert (None if rule is None else rule.priority) == priority, text
    always = ALWAYS | (0 if "vlan" in text else UNTAGGED) | (HIGH_BYTES if text.startswith("icmp") else 0)
    surplus = looked & ~(megaflow.mask | always)
    named = [field.name for field in f.FIELDS if field.mask & surplus]
    assert not surplus, f"{text}: looked at {named}, which the stock switch did not: {megaflow}"
    return (looked & ~always).bit_count(), (megaflow.mask & ~always).bit_count()


@pytest.mark.parametrize("seed", range(6))
def test_random_rules(stock: StockSwitch, seed: int) -> None:
    chooser = random.Random(seed)
    texts = list(dict.fromkeys(rule_match(chooser) for _ in range(5 + 6 * seed)))
    classifier = install(stock, texts)
    widths = [check(stock, classifier, packet(chooser)) for _ in range(30)]
    assert sum(ours for ours, _ in widths) <= sum(theirs for _, theirs in widths)


def test_an_access_list_of_hosts_and_ports(stock: StockSwitch) -> None:
    """The shape of the benchmark: hosts in two directions, ports, a default."""
    texts = ["", *(f"udp,tp_src={1024 + 31 * i}" for i in range(60))]
    texts += [f"udp,tp_dst={80 + i},nw_dst=10.2.0.{i}" for i in range(60)]
    texts += [f"ip,nw_src=10.1.{i % 40}.{i}" for i in range(60)]
    classifier = install(stock, texts)
    chooser = random.Random(7)
    for _ in range(30):
        i = chooser.randrange(300)
        text = (
            f"udp,in_port=1,dl_src={MACS[0]},dl_dst={MACS[1]},nw_src=10.1.{i >> 8}.{i & 255},"
            f"nw_dst=10.2.0.{7 * i & 255},nw_ttl=64,udp_src={1024 + 31 * i},udp_dst={80 + i % 7}"
        )
        check(stock, classifier, text)
