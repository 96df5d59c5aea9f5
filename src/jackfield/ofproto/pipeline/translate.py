"""Translation: what the rules make of a packet's key, as datapath actions and the megaflow they hold for.

A `Translation` is input, state and result in one. Its state is explicit: a stack of *frames*, each a tuple of *steps*
and the place in it. A step is ``(handler, argument, action)``; handlers (the `xlate_...` modules) change the key,
append datapath actions, or push frames, and never call back into `run`. So a translation can stop anywhere and go on
elsewhere (`freeze`), and depth costs no Python stack.

What it leaves behind:

* `actions` and `wildcards`: the megaflow. Every packet that agrees with this one under `wildcards` gets these actions.
* `lookups`: each search of a table, as (table, key there, bits of it that actions had set, rule found). All that these
  keys have in common with those of other packets of the megaflow is known: what `wildcards` holds, what actions had
  set, and the pipeline's fields. That is what a new rule is compared with. The same records say whom to credit.
* `topics`: what else it depends on (`bridge`).
* `macs`, `patches`: addresses and patch ports to credit.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jackfield.dpif.actions import DpAction, DpActions, Recirc, Userspace
from jackfield.flow import fields as f
from jackfield.flow.ports import OFPP_UNSET, OfPort
from jackfield.flow.prerequisites import ALTERNATIVES
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.commit import COMMITTED, commit
from jackfield.ofproto.pipeline.compile import compile_action_set, compile_actions
from jackfield.ofproto.pipeline.cookie import ControllerCookie
from jackfield.ofproto.pipeline.frames import (
    ACTION_SET_STEPS,
    MAX_ACTIONS,
    MAX_DEPTH,
    MAX_RESUBMITS,
    TOO_DEEP,
    TOO_MANY_ACTIONS,
    TOO_MANY_RESUBMITS,
    Frame,
    FrameEnd,
    Steps,
)
from jackfield.ofproto.pipeline.freeze import FrozenState, FrozenTable
from jackfield.ofproto.pipeline.xlate_output import enter_next_on_miss
from jackfield.ofproto.pipeline.xlate_port import end_patch
from jackfield.ofproto.provider import NO_COOKIE
from jackfield.ofproto.tables import Table
from jackfield.openflow.messages import FragmentHandling

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.bridge import XBridge, XPort
    from jackfield.ofproto.pipeline.mac_learning import MacTable
    from jackfield.ofproto.pipeline.report import Report
    from jackfield.ofproto.rule import Rule
    from jackfield.openflow.actions import Action

Lookup: TypeAlias = tuple[Table, int, int, "Rule | None"]
LearnedMac: TypeAlias = "tuple[MacTable, bytes, int, int, XPort]"

_ACTSET_UNSET: Final = OFPP_UNSET << k.ACTSET_OUTPUT_OFF
_STP_DST: Final = 0x0180C2000000 << k.ETH_DST_OFF


def _of_eth_type(eth_type: int | None) -> int:
    """What the key of a packet of that Ethertype can hold; None for all that need none."""
    return reduce(
        or_,
        (
            field.mask
            for field in f.FIELDS + f.INTERNAL_FIELDS
            if any(
                not mask & k.ETH_TYPE or value & k.ETH_TYPE == eth_type
                for mask, value, _ in ALTERNATIVES[field.prerequisite]
            )
        ),
    )


_PRESENT: Final = {
    eth_type << k.ETH_TYPE_OFF: _of_eth_type(eth_type << k.ETH_TYPE_OFF)
    for eth_type in (0x0800, 0x86DD, 0x0806, 0x8035, 0x8847, 0x8848, 0x894F)
}
_PRESENT_ANYWAY: Final = _of_eth_type(None)


class Translation:
    """One packet's way through the tables; see the module's prose.

    Args:
        bridge: where the packet came in.
        key: its datapath key.
        in_port: by which port, None for a packet a controller made up.
        now: clock ms, for what is learned.
        frozen: where frozen states live.
        learn: whether the packet is really there, so that its address is learned.
        report: told every step, for people.
    """

    __slots__ = (
        "action_set",
        "actions",
        "base",
        "bridge",
        "changed",
        "cookie",
        "depth",
        "error",
        "frames",
        "frozen",
        "in_action_set",
        "key",
        "learn",
        "lookups",
        "macs",
        "now",
        "of_table_miss",
        "original",
        "packet_out",
        "patches",
        "pid",
        "recirc_ids",
        "report",
        "resubmits",
        "stack",
        "stopped",
        "stripped",
        "table_id",
        "topics",
        "version",
        "wildcards",
    )

    def __init__(
        self,
        bridge: XBridge,
        key: int,
        in_port: XPort | None,
        now: int,
        frozen: FrozenTable,
        *,
        learn: bool = True,
        report: Report | None = None,
    ) -> None:
        self.bridge = bridge
        self.original = key
        self.base = key
        ofp_port = OFPP_UNSET if in_port is None else in_port.ofp_port
        self.key = key | ofp_port << k.IN_PORT_OFF | _ACTSET_UNSET
        self.now = now
        self.frozen = frozen
        self.learn = learn
        self.report = report
        self.version = bridge.switch.version
        self.wildcards = k.ALWAYS
        self.changed = 0
        self.table_id = 0
        self.cookie = NO_COOKIE
        #: Whether the actions are those of a rule that makes misses explicit: it fits everything, at priority 0.
        self.of_table_miss = False
        self.actions: list[DpAction] = []
        self.frames: list[Frame] = []
        self.lookups: list[Lookup] = []
        self.topics: list[object] = [bridge.topic] if in_port is None else [bridge.topic, in_port.topic]
        self.macs: list[LearnedMac] = []
        self.patches: list[XPort] = []
        self.recirc_ids: list[int] = []
        self.action_set: list[Action] = []
        self.stack: list[tuple[int, int]] = []
        self.depth = 0
        self.resubmits = 0
        self.stopped = False
        #: A tag was taken off: whether putting one on gives the old one back depends on all of its bits.
        self.stripped = False
        self.error: str | None = None
        self.in_action_set = False
        self.packet_out = False
        self.pid = 0

    # -- beginnings ------------------------------------------------------------------------------------------------

    def start(self, in_port: XPort | None) -> None:
        """Begin with table 0, as a packet that came in by a port does."""
        if in_port is None or self.may_receive(in_port):
            self.frames.append(Frame(ACTION_SET_STEPS))
            self.enter_table(0)

    def start_actions(self, steps: Steps, in_port: OfPort) -> None:
        """Begin with actions instead of a table, as a packet-out does; `in_port` may be a reserved number."""
        self.packet_out = True
        self.key = self.key & ~k.IN_PORT | in_port << k.IN_PORT_OFF
        self.frames.append(Frame(ACTION_SET_STEPS))
        self.frames.append(Frame(steps))

    def thaw(self, state: FrozenState) -> None:
        """Begin where a frozen translation stopped."""
        self.key = self.original | state.pipeline
        self.table_id = state.table_id
        self.of_table_miss = state.of_table_miss
        self.cookie = state.cookie
        self.stack = list(state.stack)
        self.action_set = list(state.action_set)
        self.frames.extend(Frame(steps, end, saved) for steps, end, saved in state.frames)

    def run_action_set(self) -> None:
        """Do what was written for the end; the steps become the top frame."""
        if self.action_set:
            self.in_action_set = True
            self.frames.append(Frame(compile_action_set(self.action_set)))
            self.action_set = []

    # -- the loop --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do all steps; afterwards the results are complete."""
        frames = self.frames
        report = self.report
        while frames:
            frame = frames[-1]
            steps = frame.steps
            while not self.stopped and frame.index < len(steps):
                handler, argument, action = steps[frame.index]
                frame.index += 1
                if report is not None and action is not None:
                    report.action(action)
                handler(self, argument)
                if not frames or frames[-1] is not frame:
                    break
            else:
                frames.pop()
                if frame.end is not None:
                    frame.end(self, frame.saved)
                if report is not None and frame.opened:
                    report.close_to(frame.opened)
        self._finish()

    def _finish(self) -> None:
        wildcards = self.wildcards & k.DATAPATH
        key = self.original
        if key & k.FRAG_LATER:
            # Its ports are zero because they are not there; rules may have looked at them without asking for that.
            wildcards &= ~k.PORTS
        if not key & k.VLAN2_PRESENT:
            # Of a tag that is not there, nothing more is to be known.
            wildcards &= k.WITHOUT_TAG2 if key & k.VLAN_PRESENT else k.WITHOUT_TAGS
        self.wildcards = wildcards & _PRESENT.get(key & k.ETH_TYPE, _PRESENT_ANYWAY) | _frag_bits(key)
        if self.error is not None:
            self.actions.clear()
            self.release()

    @property
    def result(self) -> DpActions:
        """The datapath actions."""
        return tuple(self.actions)

    # -- what handlers use -----------------------------------------------------------------------------------------

    def set_bits(self, mask: int, value: int) -> None:
        """Set bits of the key (both in place) and take note that the megaflow must know them."""
        self.key = self.key & ~mask | value
        self.wildcards |= mask
        self.changed |= mask

    def commit(self) -> None:
        """Bring the datapath's packet to where the key is."""
        if self.stripped:
            self.wildcards |= k.VLAN_TAG
        if (self.base ^ self.key) & COMMITTED:
            self.wildcards = commit(self.base, self.key, self.wildcards, self.actions)
            self.base = self.key

    def emit(self, action: DpAction) -> None:
        """Append a datapath action."""
        if len(self.actions) >= MAX_ACTIONS:
            self.fail(TOO_MANY_ACTIONS)
        else:
            self.actions.append(action)

    def fail(self, error: str) -> None:
        """Give up: the packet is dropped, and so are those that agree with it."""
        self.error = error
        self.stopped = True
        if self.report is not None:
            self.report.error(error)

    def note(self, text: str) -> None:
        """Tell people something."""
        if self.report is not None:
            self.report.detail(text)

    def to_controllers(
        self,
        reason: int,
        max_len: int | None,
        controller_id: int = 0,
        userdata: bytes = b"",
        *,
        implicit_miss: bool = False,
    ) -> None:
        """Send the packet, as it is now, to controllers; `max_len` None leaves the length to each of them."""
        self.commit()
        cookie = ControllerCookie(
            bridge_id=self.bridge.number,
            table_id=self.table_id,
            rule_cookie=self.cookie,
            reason=reason,
            in_port=(self.key & k.IN_PORT) >> k.IN_PORT_OFF,
            controller_id=controller_id,
            max_len=max_len,
            implicit_miss=implicit_miss,
            pipeline=self.key & (k.REGISTERS | k.METADATA),
            userdata=userdata,
        )
        self.emit(Userspace(cookie.encode(), self.pid))

    def current_port(self) -> XPort | None:
        """The port the packet is taken to have come in by."""
        return self.bridge.ports.get((self.key & k.IN_PORT) >> k.IN_PORT_OFF)

    def warn(self, text: str) -> None:
        """Tell people of something unusual."""
        if self.report is not None:
            self.report.warn(text)

    def may_receive(self, port: XPort) -> bool:
        """Whether a port lets the packet in."""
        if port.receives is not port.receives_stp:
            self.wildcards |= k.ETH_DST
        if port.receives_stp if self.key & k.ETH_DST == _STP_DST else port.receives:
            return True
        self.warn("port does not receive, dropping")
        return False

    def enter_table(self, table_id: int) -> None:
        """Go on in a table, honouring what it does with a miss; the steps of the rule become the top frame."""
        while True:
            rule = self._lookup(table_id)
            if rule is not None:
                self.enter_rule(rule)
                return
            table_id = enter_next_on_miss(self, table_id)
            if table_id < 0:
                return

    def resubmit(self, table_id: int, in_port: int) -> None:
        """Search a table as if the packet had come in by `in_port`; afterwards all is as before, save the packet."""
        if self.depth >= MAX_DEPTH:
            self.fail(TOO_DEEP)
            return
        saved_in_port = self.key & k.IN_PORT
        self.key = self.key & ~k.IN_PORT | in_port << k.IN_PORT_OFF
        before = (self.table_id, self.of_table_miss, self.cookie)
        rule = self._lookup(table_id)
        self.key = self.key & ~k.IN_PORT | saved_in_port
        if rule is not None:
            self.depth += 1
            self.enter_rule(rule, _end_resubmit, before)
        else:
            self.table_id = before[0]
            if self.report is not None and not self.stopped:
                self.report.miss(self.bridge, table_id)

    def enter_rule(self, rule: Rule, end: FrameEnd | None = None, saved: Any = None) -> None:
        """Do what a rule says."""
        self.of_table_miss = not rule.match.mask and rule.priority == 0
        self.cookie = rule.cookie
        steps: Steps | None = rule.provider_data
        if steps is None:
            steps = rule.provider_data = compile_actions(rule.actions)
        if self.report is not None:
            opened = self.report.depth
            self.report.table(self.bridge, self.table_id, rule)
            self.frames.append(Frame(steps, end, saved, opened))
        elif steps or end is not None:
            self.frames.append(Frame(steps, end, saved))

    def _lookup(self, table_id: int) -> Rule | None:
        if self.resubmits >= MAX_RESUBMITS:
            self.fail(TOO_MANY_RESUBMITS)
            return None
        self.resubmits += 1
        self.table_id = table_id
        table = self.bridge.switch.tables[table_id]
        key = self.key
        changed = self.changed
        if key & k.FRAG_ANY and (handling := self.bridge.fragments) is not FragmentHandling.NX_MATCH:
            if handling is FragmentHandling.DROP:
                self.stopped = True
                self.note("fragments are dropped")
                return None
            key &= ~k.PORTS
            changed |= k.PORTS
        rule, looked_at = table.classifier.lookup(key, self.version)
        self.wildcards |= looked_at
        self.lookups.append((table, key, changed, rule))
        if rule is not None:
            self.topics.append(rule)
        return rule

    def release(self) -> None:
        """Let go of what was held for the datapath; for a translation whose actions are not installed."""
        for recirc_id in self.recirc_ids:
            self.frozen.release(recirc_id)
        self.recirc_ids.clear()

    # -- freezing --------------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Stop here: what is left to do in this bridge goes on when the packet comes back from a `Recirc` action."""
        frames = self.frames
        bottom = next((i for i in reversed(range(len(frames))) if frames[i].end is end_patch), -1)
        kept = [(frame.steps[frame.index :], frame.end, frame.saved) for frame in frames[max(bottom, 0) :]]
        if bottom >= 0:
            # The bridge before the patch goes on now.
            kept[0] = (kept[0][0], None, None)
            frames[bottom].index = len(frames[bottom].steps)
        state = FrozenState(
            bridge=self.bridge.number,
            table_id=self.table_id,
            of_table_miss=self.of_table_miss,
            cookie=self.cookie,
            frames=tuple(kept),
            pipeline=self.key & k.PIPELINE,
            stack=tuple(self.stack),
            action_set=tuple(self.action_set),
        )
        del frames[bottom + 1 :]
        self.commit()
        recirc_id = self.frozen.hold(state)
        self.recirc_ids.append(recirc_id)
        self.emit(Recirc(recirc_id))


def _end_resubmit(t: Translation, saved: tuple[int, bool, int]) -> None:
    t.table_id, t.of_table_miss, t.cookie = saved
    t.depth -= 1


def _frag_bits(key: int) -> int:
    eth_type = key & k.ETH_TYPE
    return k.FRAG_BITS if eth_type in (k.IPV4, k.IPV6) else 0
