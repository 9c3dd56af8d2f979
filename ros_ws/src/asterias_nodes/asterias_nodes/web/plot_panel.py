"""The page's plots: numbers of any topic, and of what actions report, over time."""

from __future__ import annotations

import time
from typing import Any

from nicegui import ui

from asterias_nodes.web.panels import PageModel

FIRST_TOPIC = "/limb_0/joint_states"
# What is shown at first of a topic: its first numbers of one kind.
FIRST_LINES = 4
MAX_LINES = 8
# Each refresh sends all points of all lines.
REFRESH_S = 1.0
ACTION = "action "
AXIS = {
    "type": "value",
    "axisLabel": {"color": "#9fb0c3"},
    "nameTextStyle": {"color": "#9fb0c3"},
    "splitLine": {"lineStyle": {"color": "#243040"}},
}
COLORS = ["#4cc9a6", "#5aa9ff", "#f2b84b", "#ff7d7d", "#c792ea", "#9fb0c3", "#80deea", "#f48fb1"]

# The unit that the end of a field's name tells, and those of joint states, whose names tell none.
UNITS = {"rad": "rad", "m": "m", "s": "s", "hz": "Hz", "px": "px", "mb": "MB"}
JOINT_UNITS = {"position": "rad", "velocity": "rad/s", "effort": "N m"}

Series = dict[str, list[tuple[float, float]]]


def plot_panel(model: PageModel) -> None:
    """Build the panel of plots; it refreshes itself, more slowly than the others."""
    source = ui.select([], label="Topic or action", with_input=True).props("dense outlined")
    source.classes("wide-input")
    lines = ui.select([], multiple=True, label="Numbers").props("dense outlined")
    lines.classes("wide-input")
    chart = ui.echart(_chart_options()).classes("chart")

    def refresh() -> None:
        names = _sources(model)
        if names != source.options:
            chosen = source.value if source.value in names else None
            chosen = chosen or (FIRST_TOPIC if FIRST_TOPIC in names else None)
            source.set_options(names, value=chosen)
        series = _series(model, source.value)
        if list(series) != lines.options:
            known = [name for name in lines.value or [] if name in series]
            lines.set_options(list(series), value=known or _first_lines(list(series)))
        lines.set_visibility(bool(series))
        chart.set_visibility(bool(series))
        chosen_lines = [name for name in lines.value or [] if name in series][:MAX_LINES]
        unit = common_unit(source.value or "", chosen_lines)
        _draw(chart, {name: series[name] for name in chosen_lines}, unit)

    refresh()
    ui.timer(REFRESH_S, refresh)


def _sources(model: PageModel) -> list[str]:
    actions = [
        f"{ACTION}{name}"
        for name, action in sorted(list(model.actions.actions.items()))
        if action.run is not None and action.run.series
    ]
    return [*actions, *model.plots.names]


def _series(model: PageModel, source: str | None) -> Series:
    if not source:
        return {}
    if not source.startswith(ACTION):
        model.do(model.plots.want, source)
        now = time.monotonic()
        found = model.plots.series(source)
        return {k: [(at_s - now, value) for at_s, value in line] for k, line in found.items()}
    action = model.actions.actions.get(source.removeprefix(ACTION))
    run = None if action is None else action.run
    return {} if run is None else {k: list(line) for k, line in list(run.series.items())}


def _first_lines(names: list[str]) -> list[str]:
    """Return the first numbers of the first field that has several, or the first number."""
    kinds = [name.rpartition(" ")[0] for name in names if " " in name and "(" not in name]
    if not kinds:
        return names[:1]
    return [name for name in names if name.rpartition(" ")[0] == kinds[0]][:FIRST_LINES]


def common_unit(source: str, names: list[str]) -> str:
    """Return the unit of all lines of a topic or action; empty where they differ, or tell none."""
    units = {_unit(source, name) for name in names}
    return units.pop() if len(units) == 1 else ""


def _unit(source: str, name: str) -> str:
    field = name.partition(" ")[0]
    if name.endswith("(Hz)"):
        return "Hz"
    if source.endswith("joint_states") and field in JOINT_UNITS:
        return JOINT_UNITS[field]
    return UNITS.get(field.rpartition("_")[2], "") if "_" in field else ""


def _draw(chart: ui.echart, series: Series, unit: str) -> None:
    shown = [
        {
            "type": "line",
            "showSymbol": False,
            "name": name.replace("_", " "),
            "color": COLORS[i % len(COLORS)],
            "data": [[round(at_s, 2), value] for at_s, value in line],
        }
        for i, (name, line) in enumerate(series.items())
    ]
    if chart.options["series"] != shown:
        chart.options["series"] = shown
        chart.options["legend"]["show"] = len(shown) > 1
        chart.options["yAxis"]["name"] = unit
        chart.update()


def _chart_options() -> dict[str, Any]:
    return {
        "animation": False,
        "grid": {"left": 48, "right": 14, "top": 52, "bottom": 34},
        "legend": {"textStyle": {"color": "#9fb0c3", "fontSize": 11}, "itemWidth": 14, "top": 0},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {**AXIS, "name": "time (s)", "nameLocation": "middle", "nameGap": 20},
        "yAxis": {**AXIS, "scale": True},
        "series": [],
    }
