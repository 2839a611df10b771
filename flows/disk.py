"""What a disk that refuses is called: one clear error instead of a defect."""

import errno
from pathlib import Path

from flows.errors import FlowInputError
from flows.run_folder import relative

REMEDIES = {
    errno.ENOSPC: "make room on this disk",
    errno.EDQUOT: "make room in your quota on this disk",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`)",
    errno.EROFS: "give an --out that can be written",
    errno.EACCES: "give an --out that you may write to, or correct the rights of this folder",
    errno.EPERM: "give an --out that you may write to, or correct the rights of this folder",
    errno.EIO: "look at the disk: it failed to read or to write",
    errno.ESTALE: "mount the network disk again",
}


def refused_by_disk(error: OSError) -> FlowInputError | None:
    """Return the error to show for a disk that refused a write, or None where that is not what happened."""
    if error.errno not in REMEDIES:
        return None
    place = "a file" if error.filename is None else relative(Path(str(error.filename)).parent)
    return FlowInputError(
        f"{place}: the disk refused; nothing was published",
        seen=error.strerror,
        remedy=f"{REMEDIES[error.errno]}, then run the same command again: what was finished is kept",
    )
