"""Tables of the simulation: renderers, contact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table

_WORDS = {
    "raster": "`raster`",
    "raster_2x2": "`raster_2x2`",
    "pybullet": "`pybullet` (TinyRenderer)",
}


def _renderers(results: Path) -> str:
    """Return the table of speeds and decoded tags."""
    figures = load(results, "sim/renderers.json")
    factors, shares = figures["real_time_factor"], figures["decoded"]["share"]
    rows: list[tuple[str, ...]] = [
        (
            "renderer",
            "a 96x96 picture",
            "limb, 4 cameras at 10 Hz",
            "starfish, 48 cameras at 10 Hz",
            f"tags decoded in {figures['decoded']['views']:,} views",
        )
    ]
    for name, words in _WORDS.items():
        rows.append(
            (
                words,
                f"{figures['tile_ms'][name]['median']:.3f} ms",
                f"{factors['limb_p1'][name]['median']:.0f} times real time",
                f"{factors['starfish'][name]['median']:.1f} times real time",
                f"{100 * shares[name]:.2f} %",
            )
        )
    return markdown_table(rows)


def _renderer_pixels(results: Path) -> str:
    """Return the table of pixels that both renderers show alike."""
    pixels = load(results, "sim/renderers.json")["pixels"]
    within = f"alike within {pixels['alike_within_levels']} of 255 levels"
    rows: list[tuple[str, ...]] = [("pixels", "share of all", within)]
    for key, words in (("background", "floor and sky"), ("bodies", "limb, target, boxes")):
        part = pixels[key]
        rows.append(
            (words, f"{100 * part['share_of_pixels']:.1f} %", f"{100 * part['share_alike']:.1f} %")
        )
    return markdown_table(rows)


def _renderer_policies(results: Path) -> str:
    """Return the table of the shipped policies with each renderer."""
    rows: list[tuple[str, ...]] = [
        (
            "policy",
            "episodes each",
            "steps, `raster`",
            "`pybullet`",
            "found, `raster`",
            "`pybullet`",
        )
    ]
    by_policy: dict[str, dict[str, dict[str, Any]]] = {}
    for row in load(results, "sim/policies.json")["rows"]:
        by_policy.setdefault(row["policy"], {})[row["renderer"]] = row
    for name, pair in by_policy.items():
        ours, theirs = pair["raster"], pair["pybullet"]
        rows.append(
            (
                f"`{name}`",
                str(ours["episodes"]),
                *(
                    f"{one['mean_steps']:.2f} ({one['standard_error']:.2f})"
                    for one in (ours, theirs)
                ),
                *(f"{100 * one['success_within_cap']:.1f} %" for one in (ours, theirs)),
            )
        )
    return markdown_table(rows)


def _steps(row: dict[str, Any]) -> str:
    return f"{row['mean_steps']:.2f} ({row['standard_error']:.2f})"


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


def _contact_cost(results: Path) -> str:
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


# Figure: what is told of it, and how it is written.
_LIMB: dict[str, tuple[str, Callable[[float], str]]] = {
    "sag_mrad": ("sag at rest: hinge that is furthest off", lambda value: f"{value:.2f} mrad"),
    "sag_tip_mm": ("the same at the tip", lambda value: f"{value:.3f} mm"),
    "way_max_mrad": (
        "way to a command: furthest a hinge is off",
        lambda value: f"{value:.0f} mrad",
    ),
    "way_tip_max_mm": ("the same at the tip", lambda value: f"{value:.1f} mm"),
    "way_rms_mrad": ("root mean square of all hinges", lambda value: f"{value:.1f} mrad"),
    "settled_after_s": ("settled within 2 mrad after", lambda value: f"{value:.2f} s"),
    "energy_gained_mj": ("energy that a limp limb ever gains", lambda value: f"{value:.3f} mJ"),
}
_GROUND: dict[str, tuple[str, Callable[[float], str]]] = {
    "rest_height_mm": ("falls 5 cm: height of its body's middle", lambda value: f"{value:.2f} mm"),
    "at_rest_after_s": ("at rest (1 mm/s) after", lambda value: f"{value:.2f} s"),
    "rest_creep_mm": (
        "rests on 20°, friction 0.4: creep from 0.5 s to 5 s",
        lambda value: f"{value:.6f} mm",
    ),
    "slide_error": (
        "slides down 30°, friction 0.4: error of the acceleration g (sin a - mu cos a)",
        lambda value: f"{100 * value:.4f} %",
    ),
}


def _engines(results: Path) -> str:
    """Return the table of the engines, each in all respects."""
    data = load(results, "sim/engines.json")
    names = list(data["limb"])
    rows: list[tuple[str, ...]] = [("", *(f"`{name}`" for name in names))]
    for title, part, lines in (
        (f"held `{data['robot']}`", "limb", _LIMB),
        (f"`{data['standing']}` on the ground", "ground", _GROUND),
    ):
        rows += [
            (f"{title}: {told}", *(write(data[part][name][key]) for name in names))
            for key, (told, write) in lines.items()
        ]
    speeds = data["real_time_factor"]
    for kind, title in (("held", data["robot"]), ("standing", data["standing"])):
        medians = (speeds[kind][name]["median"] for name in names)
        rows.append((f"`{title}`, times real time", *(f"{value:.1f}" for value in medians)))
    return markdown_table(rows)


def _worlds(results: Path) -> str:
    """Return the table of many worlds at once."""
    rows: list[tuple[str, ...]] = [
        (
            "worlds",
            "threads",
            "world-seconds a second, with the cores it had",
            "cores it had",
            "by processor time, were they free",
        )
    ]
    for name in ("worlds", "worlds_starfish"):
        data = load(results, f"sim/{name}.json")
        told = f"{data['worlds']} x `{data['robot']}`, {data['cameras']} cameras each"
        for key, figures in data.items():
            if key.startswith("threads_"):
                rate, had, free = (
                    figures[part]["median"]
                    for part in ("world_s_per_s", "cores_had", "world_s_per_s_on_free_cores")
                )
                threads = key.removeprefix("threads_")
                rows.append((told, threads, f"{rate:.0f}", f"{had:.2f}", f"{free:.0f}"))
    return markdown_table(rows)


def _whole_robot(results: Path) -> str:
    """Return the table of the launched starfish."""
    data = load(results, "sim/whole_robot.json")
    cores = sorted(data["cores"].items(), key=lambda pair: -pair[1])
    page = data["page"]
    return markdown_table(
        [
            ("launched starfish, a page open", f"{data['seconds']:.0f} s"),
            ("real-time factor", f"{data['real_time_factor']:.3f}"),
            (
                f"pictures of {data['cameras']} cameras at 10 Hz that arrive in another process",
                f"{100 * data['share_of_rate']:.1f} %",
            ),
            (
                "of those that were taken in the simulated time",
                f"{100 * data['share_of_taken']:.1f} %",
            ),
            ("latency, median", f"{data['latency_median_ms']:.1f} ms"),
            ("latency, p99", f"{data['latency_p99_ms']:.1f} ms"),
            ("pictures on the page", f"{page['pictures']:,} of {page['cameras']} cameras"),
            ("cores that all nodes took", f"{data['cores_in_all']:.2f}"),
            *((f"of them `{name}`", f"{share:.2f}") for name, share in cores),
            ("load of the machine meanwhile", f"{data['load_average']:.1f}"),
        ]
    )


TABLES: dict[str, Callable[[Path], str]] = {
    "renderers": _renderers,
    "renderer_pixels": _renderer_pixels,
    "renderer_policies": _renderer_policies,
    "worlds": _worlds,
    "whole_robot": _whole_robot,
    "contact": _contact,
    "engines": _engines,
    "contact_cost": _contact_cost,
}
