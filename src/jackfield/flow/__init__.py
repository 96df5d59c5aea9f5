"""What a packet is to the switch.

* `fields`, `prerequisites`, `tunnel_options`: the layout of keys, declared once; `subfield`: parts of fields
* `match`: (value, mask) over that layout; `ports`: OpenFlow's and the datapath's port numbers
* `parse`, `compose`, `checksum`: packets to keys and back
* `text`, `text_odp`, `text_flow`, `values`: keys and matches as stock tools write them
* `hash`: flow identifiers and hashes
"""
