"""Soaks a robot: nodes die each minute, devices fail, people order; and nothing may leak or move.

``ros2 run asterias_nodes soak_bench --minutes 30 --json results/soak/soak.json``: a simulated robot
with multiplexer, detector, finder, language agents, recorder and page. Measured are the growth of
memory and of open files, what is left in ``/dev/shm``, whether every recording can be read, and
whether the limb moves while the emergency stop is engaged, also when the robot is killed meanwhile.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asterias.errors import AsteriasError, UserError
from asterias_nodes.runtime.bench import BenchOptions, run_bench
from asterias_nodes.runtime.shared_memory import (
    PORT,
    SEGMENT,
    SETTLED_S,
    dead_names,
    remove_dead_ports,
    remove_dead_segments,
)
from asterias_nodes.soak.fleet import WARM_UP_S, Fleet, Life, SoakNode
from asterias_nodes.soak.person import Person
from learning.recordings.bags.bag_recovery import recover
from learning.recordings.reading import find_recordings

# The first start compiles the physics, on a busy machine for minutes.
START_TIMEOUT_S = 240.0
SAMPLE_PERIOD_S = 5.0
DRILL_PERIOD_S = 45.0
# A resting joint's readings stay within this; the same bound as for a hundred stops.
MOST_MOTION_RAD = 0.01
MOST_MEMORY_GROWTH = 0.05
# Each peer that comes or goes opens or closes a few ports.
MOST_FILE_GROWTH = 8


@dataclass(frozen=True)
class SoakBench(BenchOptions):
    """Options of the soak."""

    minutes: float = 30.0
    """How long."""
    kill_period_s: float = 60.0
    """A node is killed and started again each time."""
    seed: int = 0
    """Of deaths, faults and orders."""
    folder: Path = Path("runs/soak")
    """Where logs and recordings go; must be new or empty."""

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 10_000 or not self.kill_period_s > 0:
            raise UserError("--minutes and --kill-period-s must be above 0.")


def make_fleet(options: SoakBench, port: int) -> Fleet:
    """Return the nodes of a soak, not yet started."""
    recordings, logs = options.folder / "recordings", options.folder / "logs"
    recordings.mkdir(parents=True)
    logs.mkdir()
    environment = {
        **os.environ,
        # Emergency stops of the soak are not those of people.
        "XDG_STATE_HOME": str((options.folder / "state").resolve()),
    }
    simulated = {"use_sim_time": "true"}
    robot = {"robot": options.robot}
    limb = {**robot, "limb": options.limb}
    files = str(recordings.resolve() / "life{life}" / "recording.mcap")
    parameters: dict[str, dict[str, object]] = {
        "sim_robot": {**robot, "enable_faults": "true", "seed": options.seed},
        "command_multiplexer": dict(robot),
        "target_detector": {},
        "target_finder": {**limb, **simulated},
        "language_agent": {**limb, **simulated, "approval": "false"},
        "recorder": {**simulated, "output": files, "pictures": "jpeg"},
        "dashboard": {**robot, "port": port, "enable_faults": "true"},
    }
    nodes = [SoakNode(name, own, environment, logs) for name, own in parameters.items()]
    return Fleet(nodes, options.seed)


def soak(options: SoakBench) -> dict[str, Any]:
    """Return all figures of a soak.

    Raises:
        UserError: the folder is not empty, or the robot does not start.
    """
    if options.folder.exists() and any(options.folder.iterdir()):
        raise UserError(f"--folder {options.folder} is not empty; name a new one.")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    fleet = make_fleet(options, port)
    page = f"http://127.0.0.1:{port}/"
    person = Person(options.description(), options.limb, page, options.seed)
    memory: list[tuple[float, int]] = []
    try:
        fleet.start()
        if not person.wait_for_robot(START_TIMEOUT_S):
            raise UserError(f"The robot did not start; see {options.folder}/logs.")
        _run(options, fleet, person, memory)
    finally:
        person.close()
        unclean = fleet.stop()
    return {
        "robot": options.robot,
        "minutes": options.minutes,
        **_of_processes(fleet, memory),
        "ended_uncleanly": unclean,
        "actions": dict(sorted(person.done.items())),
        "stop_motion_rad_max": round(person.moved_rad, 5),
        "stops_watched": person.watched_stops,
        "stops_not_watched": person.unwatched_stops,
        "stops_forgotten": person.forgotten_stops,
        "recordings": _of_recordings(options.folder / "recordings"),
        **_clean_shared_memory(),
        "tracebacks": _tracebacks(options.folder / "logs"),
    }


def _run(options: SoakBench, fleet: Fleet, person: Person, memory: list[tuple[float, int]]) -> None:
    """Let everything happen for as long as is asked."""
    started_s = time.monotonic()
    end_s = started_s + 60.0 * options.minutes
    next_kill_s = started_s + options.kill_period_s
    next_drill_s = started_s + min(DRILL_PERIOD_S, 15.0 * options.minutes)
    next_sample_s = started_s
    drills = 0
    while (now := time.monotonic()) < end_s:
        fleet.revive()
        if now >= next_sample_s:
            next_sample_s = now + SAMPLE_PERIOD_S
            memory.append((now - started_s, fleet.sample()))
        if now >= next_kill_s:
            next_kill_s = now + options.kill_period_s
            name = fleet.kill_one()
            person.spin(1.0)
            fleet.revive()
            left = (end_s - now) / 60
            print(f"{name} was killed and started again; {left:.1f} min left", flush=True)
        elif now >= next_drill_s:
            next_drill_s = now + DRILL_PERIOD_S
            drills += 1
            person.stop_drill(partial(_restart_robot, fleet, drills))
        else:
            person.do_something()
            person.spin(1.0)


def _restart_robot(fleet: Fleet, drills: int) -> None:
    """Kill the robot in every third drill: the stop has to outlive it."""
    if drills % 3 == 1:
        fleet.end("sim_robot", signal.SIGKILL)
        fleet.revive()


# -- judging ------------------------------------------------------------------------------------


def _of_processes(fleet: Fleet, memory: list[tuple[float, int]]) -> dict[str, Any]:
    """Return growth of memory and files, and who died."""
    lives = fleet.lives()
    return {
        "kills": fleet.kills,
        "died_by_themselves": fleet.died,
        "lives": len(lives),
        "warm_up_s": WARM_UP_S,
        "memory_mb": round(memory[-1][1] / 1e6, 1) if memory else None,
        "memory_growth": _growth_of_all(memory),
        "memory_growth_of_nodes": _worst(lives, _memory_growth),
        "file_growth_of_nodes": _worst(lives, lambda life: life.growth("files")),
    }


def _memory_growth(life: Life) -> float:
    settled = life.settled()
    return life.growth("rss_bytes") / settled[0].rss_bytes if settled else 0.0


def _growth_of_all(memory: list[tuple[float, int]]) -> float:
    """Return the relative growth of all nodes' memory from the first to the last quarter."""
    values = [used for at_s, used in memory if at_s >= WARM_UP_S]
    quarter = len(values) // 4
    if not quarter:
        return 0.0
    first, last = (sorted(part)[quarter // 2] for part in (values[:quarter], values[-quarter:]))
    return round(last / first - 1.0, 4)


def _worst(lives: list[Life], growth: Any) -> dict[str, float]:
    """Return the largest growth in a life of each node."""
    worst: dict[str, float] = {}
    for life in lives:
        worst[life.node] = max(worst.get(life.node, 0.0), round(growth(life), 4))
    return worst


def _of_recordings(folder: Path) -> dict[str, Any]:
    """Return how many recordings there are, and which cannot be read."""
    files = sorted(folder.rglob("*.mcap"))
    messages, recovered = 0, 0
    unreadable: list[str] = []
    for path in files:
        clean = path.with_name("recovered.mcap")
        try:
            recovery = recover(path, clean)
            recovered += not recovery.was_whole
            (recording,) = find_recordings(clean)
            messages += sum(1 for _ in recording.messages())
        except (AsteriasError, OSError) as error:
            unreadable.append(f"{path.relative_to(folder)}: {error}")
    return {
        "files": len(files),
        "cut_by_a_kill": recovered,
        "messages": messages,
        "unreadable": unreadable,
    }


def _clean_shared_memory() -> dict[str, Any]:
    """Return what the killed nodes had left in shared memory, and what cannot be removed."""
    time.sleep(SETTLED_S)
    removed = remove_dead_segments() + remove_dead_ports()
    left = [*dead_names(SEGMENT), *dead_names(PORT)]
    return {"shared_memory_removed": removed, "shared_memory_left": left}


def _tracebacks(logs: Path) -> list[str]:
    """Return the logs that hold a traceback."""
    return [
        path.name
        for path in sorted(logs.glob("*.log"))
        if "Traceback" in path.read_text(encoding="utf-8", errors="replace")
    ]


def complaints(figures: dict[str, Any]) -> list[str]:
    """Return what is not as it must be, one sentence each."""
    worst_files = max(figures["file_growth_of_nodes"].values(), default=0.0)
    checks = {
        f"memory grew by {100 * figures['memory_growth']:.1f} %": (
            figures["memory_growth"] <= MOST_MEMORY_GROWTH
        ),
        f"a node has {worst_files:.0f} more open files": worst_files <= MOST_FILE_GROWTH,
        f"the limb moved by {figures['stop_motion_rad_max']} rad while stopped": (
            figures["stop_motion_rad_max"] < MOST_MOTION_RAD
        ),
        f"{figures['stops_not_watched']} stops could not be watched": (
            figures["stops_watched"] > 0 and not figures["stops_not_watched"]
        ),
        f"{figures['stops_forgotten']} stops were forgotten": not figures["stops_forgotten"],
        f"recordings cannot be read: {figures['recordings']['unreadable']}": (
            not figures["recordings"]["unreadable"]
        ),
        "nothing was recorded": figures["recordings"]["messages"] > 0,
        f"{len(figures['shared_memory_left'])} files are left in /dev/shm": (
            not figures["shared_memory_left"]
        ),
        f"nodes died by themselves: {figures['died_by_themselves']}": (
            not figures["died_by_themselves"]
        ),
        f"nodes did not end cleanly: {figures['ended_uncleanly']}": (
            not figures["ended_uncleanly"]
        ),
        f"tracebacks are in {figures['tracebacks']}": not figures["tracebacks"],
    }
    return [sentence for sentence, is_well in checks.items() if not is_well]


def run(options: SoakBench) -> int:
    """Return 0 if all is well; soak, print, and write the result file."""
    figures = soak(options)
    found = complaints(figures)
    options.write("soak_bench", {**figures, "complaints": found}, options.seed)
    for sentence in found:
        print(f"NOT well: {sentence}.")
    print(
        f"{figures['minutes']:g} min, {len(figures['kills'])} kills, "
        f"{figures['recordings']['messages']} messages recorded, memory "
        f"{100 * figures['memory_growth']:+.1f} %, motion while stopped "
        f"{figures['stop_motion_rad_max']} rad: {'NOT well' if found else 'all well'}"
    )
    return 1 if found else 0


def main() -> int:
    """Return the exit code of the bench, run from the command line."""
    return run_bench(SoakBench, "soak_bench", __doc__ or "", run)


if __name__ == "__main__":
    sys.exit(main())
