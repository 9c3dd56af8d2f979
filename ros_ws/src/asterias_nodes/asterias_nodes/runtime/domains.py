"""A ROS 2 domain of one's own on this machine, for tests and measurements.

Needs no ROS: the domain has to be chosen before ROS starts.
"""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from pathlib import Path

# Higher numbers would use ports from which Linux serves outgoing connections.
HIGHEST_DOMAIN_ID = 101


def reserve_domain_id() -> int:
    """Return a domain that no other test or measurement on this machine uses.

    A lock on a file per domain is held until the process ends, so two runs at the same time do not
    hear each other, and nothing has to be cleaned up after a run that was killed.

    Raises:
        OSError: all are in use.
    """
    folder = Path(tempfile.gettempdir()) / "asterias_test_domains"
    folder.mkdir(exist_ok=True)
    numbers = list(range(1, HIGHEST_DOMAIN_ID + 1))
    random.SystemRandom().shuffle(numbers)
    for number in numbers:
        handle = os.open(folder / str(number), os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            forget_dead_ports(number)
            return number
    raise OSError("All ROS 2 domains are in use by other runs; wait until one ends.")


def forget_dead_ports(domain_id: int) -> None:
    """Remove the shared-memory ports that killed processes of this domain left behind.

    Fast DDS finds its ports again by number; one whose lock died with its owner is deaf for good.
    """
    first = 7400 + 250 * domain_id
    for path in Path("/dev/shm").glob("*fastdds_port*"):
        digits = "".join(filter(str.isdigit, path.name.split("port", 1)[1]))
        if digits and first <= int(digits) < first + 250:
            path.unlink(missing_ok=True)
