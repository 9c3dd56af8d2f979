"""Managed node ``language_agent``: graphs of language agents that look, speak and act.

Action ``/ask``: a task in words, answered by a graph; feedback node by node. Topics
``/agents/messages`` (everything that is said) and ``/agents/approval_requests``; services
``/agents/approve`` and ``/agents/draw_graph`` (the graph as an image). It moves the robot through
actions and the command multiplexer only, and only by skills of its allow-list, within their limits.
The one text that it takes for an order is the task of a goal: what models, topics and images say is
data. Agents run in a thread of their own; cancel and topics are served meanwhile.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, cast

from asterias_interfaces.action import Ask
from asterias_interfaces.msg import AgentMessage
from asterias_interfaces.srv import DrawGraph
from rclpy.action.server import ServerGoalHandle

from asterias_nodes.agents.approvals import Approvals
from asterias_nodes.agents.robot_skills import RobotSkills
from asterias_nodes.agents.robot_state_monitor import RobotStateMonitor
from asterias_nodes.runtime.actions.action_node import ActionNode, ActiveGoal
from asterias_nodes.runtime.actions.event_action_server import GoalError
from asterias_nodes.runtime.actions.waiting import in_thread
from asterias_nodes.runtime.conversions import to_image_msg
from asterias_nodes.runtime.diagnostics import DiagnosticReport, Diagnostics
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.description.robot import load_robot
from learning.agents.graph.drawing import draw
from learning.agents.graph.executor import Stop, answer
from learning.agents.graph.graph import Graph
from learning.agents.graph.run_trace import RunRecord, Step
from learning.agents.messages import AgentError, Answer, Failure, FailureKind, Task
from learning.agents.models.back_ends import BACKENDS, Backend, BackendOptions, make_model
from learning.agents.models.server import ServerOptions
from learning.agents.skills.instruction_following import (
    actor,
    joints_member,
    order_graph,
    plan_graph,
    planner,
    scripted_planner,
)
from learning.agents.skills.skill_gate import Approve, SkillGate, load_skill_rules
from learning.agents.tasks.camera_witnesses import cameras_graph, scripted_witness, witness

Result = Ask.Result
_CODES = {
    FailureKind.TIMEOUT: Result.TIMEOUT,
    FailureKind.CANCELED: Result.CANCELED,
    FailureKind.ERROR: Result.FAILED,
    FailureKind.MALFORMED: Result.MALFORMED,
    FailureKind.REFUSED: Result.REFUSED,
    FailureKind.NO_INPUT: Result.NO_ANSWER,
}
_WITNESS_S = 40.0


@dataclass(frozen=True)
class LanguageAgentSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    limb: Annotated[int, "number of the limb that the agents use"] = 0
    skills: Annotated[str, "allow-list of skills (YAML); empty allows none"] = ""
    approval: Annotated[bool, "ask a person before each motion; silence means no"] = True
    approval_timeout_s: Annotated[float, "s that a person has for a yes"] = 20.0
    timeout_s: Annotated[float, "s for a task whose goal gives none"] = 120.0
    records: Annotated[str, "folder for a record of each run; empty keeps none"] = ""
    backend: Annotated[str, "scripted (offline), openai (a server) or replay"] = "scripted"
    model: Annotated[str, "name of the model on the server"] = "llama3.1"
    base_url: Annotated[str, "root of the server's API; its key is in OPENAI_API_KEY"] = (
        "http://127.0.0.1:11434/v1"
    )
    traffic: Annotated[str, "file of traffic: read by replay, written by openai"] = ""

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            names = ", ".join(BACKENDS)
            raise SettingsError(f"Parameter 'backend' is '{self.backend}'; choose one of {names}.")
        if min(self.timeout_s, self.approval_timeout_s) <= 0.0:
            raise SettingsError("Parameters 'timeout_s' and 'approval_timeout_s' must be above 0.")


class AskGoal(ActiveGoal):
    """A task in progress; the agents' thread reads ``run_stop``."""

    canceled_text = "The task was canceled."

    def __init__(self, handle: ServerGoalHandle, number: int) -> None:
        super().__init__(handle, Ask.Result())
        self.number = number
        self.graph = handle.request.graph or "orders"
        self.run_stop = Stop()

    def on_stop(self) -> None:
        """End the run of the graph."""
        self.run_stop.set()


