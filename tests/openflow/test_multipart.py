from jackfield.flow.match import Match
from jackfield.openflow import multipart as mp


def test_requests_ask_for_everything_by_default():
    request = mp.FlowStatsRequest(Match())
    assert (request.table_id, request.out_port, request.out_group, request.cookie_mask) == (
        0xFF, 0xFFFFFFFF, 0xFFFFFFFF, 0,
    )  # fmt: skip
    assert mp.PortStatsRequest().port_no == mp.QueueStatsRequest().queue_id == 0xFFFFFFFF


def test_what_is_not_counted_is_all_ones():
    assert mp.PortStats(1).rx_packets == 0xFFFFFFFFFFFFFFFF
