"""The floors of the house: asterias < {hardware, planners} < sim < learning < ros_ws.

And the wings of each room: which folder may import which other folder of its room.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import house_measures
import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("asterias", "hardware", "planners", "sim", "learning")
WORKSPACE = ROOT / "ros_ws" / "src"
ROS_PACKAGES = tuple(sorted(path.parent.name for path in WORKSPACE.glob("*/package.xml")))
TOP_FLOOR = len(ROOMS)
FLOORS = {name: floor for floor, name in enumerate(ROOMS)} | dict.fromkeys(ROS_PACKAGES, TOP_FLOOR)


# Wing -> the wings of its room that it may import. A wing that is not named imports none. Files at
# a room's top (factory, world, __main__) join the wings and are free.
WINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "hardware": {
        "description": ("buses",),
        "limbs": ("buses", "description"),
        "cameras": ("buses", "description", "limbs"),
        "faults": ("buses", "cameras", "description", "limbs"),
        "teleop": ("description", "limbs"),
        "emulated": ("buses", "cameras", "description", "faults", "limbs"),
        "setup": ("buses", "cameras", "description", "emulated", "faults", "limbs"),
    },
    "planners": {
        "networks": ("operator",),
        "navigation": ("mazes",),
        "planning": ("mazes", "networks", "operator"),
        "mapping": ("mazes", "networks", "planning"),
        "training": ("mazes", "networks", "neural_a_star", "operator", "planning"),
        "neural_a_star": ("mazes",),
        "terrain": ("mazes", "networks", "training"),
        "gpu": ("mazes", "networks", "operator", "training"),
    },
    "sim": {
        "rendering": ("physics",),
        "vectorised": ("physics", "rendering"),
        "benchmarks": ("physics", "rendering", "vectorised"),
        "contact": ("physics", "rendering"),
        "engines": ("contact", "physics", "rendering"),
    },
    "learning": {
        "action_chunking": ("diffusion_policy", "recordings", "target_finding", "training"),
        "ball_maze": ("training",),
        "critical_states": ("recordings", "target_finding", "training"),
        "crawling": ("policy_search", "training"),
        "diffusion_policy": ("recordings", "target_finding", "training"),
        "doom_maze": ("ball_maze", "training"),
        "fast_weights": ("recordings", "target_finding", "training"),
        "highway": ("target_finding", "training"),
        "policy_search": ("target_finding", "training"),
        "starfish": ("policy_search", "target_finding", "training"),
        "target_finding": ("inference", "training"),
        "weight_space": ("policy_search", "target_finding", "training"),
    },
    "learning.weight_space": {
        "zoo": ("encoders",),
        "archive": ("encoders",),
    },
    "learning.fast_weights": {
        "estimation": ("core",),
        "gestures": ("core",),
        "studies": ("core", "estimation"),
    },
    "learning.highway": {
        "continuous": ("dqn",),
        "dqn": ("tabular",),
        "studies": ("continuous", "dqn", "tabular"),
    },
    "learning.policy_search": {
        "algorithms": ("common",),
        "compute_classes": ("common",),
        "fingerprints": ("algorithms", "common"),
        "step_generators": ("algorithms", "common"),
        "studies": ("algorithms", "common", "fingerprints", "reward_weighted"),
    },
    "learning.agents": {
        "graph": ("models",),
        "skills": ("graph", "models"),
        "tasks": ("graph", "models", "skills"),
        "experiments": ("graph", "models", "skills", "tasks"),
    },
    "learning.recordings": {
        "exporters": ("lerobot",),
        "lerobot": ("plots",),
        "plots": ("bags",),
    },
    "learning.target_finding": {
        "belief": ("env",),
        "policies": ("belief", "env"),
        "algorithms": ("env", "policies"),
        "experiments": ("algorithms", "belief", "env", "policies"),
        "exchange": ("env", "policies"),
        "commands": ("algorithms", "belief", "env", "exchange", "experiments", "policies"),
    },
    "asterias_nodes": {
        "robot": ("runtime",),
        "recording": ("runtime",),
        "state_estimation": ("runtime",),
        "transforms": ("runtime",),
        "foxglove_bridge": ("runtime",),
        "navigation": ("robot", "runtime", "transforms"),
        "teleop": ("robot", "runtime"),
        "agents": ("robot", "runtime"),
        "crawling": ("robot", "runtime"),
        "target_finding": ("recording", "robot", "runtime"),
        "web": ("robot", "runtime", "teleop"),
        "soak": ("robot", "runtime"),
    },
    "asterias_ros2": {
        "bags": ("graph",),
        "health": ("graph",),
        "verbs": ("bags", "graph", "health", "launch"),
    },
}


def floor_of(path: Path) -> int:
    """The floor that a file lies on."""
    return FLOORS.get(path.relative_to(ROOT).parts[0], TOP_FLOOR)


def source_files() -> list[Path]:
    """All Python files of the rooms and of the workspace."""
    folders = [ROOT / room for room in ROOMS] + [WORKSPACE]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


@functools.cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and full name of every module that a file imports, wherever in the file it does."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.lineno, node.module))
    return tuple(found)


def is_ros(module: str) -> bool:
    """True for rclpy, for message packages and for what else comes with ROS."""
    top = module.partition(".")[0]
    return top in {"rclpy", "launch", "launch_ros", "ros2cli"} or (
        top.startswith(("ament_", "rosidl_")) or top.endswith(("_msgs", "_srvs", "_interfaces"))
    )


def trespasses(path: Path) -> Iterator[str]:
    """What a file imports though it must not."""
    floor = floor_of(path)
    name = str(path.relative_to(ROOT))
    for line, module in imports(path):
        room = module.partition(".")[0]
        if FLOORS.get(room, -1) > floor:
            yield f"{name}:{line} imports {module} from a floor above"
        if floor < TOP_FLOOR and is_ros(module):
            yield f"{name}:{line} imports {module}; ROS belongs in ros_ws/"
        if name.startswith("planners/") and room in ROOMS and room not in ("planners", "asterias"):
            yield f"{name}:{line} imports {module}; planners/ uses asterias/ alone"


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_its_own_floor_and_below(path: Path) -> None:
    assert list(trespasses(path)) == []


def test_the_rule_sees_trespasses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sim").mkdir()
    bad = tmp_path / "sim" / "bad.py"
    bad.write_text("def f():\n    import rclpy.node\n    from learning.x import y\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert list(trespasses(bad)) == [
        "sim/bad.py:2 imports rclpy.node; ROS belongs in ros_ws/",
        "sim/bad.py:3 imports learning.x from a floor above",
    ]


@functools.cache
def all_wing_arrows() -> dict[str, dict[str, dict[str, list[str]]]]:
    """Which wings import which others, read once."""
    return house_measures.wing_arrows(house_measures.read_house())


def wings_left(room: str) -> list[str]:
    """Where wings of a room import wings that they must not know."""
    arrows = all_wing_arrows()[room]
    return [
        f"{place} imports the wing {other}; {room}/{wing} may import "
        f"{', '.join(WINGS[room].get(wing, ())) or 'no wing'}"
        for wing, others in arrows.items()
        for other, places in others.items()
        if other not in WINGS[room].get(wing, ())
        for place in places
    ]


@pytest.mark.parametrize("room", WINGS)
def test_a_wing_imports_only_the_wings_below_it(room: str) -> None:
    assert wings_left(room) == []


def test_recordings_and_agents_use_nothing_else_of_their_room() -> None:
    for part in ("recordings", "agents"):
        for path in sorted((ROOT / "learning" / part).rglob("*.py")):
            strange = [
                f"{path.relative_to(ROOT)}:{line} imports {module}"
                for line, module in imports(path)
                if module.startswith("learning.") and not module.startswith(f"learning.{part}")
            ]
            assert strange == []


def test_the_rule_sees_wings_that_climb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WINGS, "planners", WINGS["planners"] | {"navigation": ()})
    found = wings_left("planners")
    assert found and all("imports the wing mazes; planners/navigation may" in one for one in found)


def test_the_launch_folder_is_no_package() -> None:
    # It would hide ROS 2's own package `launch`.
    assert list((ROOT / "launch").rglob("*.py")) == []


def test_tests_are_no_packages_and_have_unique_names() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert [path for path in files if path.name == "__init__.py"] == []
    names = [path.name for path in files if path.name != "conftest.py"]
    assert len(names) == len(set(names))
