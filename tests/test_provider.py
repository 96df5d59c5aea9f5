"""The refusals of a registry, its counting, and where its classes come from."""

import errno
import importlib.metadata
import logging
from typing import ClassVar

import pytest

from jackfield.provider import Provider, ProviderRegistry


class Device(Provider):
    """A contract for these tests; notes what is called."""

    calls: ClassVar[list[str]] = []

    def __init__(self, name: str = "x") -> None:
        self.name = name

    @classmethod
    def init_class(cls) -> None:
        cls.calls.append(f"init {cls.__name__}")

    @classmethod
    def close_class(cls) -> None:
        cls.calls.append(f"close {cls.__name__}")

    def close(self) -> None:
        self.calls.append(f"close {self.name}")


class Failing(Device):
    @classmethod
    def init_class(cls) -> None:
        raise OSError(errno.ENODEV, "no such hardware")


class BadTeardown(Device):
    def close(self) -> None:
        raise RuntimeError("cannot let go")


@pytest.fixture
def registry() -> ProviderRegistry[Device]:
    Device.calls.clear()
    return ProviderRegistry("netdev", Device, {"here": "tests_that_do_not_exist:X", "builtin": f"{__name__}:Device"})


def refused(number: int, call: object, *arguments: object) -> OSError:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number
    return caught.value


def test_registering_twice_is_eexist(registry: ProviderRegistry[Device]) -> None:
    registry.register("a", Device)
    refused(errno.EEXIST, registry.register, "a", Device)
    assert Device.calls == ["init Device"]


def test_a_class_whose_init_fails_is_not_registered_and_the_cause_is_reported(
    registry: ProviderRegistry[Device], caplog: pytest.LogCaptureFixture
) -> None:
    error = refused(errno.ENODEV, registry.register, "a", Failing)
    assert "no such hardware" in str(error)
    assert "no such hardware" in caplog.text
    refused(errno.EINVAL, registry.get, "a")


def test_a_class_outside_the_contract_is_refused(registry: ProviderRegistry[Device]) -> None:
    with pytest.raises(ValueError, match="is not a Device"):
        registry.register("a", int)


def test_an_unknown_type_is_einval_and_names_the_known_ones(registry: ProviderRegistry[Device]) -> None:
    assert "known: builtin, here" in str(refused(errno.EINVAL, registry.open, "nope"))
    refused(errno.EINVAL, registry.unregister, "nope")


def test_unregistering_with_open_instances_is_ebusy(registry: ProviderRegistry[Device]) -> None:
    registry.register("a", Device)
    first, second = registry.open("a", "first"), registry.open("a", "second")
    refused(errno.EBUSY, registry.unregister, "a")
    registry.close(first)
    refused(errno.EBUSY, registry.unregister, "a")
    registry.close(second)
    registry.unregister("a")
    refused(errno.EINVAL, registry.get, "a")
    assert Device.calls == ["init Device", "close first", "close second", "close Device"]


def test_an_instance_is_closed_once(registry: ProviderRegistry[Device]) -> None:
    registry.register("a", Device)
    instance = registry.open("a", "one")
    registry.close(instance)
    registry.close(instance)
    assert Device.calls.count("close one") == 1


def test_a_constructor_that_fails_counts_nothing(registry: ProviderRegistry[Device]) -> None:
    registry.register("a", Device)
    with pytest.raises(TypeError):
        registry.open("a", "x", "too many")
    registry.unregister("a")


def test_close_all_closes_instances_then_classes_and_may_be_repeated(
    registry: ProviderRegistry[Device], caplog: pytest.LogCaptureFixture
) -> None:
    registry.register("a", Device)
    registry.register("b", BadTeardown)
    registry.open("a", "one")
    registry.open("b")
    registry.open("a", "two")
    registry.close_all()
    registry.close_all()
    assert Device.calls[2:] == ["close two", "close one", "close Device", "close BadTeardown"]
    assert "cannot let go" in caplog.text
    assert registry.instances("a") == []
    registry.register("a", Device)


def test_a_builtin_is_imported_when_first_asked_for(registry: ProviderRegistry[Device]) -> None:
    assert registry.types() == ["builtin", "here"]
    assert Device.calls == []
    assert registry.get("builtin").__name__ == "Device"
    assert registry.get("builtin") is registry.get("builtin")
    assert Device.calls == ["init Device"]


def test_an_unregistered_builtin_stays_unknown_until_it_is_registered(registry: ProviderRegistry[Device]) -> None:
    registry.unregister("builtin")
    refused(errno.EINVAL, registry.get, "builtin")
    assert registry.types() == ["here"]
    registry.register("builtin", Device)
    assert registry.get("builtin") is Device


def test_a_builtin_that_cannot_be_imported_says_why(registry: ProviderRegistry[Device]) -> None:
    assert "tests_that_do_not_exist" in str(refused(errno.EINVAL, registry.get, "here"))


def entry_points(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    found = [importlib.metadata.EntryPoint(name, value, "jackfield.netdev") for name, value in points.items()]

    def lookup(group: str) -> list[importlib.metadata.EntryPoint]:
        return [point for point in found if point.group == group]

    monkeypatch.setattr(importlib.metadata, "entry_points", lookup)


def test_an_out_of_tree_class_comes_by_entry_point(
    registry: ProviderRegistry[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_points(monkeypatch, mine=f"{__name__}:Device")
    assert "mine" in registry.types()
    assert registry.open("mine", "out of tree").name == "out of tree"


def test_a_broken_entry_point_is_reported_and_skipped(
    registry: ProviderRegistry[Device], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entry_points(monkeypatch, broken="no_such_package:X", builtin=f"{__name__}:Device", mine=f"{__name__}:Device")
    refused(errno.EINVAL, registry.get, "broken")
    assert registry.get("mine").__name__ == "Device"
    assert registry.types() == ["builtin", "here", "mine"]
    reported = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(reported) == 2
    assert "no_such_package" in caplog.text
    assert "the type exists" in caplog.text
