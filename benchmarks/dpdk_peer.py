"""Open vSwitch with DPDK on the in-memory rig: a pcap replayed endlessly in, a null device out, one polling thread."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rules import rules, traffic, write_pcap
from lab.namespaces import sh
from lab.peer import open_vswitch

DAEMON = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")
PAGES = 512  # of 2 MB
SECONDS = 4


def installed() -> bool:
    """Whether the daemon and the two poll-mode drivers are there."""
    drivers = list(Path("/usr/lib").glob("*/dpdk/pmds-*/librte_net_null.so*"))
    drivers += list(Path("/usr/lib").glob("*/dpdk/pmds-*/librte_net_pcap.so*"))
    return DAEMON.exists() and len(drivers) >= 2


@contextlib.contextmanager
def hugepages() -> Iterator[None]:
    """Hugepages for the length of a measurement; they and their mount are given back."""
    before = HUGEPAGES.read_text().strip()
    with tempfile.TemporaryDirectory(prefix="jfb-huge-") as folder:
        HUGEPAGES.write_text(str(PAGES))
        try:
            sh(f"mount -t hugetlbfs none {folder}")
            try:
                yield
            finally:
                sh(f"umount {folder}")
        finally:
            HUGEPAGES.write_text(before)


def measure(flow_counts: list[int]) -> dict[int, float]:
    """Packets per second for each number of flows, with the exact-match cache and, again, the signature cache."""
    best: dict[int, float] = {}
    with hugepages(), tempfile.TemporaryDirectory(prefix="jfb-pcap-") as folder:
        rule_file = Path(folder) / "rules"
        rule_file.write_text("\n".join(rules(1, 2)) + "\n")
        for flows in flow_counts:
            pcap = Path(folder) / f"{flows}.pcap"
            write_pcap(pcap, traffic(flows))
            rates = [_rate(pcap, rule_file, smc) for smc in ("false", "true")]
            best[flows] = max(rates)
    return best


def _rate(pcap: Path, rule_file: Path, smc: str) -> float:
    settings = ["dpdk-init=true", f"smc-enable={smc}", "pmd-cpu-mask=0x2", 'dpdk-extra="-a 0000:ff:1f.7"']
    with open_vswitch(settings, str(DAEMON)) as switch:
        switch.vsctl("add-br br0 -- set bridge br0 datapath_type=netdev")
        switch.ofctl("del-flows br0")
        switch.ofctl(f"add-flows br0 {rule_file}")
        switch.vsctl(
            "add-port br0 out -- set interface out type=dpdk options:dpdk-devargs=net_null0,no-rx=1 ofport_request=2"
            " -- add-port br0 in -- set interface in type=dpdk ofport_request=1"
            f" options:dpdk-devargs=net_pcap0,rx_pcap={pcap},infinite_rx=1"
        )
        time.sleep(1)

        def sent() -> int:
            found = re.search(r"tx pkts=(\d+)", switch.ofctl("dump-ports br0 2"))
            if found is None:
                raise RuntimeError("ovs-ofctl dump-ports shows no counter")
            return int(found[1])

        before, started = sent(), time.monotonic()
        time.sleep(SECONDS)
        return (sent() - before) / (time.monotonic() - started)
