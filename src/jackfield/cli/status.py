"""What `jackfield up` shows while it runs: a live table on a terminal, two lines elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from jackfield.cli.output import Column, Row, fold, render
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.log import get_logger
from jackfield.openflow.messages import PortState

if TYPE_CHECKING:
    from jackfield.clock import Clock, Timer
    from jackfield.netdev.provider import DeviceStats
    from jackfield.ofproto.connections.controllers import Controller
    from jackfield.ofproto.ports import Port
    from jackfield.vswitchd.bridge import Bridge

log = get_logger("status")

INTERVAL: Final = 1_000  # ms between two looks at the counters

COLUMNS: Final = (
    Column("port", "number", right=True),
    Column("name", "name"),
    Column("link", "link"),
    Column("received/s", "rx_rate", right=True, compact=True),
    Column("sent/s", "tx_rate", right=True, compact=True),
    Column("received", "rx_packets", right=True, compact=True),
    Column("sent", "tx_packets", right=True, compact=True),
    Column("dropped", "dropped", right=True, compact=True, spare=True),
)


def load() -> None:
    """Import what the display needs, which takes longer than an event loop may stall."""
    if sys.stdout.isatty():
        import rich.live
        import rich.text  # noqa: F401  # loaded for `Status`


class Status:
    """The display of one bridge."""

    def __init__(self, bridge: Bridge, rundir: Path, clock: Clock) -> None:
        self._bridge = bridge
        self._rundir = rundir
        self._clock = clock
        self._timer: Timer | None = None
        self._live: Any = None
        self._last: dict[str, tuple[int, int]] = {}
        self._looked = clock.now()

    def start(self) -> None:
        """Say that the switch runs and, on a terminal, begin to show how it does."""
        name, count = self._bridge.config.name, len(self._bridge.ofproto.ports)
        click.echo(f"{name} runs with {count} {'port' if count == 1 else 'ports'}; sockets are in {self._rundir}")
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
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            except OSError:
                return  # the terminal is gone, and with it whoever looked

    def _look(self) -> None:
        from rich.text import Text

        try:
            self._live.update(Text("\n".join(self.lines(self._live.console.width))), refresh=True)
        except OSError as error:
            log.warning("the terminal is gone: %s", error)
            return
        self._timer = self._clock.call_later(INTERVAL, self._look)

    def lines(self, width: int) -> list[str]:
        """What is shown now, for a terminal of that many columns."""
        rows = self.rows()
        shown = ["", *fold(self._title(), width), ""]
        if rows:
            shown += render(rows, COLUMNS, width)
        else:
            shown.append("no ports")
        notes = [f"{name}: {text}" for name, text in self._bridge.errors.items()]
        notes += [f"controller {_controller(each)}" for each in self._bridge.ofproto.connections.controllers()]
        return [*shown, *([""] if notes else []), *(line for note in notes for line in fold(note, width))]

    def rows(self) -> list[Row]:
        """A row for each port, with the rates since the last call."""
        ofproto = self._bridge.ofproto
        now, before = self._clock.now(), self._looked
        self._looked = now
        ports = sorted(ofproto.ports, key=lambda each: each.ofp_port)
        return [self._row(port, ofproto.provider.port_stats(port), now - before) for port in ports]

    def _row(self, port: Port, stats: DeviceStats, elapsed: int) -> Row:
        new = (stats.rx_packets or 0, stats.tx_packets or 0)
        old = self._last.get(port.name, new)
        self._last[port.name] = new
        received, sent = (max(0, now - then) * 1000 // max(elapsed, 1) for now, then in zip(new, old, strict=True))
        return {
            "number": "LOCAL" if port.ofp_port == OFPP_LOCAL else port.ofp_port,
            "name": port.name,
            "link": "down" if port.state & PortState.LINK_DOWN else "up",
            "rx_rate": received,
            "tx_rate": sent,
            "rx_packets": stats.rx_packets,
            "tx_packets": stats.tx_packets,
            "dropped": (stats.rx_dropped or 0) + (stats.tx_dropped or 0),
        }

    def _title(self) -> str:
        ofproto = self._bridge.ofproto
        flows = sum(len(table.classifier) for table in ofproto.tables)
        count = "1 flow" if flows == 1 else f"{flows:,} flows"
        return f"{ofproto.name}   datapath {ofproto.type}   id {ofproto.datapath_id:016x}   {count}"


def _controller(controller: Controller) -> str:
    if controller.connected:
        return f"{controller.target}: connected"
    cause = f" ({controller.last_error})" if controller.last_error else ""
    return f"{controller.target}: {controller.state.lower()}{cause}"
