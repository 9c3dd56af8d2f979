"""Tables of contact: scenes in three engines, and what a step costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import load, markdown_table

_ENGINES = ("asterias", "mujoco", "pybullet")
# Scene: what is told of it, and how its figure is written.
_SCENES: dict[str, tuple[str, Callable[[float], str]]] = {
    "slide": (
        "block slides down 30°, friction 0.4: error of the acceleration g (sin a - mu cos a)",
        lambda value: f"{100 * value:.4f} %",
    ),
    "rest": (
        "block rests on 20°, friction 0.4: creep from 0.5 s to 10 s",
        lambda value: f"{1e3 * value:.6f} mm",
    ),
    "bounce": (
        "ball falls 1 m, restitution 0.8: largest error of three rebounds' heights",
        lambda value: f"{100 * value:.1f} %",
    ),
    "stack": (
        "five balls on top of one another for 2 s: largest displacement",
        lambda value: f"{1e3 * value:.3f} mm",
    ),
}


def _contact(results: Path) -> str:
    data = load(results, "sim/contact.json")
    rows: list[tuple[str, ...]] = [("scene", "here, 500 Hz", "MuJoCo, 5 kHz", "PyBullet, 500 Hz")]
    for name, (told, write) in _SCENES.items():
        errors = data["errors"][name]
        cells = [write(errors[engine]) if engine in errors else "" for engine in _ENGINES]
        rows.append((told, *cells))
    dropped = data["dropped"]
    heights = [1e3 * dropped[key] for key in ("rest_height_m", "rest_height_mujoco_m")]
    told = "starfish falls 5 cm and settles: height of its body's middle"
    rows.append((told, *(f"{height:.3f} mm" for height in heights), ""))
    return markdown_table(rows)


def _cost(results: Path) -> str:
    data = load(results, "sim/contact.json")["cost"]
    places = {
        "in_air": "in the air",
        "on_floor": "sliding on a floor",
        "on_floor_and_box": "sliding on a floor and on a box level with it",
    }
    rows: list[tuple[str, ...]] = [("starfish, limp", "contacts", "a step", "beside in the air")]
    for key, told in places.items():
        time_us, ratio = data["step_us"][key], data["ratio"][key]
        rows.append((told, f"{data['contacts'][key]}", f"{time_us:.0f} us", f"{ratio:.2f}"))
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {"contact": _contact, "contact_cost": _cost}
