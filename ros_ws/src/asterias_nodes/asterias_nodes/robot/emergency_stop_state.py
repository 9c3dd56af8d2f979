"""The state of an emergency stop on disk, so that it outlives the process that serves it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from asterias.errors import UserError
from asterias.files import read_json, write_json

LIMIT_BYTES = 4096


def state_folder() -> Path:
    """Return the folder of states, in ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "asterias" / "e_stop"


class EmergencyStopState:
    """A file that is there while the emergency stop of a robot is engaged.

    Args:
        server: name of the node that serves the stop.
        robot: name of the robot.

    Attributes:
        path: the file; robots in other ROS domains have their own.
    """

    def __init__(self, server: str, robot: str) -> None:
        domain = os.environ.get("ROS_DOMAIN_ID") or "0"
        name = re.sub(r"[^\w.-]", "_", f"{server}-{robot}-domain{domain}")
        self.path = state_folder() / f"{name}.json"

    def is_engaged(self) -> bool:
        """Return whether the stop was engaged and never released; a broken file says yes."""
        if not self.path.exists():
            return False
        try:
            content = read_json(self.path, LIMIT_BYTES)
        except (UserError, OSError):
            return True
        return not isinstance(content, dict) or content.get("engaged", True) is not False

    def store(self, is_engaged: bool) -> None:
        """Write the state; an OSError of the disk is passed on."""
        if not is_engaged:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"engaged": True})
