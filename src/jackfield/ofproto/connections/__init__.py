"""Who speaks OpenFlow with a switch.

`manager` has them all and spreads what the switch says unasked. `session` is one connection; `handlers` with
`flow_replies` and `stats_replies` answer its requests; `packet_ins` limits and shapes the packets it is sent, and
`async_config` says which unasked messages it gets. `controllers` are the configured peers, `fail_open` takes over when
they are away, `snoop` lets others listen.
"""
