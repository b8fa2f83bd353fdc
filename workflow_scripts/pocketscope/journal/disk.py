"""Whether a file lies on a disk of this machine."""

import os
from pathlib import Path

_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "beegfs_nodev", "ceph", "afs", "panfs"),
    *("glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.rclone", "9p", "pvfs2", "orangefs", "wekafs"),
}


def is_on_network(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Say whether a file lies on a network disk; False where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    place, kind = "", ""
    real = os.path.realpath(path)
    for line in lines:
        _, at, of_kind, *_ = line.split(" ")
        at = at.replace("\\040", " ").replace("\\134", "\\")
        # Of mounts at one place the last one counts.
        if (real == at or real.startswith(at.rstrip("/") + "/")) and len(at) >= len(place):
            place, kind = at, of_kind
    return kind in _NETWORK
