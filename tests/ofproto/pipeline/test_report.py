from typing import Any, cast

from jackfield.flow.text import parse_match
from jackfield.ofproto.pipeline.report import Report
from jackfield.ofproto.rule import Rule
from jackfield.ofproto.tables import Table


class Bridge:
    class switch:  # noqa: N801  # stands for an attribute
        tables = [Table(0), Table(1)]  # noqa: RUF012  # read only


def test_lines_below_what_is_open() -> None:
    Bridge.switch.tables[1].name = "acl"
    bridge = cast(Any, Bridge)
    report = Report()
    report.bridge("br0")
    depth = report.depth
    report.table(bridge, 1, Rule(parse_match(""), 5))
    report.close_to(depth)
    report.thaw("thaw")
    report.detail("more")
    report.warn("hm")
    report.error("no")
    assert report.text() == (
        '\nbridge("br0")\n-------------\n'
        "     1(acl). priority 5\n            drop\n"
        "thaw\n     -> more\n     >> hm\n     >>>> no <<<<"
    )
