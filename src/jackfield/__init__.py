"""Jackfield, a virtual switch in Python: Open vSwitch from the outside, replaceable providers on the inside."""

__version__ = "0.1.0"
