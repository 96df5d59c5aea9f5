"""The stack of a translation: frames of steps, and the limits of what one packet may cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.translate import Translation
    from jackfield.openflow.actions import Action

MAX_DEPTH: Final = 64
"""Resubmits and patch ports may nest this deep."""
MAX_RESUBMITS: Final = 4096
"""Tables one packet may search beyond the first."""
MAX_ACTIONS: Final = 8192
"""Datapath actions one packet may cause."""
MAX_STACK: Final = 4096
"""Values one packet may push."""

TOO_DEEP: Final = "Recursion too deep"
TOO_MANY_RESUBMITS: Final = "Too many resubmits"
TOO_MANY_ACTIONS: Final = "Too many datapath actions"
STACK_TOO_DEEP: Final = "Stack too deep"

Step: TypeAlias = tuple["Callable[[Translation, Any], None]", Any, "Action | None"]
Steps: TypeAlias = tuple[Step, ...]
FrameEnd: TypeAlias = "Callable[[Translation, Any], None]"


def _run_action_set(t: Translation, _argument: None) -> None:
    t.run_action_set()


ACTION_SET_STEPS: Final[Steps] = ((_run_action_set, None, None),)
"""What is left to do when the tables are through."""


class Frame:
    """A list of steps under way.

    Attributes:
        steps, index: the steps, and which is next.
        end: called with `saved` when the steps are done.
        opened: with a report, how deep it was before this frame began a table or bridge in it; else 0.
    """

    __slots__ = ("end", "index", "opened", "saved", "steps")

    def __init__(self, steps: Steps, end: FrameEnd | None = None, saved: Any = None, opened: int = 0) -> None:
        self.opened = opened
        self.steps = steps
        self.index = 0
        self.end = end
        self.saved = saved
