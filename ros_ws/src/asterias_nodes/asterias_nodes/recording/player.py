"""Node ``player``: publishes a recording again, on the topics and at the pace at which it came.

``python -m learning.recordings play RECORDING`` starts it. What a robot hears
(``/limb_<i>/commands``, ``/limb_<i>/joint_trajectory``) is played with ``commands:=true`` alone, so
that the robot does it again; otherwise everything else is, for whoever wants to look at it.
"""

from __future__ import annotations

import fnmatch
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher

from asterias_nodes.runtime.message_definitions import interface_type
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos, sensor_qos
from asterias_nodes.runtime.run_node import run_node, stop_node
from learning.recordings.bags.bag_writer import Topic
from learning.recordings.reading import Raw, Recording, find_recordings
from learning.recordings.trace import COMMANDS, TRAJECTORY

PERIOD_S = 0.002
PROGRESS_S = 2.0
# What the recorder and the middleware say of themselves belongs to the time of the recording.
NEVER = ("/rosout", "/recorder/status", "/parameter_events")


@dataclass(frozen=True)
class PlayerSettings:
    """Parameters of the player."""

    recording: Annotated[str, "a file *.mcap, an episode's folder, or a folder of episodes"] = ""
    topics: Annotated[list[str], "patterns of the topics to play"] = field(
        default_factory=lambda: ["*"]
    )
    commands: Annotated[bool, "play what the robot hears, and nothing else"] = False
    rate: Annotated[float, "times as fast as it was recorded"] = 1.0
    start_s: Annotated[float, "s of the recording to leave out at its beginning"] = 0.0
    loop: Annotated[bool, "begin again at the end"] = False
    wait_s: Annotated[float, "s for listeners to find the topics before the first message"] = 1.0

    def __post_init__(self) -> None:
        if not 0.01 <= self.rate <= 100.0 or self.start_s < 0:
            raise SettingsError(
                f"Parameters 'rate' (0.01 to 100) and 'start_s' (0 or more) cannot be "
                f"{self.rate:g} and {self.start_s:g}."
            )

    def wants(self, topic: Topic) -> bool:
        """Return whether a topic is played."""
        is_command = bool(COMMANDS.fullmatch(topic.name) or TRAJECTORY.fullmatch(topic.name))
        if topic.name in NEVER or is_command != self.commands:
            return False
        return any(fnmatch.fnmatchcase(topic.name, pattern) for pattern in self.topics)


class Player(Node):
    """Publishes when the time has come; ends its process at the end of the recording."""

    def __init__(self) -> None:
        super().__init__("player")
        self.settings = declare_settings(self, PlayerSettings)
        if not self.settings.recording:
            raise SettingsError("Parameter 'recording' must name a recording to play.")
        self._recordings = find_recordings(Path(self.settings.recording).expanduser())
        self._outputs: dict[str, Publisher | None] = {}
        self._announce()
        self._count = 0
        self._told_s = time.monotonic()
        self._messages = self._following()
        self._waiting: Raw | None = None
        self._began_s = time.monotonic() + self.settings.wait_s
        self._first_ns: int | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(PERIOD_S, self._play, clock=steady)

    def _announce(self) -> None:
        """Make all publishers first, so that listeners are there when the first message comes.

        Raises:
            SettingsError: nothing of the recording can be played.
        """
        for recording in self._recordings:
            for topic in recording.topics().values():
                self._publisher(topic)
        if not any(self._outputs.values()):
            what = "commands" if self.settings.commands else "topics"
            raise SettingsError(f"{self.settings.recording} holds no {what} to play.")

    def _publisher(self, topic: Topic) -> Publisher | None:
        if topic.name not in self._outputs:
            self._outputs[topic.name] = self._make(topic) if self.settings.wants(topic) else None
        return self._outputs[topic.name]

    def _make(self, topic: Topic) -> Publisher | None:
        try:
            kind = interface_type(topic.type_name)
        except ImportError as error:
            self.get_logger().warning(f"{topic.name} is not played: {error}")
            return None
        qos = latched_qos() if topic.is_latched else reliable_qos(100)
        offered = {profile.get("reliability") for profile in topic.qos_profiles}
        return self.create_publisher(
            kind, topic.name, sensor_qos(20) if offered == {"best_effort"} else qos
        )

    def _following(self) -> Iterator[Raw]:
        for recording in self._recordings:
            yield from self._of(recording)

    def _of(self, recording: Recording) -> Iterator[Raw]:
        """Yield the messages of one recording from ``start_s`` on; their time starts anew.

        Yields:
            Time from the start, in ns, and the message.
        """
        first_ns: int | None = None
        self._first_ns = None
        for raw in recording.messages():
            first_ns = raw.log_time_ns if first_ns is None else first_ns
            if raw.log_time_ns - first_ns >= self.settings.start_s * 1e9:
                yield raw

    def _play(self) -> None:
        """Publish all that is due."""
        while self._is_due():
            raw, self._waiting = self._waiting, None
            assert raw is not None
            publisher = self._outputs.get(raw.topic.name)
            if publisher is not None:
                publisher.publish(raw.data)
                self._count += 1
        if time.monotonic() - self._told_s > PROGRESS_S:
            self._told_s = time.monotonic()
            self.get_logger().info(f"{self._count} messages played")

    def _is_due(self) -> bool:
        if self._waiting is None:
            self._waiting = next(self._messages, None)
        raw = self._waiting
        if raw is None:
            self._end()
            return False
        if self._first_ns is None:
            self._first_ns = raw.log_time_ns
            self._began_s = max(self._began_s, time.monotonic())
        passed_s = (raw.log_time_ns - self._first_ns) / 1e9 / self.settings.rate
        return time.monotonic() >= self._began_s + passed_s

    def _end(self) -> None:
        if self.settings.loop:
            self._messages = self._following()
            return
        self.get_logger().info(f"{self._count} messages played, to the end.")
        stop_node(self, status=0)


def main() -> None:
    """Run the node until the recording ends, or it is stopped."""
    sys.exit(run_node(Player, sends_pictures=True))


if __name__ == "__main__":
    main()
