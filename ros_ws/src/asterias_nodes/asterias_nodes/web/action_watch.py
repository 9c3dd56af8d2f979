"""Any action in the graph, seen from outside: progress, plots, result, cancel; and goals from text.

Nothing here knows a particular action. What runs is known from the topics that every action server
has (``…/_action/status``, ``…/_action/feedback``), whoever has sent the goal.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml
from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import qos_profile_action_status_default

from asterias_nodes.runtime.message_definitions import interface_type
from asterias_nodes.runtime.qos import reliable_qos

try:  # where no ROS 2 is sourced
    from asterias_ros2.graph.messages import fill
except ImportError:
    from rosidl_runtime_py.set_message import (  # type: ignore[no-redef]
        set_message_fields as fill,
    )

STATUS_SUFFIX = "/_action/status"
FEEDBACK_SUFFIX = "/_action/feedback"
FEEDBACK_TYPE = "_FeedbackMessage"
RUNNING = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)
WORDS = {
    GoalStatus.STATUS_ACCEPTED: "accepted",
    GoalStatus.STATUS_EXECUTING: "running",
    GoalStatus.STATUS_CANCELING: "being cancelled",
    GoalStatus.STATUS_SUCCEEDED: "done",
    GoalStatus.STATUS_CANCELED: "cancelled",
    GoalStatus.STATUS_ABORTED: "ended without success",
}
# Names under which feedback says how far it is, and of how much.
DONE_FIELDS = ("steps", "step", "current_step", "iteration")
TOTAL_FIELDS = ("total", "total_steps", "max_steps", "iterations")
PLOTTED_POINTS = 400


@dataclass
class ActionRun:
    """What is known of one goal.

    Attributes:
        state: in words.
        is_running: whether it can be cancelled.
        values: the scalar fields of the newest feedback.
        series: per number of the feedback, (s since the start, value).
        progress: 0 to 1; NaN while it is not known.
        result: in words, once it is there.
    """

    goal_id: bytes
    state: str = "accepted"
    is_running: bool = True
    started_s: float = field(default_factory=time.monotonic)
    values: dict[str, object] = field(default_factory=dict)
    series: dict[str, deque[tuple[float, float]]] = field(default_factory=dict)
    progress: float = math.nan
    result: str = ""


class WatchedAction:
    """One action server, and its newest goal."""

    def __init__(self, node: Node, name: str, type_name: str) -> None:
        self.name, self.type_name = name, type_name
        self.type = interface_type(type_name)
        self.run: ActionRun | None = None
        self.total = 0.0
        self._node = node
        self._client = ActionClient(node, self.type, name)
        self._cancel = node.create_client(CancelGoal, f"{name}/_action/cancel_goal")
        self._results = node.create_client(
            self.type.Impl.GetResultService, f"{name}/_action/get_result"
        )
        self._topics = [
            node.create_subscription(
                GoalStatusArray,
                f"{name}{STATUS_SUFFIX}",
                self._on_status,
                qos_profile_action_status_default,
            ),
            node.create_subscription(
                self.type.Impl.FeedbackMessage,
                f"{name}{FEEDBACK_SUFFIX}",
                self._on_feedback,
                reliable_qos(),
            ),
        ]

    # -- what a person does ---------------------------------------------------------------------

    def template(self) -> str:
        """A goal with its default values, as YAML on one line."""
        fields = _plain(self.type.Goal())
        text: str = yaml.safe_dump(
            fields, default_flow_style=True, sort_keys=False, width=1000
        ).strip()
        return text

    def start(self, text: str, on_answer: Callable[[str], None]) -> None:
        """Send a goal that is written as YAML; ``on_answer`` gets a sentence."""
        goal = self.type.Goal()
        try:
            fill(goal, yaml.safe_load(text) or {})
        except Exception as error:  # whatever a person can type
            on_answer(f"{self.name} does not understand this goal: {error}.")
            return
        if not self._client.server_is_ready():
            on_answer(f"{self.name} is not there (any more).")
            return
        values = _plain(goal)
        self.total = next((float(values[key]) for key in TOTAL_FIELDS if key in values), 0.0)

        def answered(future: Any) -> None:
            handle = future.result()
            is_taken = handle is not None and handle.accepted
            on_answer(f"{self.name} {'has begun' if is_taken else 'refuses this goal'}.")

        self._client.send_goal_async(goal).add_done_callback(answered)

    def cancel(self) -> None:
        """Cancel the goals that run."""
        if self._cancel.service_is_ready():
            self._cancel.call_async(CancelGoal.Request())

    def close(self) -> None:
        """Leave the action alone."""
        for topic in self._topics:
            self._node.destroy_subscription(topic)
        self._node.destroy_client(self._cancel)
        self._node.destroy_client(self._results)
        self._client.destroy()

    # -- what the server says -------------------------------------------------------------------

    def _on_status(self, message: GoalStatusArray) -> None:
        if not message.status_list:
            return
        newest = max(message.status_list, key=_accepted)
        goal_id = bytes(newest.goal_info.goal_id.uuid)
        if self.run is None or self.run.goal_id != goal_id:
            self.run = ActionRun(goal_id)
        run = self.run
        was_running, run.is_running = run.is_running, newest.status in RUNNING
        run.state = WORDS.get(newest.status, "unknown")
        if was_running and not run.is_running and self._results.service_is_ready():
            request = self.type.Impl.GetResultService.Request(goal_id=newest.goal_info.goal_id)
            done = partial(self._on_result, run)
            self._results.call_async(request).add_done_callback(done)

    def _on_feedback(self, message: Any) -> None:
        goal_id = bytes(message.goal_id.uuid)
        if self.run is None or self.run.goal_id != goal_id:
            self.run = ActionRun(goal_id, state="running")
        run, values = self.run, _plain(message.feedback)
        at_s = time.monotonic() - run.started_s
        run.values = {
            name: ", ".join(map(str, value)) if isinstance(value, list) else value
            for name, value in values.items()
            if not isinstance(value, dict)
        }
        for name, value in values.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                line = run.series.setdefault(name, deque(maxlen=PLOTTED_POINTS))
                line.append((at_s, float(value)))
        run.progress = _progress(values, self.total)

    def _on_result(self, run: ActionRun, future: Any) -> None:
        answer = future.result()
        if answer is None:
            return
        values = _plain(answer.result)
        told = [values["error_msg"]] if values.get("error_msg") else []
        told += [
            f"{name.replace('_', ' ')} {round(value, 3) if isinstance(value, float) else value}"
            for name, value in values.items()
            if isinstance(value, (bool, int, float, str)) and value != "" and "error" not in name
        ]
        run.result = "; ".join(map(str, told))
        run.progress = 1.0 if run.state == "done" else run.progress


class ActionWatch:
    """All actions of the graph; :meth:`look` finds new ones."""

    def __init__(self, node: Node) -> None:
        self.actions: dict[str, WatchedAction] = {}
        self._node = node
        self._unknown: set[str] = set()

    def look(self) -> None:
        """Find servers that have appeared; forget those that are gone and have nothing to show."""
        there = {}
        for topic, types in self._node.get_topic_names_and_types():
            if topic.endswith(FEEDBACK_SUFFIX) and self._node.count_publishers(topic):
                there[topic.removesuffix(FEEDBACK_SUFFIX)] = types[0].removesuffix(FEEDBACK_TYPE)
        for name, type_name in there.items():
            if name not in self.actions and name not in self._unknown:
                try:
                    self.actions[name] = WatchedAction(self._node, name, type_name)
                except ImportError as error:
                    self._unknown.add(name)
                    self._node.get_logger().warning(f"{name} is not shown: {error}")
        for name in set(self.actions) - set(there):
            self.actions.pop(name).close()

    def close(self) -> None:
        """Leave all actions alone."""
        for action in self.actions.values():
            action.close()
        self.actions.clear()


def _accepted(status: GoalStatus) -> tuple[int, int]:
    stamp = status.goal_info.stamp
    return stamp.sec, stamp.nanosec


def _progress(values: dict[str, Any], total: float) -> float:
    if "progress" in values:
        return min(max(float(values["progress"]), 0.0), 1.0)
    whole = next((float(values[key]) for key in TOTAL_FIELDS if values.get(key)), total)
    done = next((float(values[key]) for key in DONE_FIELDS if key in values), math.nan)
    return min(done / whole, 1.0) if whole > 0 else math.nan


def _plain(value: Any) -> Any:
    """A message as dicts, lists, numbers and texts."""
    if hasattr(value, "get_fields_and_field_types"):
        names = value.get_fields_and_field_types()
        return {name: _plain(getattr(value, name)) for name in names}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
