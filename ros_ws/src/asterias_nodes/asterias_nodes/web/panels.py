"""The page's panels made of NiceGUI's components; each returns the function that refreshes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Protocol

from asterias_interfaces.msg import RecordedEpisode, RecorderStatus
from nicegui import ui

from asterias_nodes.web.action_watch import ActionRun, ActionWatch, WatchedAction
from asterias_nodes.web.camera_feeds import BeliefFeed
from asterias_nodes.web.health_table import HealthTable, PartReport
from asterias_nodes.web.node_services import FaultRemote, RecorderRemote
from asterias_nodes.web.scene.robot_scene import LimbFrame
from asterias_nodes.web.text import duration_text, shortened, values_text
from asterias_nodes.web.topic_plots import TopicPlots
from hardware.description.robot import RobotDescription
from hardware.faults.models import FAULT_MODELS
from learning.recordings.plots.timeline import Timelines

FIND_TARGET = "/find_target"
FIND_GOAL = "{random_start: true}"
CRAWL_TO = "/crawl_to"
CRAWL_GOAL = "{seen: true}"
SHOWN_EPISODES = 8
OUTCOMES = {
    RecordedEpisode.SUCCESS: "success",
    RecordedEpisode.FAILURE: "failure",
    RecordedEpisode.UNKNOWN: "not judged",
}
RECORDER_WORDS = {
    RecorderStatus.IDLE: "Ready to record.",
    RecorderStatus.RECORDING: "Recording.",
    RecorderStatus.BUFFERING: "The last seconds are in memory.",
    RecorderStatus.FAILED: "The last recording failed.",
}

Refresh = Callable[[], None]


class PageModel(Protocol):
    """What the page's components show and do, of the node behind them.

    They run in the server's thread: they read what is here, and hand work to the node's thread.
    """

    @property
    def robot(self) -> RobotDescription:
        """The robot that is shown."""

    @property
    def frames(self) -> Sequence[LimbFrame]:
        """Where each limb is mounted."""

    @property
    def recorder(self) -> RecorderRemote:
        """Status and buttons of the recorder."""

    @property
    def faults(self) -> FaultRemote:
        """The services that inject faults."""

    @property
    def actions(self) -> ActionWatch:
        """Actions of the graph."""

    @property
    def plots(self) -> TopicPlots:
        """Numbers of topics over time."""

    @property
    def belief(self) -> BeliefFeed:
        """Where a searcher takes the target to be."""

    @property
    def health(self) -> HealthTable:
        """The newest reports of all parts."""

    @property
    def is_stopped(self) -> bool:
        """Whether the emergency stop is engaged."""

    def do(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the node's thread."""

    def tell_all(self, text: str) -> None:
        """Show a sentence on all pages."""


def button(text: str, action: Callable[[], object], kind: str = "") -> ui.button:
    """Return a button in the page's style.

    Args:
        text: on the button.
        action: what it does.
        kind: its class: ``good``, ``record``, ``warn`` or none.
    """
    made = ui.button(text, on_click=lambda: action(), color=None)
    return made.props("unelevated no-caps dense").classes(f"act {kind}")


# -- record -------------------------------------------------------------------------------------


def record_panel(model: PageModel) -> Refresh:
    """Return the refresher of the panel that records and judges episodes."""
    recorder = model.recorder
    task = ui.input("Task, in your words", value="find the target").props("dense outlined")
    task.classes("wide-input")
    with ui.row().classes("buttons"):
        record = button("Record", lambda: toggle(), "record")
        judging = [
            button("Success", lambda: model.do(recorder.mark, True), "good"),
            button("Failure", lambda: model.do(recorder.mark, False)),
            button("Discard", lambda: model.do(recorder.discard)),
        ]
    told = ui.label().classes("told")
    table = ui.html("", sanitize=False).classes("episodes")
    timelines = Timelines()

    def toggle() -> None:
        if recorder.is_recording:
            model.do(recorder.finish)
        else:
            model.do(recorder.start, task.value or "")

    def refresh() -> None:
        status = recorder.status
        record.set_enabled(status is not None)
        for one in judging:
            one.set_visibility(status is not None and _can_judge(status))
        if status is None:
            told.set_text("No recorder runs; launch with record:=true.")
            return
        is_recording = recorder.is_recording
        record.set_text("Finish" if is_recording else "Record")
        record.classes(
            add="finish" if is_recording else "record",
            remove="record" if is_recording else "finish",
        )
        told.set_text(_recorder_text(status))
        table.set_content(_episode_table(status, timelines))

    refresh()
    return refresh


