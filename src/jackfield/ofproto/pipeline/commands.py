"""What people ask a running switch about its pipeline: unixctl commands, with the texts of ovs-vswitchd(8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jackfield.dpif.provider import DpFlow, DpPortInfo
from jackfield.dpif.text import format_actions
from jackfield.flow.hash import format_ufid
from jackfield.flow.ports import OFPP_LOCAL, DpPort, OfPort
from jackfield.flow.text_odp import format_odp
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.backer import Backer, backers
from jackfield.ofproto.pipeline.provider import PipelineProvider
from jackfield.ofproto.pipeline.trace import describe_userspace, trace_datapath_flow, trace_flow

if TYPE_CHECKING:
    from jackfield.daemon.unixctl import Commands
    from jackfield.ofproto.ofproto import Ofproto

_BATCH: Final = 200
_MS: Final = 1000
_FLUSHED: Final = "table successfully flushed"


class PipelineCommands:
    """The commands, over the switches that `ofprotos` gives."""

    def __init__(self, ofprotos: Callable[[], Sequence[Ofproto]]) -> None:
        self._ofprotos = ofprotos

    # -- switches --------------------------------------------------------------------------------------------------

    def list_ofprotos(self, _arguments: list[str]) -> str:
        """ofproto/list."""
        return "".join(f"{ofproto.name}\n" for ofproto in self._ofprotos())

    def trace(self, arguments: list[str]) -> str:
        """ofproto/trace."""
        plain = [each for each in arguments if each not in ("-generate", "--generate", "-consistent", "--names")]
        if not plain:
            raise ValueError("ofproto/trace needs a flow")
        provider = next((each for each in self._providers() if each.ofproto.name == plain[0]), None)
        if provider is not None and len(plain) >= 2:
            names = {port.name: OfPort(port.ofp_port) for port in provider.bridge.ports.values()}
            return trace_flow(provider.backer, provider.bridge, plain[1], names, _packet(plain[2:]))
        everything = backers()
        named = next((each for each in everything if plain[0] in (each.dpif.full_name, each.dpif.base_name)), None)
        rest = plain if named is None else plain[1:]
        if named is None and len(everything) == 1:
            named = everything[0]
        if named is None or not rest or "(" not in rest[0]:
            raise ValueError(f"{plain[0]}: unknown bridge")
        by_name = {name: number for number, name in _port_names(named).items()}
        return trace_datapath_flow(named, rest[0], by_name, _packet(rest[1:]))

    # -- addresses -------------------------------------------------------------------------------------------------

    def show_macs(self, arguments: list[str]) -> str:
        """fdb/show."""
        provider = self._provider(arguments[0])
        now = provider.ofproto.clock.now()
        lines = [" port  VLAN  MAC                Age"]
        for entry in sorted(provider.bridge.macs, key=lambda each: each.used):
            port = "LOCAL" if entry.port.ofp_port == OFPP_LOCAL else str(entry.port.ofp_port)
            mac = entry.mac.to_bytes(6, "big").hex(":")
            lines.append(f"{port:>5}  {entry.vlan:4d}  {mac}  {(now - entry.used) // _MS:3d}")
        return "\n".join(lines) + "\n"

    async def flush_macs(self, arguments: list[str]) -> str:
        """fdb/flush: once what was learned from is accounted for, or it would be learned again."""
        for backer in backers():
            await _called_back(partial(backer.revalidator.refresh, max_age=0))
        for provider in [self._provider(arguments[0])] if arguments else self._providers():
            provider.bridge.macs.flush()
        return f"{_FLUSHED}\n"

    def show_mac_stats(self, arguments: list[str]) -> str:
        """fdb/stats-show."""
        provider = self._provider(arguments[0])
        macs = provider.bridge.macs
        return (
            f'Statistics for bridge "{provider.ofproto.name}":\n'
            f"  Current/maximum MAC entries in the table: {len(macs)}/{macs.max_entries}\n"
            "  Current static MAC entries in the table : 0\n"
            f"  Total number of learned MAC entries     : {macs.learned}\n"
            f"  Total number of expired MAC entries     : {macs.expired}\n"
            f"  Total number of evicted MAC entries     : {macs.evicted}\n"
            f"  Total number of port moved MAC entries  : {macs.moved}\n"
        )

    # -- datapaths -------------------------------------------------------------------------------------------------

    def show_dpifs(self, _arguments: list[str]) -> str:
        """dpif/show."""
        lines = []
        for backer in backers():
            stats = backer.dpif.get_stats()
            lines.append(f"{backer.dpif.full_name}: hit:{stats.hits} missed:{stats.misses}")
            for provider in sorted(backer.bridges.values(), key=lambda each: each.ofproto.name):
                lines.append(f"  {provider.ofproto.name}:")
                lines.extend(f"    {line}" for line in sorted(_port_lines(provider)))
        return "".join(f"{line}\n" for line in lines)

    async def dump_bridge_flows(self, arguments: list[str]) -> str:
        """dpif/dump-flows."""
        verbose, names = "-m" in arguments, "--names" in arguments or "-m" in arguments
        provider = self._provider(next((each for each in arguments if not each.startswith("-")), ""))
        backer = provider.backer
        own = {port.dp_port for port in provider.bridge.ports.values()}

        def is_own(flow: DpFlow) -> bool:
            return flow.key is not None and flow.key & k.DP_IN_PORT in own

        return "".join([f"{line}\n" async for line in _flow_lines(backer, verbose=verbose, names=names, only=is_own)])

    async def dump_flows(self, arguments: list[str]) -> str:
        """dpctl/dump-flows."""
        verbose, names = "-m" in arguments, "--names" in arguments or "-m" in arguments
        backer = _one_backer([each for each in arguments if not each.startswith("-") and "=" not in each])
        lines = [line async for line in _flow_lines(backer, verbose=verbose, names=names)]
        return "".join(f"{line}\n" for line in ["flow-dump from the main thread:", *lines] if lines)

    def show_datapaths(self, arguments: list[str]) -> str:
        """dpctl/show."""
        plain = [each for each in arguments if not each.startswith("-")]
        lines = []
        for backer in [_one_backer(plain)] if plain else backers():
            stats = backer.dpif.get_stats()
            lines.append(f"{backer.dpif.full_name}:")
            lines.append(f"  lookups: hit:{stats.hits} missed:{stats.misses} lost:{stats.lost}")
            lines.append(f"  flows: {stats.flows}")
            for port in _dp_ports(backer):
                kind = "" if port.type == "system" else f" ({port.type})"
                lines.append(f"  port {port.port_no}: {port.name}{kind}")
        return "".join(f"{line}\n" for line in lines)

    async def flows_json(self, _arguments: list[str]) -> str:
        """jackfield/datapath-flows: a JSON list, for programs."""
        entries: list[dict[str, Any]] = []
        for backer in backers():
            names = _port_names(backer)
            async for flow in _dump(backer):
                key = flow.key or 0
                entries.append(
                    {
                        "match": format_odp(key, flow.mask, names),
                        "actions": format_actions(flow.actions or (), key, names, describe_userspace),
                        "packets": flow.stats.packets,
                        "bytes": flow.stats.bytes,
                        "used": _age(backer, flow),
                        "ufid": format_ufid(flow.ufid),
                    }
                )
        return json.dumps(entries)

    def datapaths_json(self, _arguments: list[str]) -> str:
        """jackfield/datapath-show: a JSON list, for programs."""
        entries: list[dict[str, Any]] = []
        for backer in backers():
            stats = backer.dpif.get_stats()
            ports = [{"number": each.port_no, "name": each.name, "type": each.type} for each in _dp_ports(backer)]
            entries.append(
                {
                    "name": backer.dpif.full_name,
                    "hits": stats.hits,
                    "misses": stats.misses,
                    "lost": stats.lost,
                    "flows": stats.flows,
                    "masks": stats.masks,
                    "ports": ports,
                }
            )
        return json.dumps(entries)

    # -- upcalls and revalidation ----------------------------------------------------------------------------------

    def show_upcalls(self, _arguments: list[str]) -> str:
        """upcall/show."""
        lines = []
        for backer in backers():
            revalidator = backer.revalidator
            lines += [
                f"{backer.dpif.full_name}:",
                f"  flows         : (current {len(backer.flows)}) (limit {revalidator.flow_limit})",
                f"  dump duration : {revalidator.last_duration}ms",
                "  ufid enabled : true",
                "",
                f"  upcalls       : (misses {backer.upcalls.misses}) (packet-ins {backer.upcalls.packet_ins})"
                f" (not installed {backer.upcalls.not_installed})",
            ]
        return "".join(f"{line}\n" for line in lines)

    async def wait(self, _arguments: list[str]) -> str:
        """revalidator/wait: until all changes are in force and all counters are right."""
        for backer in backers():
            await _called_back(backer.revalidator.sync)
            await _called_back(partial(backer.revalidator.refresh, max_age=0))
        return ""

    def purge(self, _arguments: list[str]) -> str:
        """revalidator/purge."""
        for backer in backers():
            backer.revalidator.purge()
        return ""

    def set_flow_limit(self, arguments: list[str]) -> str:
        """upcall/set-flow-limit."""
        limit = int(arguments[0])
        if limit < 0:
            raise ValueError(f"{arguments[0]}: a flow limit is not negative")
        for backer in backers():
            backer.revalidator.flow_limit = backer.revalidator.max_flow_limit = limit
        return f"set flow_limit to {limit}\n"

    def set_megaflows(self, enable: bool) -> Callable[[list[str]], str]:
        """upcall/enable-megaflows, upcall/disable-megaflows."""

        def handle(_arguments: list[str]) -> str:
            for backer in backers():
                backer.upcalls.megaflows = enable
                backer.revalidator.purge()
            return f"megaflows {'enabled' if enable else 'disabled'}\n"

        return handle

    # -- finding things --------------------------------------------------------------------------------------------

    def _providers(self) -> list[PipelineProvider]:
        return [each.provider for each in self._ofprotos() if isinstance(each.provider, PipelineProvider)]

    def _provider(self, name: str) -> PipelineProvider:
        provider = next((each for each in self._providers() if each.ofproto.name == name), None)
        if provider is None:
            raise ValueError("no such bridge")
        return provider


def register_commands(commands: Commands, ofprotos: Callable[[], Sequence[Ofproto]]) -> None:
    """Add the commands to a daemon's.

    Args:
        commands: where to add them.
        ofprotos: gives all switches there are.
    """
    own = PipelineCommands(ofprotos)
    commands.register("ofproto/list", "", 0, 0, own.list_ofprotos)
    commands.register(
        "ofproto/trace", "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]", 1, None, own.trace
    )
    commands.register("fdb/show", "bridge", 1, 1, own.show_macs)
    commands.register("fdb/flush", "[bridge]", 0, 1, own.flush_macs)
    commands.register("fdb/stats-show", "bridge", 1, 1, own.show_mac_stats)
    commands.register("dpif/show", "", 0, 0, own.show_dpifs)
    commands.register("dpif/dump-flows", "[-m] [--names | --no-names] bridge", 1, 3, own.dump_bridge_flows)
    commands.register("dpctl/dump-flows", "[-m] [--names] [dp]", 0, None, own.dump_flows)
    commands.register("dpctl/show", "[-s] [dp...]", 0, None, own.show_datapaths)
    commands.register("upcall/show", "", 0, 0, own.show_upcalls)
    commands.register("upcall/set-flow-limit", "flow-limit-number", 1, 1, own.set_flow_limit)
    commands.register("upcall/enable-megaflows", "", 0, 0, own.set_megaflows(True))
    commands.register("upcall/disable-megaflows", "", 0, 0, own.set_megaflows(False))
    commands.register("revalidator/wait", "", 0, 0, own.wait)
    commands.register("revalidator/purge", "", 0, 0, own.purge)
    commands.register("jackfield/datapath-flows", "", 0, 0, own.flows_json)
    commands.register("jackfield/datapath-show", "", 0, 0, own.datapaths_json)


def _packet(arguments: list[str]) -> bytes | None:
    if not arguments:
        return None
    try:
        return bytes.fromhex(arguments[0])
    except ValueError:
        raise ValueError(f"{arguments[0]}: a packet is written in hexadecimal digits") from None


def _one_backer(names: list[str]) -> Backer:
    everything = backers()
    found = [each for each in everything if not names or names[0] in (each.dpif.full_name, each.dpif.base_name)]
    if not found:
        raise ValueError(f"{names[0]}: no such datapath" if names else "no datapaths exist")
    if len(found) > 1:
        raise ValueError("multiple datapaths, specify one")
    return found[0]


def _dp_ports(backer: Backer) -> list[DpPortInfo]:
    return sorted(backer.dpif.port_dump(), key=lambda port: port.port_no)


def _port_names(backer: Backer) -> dict[DpPort, str]:
    return {DpPort(number): port.name for number, port in backer.ports.items()}


def _port_lines(provider: PipelineProvider) -> Iterable[str]:
    for port in provider.bridge.ports.values():
        number = "none" if port.dp_port is None else str(port.dp_port)
        netdev = port.netdev
        options = ", ".join(f"{key}={value}" for key, value in sorted(netdev.options.items()))
        yield f"{port.name} {port.ofp_port & 0xFFFF}/{number}: ({netdev.type}{': ' if options else ''}{options})"


def _age(backer: Backer, flow: DpFlow) -> float | None:
    """Seconds since a flow was last used, None when it never was."""
    return (backer.clock.now() - flow.stats.used) / _MS if flow.stats.used else None


async def _dump(backer: Backer) -> Any:
    """All flows of a datapath; the loop runs in between."""
    cursor = backer.dpif.flow_dump()
    while batch := cursor.next_batch(_BATCH):
        for flow in batch:
            yield flow
        await asyncio.sleep(0)
    cursor.finish()


async def _flow_lines(
    backer: Backer, *, verbose: bool, names: bool, only: Callable[[DpFlow], bool] = lambda _flow: True
) -> Any:
    by_number = _port_names(backer) if names else {}
    async for flow in _dump(backer):
        if not only(flow):
            continue
        key = flow.key or 0
        age = _age(backer, flow)
        used = "never" if age is None else f"{age:.3f}s"
        flags = f", flags:{_tcp_flags(flow.stats.tcp_flags)}" if flow.stats.tcp_flags else ""
        prefix = f"ufid:{format_ufid(flow.ufid)}, " if verbose else ""
        actions = format_actions(flow.actions or (), key, by_number, describe_userspace)
        yield (
            f"{prefix}{format_odp(key, flow.mask, by_number, verbose)}, packets:{flow.stats.packets}, "
            f"bytes:{flow.stats.bytes}, used:{used}{flags}, actions:{actions}"
        )


_FLAG_LETTERS: Final = "FSRP.UEC"


def _tcp_flags(flags: int) -> str:
    """TCP flags as dump-flows prints them, a letter each."""
    return "".join(letter for bit, letter in enumerate(_FLAG_LETTERS) if flags >> bit & 1)


async def _called_back(call: Callable[[Callable[[], None]], None]) -> None:
    done = asyncio.get_running_loop().create_future()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    call(finish)
    await done
