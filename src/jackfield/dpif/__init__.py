"""Datapaths: what really forwards packets.

* `provider`: the contract.
* `registry`: opening and closing.
* `actions`, `text`: actions as data and as text.
* `userspace`: the datapath type "netdev", in compiled code.
* `dummy`: the same in one thread, for tests.
"""