def _can_judge(status: RecorderStatus) -> bool:
    if status.state == RecorderStatus.RECORDING:
        return True
    return bool(status.episodes) and status.episodes[-1].outcome == RecordedEpisode.UNKNOWN


def _recorder_text(status: RecorderStatus) -> str:
    if status.state == RecorderStatus.RECORDING:
        one = status.episode
        lost = f", {one.dropped} lost" if one.dropped else ""
        return f"Episode {one.number}: {duration_text(one.seconds)}, {one.frames} pictures{lost}."
    return shortened(str(status.text), 200) or RECORDER_WORDS.get(status.state, "")


def _episode_table(status: RecorderStatus, timelines: Timelines) -> str:
    if not status.episodes:
        return ""
    rows = []
    for one in reversed(status.episodes[-SHOWN_EPISODES:]):
        outcome = OUTCOMES.get(one.outcome, "")
        lost = f'<i class="lost">{one.dropped} lost</i>' if one.dropped else ""
        rows.append(
            f'<tr><td>{one.number}</td><td class="task" title="{escape(one.task[:1000])}">'
            f'{escape(shortened(one.task, 100))}</td><td class="{outcome}">{outcome}</td>'
            f"<td>{duration_text(one.seconds)}</td><td>{one.frames} {lost}</td></tr>"
        )
        if timeline := timelines.of(one.path):
            rows.append(f'<tr class="timeline"><td></td><td colspan="4">{timeline}</td></tr>')
    head = "".join(f"<th>{name}</th>" for name in ("", "task", "result", "min", "pictures"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


# -- actions ------------------------------------------------------------------------------------


def action_panel(model: PageModel) -> Refresh:
    """Return the refresher of the panel that starts, shows and cancels actions."""

    def start(name: str | None, text: str) -> None:
        action = model.actions.actions.get(name or "")
        if action is None:
            model.tell_all("This action is not in the graph; is its node launched?")
            return
        model.do(action.start, text, model.tell_all)

    def cancel() -> None:
        for action in list(model.actions.actions.values()):
            model.do(action.cancel)

    with ui.row().classes("buttons"):
        find = button("Find the target", lambda: start(FIND_TARGET, FIND_GOAL), "good")
        crawl = button("Crawl to the target", lambda: start(CRAWL_TO, CRAWL_GOAL), "good")
        stop = button("Cancel", cancel)
    told = ui.label().classes("told")
    shown = ui.column().classes("runs")
    show_belief = _belief_view(model)
    choose = _goal_form(model, start)
    rows: dict[str, _RunRow] = {}

    def refresh() -> None:
        actions = dict(sorted(list(model.actions.actions.items())))
        is_stopped = model.is_stopped
        find.set_enabled(FIND_TARGET in actions and not is_stopped)
        crawl.set_visibility(CRAWL_TO in actions)
        crawl.set_enabled(not is_stopped)
        stop.set_enabled(
            any(one.run is not None and one.run.is_running for one in actions.values())
        )
        told.set_text(_action_hint(is_stopped, actions))
        told.set_visibility(bool(told.text))
        choose(list(actions), is_stopped)
        for name, action in actions.items():
            if action.run is None:
                continue
            if name not in rows:
                with shown:
                    rows[name] = _RunRow(name)
            rows[name].show(action.run)
        show_belief()

    refresh()
    return refresh


def _belief_view(model: PageModel) -> Refresh:
    """Return the refresher of the newest picture of a searcher's belief; hidden without one."""
    words = "Where the target may be, by the searcher's belief"
    place = ui.element("figure").classes("belief")
    shown = [0]
    with place:
        picture = ui.html("", sanitize=False)
        ui.label(words).classes("told")
    place.set_visibility(False)

    def refresh() -> None:
        if model.belief.number == shown[0]:
            return
        shown[0] = model.belief.number
        source = model.belief.data_url()
        picture.set_content(f'<img src="{source}" alt="{escape(words)}">' if source else "")
        place.set_visibility(bool(source))

    return refresh


def _action_hint(is_stopped: bool, actions: dict[str, WatchedAction]) -> str:
    if is_stopped:
        return "The emergency stop is engaged: release it first."
    if FIND_TARGET not in actions:
        return "No search is launched (find_target.launch.xml)."
    return ""


def _goal_form(
    model: PageModel, start: Callable[[str | None, str], None]
) -> Callable[[list[str], bool], None]:
    """Return the function that takes the actions there are, and whether the robot is stopped."""
    with ui.expansion("Another goal").classes("wide-input").props("dense") as form:
        choice = ui.select([], label="Action", on_change=lambda: prefill()).props("dense outlined")
        choice.classes("wide-input")
        goal = ui.textarea("Goal, as YAML").props("dense outlined autogrow").classes("wide-input")
        begin = button("Start", lambda: start(choice.value, goal.value), "good")

    def prefill() -> None:
        action = model.actions.actions.get(choice.value or "")
        if action is not None:
            goal.set_value(action.template())

    def choose(names: list[str], is_stopped: bool) -> None:
        form.set_visibility(bool(names))
        begin.set_enabled(not is_stopped)
        if names != choice.options:
            choice.set_options(names, value=choice.value if choice.value in names else None)

    return choose


class _RunRow:
    """One action that runs or has run."""

    def __init__(self, name: str) -> None:
        with ui.element("div").classes("run"):
            with ui.row().classes("run-head"):
                ui.label(name.lstrip("/").replace("_", " ")).classes("run-name")
                self._state = ui.label().classes("run-state")
            self._bar = ui.linear_progress(0.0, show_value=False, size="6px").props(
                "instant-feedback"
            )
            self._text = ui.label().classes("told")

    def show(self, run: ActionRun) -> None:
        """Show the run's state."""
        self._state.set_text(run.state)
        is_known = math.isfinite(run.progress)
        self._bar.set_value(round(run.progress, 3) if is_known else float(not run.is_running))
        is_endless = run.is_running and not is_known
        self._bar.props(
            add="indeterminate" if is_endless else None,
            remove=None if is_endless else "indeterminate",
        )
        self._text.set_text(run.result or values_text(run.values))


# -- health -------------------------------------------------------------------------------------


def health_panel(model: PageModel) -> Refresh:
    """Return the refresher of the panel of parts: those in trouble, and the rest in one row."""
    place = ui.column().classes("health")
    shown: list[list[PartReport]] = [[]]

    def refresh() -> None:
        reports = model.health.reports
        if reports == shown[0] and reports:
            return
        shown[0] = reports
        place.clear()
        with place:
            if not reports:
                ui.label("No part has reported yet.").classes("told")
                return
            bad = [one for one in reports if one.level != "ok"]
            for one in bad:
                _part(one)
            well = [one for one in reports if one.level == "ok"]
            if well:
                with ui.element("details").classes("part ok"):
                    words = f"all {len(well)} parts ok" if not bad else f"{len(well)} parts ok"
                    ui.html(f"<b>{words}</b>", tag="summary")
                    for one in well:
                        ui.html(f"{escape(one.name)} <i>{escape(one.message)}</i>", tag="p")

    refresh()
    return refresh


def _part(report: PartReport) -> None:
    with ui.element("details").classes(f"part {report.level}"):
        ui.html(
            f"<b>{escape(report.name)}</b> <span>{escape(report.message)}</span>", tag="summary"
        )
        for key, value in report.values:
            ui.html(f"{escape(key)} <i>{escape(value)}</i>", tag="p")


# -- faults -------------------------------------------------------------------------------------


def fault_panel(model: PageModel) -> None:
    """Build the panel that injects faults."""
    robot = model.robot

    def components(number: int) -> list[str]:
        limb = robot.limbs[number]
        return [joint.name for joint in limb.joints] + [
            f"camera_{j}" for j in range(len(limb.live_cameras))
        ]

    def select(options: Any, value: Any, label: str) -> ui.select:
        return ui.select(options, value=value, label=label).props("dense outlined")

    with ui.row().classes("buttons"):
        limb = select(dict(enumerate(one.name for one in robot.limbs)), 0, "Limb")
        limb.set_visibility(len(robot.limbs) > 1)
        part = select(components(0), components(0)[0], "Part")
        fault = select(list(FAULT_MODELS.names()), "off", "Fault")
        value = ui.number("Value", value=0.0, step=0.1).props("dense outlined").classes("short")

        def inject() -> None:
            model.do(model.faults.inject, limb.value, part.value, fault.value, value.value or 0.0)

        button("Inject", inject, "warn")
    limb.on_value_change(
        lambda event: part.set_options(components(event.value), value=components(event.value)[0])
    )
