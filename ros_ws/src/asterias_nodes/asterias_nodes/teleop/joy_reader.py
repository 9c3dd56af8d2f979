"""Node ``joy_reader``: a game pad of this machine, through evdev, as ``/joy`` (sensor_msgs/Joy).

Publishes on each change and ``rate_hz`` times a second, in the order of ROS 2's game controllers
(see :mod:`hardware.teleop.gamepad`). A pad that is unplugged makes ``/joy`` silent, which releases
the dead-man; it is looked for again each second.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy

from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.teleop.gamepad import AXES, BUTTONS

if TYPE_CHECKING:
    from hardware.teleop.evdev_pad import EvdevPad

SEARCH_PERIOD_S = 1.0


@dataclass(frozen=True)
class JoyReaderSettings:
    """Parameters of the node."""

    device: Annotated[str, "path such as /dev/input/event5; empty takes the first game pad"] = ""
    rate_hz: Annotated[float, "messages per s while nothing changes"] = 50.0

    def __post_init__(self) -> None:
        if not 5.0 <= self.rate_hz <= 500.0:
            raise SettingsError(f"Parameter 'rate_hz' must be from 5 to 500, not {self.rate_hz:g}.")


class JoyReader(Node):
    """Reads in a thread, publishes in the node's own."""

    def __init__(self) -> None:
        super().__init__("joy_reader")
        self.settings = declare_settings(self, JoyReaderSettings)
        self._publisher = self.create_publisher(Joy, "/joy", reliable_qos())
        self._pad: EvdevPad | None = None
        self._thread: threading.Thread | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self.settings.rate_hz, self._publish, clock=steady)
        self.create_timer(SEARCH_PERIOD_S, self._search, clock=steady)
        self._search()

    def close(self) -> None:
        """Leave the device alone."""
        self._drop()

    def _search(self) -> None:
        if self._pad is not None:
            return
        from hardware.teleop.evdev_pad import find_pad  # says what to install where there is none

        try:
            self._pad = find_pad(self.settings.device)
        except OSError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=10.0)
            return
        self.get_logger().info(f"Game pad: {self._pad.name} at {self._pad.path}.")
        self._thread = threading.Thread(
            target=self._read, args=(self._pad,), name="game pad", daemon=True
        )
        self._thread.start()

    def _read(self, pad: EvdevPad) -> None:
        try:
            for _ in pad.changes():
                soon(self, self._publish)
        except OSError as error:
            if not pad.is_closed:
                soon(self, self._lost, f"{pad.name} is gone ({error.strerror}).")

    def _lost(self, text: str) -> None:
        self._drop()
        self.get_logger().warning(f"{text} Plug it in again; it is looked for.")

    def _drop(self) -> None:
        if self._pad is not None:
            self._pad.close()
            self._pad = None

    def _publish(self) -> None:
        if self._pad is None:
            return
        message = Joy(axes=self._pad.axes[:AXES], buttons=self._pad.buttons[:BUTTONS])
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = "joy"
        self._publisher.publish(message)


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(JoyReader))


if __name__ == "__main__":
    main()
