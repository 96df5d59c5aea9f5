"""The out-of-tree device of examples/python-device: found by its entry point, and a good citizen."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP  # type: ignore[import-untyped]
from scapy.layers.l2 import ARP, Dot1Q, Ether  # type: ignore[import-untyped]

from jackfield.netdev.virtual import VirtualNetdev
from tests.netdev.conformance import NetdevConformance

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "python-device"
US, THEM = "192.0.2.7", "192.0.2.1"
THEIR_MAC = "02:00:00:00:00:01"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("jackfield_echo", EXAMPLE / "jackfield_echo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


echo = load()


def make() -> VirtualNetdev:
    device: VirtualNetdev = echo.EchoNetdev("echo0", {"ip": US})
    return device


class TestConformance(NetdevConformance):
    def bad_options(self) -> dict[str, str]:
        return {"ip": "192.0.2.256"}

    def make(self) -> VirtualNetdev:
        return make()


@pytest.fixture
def device() -> VirtualNetdev:
    device = make()
    device.open()
    device.set_mac(0x020000000007)
    return device


def answers(device: VirtualNetdev, packet: bytes) -> list[bytes]:
    assert device.send_batch([packet]) == 1
    return device.receive_batch(8)


def test_is_short() -> None:
    assert len((EXAMPLE / "jackfield_echo.py").read_text().splitlines()) <= 100


def test_answers_arp(device: VirtualNetdev) -> None:
    request = Ether(dst="ff:ff:ff:ff:ff:ff", src=THEIR_MAC) / ARP(op=1, hwsrc=THEIR_MAC, psrc=THEM, pdst=US)
    (answer,) = answers(device, bytes(request))
    found = Ether(answer)
    assert (found.dst, found.src) == (THEIR_MAC, "02:00:00:00:00:07")
    assert (found[ARP].op, found[ARP].hwsrc, found[ARP].psrc) == (2, "02:00:00:00:00:07", US)
    assert (found[ARP].hwdst, found[ARP].pdst) == (THEIR_MAC, THEM)


@pytest.mark.parametrize("payload", [b"", b"x", b"abcdefgh" * 100, b"\xff" * 57, bytes(32)])
def test_answers_ping_with_right_checksums(device: VirtualNetdev, payload: bytes) -> None:
    request = Ether(dst="02:00:00:00:00:07", src=THEIR_MAC) / IP(src=THEM, dst=US) / ICMP(id=9, seq=3) / payload
    (answer,) = answers(device, bytes(request))
    found = Ether(answer)
    assert (found.dst, found[IP].src, found[IP].dst) == (THEIR_MAC, US, THEM)
    assert (found[ICMP].type, found[ICMP].id, found[ICMP].seq) == (0, 9, 3)
    assert bytes(found[ICMP].payload) == payload
    again = Ether(answer)
    del again[IP].chksum, again[ICMP].chksum
    assert bytes(again) == answer, "scapy's checksums are ours"


@pytest.mark.parametrize(
    "packet",
    [
        Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, psrc=THEM, pdst="192.0.2.8"),
        Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=2, psrc=THEM, pdst=US),
        Ether(dst="02:00:00:00:00:08") / IP(src=THEM, dst=US) / ICMP(),
        Ether(dst="02:00:00:00:00:07") / IP(src=THEM, dst="192.0.2.8") / ICMP(),
        Ether(dst="02:00:00:00:00:07") / IP(src=THEM, dst=US) / ICMP(type=0),
        Ether(dst="02:00:00:00:00:07") / IP(src=THEM, dst=US, frag=5) / ICMP(),
        Ether(dst="02:00:00:00:00:07") / Dot1Q(vlan=5) / IP(src=THEM, dst=US) / ICMP(),
        Ether(dst="02:00:00:00:00:07") / IP(src=THEM, dst=US, proto=17) / bytes(20),
    ],
)
def test_is_silent_otherwise(device: VirtualNetdev, packet: Ether) -> None:
    assert answers(device, bytes(packet)) == []


@given(st.binary(max_size=80), st.sampled_from([0x0800, 0x0806, 0x86DD]))
def test_any_bytes_are_survived(body: bytes, ethertype: int) -> None:
    device = make()
    device.open()
    device.send_batch([body, bytes(12) + ethertype.to_bytes(2) + body, b"\xff" * 12 + ethertype.to_bytes(2) + body])
    assert device.get_stats().tx_errors == 0


def test_installed_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    source = tmp_path / "source"  # pip builds inside the source folder
    source.mkdir()
    for each in ("pyproject.toml", "jackfield_echo.py"):
        (source / each).write_bytes((EXAMPLE / each).read_bytes())
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(target), str(source)], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    program = (
        "from jackfield.netdev.registry import NETDEVS, open_netdev, close_netdevs\n"
        "device = open_netdev('e0', 'echo', {'ip': '192.0.2.7'})\n"
        "print(device.type, type(device).__module__, 'echo' in NETDEVS.types())\n"
        "close_netdevs()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{target}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout == "echo jackfield_echo True\n", ran.stderr
