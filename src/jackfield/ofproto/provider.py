"""OpenFlow switches: the contract between the switch model and what makes packets follow it.

An `Ofproto` is the switch as controllers see it: tables, rules, ports, connections. It knows nothing of packets. A
*provider* makes packets obey it; there is one provider instance for each `Ofproto`, and the two hold each other. The
built-in one (`jackfield.ofproto.pipeline`) translates what the rules say into megaflows of a datapath.

Life cycle
    *alloc*: the registry makes the instance, ``provider(ofproto)``; it may only store its argument. *construct* takes
    what is needed (opens the datapath) and may fail with an ``OSError``, after which nothing more is called. Then
    *run* is called whenever it asked to be, and everything below in any order. *destruct* gives everything back; the
    switch has told of each port's deletion before, but not of each rule's. Neither destruct nor any ``..._deleted``,
    ``..._removed`` method may fail.

Threads and time
    All methods are called on the main thread, none may block or work longer than 2 ms; longer work is a generator
    given to `jackfield.clock.spawn`. `now` is ``ofproto.clock.now()``, in ms.

Who owns what
    The switch owns `Port`, `Rule` and `Table` objects; a provider reads them, adds to the counters (`Rule.stats`,
    `Table.lookups`, `Table.matches`), keeps what it likes in the ``provider_data`` of ports and rules, and changes
    nothing else. A port's `netdev` is opened and closed by whoever configured the port.

Counters
    A rule's counters are an object of their own, `Rule.stats`, which a rule passes on to the rule that replaces it
    unless the counters were reset. Whoever is to be credited later holds on to `Rule.stats`, not to the rule: packets
    forwarded by the old rule's actions then count for the flow as controllers know it.

What a provider asks of the switch
    * ``ofproto.tables[i].classifier.lookup(key, ofproto.version)``: the rule for a key, None for a miss, and the bits
      of the key that were looked at. What follows a miss is for the provider to do, according to
      ``ofproto.tables[i].miss``; an implicit miss is reported as a packet-in with `PacketInEvent.implicit_miss` set,
      and only the connections whose OpenFlow version wants it (before 1.3) get it.
    * ``ofproto.ports`` by OpenFlow number; ``port.config`` and ``port.state`` say what may pass.
    * ``ofproto.connections.packet_in(event)``: a packet for controllers; filtering, rate limits and truncation are
      done there. ``ofproto.connections.wants_misses`` says whether any connection wants implicit misses.
    * ``ofproto.fragments``, ``ofproto.settings``.

Versions
    Each change of the tables takes effect at one instant, however many rules it touches: the rules carry the range of
    versions in which they are visible, and ``ofproto.version`` moves when all of them are in place. A translation
    reads the version once, at its start. Rules that became invisible stay in the classifier until the change is
    finished, and `rule_inserted`, `rule_replaced` and `rule_removed` are called after the version has moved.

Completion
    `sync` is the barrier: it calls back once no thread can still forward by what was changed before. `refresh_stats`
    calls back once the counters hold all that was forwarded before. Both may call back at once, from within the call.

How the hardest users fit
    *Conntrack recirculation.* A packet that comes back from connection tracking continues at a table with a new
    ``recirc_id`` and ``ct_state``. The continuation belongs to the provider: a frozen translation, keyed by the
    recirculation id, holding the table to go on in, the registers and metadata, the action set and stack, and the
    *remaining actions by value*, never a rule: a rule may be gone when the packet returns. The switch model sees only
    a second `lookup` of a key whose recirc_id and ct fields are set. Megaflows of both passes depend on their own
    table lookups, so that a changed rule revalidates just the pass it took part in, and the tables' version is read
    afresh by the second pass: a change between the passes applies to the second one, as it does for two packets.

    *An OVN bundle.* ovn-controller commits tens of thousands of flow-mods, group-mods and packet-outs that must take
    effect together. All of them are checked and put in place with ``add_version = version + 1`` (rules to go get
    ``remove_version = version + 1``), in slices, while packets go on under the old version; one assignment of
    ``ofproto.version`` commits; ``rule_...`` notices then follow in slices, during which the provider may still
    forward by the old megaflows, and only then comes `sync`, whose callback sends the commit reply. A failure before
    the commit removes what was put in place, which nobody has seen. `packet_check` is called while the bundle is
    built and `packet_execute` after the commit, so that a packet-out sees the bundle's own flows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort
from jackfield.netdev.provider import DeviceStats
from jackfield.openflow.messages import FragmentHandling, PacketInReason, PacketOut, PortConfig
from jackfield.provider import Provider, ProviderRegistry

if TYPE_CHECKING:
    from jackfield.ofproto.ofproto import Ofproto
    from jackfield.ofproto.ports import Port
    from jackfield.ofproto.rule import Rule

NO_COOKIE: Final = 0xFFFFFFFFFFFFFFFF
"""Cookie of a packet-in that no rule caused."""


@dataclass(slots=True)
class PacketInEvent:
    """A packet for the controllers.

    Attributes:
        packet: the whole frame.
        in_port: where it came in.
        reason: why it goes to controllers.
        table_id: table of the rule that sent it, or of the miss.
        cookie: of that rule, `NO_COOKIE` when there is none.
        metadata: exact matches on the pipeline fields the packet carries.
        controller_id: only connections with this id (0 unless they chose one) get it.
        max_len: bytes of the packet the rule asked for; None for a miss: each connection's miss_send_len.
        implicit_miss: no rule sent it; connections of OpenFlow 1.3 and later do not get it.
        userdata: of a `Controller` action.
    """

    packet: bytes
    in_port: OfPort
    reason: PacketInReason
    table_id: int = 0
    cookie: int = NO_COOKIE
    metadata: Match = field(default_factory=Match)
    controller_id: int = 0
    max_len: int | None = None
    implicit_miss: bool = False
    userdata: bytes = b""


class OfprotoProvider(Provider, ABC):
    """Makes packets follow one `Ofproto`; see the module's prose."""

    def __init__(self, ofproto: Ofproto) -> None:
        self.ofproto = ofproto

    # -- the class -------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def enumerate_types(cls) -> list[str]:
        """The datapath types this class can make switches of; all of them are registered to it."""

    @classmethod
    @abstractmethod
    def enumerate_names(cls, type_name: str) -> list[str]:
        """Names of the switches of a type that exist now, opened by this process or left by another."""

    @classmethod
    @abstractmethod
    def delete(cls, type_name: str, name: str) -> None:
        """Delete a switch that is not open here.

        Raises:
            OSError: ENODEV no such switch, EBUSY open in this process.
        """

    # -- life cycle ------------------------------------------------------------------------------------------------

    @abstractmethod
    def construct(self) -> None:
        """Take what the switch needs.

        Raises:
            OSError: it cannot be had; nothing is left behind.
        """

    @abstractmethod
    def destruct(self, *, delete: bool) -> None:
        """Give everything back; with `delete`, also what would outlive the process. Never fails."""

    def run(self) -> int | None:
        """Do the periodic work that is due.

        Returns:
            When to be called again, as clock ms; None for not before ``ofproto.wake_provider()``.
        """
        return None

    # -- ports -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def port_added(self, port: Port) -> None:
        """Let packets in and out of a new port; its number, configuration and device are set.

        Raises:
            OSError: the port cannot be added (its device is taken, the datapath is full ...); it does not exist then.
        """

    @abstractmethod
    def port_deleted(self, port: Port) -> None:
        """Let go of a port; when this returns, nothing touches its device any more."""

    @abstractmethod
    def port_modified(self, port: Port) -> None:
        """A port's device changed: address, MTU, state of the link. `port.state` is up to date."""

    @abstractmethod
    def port_reconfigured(self, port: Port, old_config: PortConfig) -> None:
        """`port.config` changed from `old_config`. What the administrator set PORT_DOWN to is already done."""

    @abstractmethod
    def port_poll(self) -> str | None:
        """The name of one device whose port appeared, vanished or changed in the datapath since last asked.

        "" stands for "any of them"; None for no change. The switch compares and calls the methods above.
        """

    def port_is_present(self, name: str) -> bool:
        """Whether the datapath still has the port of that device; a port it has lost is deleted from the switch."""
        return True

    def port_stats(self, port: Port) -> DeviceStats:
        """The port's counters as controllers shall see them; by default the device's own."""
        return port.netdev.get_stats()

    # -- rules -----------------------------------------------------------------------------------------------------

    def rule_check(self, rule: Rule) -> None:
        """Refuse a rule before it is put in place; the switch has checked what OpenFlow itself demands.

        Raises:
            OpenFlowError: the provider cannot do what the actions say.
        """

    @abstractmethod
    def rule_inserted(self, rule: Rule) -> None:
        """A rule became visible where none with its match and priority was."""

    @abstractmethod
    def rule_replaced(self, old: Rule, new: Rule) -> None:
        """`new` became visible in the place of `old`, with the same match and priority.

        Both share `stats` unless the counters were reset. `old.actions` and `new.actions` may be equal: then only
        cookie, timeouts or flags differ.
        """

    @abstractmethod
    def rule_removed(self, rule: Rule) -> None:
        """A rule is no longer visible. Its `stats` take late counters until `sync` calls back."""

    # -- tables ----------------------------------------------------------------------------------------------------

    def table_changed(self, table_id: int) -> None:
        """What a table does with a miss (`Table.miss`) changed."""

    def set_fragments(self, handling: FragmentHandling) -> bool:
        """Handle IP fragments as ``ofproto.fragments`` is about to say; False where that is not supported."""
        return handling != FragmentHandling.REASM

    def settings_changed(self) -> None:
        """Something in ``ofproto.settings`` changed, or ``ofproto.connections.wants_misses`` did."""

    # -- packets ---------------------------------------------------------------------------------------------------

    def packet_check(self, out: PacketOut) -> None:
        """Refuse a packet-out before anything happens; the switch has checked its actions and ports.

        Raises:
            OpenFlowError: the provider cannot do it.
        """

    @abstractmethod
    def packet_execute(self, out: PacketOut) -> None:
        """Send a packet that passed `packet_check` through its actions, under the tables' present version."""

    # -- completion ------------------------------------------------------------------------------------------------

    @abstractmethod
    def sync(self, callback: Callable[[], None]) -> None:
        """Call back once no packet is forwarded any more by what was changed before this call.

        What was changed is what the methods of this contract told: rules, ports, tables, settings. Callbacks are
        called in the order of the calls, from the main thread, and exactly once, also when the switch is destructed.
        """

    @abstractmethod
    def refresh_stats(self, callback: Callable[[], None], max_age: int = 0) -> None:
        """Call back once `Rule.stats` hold all that was forwarded up to `max_age` ms before this call.

        Called for idle timeouts (`max_age` 0) and before flow statistics are reported; a provider answers calls that
        overlap with one sweep. The time of the last packet, `FlowCounters.used`, is set from when packets passed, not
        from when the counters were read.
        """


ofproto_registry: Final = ProviderRegistry[OfprotoProvider]("ofproto", OfprotoProvider)  # type: ignore[type-abstract]  # the contract that classes are held against; nothing is made of it
"""The classes of switches by type; `Ofproto` opens its provider from here."""
