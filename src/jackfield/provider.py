"""Registries of providers: one for each floor (ofproto, dpif, netdev, plug).

A *provider* is a class that implements a floor's contract; it is registered under a *type*, the word a user writes
("netdev", "tap"). Three sources, in this order of precedence: `register` calls, the built-in list (`builtins.py`) and
the entry points of installed packages (group `jackfield.<floor>`). The last two are imported when they are first asked
for. All calls are made from the main thread.

Life cycle of a class: `init_class` once, when it is registered; then any number of instances; `close_class` once, when
it is unregistered. Of an instance: made by `open`, which counts it; its `close` is called once, by the registry's
`close`. Teardown may not fail: what `close` and `close_class` raise is logged, and teardown goes on.

Refusals, as `OSError`:

* EEXIST: the type is registered already.
* EINVAL: no such type.
* EBUSY: the class has open instances and cannot be unregistered.
* whatever `init_class` raised: the class is not registered.
"""

import errno
import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from jackfield.builtins import BUILTINS
from jackfield.errors import describe, errno_of, refuse
from jackfield.log import get_logger

log = get_logger("provider")


class Provider:
    """What every floor's contract has in common."""

    @classmethod
    def init_class(cls) -> None:
        """Get ready for instances; called once, at registration.

        Raises:
            OSError: the class cannot work on this machine; it will not be registered.
        """

    @classmethod
    def close_class(cls) -> None:
        """Give back what `init_class` took; called once, after the last instance is closed."""

    def close(self) -> None:
        """Give back everything the instance holds; called once."""


P = TypeVar("P", bound=Provider)


class ProviderRegistry(Generic[P]):
    """The providers of one floor.

    Args:
        floor: the floor's name; also names the entry-point group.
        contract: the class that each provider of this floor derives from.
        builtins: type -> "module:Class" of the classes that come with Jackfield; None takes the floor's own list.
    """

    def __init__(self, floor: str, contract: type[P], builtins: Mapping[str, str] | None = None) -> None:
        self.floor = floor
        self._contract = contract
        self._builtins = BUILTINS[floor] if builtins is None else builtins
        self._classes: dict[str, type[P]] = {}
        self._instances: dict[str, dict[int, P]] = {}
        self._withdrawn: set[str] = set()
        self._entry_points: dict[str, importlib.metadata.EntryPoint] | None = None

    def register(self, type_name: str, provider: type[P]) -> None:
        """Register a class under a type, after its `init_class` has succeeded.

        Raises:
            OSError: EEXIST, or what `init_class` raised.
            ValueError: the class does not derive from the floor's contract.
        """
        if type_name in self._classes:
            raise refuse(errno.EEXIST, f"{self.floor} type {type_name} is registered already")
        if not (isinstance(provider, type) and issubclass(provider, self._contract)):
            raise ValueError(f"{self.floor} type {type_name}: {provider!r} is not a {self._contract.__name__}")
        try:
            provider.init_class()
        except Exception as error:
            log.warning("failed to initialize %s type %s: %s", self.floor, type_name, describe(error))
            raise
        self._classes[type_name] = provider
        self._instances[type_name] = {}
        self._withdrawn.discard(type_name)

    def unregister(self, type_name: str) -> None:
        """Take a type back; a built-in or entry-point one is then unknown until it is registered again.

        Raises:
            OSError: EINVAL, EBUSY.
        """
        if type_name not in self._classes:
            if type_name not in self.types():
                raise self._unknown(type_name)
            self._withdrawn.add(type_name)
            return
        if self._instances[type_name]:
            raise refuse(
                errno.EBUSY, f"{self.floor} type {type_name} has {len(self._instances[type_name])} open instances"
            )
        self._close_class(type_name)
        self._withdrawn.add(type_name)

    def get(self, type_name: str) -> type[P]:
        """The class of a type, imported and registered if it was not yet.

        Raises:
            OSError: EINVAL for an unknown type; the cause (EINVAL if it has no errno) when it cannot be loaded.
        """
        found = self._classes.get(type_name)
        if found is not None:
            return found
        if type_name not in self._withdrawn:
            if type_name in self._builtins:
                return self._load_builtin(type_name)
            point = self._out_of_tree().get(type_name)
            if point is not None:
                return self._load_entry_point(point)
        raise self._unknown(type_name)

    def types(self) -> list[str]:
        """All types that may be asked for, sorted; nothing is imported."""
        available = set(self._builtins) | set(self._out_of_tree())
        return sorted((available - self._withdrawn) | set(self._classes))

    def open(self, type_name: str, *args: Any, **kwargs: Any) -> P:
        """Make an instance of a type's class from the arguments, and count it.

        Raises:
            OSError: as `get`, and what the class's constructor raises.
        """
        provider = self.get(type_name)
        instance = provider(*args, **kwargs)
        self._instances[type_name][id(instance)] = instance
        return instance

    def close(self, instance: P) -> None:
        """Close an instance made by `open`; does nothing when it is closed already."""
        for instances in self._instances.values():
            if instances.pop(id(instance), None) is not None:
                self._teardown(instance.close, "an instance")
                return

    def instances(self, type_name: str) -> list[P]:
        """The open instances of a type, oldest first."""
        return list(self._instances.get(type_name, {}).values())

    def close_all(self) -> None:
        """Close all instances (latest first), then all classes; may be repeated, and leaves a fresh registry."""
        for instances in self._instances.values():
            for instance in reversed(list(instances.values())):
                self.close(instance)
        for type_name in list(self._classes):
            self._close_class(type_name)
        self._withdrawn.clear()
        self._entry_points = None

    def _close_class(self, type_name: str) -> None:
        provider = self._classes.pop(type_name)
        del self._instances[type_name]
        self._teardown(provider.close_class, f"type {type_name}")

    def _teardown(self, call: Any, what: str) -> None:
        try:
            call()
        except Exception:  # the rest is still to be torn down
            log.exception("closing %s of %s failed", what, self.floor)

    def _unknown(self, type_name: str) -> OSError:
        return refuse(errno.EINVAL, f"unknown {self.floor} type {type_name} (known: {', '.join(self.types())})")

    def _load_builtin(self, type_name: str) -> type[P]:
        module, _, name = self._builtins[type_name].partition(":")
        try:
            self.register(type_name, getattr(importlib.import_module(module), name))
        except Exception as error:
            raise self._not_loaded(type_name, error) from error
        return self._classes[type_name]

    def _load_entry_point(self, point: importlib.metadata.EntryPoint) -> type[P]:
        try:
            self.register(point.name, point.load())
        except Exception as error:
            log.error("skipping %s type %s (%s): %s", self.floor, point.name, point.value, describe(error))
            self._withdrawn.add(point.name)
            raise self._not_loaded(point.name, error) from error
        return self._classes[point.name]

    def _not_loaded(self, type_name: str, error: Exception) -> OSError:
        return refuse(errno_of(error), f"{self.floor} type {type_name}: {describe(error)}")

    def _out_of_tree(self) -> dict[str, importlib.metadata.EntryPoint]:
        """The entry points of this floor by type; one that claims a built-in type is reported and left out."""
        if self._entry_points is None:
            self._entry_points = {}
            for point in importlib.metadata.entry_points(group=f"jackfield.{self.floor}"):
                if point.name in self._builtins or point.name in self._entry_points:
                    log.error("skipping %s type %s (%s): the type exists", self.floor, point.name, point.value)
                else:
                    self._entry_points[point.name] = point
        return self._entry_points
