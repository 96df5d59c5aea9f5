"""The OpenFlow wire, versions 1.0 to 1.5 with the Nicira extensions: bytes to messages and back, without I/O."""
