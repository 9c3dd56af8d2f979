"""One table of single figures from all rooms."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import link, load, markdown_table, mean_std


def _figures(results: Path) -> str:
    sim, launch = load(results, "sim/bench.json"), load(results, "sim/launch_bench.json")
    pictures, machine = launch["pictures"], sim["machine"]
    beside = load(results, "sim/soft_arm_bench.json")["ratios"]
    cores = f"{machine['cores']} cores of an {machine['processor']}"
    count = len(sim["cameras"])
    rows: list[tuple[str, ...]] = [
        ("figure", "measured", "file"),
        (
            f"simulation with {count} cameras {sim['cameras'][0]}, one core",
            f"{sim['real_time_factor']['median']:.0f} times real time",
            link("sim/bench.json"),
        ),
        (
            "physics alone, one core",
            f"{sim['physics_steps_per_s']['median']:,.0f} steps/s "
            f"of {1e3 / sim['physics_hz']:g} ms",
            link("sim/bench.json"),
        ),
        (
            "simulated time per second beside a rod of 20 elements in PyElastica: without cameras, "
            "with four",
            f"{beside['limb / pyelastica_20']:.0f} times, "
            f"{beside['limb_with_cameras / pyelastica_20']:.0f} times",
            link("sim/soft_arm_bench.json"),
        ),
        (
            "from `ros2 launch` to the first picture in another process",
            f"{launch['first_image_s']['median']:.1f} s",
            link("sim/launch_bench.json"),
        ),
        (
            f"pictures that arrive there, {launch['seconds']:g} s of {count} cameras",
            f"{100 * pictures['share']:.2f} % of {sum(pictures['expected'])}",
            link("sim/launch_bench.json"),
        ),
        (
            "their latency, median and 99th percentile",
            f"{pictures['latency_median_ms']:.1f} ms, {pictures['latency_p99_ms']:.1f} ms",
            link("sim/launch_bench.json"),
        ),
        (
            "clean starts and stops in a row",
            f"{launch['clean_cycles']} of {launch['cycles']}",
            link("sim/launch_bench.json"),
        ),
        *_driver_figures(results),
        *_recording_figures(results),
        *_teleop_figures(results),
        *_agent_figures(results),
        *_soak_figures(results),
        _fuzz_figure(results),
    ]
    return f"Measured on {cores}, shared with other work:\n\n" + markdown_table(rows)


def _driver_figures(results: Path) -> list[tuple[str, ...]]:
    bench = load(results, "hardware/bench.json")
    loop, file = bench["loops"][0], link("hardware/bench.json")
    width, height = bench["camera_size_px"]
    devices = (
        f"{bench['servos']} emulated servos at {loop['rate_hz']:g} Hz and {bench['cameras']} "
        f"MJPEG cameras {width}x{height} at {bench['camera_hz']:g} Hz"
    )
    searches = load(results, "hardware/find_target.json")["searches"]
    priority = f"real-time priority {bench['realtime_priority']}"
    return [
        (
            f"{devices}: period error, 99th percentile ({priority})",
            f"{loop['period_error_ms']['p99']:.2f} ms",
            file,
        ),
        ("their driver's share of one core", f"{100 * loop['processor_share']:.0f} %", file),
        *(
            (
                f"searches (`{search['policy']}`), real drivers on an emulated Dynamixel limb",
                f"{search['found']} of {len(search['episodes'])} found, "
                f"{search['mean_steps_of_finds']:.1f} steps",
                link("hardware/find_target.json"),
            )
            for search in searches
        ),
    ]


def _recording_figures(results: Path) -> list[tuple[str, ...]]:
    """Return rows about the recorder, and what is learned from recordings."""
    rows: list[tuple[str, ...]] = []
    if (results / "recording/kills.json").exists():
        kills = load(results, "recording/kills.json")
        rows.append(
            (
                f"recorder killed at {kills['kills']} random moments: files readable; most that "
                "was lost",
                f"{kills['kills'] - kills['unreadable']} of {kills['kills']}; "
                f"{kills['lost_s_max']:.2f} s",
                link("recording/kills.json"),
            )
        )
    if (results / "recording/load.json").exists():
        bench = load(results, "recording/load.json")
        cameras = f"{bench['small']} cameras 96x96 and {bench['large']} of 640x480"
        rows += [
            (
                f"{cameras} at {bench['rate_hz']:g} Hz recorded as {row['form']}: pictures in the "
                "file; share of one core",
                f"{100 * row['share']:.2f} %; {row['recorder_cpu_percent']:.0f} %",
                link("recording/load.json"),
            )
            for row in bench["rows"]
        ]
    cloned = load(results, "recording/cloning.json")
    rows.append(
        (
            "policy cloned from 20 recorded searches of `ppo_kill0`: finds within "
            f"{cloned['cap']} steps",
            f"{100 * cloned['success_within_cap']:.1f} % of {cloned['episodes']} episodes",
            link("recording/cloning.json"),
        )
    )
    return rows


def _soak_figures(results: Path) -> list[tuple[str, ...]]:
    """Return the rows about half an hour with faults, deaths and stops."""
    soak, file = load(results, "soak/soak.json"), link("soak/soak.json")
    faults, kills = soak["actions"]["fault: True"], len(soak["kills"])
    return [
        (
            f"{soak['minutes']:g} min with {faults} faults and {kills} killed nodes: growth of "
            "memory; files left open; unreadable recordings; files left in shared memory",
            f"{100 * soak['memory_growth']:+.1f} %; "
            f"{max(soak['file_growth_of_nodes'].values()):.0f}; "
            f"{len(soak['recordings']['unreadable'])} of {soak['recordings']['files']}; "
            f"{len(soak['shared_memory_left'])}",
            file,
        ),
        (
            f"there, {soak['stops_watched']} times commanded in every way while the emergency stop "
            "was engaged: largest motion of a joint; stops forgotten by a restarted robot",
            f"{soak['stop_motion_rad_max']:.4f} rad; {soak['stops_forgotten']}",
            file,
        ),
    ]


def _fuzz_figure(results: Path) -> tuple[str, ...]:
    """Return the row about broken inputs."""
    fuzz = load(results, "fuzz/fuzz.json")
    return (
        f"broken inputs given to {len(fuzz['targets'])} readers of files and streams in "
        f"{fuzz['minutes']:g} min; foreign errors, hangs, and memory or files left",
        f"{fuzz['inputs']:,}; {len(fuzz['findings'])}",
        link("fuzz/fuzz.json"),
    )


def _teleop_figures(results: Path) -> list[tuple[str, ...]]:
    """Return rows about people who drive a limb."""
    bench = load(results, "teleop/latency.json")
    texts = {
        "key_press_to_motion": "key press to motion of a simulated joint",
        "touch_to_motion": "touch of the web page to motion",
        "camera_to_page": "picture published to picture drawn in the browser",
    }
    return [
        (
            f"{text}, median and 99th percentile",
            f"{bench[key]['median_ms']:.0f} ms, {bench[key]['p99_ms']:.0f} ms",
            link("teleop/latency.json"),
        )
        for key, text in texts.items()
    ]


def _agent_figures(results: Path) -> list[tuple[str, ...]]:
    """Return rows about language agents."""
    ask, speed = load(results, "agents/ask.json"), load(results, "agents/speed.json")
    economy, nodes = load(results, "agents/economy.json"), load(results, "agents/nodes.json")
    lives, learns = economy["summary"], nodes["summary"]
    return [
        (
            f'`/ask "{ask["task"]}"`, one camera of 4 broken',
            f"{ask['true']} of {ask['trials']} answers true",
            link("agents/ask.json"),
        ),
        (
            f"a graph of {speed['options']['members']} scripted members answers in",
            f"{speed['answer_s']['median']:.3f} s",
            link("agents/speed.json"),
        ),
        (
            f"graphs of {speed['options']['swarm']} members drawn, run and learned from",
            f"{speed['graphs_per_minute']:,} per minute",
            link("agents/speed.json"),
        ),
        (
            f"economy of minds, {economy['options']['rounds']:,} rounds: credit made or lost; "
            "bad founders bankrupt; right answers at first, at last",
            f"{lives['largest_change_of_total_credit']}; "
            f"{lives['bad_founders_bankrupt_percent']['mean']:.0f} %; "
            f"{mean_std(lives['first_accuracy_percent'])} %, "
            f"{mean_std(lives['last_accuracy_percent'])} %",
            link("agents/economy.json"),
        ),
        (
            "orders understood: before, with learned examples, with a rewritten prompt",
            f"{mean_std(learns['before'])} %, {mean_std(learns['demonstrations'])} %, "
            f"{mean_std(learns['prompt'])} %",
            link("agents/nodes.json"),
        ),
        *_doom_figures(results),
    ]


def _joint_shares(results: Path) -> list[str]:
    """Return success by length of the way: map taught; actions alone, briefly; the same, best way.

    Means over seeds; those of the best way on more mazes.
    """
    rows = _joint_rows(results, "joint")
    brief = [row for row in rows if row["training"]["planner_frozen"] == 0]
    kinds = (
        [row for row in brief if row["training"]["map_loss"] > 0],
        [row for row in brief if row["training"]["map_loss"] == 0],
        _joint_rows(results, "joint_fresh"),
    )
    return [" / ".join(_mean_rates([row["bins"] for row in kind])) for kind in kinds]


def _joint_rows(results: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a file of joint trainings with known textures and all views."""
    rows: list[dict[str, Any]] = load(results, f"doom/{name}.json")["rows"]
    return [
        row
        for row in rows
        if row["textures"] == "training" and row["views_given"] == 1 and not row["blank"]
    ]


