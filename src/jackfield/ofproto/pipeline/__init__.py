"""The switch on a datapath: rules become megaflows, misses become translations, counters come back.

`provider` is the way in. `backer` holds what the bridges of one datapath type share; `bridge` is what translation sees
of a switch. `translate` (with the `xlate_...` modules, `commit` and `freeze`) turns a packet's key into datapath
actions. `upcall` answers misses, `flows` remembers what was installed and whom to credit, `revalidate` (with `sweep`)
keeps it true. `mac_learning` serves NORMAL; `cookie` is what goes through the datapath and back; `report`, `trace` and
`commands` are for people.
"""
