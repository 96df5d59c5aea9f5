"""Parts of fields as actions name them: ``reg0[3..7]``, ``NXM_OF_IN_PORT[]`` (ovs-actions(7))."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from jackfield.flow.fields import Field
from jackfield.flow.tunnel_options import NO_TUNNEL_OPTIONS, TunnelOptions


class Subfield(NamedTuple):
    """Bits `ofs` to ``ofs + n_bits - 1`` of a field, bit 0 the lowest."""

    field: Field
    ofs: int
    n_bits: int

    @property
    def mask(self) -> int:
        """The bits, in place in the key, without those that the field passes over (the ECN bits of nw_tos)."""
        return (1 << self.n_bits) - 1 << self.field.offset + self.ofs & self.field.mask

    @property
    def max_value(self) -> int:
        """The largest value that fits."""
        return (1 << self.n_bits) - 1

    @property
    def is_whole(self) -> bool:
        """Whether these are all bits that actions can name."""
        return self.ofs == 0 and self.n_bits == self.field.width

    def get(self, key: int) -> int:
        """The bits' value in a key."""
        return (key & self.mask) >> self.field.offset + self.ofs

    def put(self, key: int, value: int) -> int:
        """The key with these bits set; what does not fit of `value` is dropped."""
        mask = self.mask
        return key & ~mask | value << self.field.offset + self.ofs & mask

    def __str__(self) -> str:
        """As ovs-ofctl prints it: the oldest NXM or OXM name, the bits behind it."""
        name = self.field.oxm[0].name if self.field.oxm else self.field.name
        if self.is_whole:
            return f"{name}[]"
        if self.n_bits == 1:
            return f"{name}[{self.ofs}]"
        return f"{name}[{self.ofs}..{self.ofs + self.n_bits - 1}]"


_SUBFIELD: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[(?:(-?[0-9]+)(?:\.\.(-?[0-9]+))?)?\])?")


def parse_subfield_prefix(text: str, options: TunnelOptions = NO_TUNNEL_OPTIONS) -> tuple[Subfield, str]:
    """The subfield at the beginning of a text, and the rest of the text. A name without brackets means all of it.

    Raises:
        ValueError: the text does not begin with one.
    """
    found = _SUBFIELD.match(text)
    if found is None:
        raise ValueError(f"{text}: syntax error (expected a field name)")
    name, brackets, first, last = found.groups()
    rest = text[found.end() :]
    if brackets is None and rest.startswith("["):
        raise ValueError(f"{text}: syntax error (expected [] or [<bit>] or [<start>..<end>] behind {name})")
    field = options.field_by_name(name)
    if first is None:
        return Subfield(field, 0, field.width), rest
    start = int(first)
    end = int(last) if last is not None else start
    if start > end:
        raise ValueError(f"{text}: starting bit {start} is after ending bit {end}")
    for what, bit in (("starting", start), ("ending", end)):
        if not 0 <= bit < field.width:
            raise ValueError(f"{text}: {what} bit {bit} is not valid because field is only {field.width} bits wide")
    return Subfield(field, start, end - start + 1), rest


def parse_subfield(text: str, options: TunnelOptions = NO_TUNNEL_OPTIONS) -> Subfield:
    """The subfield that a text is.

    Raises:
        ValueError: it is none, or something follows it.
    """
    subfield, rest = parse_subfield_prefix(text, options)
    if rest:
        raise ValueError(f"{text}: unexpected {rest} behind the field")
    return subfield
