"""What `jackfield up` shows while it runs: a live table on a terminal, two lines elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from jackfield.flow.ports import OFPP_LOCAL
from jackfield.openflow.messages import PortState

if TYPE_CHECKING:
    from jackfield.clock import Clock, Timer
    from jackfield.vswitchd.bridge import Bridge

INTERVAL: Final = 1_000  # ms between two looks at the counters


class Status:
    """The display of one bridge."""

    def __init__(self, bridge: Bridge, rundir: Path, clock: Clock) -> None:
        self._bridge = bridge
        self._rundir = rundir
        self._clock = clock
        self._timer: Timer | None = None
        self._live: Any = None
        self._last: dict[str, tuple[int, int]] = {}

    def start(self) -> None:
        """Say that the switch runs and, on a terminal, begin to show how it does."""
        name = self._bridge.config.name
        click.echo(f"{name} runs with {len(self._bridge.ofproto.ports)} ports; sockets are in {self._rundir}")
        click.echo(f"try: jackfield --rundir {self._rundir} flows     (Ctrl-C stops the switch)")
        if not sys.stdout.isatty():
            sys.stdout.flush()
            return
        from rich.live import Live

        self._live = Live(auto_refresh=False, transient=True)
        self._live.start()
        self._look()

    def stop(self) -> None:
        """End the display."""
        if self._timer is not None:
            self._timer.cancel()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _look(self) -> None:
        self._live.update(self._table(), refresh=True)
        self._timer = self._clock.call_later(INTERVAL, self._look)

    def _table(self) -> Any:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, title=self._title(), title_justify="left", pad_edge=False)
        for title in ("port", "name", "link", "received/s", "sent/s", "received", "sent"):
            table.add_column(title, justify="left" if title in ("name", "link") else "right")
        for port in self._bridge.ofproto.ports:
            stats = port.netdev.get_stats()
            now = (stats.rx_packets or 0, stats.tx_packets or 0)
            before = self._last.get(port.name, now)
            self._last[port.name] = now
            number = "LOCAL" if port.ofp_port == OFPP_LOCAL else str(port.ofp_port)
            link = "down" if port.state & PortState.LINK_DOWN else "up"
            rates = (f"{max(0, new - old):,}" for new, old in zip(now, before, strict=True))
            table.add_row(number, port.name, link, *rates, *(f"{count:,}" for count in now))
        for name, text in self._bridge.errors.items():
            table.add_row("-", name, f"[red]{text}[/]", "-", "-", "-", "-")
        return table

    def _title(self) -> str:
        ofproto = self._bridge.ofproto
        controllers = ofproto.connections.controllers()
        connected = sum(each.connected for each in controllers)
        told = f", {connected} of {len(controllers)} controllers connected" if controllers else ""
        flows = sum(len(table.classifier) for table in ofproto.tables)
        return f"{ofproto.name}  datapath {ofproto.type}  id {ofproto.datapath_id:016x}  {flows} flows{told}"
