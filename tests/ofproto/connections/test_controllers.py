import pytest

from jackfield.clock import Clock
from jackfield.ofproto.connections.controllers import MIN_BURST, Controller, ControllerSettings
from jackfield.ofproto.connections.session import Session


def no_session(_controller: Controller) -> Session:
    raise AssertionError("nobody connects")


def test_settings() -> None:
    assert ControllerSettings("tcp:127.0.0.1").address.port == 6653
    assert ControllerSettings("x", rate_limit=1000).burst == 250
    assert ControllerSettings("x", rate_limit=40).burst == MIN_BURST
    assert ControllerSettings("x", rate_limit=40, burst_limit=3).burst == 3
    with pytest.raises(ValueError, match="is not a connection"):
        _ = ControllerSettings("nonsense:1").address


def test_a_controller_not_started_is_away(held_clock: Clock) -> None:
    active = Controller(ControllerSettings("tcp:127.0.0.1:1"), held_clock, no_session, None)
    passive = Controller(ControllerSettings("ptcp:0:127.0.0.1"), held_clock, no_session, None)
    assert (active.state, passive.state) == ("VOID", "LISTENING")
    assert (active.role, active.connected, active.last_error, active.port) == ("other", False, None, 0)
    assert active.away_since == held_clock.now()
    held_clock.advance(5)
    active.update_presence()
    assert active.away_since == held_clock.now() - 5


def test_tls_needs_its_files(held_clock: Clock) -> None:
    with pytest.raises(ValueError, match="needs a private key"):
        Controller(ControllerSettings("ssl:127.0.0.1:1"), held_clock, no_session, None)