class LanguageAgent(ActionNode[AskGoal]):
    """Serves ``/ask``, one task at a time."""

    action_type = Ask
    action_name = "/ask"
    replaces = False
    busy_text = "Another task is running; cancel it or wait for its end."
    internal_error = Result.INTERNAL

    def __init__(self) -> None:
        super().__init__("language_agent")
        self.settings = declare_settings(self, LanguageAgentSettings)
        self._graphs: dict[str, Graph] = {}
        self._last: tuple[str, RunRecord] | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._runs = self._failures = 0

    # -- life cycle -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open topics and build the graphs.

        Raises:
            ValueError: the robot has no such limb.
        """
        settings = self.settings
        robot = load_robot(settings.robot)
        if not 0 <= settings.limb < len(robot.limbs):
            raise ValueError(f"Robot {settings.robot} has no limb {settings.limb}.")
        state = RobotStateMonitor(self, robot, settings.limb)
        self.owned.add(state.close)
        skills = RobotSkills(self, state, settings.limb)
        self.owned.add(skills.close)
        self._graphs = self._make_graphs(state, skills)
        self._messages = self.owned.publisher(AgentMessage, "/agents/messages", reliable_qos(100))
        self.owned.service(DrawGraph, "/agents/draw_graph", self._on_draw)
        self.owned.add(Diagnostics(self, [self._report]).close)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="agents")

    def _make_graphs(self, state: RobotStateMonitor, skills: RobotSkills) -> dict[str, Graph]:
        settings = self.settings
        rules = load_skill_rules(Path(settings.skills)) if settings.skills else {}
        approve: Approve | None = None
        if settings.approval:
            approvals = Approvals(self, settings.approval_timeout_s)
            self.owned.add(approvals.close)
            approve = approvals.ask
        gate = SkillGate(rules, skills.by_name, approve)
        server = ServerOptions(settings.model, settings.base_url)
        traffic = Path(settings.traffic) if settings.traffic else None
        try:
            model = make_model(BackendOptions(cast(Backend, settings.backend), server, traffic))
        except AgentError as error:
            raise ValueError(str(error)) from error
        plan = planner(model or scripted_planner(), gate)
        speaker = model or scripted_witness()
        witnesses = [
            witness(name, skills.witness_look(name), speaker, _WITNESS_S) for name in state.cameras
        ]
        return {
            "orders": order_graph(
                plan,
                actor(gate, timeout_s=3600.0),
                [*witnesses, joints_member(state.joint_angles)],
            ),
            "plan": plan_graph(plan),
            "cameras": cameras_graph(witnesses),
        }

    def activate(self) -> None:
        """Accept goals."""
        super().activate()
        backend = self.settings.backend
        self.get_logger().info(f"Graphs: {', '.join(self._graphs)}; the back end is {backend}.")

    def cleanup(self) -> None:
        """Close everything."""
        if self._worker is not None:
            # Not waited for: the thread may itself be waiting for this one.
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._worker = None
        super().cleanup()
        self._graphs = {}

    # -- one task -------------------------------------------------------------------------------

    def make_goal(self, handle: ServerGoalHandle) -> AskGoal:
        """Return the record of a goal."""
        self._runs += 1
        return AskGoal(handle, self._runs)

    async def on_goal(self, goal: AskGoal) -> None:
        """Run the graph in the agents' thread and fill in the result.

        Raises:
            GoalError: there is no such graph, or the node is shutting down.
        """
        if goal.graph not in self._graphs:
            known = ", ".join(self._graphs)
            text = f"There is no graph '{goal.graph}'; this server has {known}."
            raise GoalError(Result.UNKNOWN_GRAPH, text)
        if self._worker is None:
            raise GoalError(Result.CANCELED, "The node is shutting down.")
        work = partial(
            answer,
            self._graphs[goal.graph],
            Task(goal.request.task),
            name=goal.graph,
            timeout_s=goal.request.timeout_s or self.settings.timeout_s,
            stop=goal.run_stop,
            on_step=lambda step: soon(self, self._publish_step, goal, step),
        )
        self._fill_in(goal, await in_thread(self, self._worker, work))

    def on_end(self, goal: AskGoal) -> None:
        """Complete the result and count it."""
        goal.result.duration_s = goal.elapsed_s
        self._failures += goal.result.error_code != Result.NONE

    def _publish_step(self, goal: AskGoal, step: Step) -> None:
        """Publish the outcome of a node of the graph."""
        outcome = step.outcome
        failed, text = isinstance(outcome, Failure), outcome.text
        message = AgentMessage(
            run=goal.number,
            graph=goal.graph,
            node=step.node,
            kind=step.kind,
            heard=list(step.inputs),
            failed=failed,
            backend=outcome.backend if isinstance(outcome, Answer) else "",
            text=text,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._messages.publish(message)
        goal.send_feedback(Ask.Feedback(node=step.node, kind=step.kind, failed=failed, text=text))

    def _fill_in(self, goal: AskGoal, record: RunRecord) -> None:
        """Complete the result from the record of the run.

        Raises:
            GoalError: the graph has no answer.
        """
        self._last = (goal.graph, record)
        used, outcome, result = record.usage, record.result, goal.result
        result.backends = list(record.backends)
        result.model_calls = used.calls
        result.prompt_tokens = used.prompt_tokens
        result.completion_tokens = used.completion_tokens
        result.cost = used.cost
        result.record = self._keep(goal, record)
        if isinstance(outcome, Failure):
            raise GoalError(_CODES[outcome.kind], outcome.text)
        result.answer, result.choice = outcome.text, str(outcome.data.get("answer") or "")
        result.evidence = outcome.data.get("evidence") or [
            f"{step.node}: {step.outcome.text}" for step in record.steps
        ]

    def _keep(self, goal: AskGoal, record: RunRecord) -> str:
        if not self.settings.records:
            return ""
        stamp = time.strftime("%Y-%m-%d-%H%M%S")
        name = f"{stamp}-{goal.graph}-{goal.number}.json"
        path = Path(self.settings.records).expanduser() / name
        record.save(path)
        return str(path)

    # -- reporting ------------------------------------------------------------------------------

    def _on_draw(
        self, request: DrawGraph.Request, response: DrawGraph.Response
    ) -> DrawGraph.Response:
        last_name, record = self._last or ("orders", None)
        name = request.graph or last_name
        if name not in self._graphs:
            response.message = f"There is no graph '{name}'; known are {', '.join(self._graphs)}."
            return response
        shown = record if name == last_name else None
        picture = draw(self._graphs[name], shown, title="" if shown is not None else name)
        response.image = to_image_msg(picture, self.get_clock().now().to_msg(), name)
        response.success = True
        response.message = f"{name}, {'its last run' if shown is not None else 'not run yet'}."
        return response

    def _report(self) -> DiagnosticReport:
        values: dict[str, object] = {
            "backend": self.settings.backend,
            "graphs": ", ".join(self._graphs),
            "runs": self._runs,
            "failures": self._failures,
            "running": self.goal.graph if self.goal is not None else "nothing",
        }
        return DiagnosticReport(f"{self.get_name()}: agents", values=values)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes language_agent``."""
    return run_node(LanguageAgent)