def _mean_rates(seeds: list[list[dict[str, Any]]]) -> list[str]:
    """Return the mean success of each bin over seeds."""
    means = [statistics.mean(one["success"] for one in bins) for bins in zip(*seeds, strict=True)]
    return [f"{mean:.1f}" for mean in means]


def _doom_figures(results: Path) -> list[tuple[str, ...]]:
    walked, killed = load(results, "doom/launch.json"), load(results, "doom/killed.json")
    ball = load(results, "doom/ball_maze.json")
    successes = " / ".join(f"{row['success']:.2f}" for row in ball["bins"])
    spans = ", ".join(f"{row['lo']} to {row['hi']}" for row in ball["bins"])
    paper, spread = ball["paper_success"]
    taught, short, long = _joint_shares(results)
    return [
        (
            "ViZDoom 15 x 15, mapper and DT-VIN trained jointly on 9 x 9, paths of 1 to 15, 16 to "
            "30, 31 to 90 steps: map and actions taught, trained mapper; actions alone, new one, "
            "and longer, the planner frozen at first, the map sharper",
            f"{taught} %; {short} %; {long} %",
            f"{link('doom/joint.json')}, {link('doom/joint_fresh.json')}",
        ),
        (
            f"a ball pushed through 35 x 35 mazes by `{ball['planner']}`, paths of {spans} steps: "
            "goals reached; the paper's point mass, all paths",
            f"{successes} % of {ball['bins'][0]['episodes']} each; {paper} ({spread}) %",
            link("doom/ball_maze.json"),
        ),
        (
            "ViZDoom mazes of 15 x 15 in a row, textures in no set, `doom.launch.xml` with "
            f"`{walked['planner']}`: goals reached; time; camera pictures; planning",
            f"{walked['reached']} of {len(walked['mazes'])}; {walked['wall_s']:.0f} s; "
            f"{walked['frames_per_s']:.0f} per s; {1e3 * walked['planning_s_per_plan']:.0f} ms",
            link("doom/launch.json"),
        ),
        (
            f"the same, exploring, its game killed {killed['game_restarts']} times: goals reached",
            f"{killed['reached']} of {len(killed['mazes'])}",
            link("doom/killed.json"),
        ),
    ]


TABLES: dict[str, Callable[[Path], str]] = {
    "figures": _figures,
}
