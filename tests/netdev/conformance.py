"""What every device does, whatever its type: derive from `NetdevConformance` and say how to make one.

Out-of-tree devices use it as well: put this repository on PYTHONPATH and import `tests.netdev.conformance`.
"""

import errno
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import TypeVar

import pytest

from jackfield.netdev.provider import CompiledQueue, LinkFeatures, Netdev, QueueKind
from jackfield.provider import Provider

T = TypeVar("T")

FRAME = bytes.fromhex("ffffffffffff 020000000001 0800") + bytes(46)


def optional(call: Callable[[], T]) -> T | None:
    """What an optional method gives; None where the device does not have it."""
    try:
        return call()
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return None


class NetdevConformance:
    """The contract of `jackfield.netdev.provider`, as tests."""

    def make(self) -> Netdev:
        """A device that `open` can take; called once or twice in a test, the first device being closed by then."""
        raise NotImplementedError

    def bad_options(self) -> dict[str, str] | None:
        """Options that the device must refuse; None where it takes any."""
        return None

    @pytest.fixture
    def device(self) -> Iterator[Netdev]:
        device = self.make()
        device.open()
        yield device
        device.close()

    def test_is_a_provider_with_a_type(self) -> None:
        device = self.make()
        assert isinstance(device, Provider)
        assert device.type
        assert device.name

    def test_close_may_be_repeated(self, device: Netdev) -> None:
        device.close()
        device.close()

    def test_close_without_open(self) -> None:
        self.make().close()

    def test_opens_again_after_close(self, device: Netdev) -> None:
        device.close()
        again = self.make()
        again.open()
        assert again.present
        again.close()

    def test_identity(self, device: Netdev) -> None:
        assert device.present
        assert device.ifindex >= 0
        assert device.link_resets >= 0
        mac = device.get_mac()
        assert 0 <= mac < 1 << 48
        assert not mac >> 40 & 1, "a station's address is not a group's"
        mtu = device.get_mtu()
        assert mtu is None or mtu >= 68

    def test_two_devices_are_different(self, device: Netdev) -> None:
        assert {device: 1}[device] == 1
        assert device != self.make()

    def test_status_and_features(self, device: Netdev) -> None:
        assert all(isinstance(text, str) for pair in device.get_status().items() for text in pair)
        features = device.get_features()
        assert isinstance(features, LinkFeatures)
        assert features.speed_mbps >= 0
        for bits in (features.current, features.advertised, features.supported, features.peer):
            assert 0 <= bits < 1 << 16

    def test_counters_never_go_backwards(self, device: Netdev) -> None:
        def counters() -> dict[str, int | None]:
            stats = device.get_stats()
            return {each.name: getattr(stats, each.name) for each in fields(stats)}

        before = counters()
        device.receive_batch(8)
        device.send_batch([FRAME])
        for name, value in counters().items():
            old = before[name]
            assert (value is None) == (old is None)
            assert value is None or old is None or value >= old >= 0

    def test_admin_state_follows_its_setter_and_is_told(self, device: Netdev) -> None:
        told: list[Netdev] = []
        device.on_change = told.append
        for up in (False, True, False):
            seq, was = device.change_seq, device.get_admin_up()
            device.set_admin_up(up)
            assert device.get_admin_up() is up
            if was != up:
                assert device.change_seq > seq
                assert told[-1] is device
        assert len(told) >= 2

    def test_setting_what_is_set_changes_nothing(self, device: Netdev) -> None:
        device.set_admin_up(True)
        seq = device.change_seq
        device.set_admin_up(True)
        assert device.change_seq == seq

    def test_mtu(self, device: Netdev) -> None:
        seq = device.change_seq
        optional(lambda: device.set_mtu(1280))
        if device.get_mtu() == 1280:
            assert device.change_seq > seq
            with pytest.raises(OSError) as caught:
                device.set_mtu(1)
            assert caught.value.errno in (errno.EINVAL, errno.ERANGE)
            assert device.name in str(caught.value)
            assert device.get_mtu() == 1280
        else:
            with pytest.raises(OSError) as caught:
                device.set_mtu(1280)
            assert caught.value.errno == errno.EOPNOTSUPP

    def test_mac(self, device: Netdev) -> None:
        mac = 0x02_00_00_00_12_34
        seq = device.change_seq
        optional(lambda: device.set_mac(mac))
        if device.get_mac() == mac:
            assert device.change_seq > seq
            with pytest.raises(OSError) as caught:
                device.set_mac(0x01_00_5E_00_00_01)
            assert device.name in str(caught.value)
            assert device.get_mac() == mac

    def test_options_that_are_in_force_are_taken_again(self, device: Netdev) -> None:
        options = dict(device.options)
        device.set_options(options)
        assert device.options == options

    def test_bad_options_are_refused_and_the_old_ones_stay(self, device: Netdev) -> None:
        bad = self.bad_options()
        if bad is None:
            return
        options = dict(device.options)
        with pytest.raises(OSError) as caught:
            device.set_options(bad)
        assert caught.value.errno == errno.EINVAL
        assert device.name in str(caught.value)
        assert device.options == options

    def test_one_of_the_two_ways_to_move_packets(self, device: Netdev) -> None:
        queues = device.compiled_queues(2)
        if queues is None:
            self.check_plain(device)
        else:
            self.check_compiled(device, queues)
        again = device.compiled_queues(1)
        assert (again is None) == (queues is None)
        device.release_queues(again or [])

    def check_plain(self, device: Netdev) -> None:
        packets = device.receive_batch(4)
        assert len(packets) <= 4
        assert all(isinstance(packet, bytes) for packet in packets)
        device.set_admin_up(True)
        assert 0 <= device.send_batch([FRAME, FRAME]) <= 2
        assert device.send_batch([]) == 0
        device.set_admin_up(False)
        assert device.send_batch([FRAME]) == 0
        assert device.receive_batch(4) == []

    def check_compiled(self, device: Netdev, queues: list[CompiledQueue]) -> None:
        assert 1 <= len(queues) <= 2
        for queue in queues:
            assert queue.kind in QueueKind
            assert len(queue.words) <= 16
            assert all(-(1 << 63) <= word < 1 << 63 for word in queue.words)
            assert queue.fd >= -1
        device.release_queues(queues)
        assert device.receive_batch(4) == []

    @pytest.mark.parametrize("length", [0, 1, 13, 14, 60, 1514, 9014, 65535])
    def test_takes_packets_of_any_length(self, device: Netdev, length: int) -> None:
        device.set_admin_up(True)
        assert 0 <= device.send_batch([bytes(length)]) <= 1
        assert device.send_batch([b"\xff" * length, FRAME]) <= 2

    def test_notify_ready_reaches_the_datapath(self, device: Netdev) -> None:
        ready: list[int] = []
        device.on_ready = lambda: ready.append(1)
        device.notify_ready()
        assert ready == [1]
