"""Any action in the graph, seen from outside: progress, plots, result, cancel; and goals from text.

Nothing here knows a particular action. What runs is known from the topics that every action server
has (``…/_action/status``, ``…/_action/feedback``), whoever has sent the goal. Names and types in
the graph are claims of strangers: a client made for a type that is no action ends the process, so
types are checked first.
"""

from __future__ import annotations

import math
import re
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
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.web.text import MAX_ITEMS, shortened, value_text

try:  # where no ROS 2 is sourced
    from asterias_ros2.graph.messages import fill
except ImportError:
    from rosidl_runtime_py.set_message import (  # type: ignore[no-redef]
        set_message_fields as fill,
    )

STATUS_SUFFIX = "/_action/status"
FEEDBACK_SUFFIX = "/_action/feedback"
FEEDBACK_TYPE = re.compile(r"([a-z]\w*/action/[A-Z]\w*)_FeedbackMessage")
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
MAX_ACTIONS = 32
MAX_UNKNOWN = 256
MAX_GOAL_CHARS = 100_000


@dataclass
class ActionRun:
    """What is known of one goal.

    Attributes:
        state: in words.
        is_running: whether it can be cancelled.
        values: the fields of the newest feedback, without nested messages.
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
    """One action server, and its newest goal.

    Args:
        node: the hosting node.
        name: of the action.
        type_name: such as ``asterias_interfaces/action/FindTarget``.
    """

    def __init__(self, node: Node, name: str, type_name: str) -> None:
        """Open the action's topics and services.

        Passes on ``ImportError``: the type is not installed, or is no action.
        """
        self.name, self.type_name = name, type_name
        self.type = action_type(type_name)
        self.run: ActionRun | None = None
        self.total = 0.0
        self._owned = OwnedEntities(node)
        self._client: ActionClient = self._owned.action_client(self.type, name)
        self._cancel = self._owned.client(CancelGoal, f"{name}/_action/cancel_goal")
        self._results = self._owned.client(
            self.type.Impl.GetResultService, f"{name}/_action/get_result"
        )
        self._owned.subscription(
            GoalStatusArray,
            f"{name}{STATUS_SUFFIX}",
            self._on_status,
            qos_profile_action_status_default,
        )
        self._owned.subscription(
            self.type.Impl.FeedbackMessage,
            f"{name}{FEEDBACK_SUFFIX}",
            self._on_feedback,
            reliable_qos(),
        )

    # -- what a person does ---------------------------------------------------------------------

    def template(self) -> str:
        """Return a goal with its default values, as YAML on one line."""
        fields = _plain(self.type.Goal())
        text: str = yaml.safe_dump(
            fields, default_flow_style=True, sort_keys=False, width=1000
        ).strip()
        return text

    def start(self, text: str, on_answer: Callable[[str], None]) -> None:
        """Send a goal that is written as YAML; ``on_answer`` gets a sentence."""
        goal = self.type.Goal()
        if len(text) > MAX_GOAL_CHARS:
            on_answer(f"A goal may have {MAX_GOAL_CHARS} characters, not {len(text)}.")
            return
        try:
            fill(goal, yaml.safe_load(text) or {})
        except (Exception, RecursionError) as error:  # whatever a person can type
            on_answer(f"{self.name} does not understand this goal: {error}.")
            return
        if not self._client.server_is_ready():
            on_answer(f"{self.name} is not there (any more).")
            return
        self.total = _first_number(_plain(goal), TOTAL_FIELDS, 0.0)

        def answered(future: Any) -> None:
            handle = future.result()
            is_taken = handle is not None and handle.accepted
            on_answer(f"{self.name} {'has started' if is_taken else 'refuses this goal'}.")

        self._client.send_goal_async(goal).add_done_callback(answered)

    def cancel(self) -> None:
        """Cancel the goals that run."""
        if self._cancel.service_is_ready():
            self._cancel.call_async(CancelGoal.Request())

    def close(self) -> None:
        """Close the action's topics and services."""
        self._owned.close()

    # -- what the server reports ----------------------------------------------------------------

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
        run.values = {k: value for k, value in values.items() if not isinstance(value, dict)}
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
        message = shortened(str(values.get("error_msg") or ""), 200)
        texts = [message] if message else []
        texts += [
            value_text(name, value)
            for name, value in values.items()
            if isinstance(value, (bool, int, float, str)) and value != "" and "error" not in name
        ]
        run.result = "; ".join(texts)
        run.progress = 1.0 if run.state == "done" else run.progress


