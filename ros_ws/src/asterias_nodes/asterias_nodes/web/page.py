"""The page: what stands where. Pictures, limb and controls are drawn by ``static/live.js``."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asterias_interfaces.msg import RecordedEpisode, RecorderStatus
from diagnostic_msgs.msg import DiagnosticStatus
from fastapi import FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from asterias_nodes.runtime.executor import soon
from asterias_nodes.web.action_watch import ActionRun, WatchedAction
from asterias_nodes.web.live import LiveHub
from hardware.faults.injection import Fault

if TYPE_CHECKING:
    from asterias_nodes.web.dashboard import Dashboard

STATIC = Path(__file__).parent / "static"
REFRESH_S = 0.4
FIND_TARGET = "/find_target"
FIND_GOAL = "{random_start: true}"
SHOWN_EPISODES = 8
LEVELS = {
    DiagnosticStatus.OK: ("ok", 3),
    DiagnosticStatus.WARN: ("warn", 1),
    DiagnosticStatus.ERROR: ("error", 0),
    DiagnosticStatus.STALE: ("stale", 2),
}
OUTCOMES = {
    RecordedEpisode.SUCCESS: "success",
    RecordedEpisode.FAILURE: "failure",
    RecordedEpisode.UNKNOWN: "",
}
RECORDER_WORDS = {
    RecorderStatus.IDLE: "ready",
    RecorderStatus.RECORDING: "recording",
    RecorderStatus.BUFFERING: "keeps the last seconds",
    RecorderStatus.FAILED: "failed",
}


class PageModel:
    """What the components show and do; reads what the node keeps, and hands work to its thread.

    Args:
        node: the dashboard.
        shows_faults: whether there is a panel for faults.
    """

    def __init__(self, node: Dashboard, shows_faults: bool) -> None:
        self.node, self.shows_faults = node, shows_faults

    def do(self, function: Callable[..., object], *arguments: object) -> None:
        """Call in the node's thread."""
        soon(self.node, function, *arguments)

    @property
    def actions(self) -> dict[str, WatchedAction]:
        """Actions of the graph by name."""
        return dict(sorted(self.node.actions.actions.items()))


