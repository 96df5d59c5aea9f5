"""Devices: what packets come from and go to.

* `provider`: the contract. `registry`: opening and closing by type and name.
* `system`: an existing Linux interface; `tap`: one of our own (types "tap" and "internal"); both on `link`, what they
  share, and `ethtool`; `promiscuous` mode.
* `patch`, `null`, `dummy`, `pcap` (on `pcapfile`): devices without an interface, on `virtual`, which is also the
  shortest way to a device of one's own. `files`: which files they may open.
* `compiled`, `packet_socket`, `jit_*`: how compiled code polls the kinds of `provider.QueueKind`.
"""
