"""Every provider that comes with Jackfield, by floor and type, as `module:Class`.

A class is imported when its type is first asked for, so this list imports nothing from the floors above.
"""

from typing import Final

BUILTINS: Final[dict[str, dict[str, str]]] = {
    "ofproto": {
        "netdev": "jackfield.ofproto.pipeline.provider:PipelineProvider",
        "dummy": "jackfield.ofproto.pipeline.provider:PipelineProvider",
    },
    "dpif": {
        "netdev": "jackfield.dpif.userspace.provider:UserspaceDpif",
        "dummy": "jackfield.dpif.dummy:DummyDpif",
    },
    "netdev": {
        "system": "jackfield.netdev.system:SystemNetdev",
        "tap": "jackfield.netdev.tap:TapNetdev",
        "internal": "jackfield.netdev.tap:TapNetdev",
        "patch": "jackfield.netdev.patch:PatchNetdev",
        "dummy": "jackfield.netdev.dummy:DummyNetdev",
        "pcap": "jackfield.netdev.pcap:PcapNetdev",
        "null": "jackfield.netdev.null:NullNetdev",
    },
    "plug": {},
}