def make_app(model: PageModel, hub: LiveHub) -> FastAPI:
    """The ASGI app: the page, its files, and the live channel at ``/live``."""
    app = FastAPI(title="Asterias", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await hub.serve(socket)

    @ui.page("/", title=f"Asterias: {model.node.robot.name}", dark=True)
    def index() -> None:
        _build(model)

    ui.run_with(
        app,
        dark=True,
        show_welcome_message=False,
        favicon="\U0001f31f",
        # A page that comes back within this time (a phone in a pocket) is not loaded anew.
        reconnect_timeout=30.0,
    )
    return app


def _build(model: PageModel) -> None:
    ui.add_head_html('<link rel="stylesheet" href="/static/live.css">')
    ui.add_body_html('<script src="/static/live.js"></script>')
    with ui.header().classes("bar"):
        _static("bar", robot=model.node.robot.name).classes("bar-in")
    refreshers: list[Callable[[], None]] = []
    with ui.element("main").classes("layout"):
        with ui.element("div").classes("column wide"):
            with _panel("Cameras"):
                ui.html('<div id="tiles"></div>', sanitize=False)
            with _panel("Limb"):
                _static("limb")
        with ui.element("div").classes("column"):
            with _panel("Drive"):
                _static("drive")
            with _panel("Record"):
                refreshers.append(_record(model))
        with ui.element("div").classes("column"):
            with _panel("Actions"):
                refreshers.append(_actions(model))
            with _panel("Health"):
                refreshers.append(_health(model))
            if model.shows_faults:
                with _panel("Faults"):
                    _faults(model)
    ui.html('<div id="note" role="status"></div>', sanitize=False)
    ui.timer(REFRESH_S, lambda: [refresh() for refresh in refreshers])


def _static(name: str, **texts: str) -> ui.html:
    """What ``live.js`` fills."""
    content = (STATIC / f"{name}.html").read_text(encoding="utf-8")
    for key, text in texts.items():
        content = content.replace(f"<!-- {key} -->", _safe(text))
    return ui.html(content, sanitize=False)


def _panel(title: str) -> ui.element:
    panel = ui.element("section").classes("panel").props(f'aria-label="{title}"')
    with panel:
        ui.html(title, tag="h2")
    return panel


def _button(text: str, action: Callable[[], object], kind: str = "", tip: str = "") -> ui.button:
    button = ui.button(text, on_click=lambda: action(), color=None).props(
        "unelevated no-caps dense"
    )
    button.classes(f"act {kind}")
    if tip:
        button.tooltip(tip)
    return button


# -- record -------------------------------------------------------------------------------------


def _record(model: PageModel) -> Callable[[], None]:
    node = model.node
    task = ui.input("Task, in your words", value="find the target").props("dense outlined")
    task.classes("wide-input")
    with ui.row().classes("buttons"):
        record = _button("Record", lambda: toggle(), "record")
        good = _button("Success", lambda: model.do(node.mark_episode, True), "good")
        bad = _button("Failure", lambda: model.do(node.mark_episode, False))
        discard = _button("Discard", lambda: model.do(node.recorder_call, "discard"))
    told = ui.label().classes("told")
    columns = [
        {"name": key, "label": key, "field": key, "align": "left"}
        for key in ("#", "task", "result", "s", "frames", "lost")
    ]
    table = ui.table(rows=[], columns=columns, row_key="#").props("dense flat hide-pagination")
    table.classes("episodes")

    def is_recording() -> bool:
        return node.recorder is not None and node.recorder.state == RecorderStatus.RECORDING

    def toggle() -> None:
        if is_recording():
            model.do(node.recorder_call, "stop")
        else:
            model.do(node.start_episode, task.value)

    def refresh() -> None:
        status = node.recorder
        for button in (record, good, bad, discard):
            button.set_enabled(status is not None)
        if status is None:
            told.set_text("No recorder runs; launch with record:=true.")
            table.set_visibility(False)
            return
        record.set_text("Stop" if is_recording() else "Record")
        told.set_text(_recorder_text(status))
        rows = [_episode_row(one) for one in reversed(status.episodes)][:SHOWN_EPISODES]
        table.set_visibility(bool(rows))
        if rows != table.rows:
            table.rows = rows

    refresh()
    return refresh


def _recorder_text(status: RecorderStatus) -> str:
    if status.state == RecorderStatus.RECORDING:
        one = status.episode
        lost = f", {one.dropped} lost" if one.dropped else ""
        return f"Episode {one.number}: {one.seconds:.0f} s, {one.frames} frames{lost}."
    return str(status.text) or RECORDER_WORDS.get(status.state, "")


def _episode_row(one: RecordedEpisode) -> dict[str, Any]:
    return {
        "#": one.number,
        "task": one.task,
        "result": OUTCOMES.get(one.outcome, ""),
        "s": f"{one.seconds:.1f}",
        "frames": one.frames,
        "lost": one.dropped,
    }


# -- actions ------------------------------------------------------------------------------------


def _actions(model: PageModel) -> Callable[[], None]:
    def start(name: str | None, text: str) -> None:
        action = model.actions.get(name or "")
        if action is None:
            model.node.hub.tell(None, "This action is not in the graph; is its node launched?")
            return
        model.do(action.start, text, lambda told: model.node.hub.tell(None, told))

    def cancel() -> None:
        for action in model.actions.values():
            model.do(action.cancel)

    with ui.row().classes("buttons"):
        find = _button("Find the target", lambda: start(FIND_TARGET, FIND_GOAL), "good")
        _button("Cancel", cancel)
    shown = ui.column().classes("runs")
    choose = _goal_form(model, start)
    with ui.row().classes("buttons"):
        field = ui.select([], label="Plot").props("dense outlined")
    chart = ui.echart(_chart_options()).classes("chart")
    rows: dict[str, _RunRow] = {}

    def refresh() -> None:
        actions = model.actions
        find.set_enabled(FIND_TARGET in actions)
        choose(list(actions))
        for name, action in actions.items():
            if name not in rows and action.run is not None:
                with shown:
                    rows[name] = _RunRow(name)
            if action.run is not None:
                rows[name].show(action.run)
        _plot(actions, field, chart)

    refresh()
    return refresh


def _goal_form(
    model: PageModel, start: Callable[[str | None, str], None]
) -> Callable[[list[str]], None]:
    """A goal for any action, as text; the function that is returned takes the actions there are."""
    with ui.expansion("Another goal").classes("wide-input").props("dense"):
        choice = ui.select([], label="Action", on_change=lambda: prefill()).props("dense outlined")
        choice.classes("wide-input")
        goal = ui.textarea("Goal, as YAML").props("dense outlined autogrow").classes("wide-input")
        _button("Start", lambda: start(choice.value, goal.value), "good")

    def prefill() -> None:
        action = model.actions.get(choice.value or "")
        if action is not None:
            goal.set_value(action.template())

    def choose(names: list[str]) -> None:
        if names != choice.options:
            choice.set_options(names)

    return choose


class _RunRow:
    """One action that runs or has run."""

    def __init__(self, name: str) -> None:
        with ui.element("div").classes("run"):
            with ui.row().classes("run-head"):
                ui.label(name).classes("run-name")
                self._state = ui.label().classes("run-state")
            self._bar = ui.linear_progress(0.0, show_value=False, size="6px").props(
                "instant-feedback"
            )
            self._text = ui.label().classes("told")

    def show(self, run: ActionRun) -> None:
        """Bring it up to date."""
        self._state.set_text(run.state)
        is_known = math.isfinite(run.progress)
        self._bar.set_value(round(run.progress, 3) if is_known else float(not run.is_running))
        self._bar.props(
            remove="indeterminate" if is_known or not run.is_running else None,
            add="indeterminate" if run.is_running and not is_known else None,
        )
        told = run.result or ", ".join(
            f"{name.replace('_', ' ')} {_short(value)}" for name, value in run.values.items()
        )
        self._text.set_text(told)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    return f"{text[:40]} ..." if len(text) > 44 else text


def _plot(actions: dict[str, WatchedAction], field: ui.select, chart: ui.echart) -> None:
    """The chosen number of what runs, over time."""
    lines = {
        f"{name} {key}": list(points)
        for name, action in actions.items()
        if action.run is not None
        for key, points in action.run.series.items()
        if len(points) > 1
    }
    if list(lines) != field.options:
        field.set_options(list(lines), value=field.value if field.value in lines else None)
    if field.value is None and lines:
        field.set_value(next(iter(lines)))
    field.set_visibility(bool(lines))
    chart.set_visibility(bool(lines))
    points = lines.get(field.value or "", [])
    data = [[round(at_s, 2), value] for at_s, value in points]
    if chart.options["series"][0]["data"] != data:
        chart.options["series"][0]["data"] = data
        chart.options["series"][0]["name"] = field.value
        chart.update()


def _chart_options() -> dict[str, Any]:
    axis = {"type": "value", "axisLabel": {"color": "#9fb0c3"}, "splitLine": {"show": False}}
    return {
        "animation": False,
        "grid": {"left": 44, "right": 14, "top": 12, "bottom": 26},
        "tooltip": {"trigger": "axis"},
        "xAxis": {**axis, "name": "s", "nameLocation": "end"},
        "yAxis": {**axis, "scale": True},
        "series": [{"type": "line", "showSymbol": False, "data": [], "color": "#4cc9a6"}],
    }


# -- health -------------------------------------------------------------------------------------


def _health(model: PageModel) -> Callable[[], None]:
    place = ui.column().classes("health")
    shown: list[Any] = []

    def refresh() -> None:
        found = [_health_entry(status, is_old) for status, is_old in model.node.health]
        found.sort(key=lambda entry: (entry[0], entry[2]))
        if found == shown:
            return
        shown[:] = found
        place.clear()
        with place:
            if not found:
                ui.label("Nothing has reported yet.").classes("told")
            for _, word, name, message, values in found:
                with ui.element("details").classes(f"part {word}"):
                    ui.html(f"<b>{_safe(name)}</b> <span>{_safe(message)}</span>", tag="summary")
                    for key, value in values:
                        ui.html(f"{_safe(key)} <i>{_safe(value)}</i>", tag="p")

    refresh()
    return refresh


def _health_entry(
    status: DiagnosticStatus, is_old: bool
) -> tuple[int, str, str, str, tuple[tuple[str, str], ...]]:
    word, order = LEVELS.get(status.level, LEVELS[DiagnosticStatus.STALE])
    message = status.message
    if is_old:
        word, order, message = "stale", 2, "no report any more"
    # Counters would change the list twice a second: they are shown for what is wrong only.
    values = () if word == "ok" else tuple((v.key, v.value) for v in status.values)
    return order, word, status.name, message, values


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# -- faults -------------------------------------------------------------------------------------


def _faults(model: PageModel) -> None:
    robot = model.node.robot
    names = [limb.name for limb in robot.limbs]

    def components(number: int) -> list[str]:
        limb = robot.limbs[number]
        return [joint.name for joint in limb.joints] + [
            f"camera_{j}" for j in range(len(limb.live_cameras))
        ]

    with ui.row().classes("buttons"):
        limb = ui.select(dict(enumerate(names)), value=0, label="Limb").props("dense outlined")
        part = ui.select(components(0), value=components(0)[0], label="Part")
        part.props("dense outlined")
        fault = ui.select([word.value for word in Fault], value="off", label="Fault")
        fault.props("dense outlined")
        value = ui.number("Value", value=0.0, step=0.1).props("dense outlined").classes("short")
        _button(
            "Inject",
            lambda: model.do(
                model.node.inject_fault, limb.value, part.value, fault.value, value.value or 0.0
            ),
            "warn",
        )
    limb.on_value_change(
        lambda event: part.set_options(components(event.value), value=components(event.value)[0])
    )
