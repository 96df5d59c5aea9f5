"""Tunnel options: the fields that a controller maps at run time (ovs-fields(7), "Geneve Fields").

The key has 256 bytes for them at its top; a mapping gives each option a stretch of those and a field ``tun_metadataN``
over it. One switch has one mapping, which its text, codec and translation look fields up in; a mapping never changes, a
change makes another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from jackfield.flow import fields as f
from jackfield.flow.fields import Field, Form, Masking, oxm_id
from jackfield.flow.prerequisites import Prerequisite

MAX_OPTIONS: Final = 64
MAX_OPTION_BYTES: Final = 124
"""Longest body of one option: 31 words of 4 bytes (RFC 8926 section 3.5)."""
MAX_TOTAL_BYTES: Final = 252

_FIRST_NXM_NUMBER: Final = 40


class TunnelOption(NamedTuple):
    """One option type bound to a field.

    Attributes:
        number: N of ``tun_metadataN``, 0 to 63.
        option_class: 16 bits.
        option_type: 8 bits.
        n_bytes: length of its body, a multiple of 4 from 4 to 124.
        place: where it begins in the 256 bytes, counted from the low end.
    """

    number: int
    option_class: int
    option_type: int
    n_bytes: int
    place: int

    @property
    def present_mask(self) -> int:
        """The bit of the key that says the packet had this option, in place."""
        return 1 << f.TUN_METADATA_PRESENT.offset + self.number


class TunnelOptions:
    """A mapping of option types to fields; two of the same options in the same places are equal."""

    def __init__(self, options: Iterable[TunnelOption] = ()) -> None:
        """Fields for `options`, whose places do not overlap (what `add` sees to)."""
        self._options = {option.number: option for option in options}
        self._fields = {f"tun_metadata{option.number}": _field(option) for option in self._options.values()}

    def __iter__(self) -> Iterator[TunnelOption]:
        return iter(sorted(self._options.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TunnelOptions) and self._options == other._options

    def __hash__(self) -> int:
        return hash(tuple(self))

    def get(self, index: int) -> TunnelOption | None:
        """The option bound to ``tun_metadata<index>``."""
        return self._options.get(index)

    def add(self, index: int, option_class: int, option_type: int, n_bytes: int) -> TunnelOptions:
        """The mapping with one more option.

        Raises:
            ValueError: a number is out of range, the field or option is bound already, or there is no room left.
        """
        if not 0 <= index < MAX_OPTIONS:
            raise ValueError(f"tun_metadata{index}: there are {MAX_OPTIONS} fields for tunnel options")
        if not 4 <= n_bytes <= MAX_OPTION_BYTES or n_bytes % 4:
            raise ValueError(f"option length {n_bytes} is not a multiple of 4 from 4 to {MAX_OPTION_BYTES}")
        if index in self._options:
            raise ValueError(f"tun_metadata{index} is bound already")
        if any((known.option_class, known.option_type) == (option_class, option_type) for known in self):
            raise ValueError(f"option class {option_class:#x} type {option_type:#x} is bound already")
        if sum(known.n_bytes for known in self) + n_bytes > MAX_TOTAL_BYTES:
            raise ValueError(f"bound options may have {MAX_TOTAL_BYTES} bytes in all")
        option = TunnelOption(index, option_class, option_type, n_bytes, self._free_place(n_bytes))
        return TunnelOptions((*self, option))

    def remove(self, index: int) -> TunnelOptions:
        """The mapping without an option; the others keep their places.

        Raises:
            ValueError: nothing is bound to that field.
        """
        if index not in self._options:
            raise ValueError(f"tun_metadata{index} is not bound")
        return TunnelOptions(option for option in self if option.number != index)

    def _free_place(self, n_bytes: int) -> int:
        place = 0
        for known in sorted(self, key=lambda option: option.place):
            if known.place - place >= n_bytes:
                break
            place = known.place + known.n_bytes
        if place + n_bytes > f.TUN_METADATA_BYTES:
            raise ValueError(f"no room for {n_bytes} bytes between the bound options")
        return place

    def fields(self) -> Iterator[Field]:
        """The fields of the options, by index."""
        for option in self:
            yield self._fields[f"tun_metadata{option.number}"]

    def field_by_name(self, name: str) -> Field:
        """The field of a name, among the fixed ones and the bound options.

        Raises:
            ValueError: there is none.
        """
        bare = name.removeprefix("NXM_NX_").lower() if name.startswith("NXM_NX_TUN_METADATA") else name
        field = self._fields.get(bare)
        if field is None and bare.startswith("tun_metadata") and bare[12:].isdigit() and int(bare[12:]) < MAX_OPTIONS:
            raise ValueError(f"{name}: no tunnel option is bound to this field")
        return field or f.field_by_name(name)

    def field_by_oxm(self, oxm_class: int, number: int, experimenter: int = 0) -> Field | None:
        """The field of an NXM/OXM number, among the fixed ones and the bound options; None if there is none."""
        if oxm_class == f.OXM_CLASS_NXM_1 and 0 <= number - _FIRST_NXM_NUMBER < MAX_OPTIONS:
            return self._fields.get(f"tun_metadata{number - _FIRST_NXM_NUMBER}")
        return f.FIELD_BY_OXM.get((oxm_class, experimenter, number))


def _field(option: TunnelOption) -> Field:
    offset = 64 * f.TUN_METADATA_WORD + 8 * option.place
    width = 8 * option.n_bytes
    return Field(
        name=f"tun_metadata{option.number}",
        width=width,
        offset=offset,
        mask=(1 << width) - 1 << offset,
        n_bytes=option.n_bytes,
        form=Form.HEX,
        masking=Masking.ANY,
        prerequisite=Prerequisite.NONE,
        writable=True,
        aliases=(),
        oxm=(oxm_id(f"NXM_NX_TUN_METADATA{option.number}", _FIRST_NXM_NUMBER + option.number),),
        of10=None,
        of11=None,
    )


NO_TUNNEL_OPTIONS: Final = TunnelOptions()
