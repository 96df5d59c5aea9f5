from jackfield.flow.match import Match
from jackfield.ofproto.connections.fail_open import FAIL_OPEN_PRIORITY, FailOpen
from jackfield.ofproto.ofproto import Ofproto
from jackfield.openflow.actions import Output
from jackfield.openflow.messages import FlowMod, FlowModCommand
from tests.ofproto.fakes import FakeProvider


class Controllers:
    """What the switch knows of its controllers."""

    def __init__(self, ofproto: Ofproto) -> None:
        self.patience: int | None = 15_000
        self.away: int | None = ofproto.clock.now()
        self.watch = FailOpen("br0", ofproto.clock, ofproto.flows, lambda: self.patience, lambda: self.away)
        self.watch.update()


def forwards_alone(ofproto: Ofproto) -> bool:
    rule = ofproto.tables[0].classifier.lookup(0, ofproto.version)[0]
    return rule is not None and rule.priority == FAIL_OPEN_PRIORITY


def test_takes_over_and_gives_back(switch: tuple[Ofproto, FakeProvider]) -> None:
    ofproto, _ = switch
    controllers = Controllers(ofproto)
    ofproto.flows.apply(FlowMod(FlowModCommand.ADD, Match(), (), priority=0xFFFF))
    ofproto.clock.advance(14_999)
    assert not controllers.watch.active
    ofproto.clock.advance(1)
    assert controllers.watch.active
    assert forwards_alone(ofproto)
    assert ofproto.flows.n_flows == 1
    controllers.away = None
    controllers.watch.update()
    assert not forwards_alone(ofproto)
    rule = ofproto.tables[0].classifier.lookup(0, ofproto.version)[0]
    assert rule is not None
    assert rule.actions == ()


def test_a_controller_that_comes_back_in_time_prevents_it(switch: tuple[Ofproto, FakeProvider]) -> None:
    ofproto, _ = switch
    controllers = Controllers(ofproto)
    ofproto.clock.advance(10_000)
    controllers.away = None
    controllers.watch.update()
    ofproto.clock.advance(10_000)
    controllers.away = ofproto.clock.now()
    controllers.watch.update()
    ofproto.clock.advance(14_999)
    assert not controllers.watch.active


def test_secure_mode_never_does(switch: tuple[Ofproto, FakeProvider]) -> None:
    ofproto, _ = switch
    controllers = Controllers(ofproto)
    ofproto.clock.advance(20_000)
    assert controllers.watch.active
    controllers.patience = None
    controllers.watch.update()
    assert not forwards_alone(ofproto)
    ofproto.clock.advance(100_000)
    assert not controllers.watch.active


def test_the_rule_says_normal(switch: tuple[Ofproto, FakeProvider]) -> None:
    ofproto, _ = switch
    Controllers(ofproto)
    ofproto.clock.advance(15_000)
    rule = ofproto.tables[0].classifier.lookup(0, ofproto.version)[0]
    assert rule is not None
    assert isinstance(rule.actions[0], Output)
    assert rule.hidden
