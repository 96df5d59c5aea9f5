"""The directories of Open vSwitch, and how the environment moves them (ovs-vswitchd(8), "ENVIRONMENT")."""

import os
from pathlib import Path


def rundir() -> Path:
    """Sockets and pidfiles: $OVS_RUNDIR, else /var/run/openvswitch."""
    return Path(os.environ.get("OVS_RUNDIR") or "/var/run/openvswitch")


def logdir() -> Path:
    """Log files: $OVS_LOGDIR, else /var/log/openvswitch."""
    return Path(os.environ.get("OVS_LOGDIR") or "/var/log/openvswitch")


def sysconfdir() -> Path:
    """System configuration: $OVS_SYSCONFDIR, else /etc."""
    return Path(os.environ.get("OVS_SYSCONFDIR") or "/etc")


def dbdir() -> Path:
    """Databases: $OVS_DBDIR, else the "openvswitch" directory of the system configuration."""
    named = os.environ.get("OVS_DBDIR")
    return Path(named) if named else sysconfdir() / "openvswitch"


def inside(directory: Path, name: str) -> Path:
    """`name` as a file in `directory`, unless it is an absolute path itself."""
    return directory / name