class ActionWatch:
    """All actions of the graph; :meth:`look` finds new ones.

    Args:
        node: the hosting node.
    """

    def __init__(self, node: Node) -> None:
        self.actions: dict[str, WatchedAction] = {}
        self._node = node
        self._unknown: set[str] = set()

    def look(self) -> None:
        """Find servers that have appeared, and forget those that are gone."""
        found = dict(sorted(self._servers().items())[:MAX_ACTIONS])
        for name, type_name in found.items():
            if name in self.actions or name in self._unknown:
                continue
            try:
                self.actions[name] = WatchedAction(self._node, name, type_name)
            except ImportError as error:
                if len(self._unknown) < MAX_UNKNOWN:
                    self._unknown.add(name)
                    self._node.get_logger().warning(f"{name} is not shown: {error}")
        for name in set(self.actions) - set(found):
            self.actions.pop(name).close()

    def _servers(self) -> dict[str, str]:
        """Return the type by name, of all that have the topics and one type of an action."""
        topics = dict(self._node.get_topic_names_and_types())
        found = {}
        for topic, types in topics.items():
            if not topic.endswith(FEEDBACK_SUFFIX) or not self._node.count_publishers(topic):
                continue
            name = topic.removesuffix(FEEDBACK_SUFFIX)
            matches = [match[1] for one in types if (match := FEEDBACK_TYPE.fullmatch(one))]
            status_types = topics.get(f"{name}{STATUS_SUFFIX}", [])
            if len(matches) == 1 and "action_msgs/msg/GoalStatusArray" in status_types:
                found[name] = matches[0]
        return found

    def close(self) -> None:
        """Close the topics and services of all actions."""
        for action in self.actions.values():
            action.close()
        self.actions.clear()


def action_type(name: str) -> Any:
    """Return the class of an action such as ``asterias_interfaces/action/FindTarget``.

    Raises:
        ImportError: its package is not installed, or the type is no action.
    """
    try:
        found = interface_type(name)
    except ValueError as error:
        raise ImportError(f"'{name}' is no type of an action") from error
    if not all(hasattr(found, part) for part in ("Goal", "Result", "Feedback", "Impl")):
        raise ImportError(f"'{name}' is no action")
    return found


def _accepted(status: GoalStatus) -> tuple[int, int]:
    stamp = status.goal_info.stamp
    return stamp.sec, stamp.nanosec


def _progress(values: dict[str, Any], total: float) -> float:
    if "progress" in values:
        return min(max(_first_number(values, ("progress",), math.nan), 0.0), 1.0)
    whole = _first_number(values, TOTAL_FIELDS, 0.0) or total
    done = _first_number(values, DONE_FIELDS, math.nan)
    return min(done / whole, 1.0) if whole > 0 else math.nan


def _first_number(values: dict[str, Any], names: tuple[str, ...], default: float) -> float:
    found = (values[name] for name in names if isinstance(values.get(name), (int, float)))
    return float(next(found, default))


def _plain(value: Any) -> Any:
    """Return a message as dicts, lists (their first items), numbers and texts."""
    if hasattr(value, "get_fields_and_field_types"):
        names = value.get_fields_and_field_types()
        return {name: _plain(getattr(value, name)) for name in names}
    if hasattr(value, "tolist"):
        return value[: MAX_ITEMS + 1].tolist() if getattr(value, "ndim", 1) else value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value[: MAX_ITEMS + 1]]
    return value
