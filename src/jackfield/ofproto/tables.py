"""A switch's flow tables: a classifier each, and what is configured for it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from jackfield.ofproto.classifier import Classifier

N_TABLES: Final = 254
"""Tables of a switch, numbered from 0; 255 means "all" or "any" in OpenFlow, 254 is Open vSwitch's own."""


class TableMiss(Enum):
    """What becomes of a packet that no rule of a table fits (OpenFlow 1.1 and 1.2 table configuration)."""

    DEFAULT = "default"  #: an implicit miss: for the controllers whose version wants it, else dropped
    CONTINUE = "continue"  #: go on in the next table
    CONTROLLER = "controller"
    DROP = "drop"


class Table:
    """One table.

    Attributes:
        table_id: its number.
        classifier: its rules.
        name: for controllers and logs; empty for none.
        n_flows: flows that controllers can see in it now.
        max_flows: how many flows controllers may put here, None for no limit.
        miss: what becomes of a packet that no rule fits.
        lookups: packets looked up so far, kept by the provider.
        matches: packets that a rule fitted, kept by the provider.
    """

    __slots__ = ("classifier", "lookups", "matches", "max_flows", "miss", "n_flows", "name", "table_id")

    def __init__(self, table_id: int) -> None:
        self.table_id = table_id
        self.classifier = Classifier()
        self.name = ""
        self.n_flows = 0
        self.max_flows: int | None = None
        self.miss = TableMiss.DEFAULT
        self.lookups = 0
        self.matches = 0
