"""Node ``recorder``: records topics into MCAP files which every ROS 2 bag tool reads.

In mode ``now`` it writes one recording from its start to its end. In mode ``episodes`` it waits for
``/recorder/start``, ``/recorder/stop``, ``/recorder/mark_success`` and ``/recorder/discard``; in
mode ``ring`` it keeps the last seconds in memory besides, and writes them on
``/recorder/snapshot`` or when a topic of ``snapshot_on`` turns true. What it does is on
``/recorder/status`` (latched).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from asterias_interfaces.msg import RecorderStatus
from asterias_interfaces.srv import StartEpisode
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from asterias.errors import AsteriasError
from asterias_nodes.recording.recorded_topics import RecordedTopics
from asterias_nodes.recording.recorder_settings import RecorderSettings
from asterias_nodes.recording.recorder_status import to_status_msg
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos
from asterias_nodes.runtime.run_node import run_node, stop_node
from learning.recordings.episodes import EpisodeCard, episode_folder
from learning.recordings.session import NO_NUMBER, SingleFile, describe

LOOK_PERIOD_S = 0.1
STATUS_PERIOD_S = 0.5


class RecorderNode(Node):
    """Records what is published, from the moment that a publisher appears.

    Subscribes to every topic that matches the patterns, with the quality of service of its
    publishers. Stamps are taken from ``/clock`` where ``use_sim_time`` is set.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self._settings = declare_settings(self, RecorderSettings)
        self._session = self._settings.session()
        self._topics = RecordedTopics(
            self,
            self._session,
            self._settings.wants,
            as_jpeg=self._settings.pictures == "jpeg",
        )
        self._is_closed = False
        self._triggers: dict[str, bool] = {}
        self._text = ""
        self._status_s = -STATUS_PERIOD_S
        self._status = self.create_publisher(RecorderStatus, "/recorder/status", latched_qos())
        if self._settings.mode == "now":
            try:
                self._session.start("", 0)
            except AsteriasError as error:
                raise SettingsError(str(error)) from error
        else:
            self._serve()
        # Works without /clock, too.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)
        self._look()
        doing = {
            "now": "Recording to",
            "episodes": "Ready for episodes in",
            "ring": f"Keeping the last {self._settings.ring_s:g} s; episodes go to",
        }[self._settings.mode]
        self._report(f"{doing} {self._settings.path}")

    def _serve(self) -> None:
        self.create_service(StartEpisode, "/recorder/start", self._on_start)
        self.create_service(StartEpisode, "/recorder/snapshot", self._on_snapshot)
        self.create_service(Trigger, "/recorder/stop", self._on_stop)
        self.create_service(Trigger, "/recorder/discard", self._on_discard)
        self.create_service(SetBool, "/recorder/mark_success", self._on_mark)
        for name in filter(
            None, self._settings.snapshot_on if self._settings.mode == "ring" else ()
        ):
            self.create_subscription(Bool, name, partial(self._on_trigger, name), latched_qos())

    def close(self) -> None:
        """Complete the files and report what they hold."""
        if self._is_closed:
            return
        self._is_closed = True
        ended = self._session.close()
        if ended and not ended[-1].problem:
            self.get_logger().info(self._summary(ended))

    # -- services -------------------------------------------------------------------------------

    def _on_start(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        now_ns = self.get_clock().now().nanoseconds
        return self._begin(response, lambda: self._session.start(request.task, now_ns))

    def _on_snapshot(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        return self._begin(response, lambda: self._session.snapshot(request.task))

    def _begin(
        self, response: StartEpisode.Response, action: Callable[[], EpisodeCard]
    ) -> StartEpisode.Response:
        response.episode = NO_NUMBER
        try:
            card = action()
        except AsteriasError as error:
            response.message = str(error)
            self._report(str(error))
            return response
        response.success, response.episode = True, card.episode
        response.path = str(episode_folder(self._session.store.root, card.episode))
        response.message = f"Episode {card.episode} goes to {response.path}."
        self._report(response.message)
        return response

    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._do(response, lambda: describe([self._session.stop()]))

    def _on_discard(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._do(
            response, lambda: f"Episode {self._session.discard().episode} is discarded."
        )

    def _on_mark(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        def mark() -> str:
            card = self._session.mark("success" if request.data else "failure")
            return f"Episode {card.episode} is marked as a {card.outcome}."

        return self._do(response, mark)

    def _do(self, response: Any, action: Callable[[], str]) -> Any:
        """Return the response with the sentence of an action, or with why it cannot be done."""
        try:
            response.message, response.success = action(), True
        except (AsteriasError, OSError) as error:
            response.message = str(error)
        self._report(response.message)
        return response

    def _on_trigger(self, name: str, message: Bool) -> None:
        """Take a snapshot when an event begins; what was true at the start is none."""
        before = self._triggers.get(name, True)
        self._triggers[name] = bool(message.data)
        if message.data and not before:
            try:
                card = self._session.snapshot(f"snapshot: {name}")
                self._report(f"Episode {card.episode} keeps what was before {name} turned true.")
            except AsteriasError as error:
                self._report(str(error))

    # -- the stream -----------------------------------------------------------------------------

    def _look(self) -> None:
        """Subscribe to topics that have appeared; report what has ended by itself."""
        ended = self._session.poll()
        if ended:
            if self._settings.mode == "now":
                stop_node(self, describe(ended))
                return
            self._report(describe(ended))
        self._topics.look()
        recording = self._session.is_recording or self._session.ring is not None
        if recording and time.monotonic() - self._status_s >= STATUS_PERIOD_S:
            self._publish_status()

    # -- reporting ------------------------------------------------------------------------------

    def _report(self, text: str) -> None:
        self._text = text
        self.get_logger().info(text)
        self._publish_status()

    def _publish_status(self) -> None:
        self._status_s = time.monotonic()
        stamp = self.get_clock().now().to_msg()
        self._status.publish(to_status_msg(self._session, stamp, self._text))

    def _summary(self, ended: Sequence[EpisodeCard]) -> str:
        """Return what was recorded; with the counts of each topic, where it is one recording."""
        store = self._session.store
        if not isinstance(store, SingleFile):
            return describe(ended)
        counts = ", ".join(f"{n} {c}" for n, c in sorted(self._session.counts.items()))
        return f"{describe(ended)} File: {store.path} ({counts or 'no topic was published'})"


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes recorder``."""
    return run_node(RecorderNode)
