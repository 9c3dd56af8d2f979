"""Tables of the README, made from the files in ``results/`` so that no number is typed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asterias.errors import HardwareError
from learning.target_finding.env.options import DEAD

RESULTS = Path(__file__).resolve().parent.parent / "results"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def fill_tables(document: str, results: Path = RESULTS) -> str:
    """The document with each marked table made anew.

    Raises:
        HardwareError: a table or a result file is unknown.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] not in _TABLES:
            known = ", ".join(_TABLES)
            raise HardwareError(f"There is no table '{match[2]}'; known are {known}.")
        return match[1] + _TABLES[match[2]](results) + match[3]

    return _TABLE.sub(fill, document)


def _load(results: Path, name: str) -> dict[str, Any]:
    path = results / name
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HardwareError(f"{path}: this result file is missing; run its command.") from error
    return data


def _rows(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _baselines(results: Path) -> str:
    data = _load(results, "target_finding/brownian_baselines.json")
    searchers = {"bmms": "all servos (BMMS)", "bmss": "one servo (BMSS)"}
    rows: list[tuple[str, ...]] = [
        ("Brownian motion of", "dead cameras", "simulation", "paper, real limb", "ratio")
    ]
    for row in sorted(data["rows"], key=lambda row: list(searchers).index(row["policy"])):
        rows.append(
            (
                searchers[row["policy"]],
                DEAD[row["faults"]],
                f"{row['mean_steps']:.1f} ({row['std_steps']:.1f})",
                f"{row['paper_mean_steps']:.1f} ({row['paper_std_steps']:.1f})",
                f"{row['ratio_to_paper']:.2f}",
            )
        )
    return _rows(rows)


def _policies(results: Path) -> str:
    """Trained policies, over their trainings, beside the paper's figures and what is possible."""
    head = (
        "learner",
        "dead cameras",
        "last 15 episodes",
        "fresh episodes",
        "found",
        "below the cap",
    )
    rows: list[tuple[str, ...]] = [(*head, "paper, real limb")]
    for row in _load(results, "target_finding/study.json")["rows"]:
        below = row.get("below_cap_last_5")
        rows.append(
            (
                f"{row['told']} ({_counted(len(row['seeds']), 'training')})",
                DEAD[row["faults"]],
                f"{row['last_mean_steps']:.2f} ({row['last_std_steps']:.2f})",
                f"{row['mean_steps']:.2f} ({row['std_steps']:.2f})",
                f"{100 * row['found']:.1f} %",
                "" if below is None else f"{100 * below:.0f} %",
                f"{row['paper_mean_steps']:.2f} ({row['paper_std_steps']:.2f})",
            )
        )
    bound = _load(results, "target_finding/bound.json")
    rows += [
        (
            f"a searcher that knows which of {bound['poses']:,} poses see the tag",
            DEAD[row["faults"]],
            "",
            f"{row['mean_steps']:.2f}",
            *[""] * 3,
        )
        for row in bound["rows"]
    ]
    return _rows(rows)


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _beyond(results: Path) -> str:
    """Policies for what the paper left open, each tested as it was trained and otherwise."""
    rows: list[tuple[str, ...]] = [("policy", "tested with", "steps", "found", "within")]
    for row in _load(results, "target_finding/beyond.json")["rows"]:
        rows.append(
            (
                f"`{row['policy']}`",
                row["told"],
                f"{row['mean_steps']:.2f} ({row['std_steps']:.2f})",
                f"{100 * row['success_within_cap']:.1f} %",
                f"{row['cap']} steps",
            )
        )
    return _rows(rows)


def _figures(results: Path) -> str:
    sim, launch = _load(results, "sim/bench.json"), _load(results, "sim/launch_bench.json")
    pictures, machine = launch["pictures"], sim["machine"]
    beside = _load(results, "sim/soft_arm_bench.json")["ratios"]
    cores = f"{machine['cores']} cores of an {machine['processor']}"
    count = len(sim["cameras"])
    rows: list[tuple[str, ...]] = [
        ("figure", "measured", "file"),
        (
            f"simulation with {count} cameras {sim['cameras'][0]}, one core",
            f"{sim['real_time_factor']['median']:.0f} times real time",
            "[sim_bench.json](results/sim/bench.json)",
        ),
        (
            "physics alone, one core",
            f"{sim['physics_steps_per_s']['median']:,.0f} steps/s "
            f"of {1e3 / sim['physics_hz']:g} ms",
            "[sim_bench.json](results/sim/bench.json)",
        ),
        (
            "simulated time per second beside a rod of 20 elements in PyElastica: without cameras, "
            "with four",
            f"{beside['limb / pyelastica_20']:.0f} times, "
            f"{beside['limb_with_cameras / pyelastica_20']:.0f} times",
            "[soft_arm_bench.json](results/sim/soft_arm_bench.json)",
        ),
        (
            "from `ros2 launch` to the first picture in another process",
            f"{launch['first_image_s']['median']:.1f} s",
            "[launch_bench.json](results/sim/launch_bench.json)",
        ),
        (
            f"pictures that arrive there, {launch['seconds']:g} s of {count} cameras",
            f"{100 * pictures['share']:.2f} % of {sum(pictures['expected'])}",
            "[launch_bench.json](results/sim/launch_bench.json)",
        ),
        (
            "their latency, median and 99th percentile",
            f"{pictures['latency_median_ms']:.1f} ms, {pictures['latency_p99_ms']:.1f} ms",
            "[launch_bench.json](results/sim/launch_bench.json)",
        ),
        (
            "clean starts and stops in a row",
            f"{launch['clean_cycles']} of {launch['cycles']}",
            "[launch_bench.json](results/sim/launch_bench.json)",
        ),
        *_driver_figures(results),
        *_recording_figures(results),
        *_teleop_figures(results),
        *_agent_figures(results),
    ]
    return f"Measured on {cores}, shared with other work:\n\n" + _rows(rows)


def _driver_figures(results: Path) -> list[tuple[str, ...]]:
    bench = _load(results, "hardware/bench.json")
    loop, file = bench["loops"][0], "[hardware_bench.json](results/hardware/bench.json)"
    width, height = bench["camera_size_px"]
    devices = (
        f"{bench['servos']} emulated servos at {loop['rate_hz']:g} Hz and {bench['cameras']} "
        f"MJPEG cameras {width}x{height} at {bench['camera_hz']:g} Hz"
    )
    searches = _load(results, "hardware/find_target.json")["searches"]
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
                "[hardware_find_target.json](results/hardware/find_target.json)",
            )
            for search in searches
        ),
    ]


def _recording_figures(results: Path) -> list[tuple[str, ...]]:
    """Rows about the recorder, and what is learned from recordings."""
    rows: list[tuple[str, ...]] = []
    if (results / "recording/kills.json").exists():
        kills = _load(results, "recording/kills.json")
        rows.append(
            (
                f"recorder killed at {kills['kills']} random moments: files readable; most that "
                "was lost",
                f"{kills['kills'] - kills['unreadable']} of {kills['kills']}; "
                f"{kills['lost_s_max']:.2f} s",
                "[recording_kills.json](results/recording/kills.json)",
            )
        )
    if (results / "recording/load.json").exists():
        load = _load(results, "recording/load.json")
        cameras = f"{load['small']} cameras 96x96 and {load['large']} of 640x480"
        rows += [
            (
                f"{cameras} at {load['rate_hz']:g} Hz recorded as {row['form']}: pictures in the "
                "file; share of one core",
                f"{100 * row['share']:.2f} %; {row['recorder_cpu_percent']:.0f} %",
                "[recording_load.json](results/recording/load.json)",
            )
            for row in load["rows"]
        ]
    cloned = _load(results, "recording/cloning.json")
    rows.append(
        (
            "policy cloned from 20 recorded searches of `ppo_kill0`: finds within "
            f"{cloned['cap']} steps",
            f"{100 * cloned['success_within_cap']:.1f} % of {cloned['episodes']} episodes",
            "[recording_cloning.json](results/recording/cloning.json)",
        )
    )
    return rows


def _teleop_figures(results: Path) -> list[tuple[str, ...]]:
    """Rows about people who drive a limb."""
    bench = _load(results, "teleop/latency.json")
    texts = {
        "key_press_to_motion": "key press to motion of a simulated joint",
        "touch_to_motion": "touch of the web page to motion",
        "camera_to_page": "picture published to picture drawn in the browser",
    }
    return [
        (
            f"{text}, median and 99th percentile",
            f"{bench[key]['median_ms']:.0f} ms, {bench[key]['p99_ms']:.0f} ms",
            "[teleop_latency.json](results/teleop/latency.json)",
        )
        for key, text in texts.items()
    ]


def _agent_figures(results: Path) -> list[tuple[str, ...]]:
    """Rows about language agents."""
    ask, speed = _load(results, "agents/ask.json"), _load(results, "agents/speed.json")
    economy, nodes = _load(results, "agents/economy.json"), _load(results, "agents/nodes.json")
    lives, learns = economy["summary"], nodes["summary"]
    return [
        (
            f'`/ask "{ask["task"]}"`, one camera of 4 broken',
            f"{ask['true']} of {ask['trials']} answers true",
            "[agents_ask.json](results/agents/ask.json)",
        ),
        (
            f"a graph of {speed['options']['members']} scripted members answers in",
            f"{speed['answer_s']['median']:.3f} s",
            "[agents_speed.json](results/agents/speed.json)",
        ),
        (
            f"graphs of {speed['options']['swarm']} members drawn, run and learned from",
            f"{speed['graphs_per_minute']:,} per minute",
            "[agents_speed.json](results/agents/speed.json)",
        ),
        (
            f"economy of minds, {economy['options']['rounds']:,} rounds: credit made or lost; "
            "bad founders bankrupt; right answers at first, at last",
            f"{lives['largest_change_of_total_credit']}; "
            f"{lives['bad_founders_bankrupt_percent']['mean']:.0f} %; "
            f"{_mean_std(lives['first_accuracy_percent'])} %, "
            f"{_mean_std(lives['last_accuracy_percent'])} %",
            "[agents_economy.json](results/agents/economy.json)",
        ),
        (
            "orders understood: before, with learned examples, with a rewritten prompt",
            f"{_mean_std(learns['before'])} %, {_mean_std(learns['demonstrations'])} %, "
            f"{_mean_std(learns['prompt'])} %",
            "[agents_nodes.json](results/agents/nodes.json)",
        ),
        *_doom_figures(results),
    ]


def _doom_figures(results: Path) -> list[tuple[str, ...]]:
    walked, killed = _load(results, "doom/launch.json"), _load(results, "doom/killed.json")
    ball = _load(results, "doom/ball_maze.json")
    successes = " / ".join(f"{row['success']:.2f}" for row in ball["bins"])
    spans = ", ".join(f"{row['lo']} to {row['hi']}" for row in ball["bins"])
    paper, spread = ball["paper_success"]
    joint = {row["map_loss"]: row for row in _load(results, "doom/joint.json")["rows"]}
    shares = [
        " / ".join(f"{one['success']:.1f}" for one in joint[loss]["bins"]) for loss in (1.0, 0.0)
    ]
    return [
        (
            "ViZDoom 15 x 15, mapper and DT-VIN trained jointly on 9 x 9, paths of 1 to 15, 16 to "
            "30, 31 to 90 steps: map and actions taught, trained mapper; actions alone, new mapper",
            f"{shares[0]} %; {shares[1]} %",
            "[doom_joint.json](results/doom/joint.json)",
        ),
        (
            f"a ball pushed through 35 x 35 mazes by `{ball['planner']}`, paths of {spans} steps: "
            "goals reached; the paper's point mass, all paths",
            f"{successes} % of {ball['bins'][0]['episodes']} each; {paper} ({spread}) %",
            "[ball_maze.json](results/doom/ball_maze.json)",
        ),
        (
            f"ViZDoom mazes of 15 x 15 in a row, `doom.launch.xml` with `{walked['planner']}`: "
            "goals reached; time; camera pictures; planning",
            f"{walked['reached']} of {len(walked['mazes'])}; {walked['wall_s']:.0f} s; "
            f"{walked['frames_per_s']:.0f} per s; {1e3 * walked['planning_s_per_plan']:.0f} ms",
            "[doom_launch.json](results/doom/launch.json)",
        ),
        (
            f"the same, exploring, its game killed {killed['game_restarts']} times: goals reached",
            f"{killed['reached']} of {len(killed['mazes'])}",
            "[doom_killed.json](results/doom/killed.json)",
        ),
    ]


# Success rates of DT-VIN, Table 7 of Wang et al., ICML 2025; there is no table for 15 x 15.
_PAPER_DT_VIN = {35: (100.00, 99.99, 99.77), 100: (99.98, 99.56, 88.65)}


def _planners(results: Path) -> str:
    """DT-VIN of each size, on fresh mazes sampled evenly over path lengths, beside the paper."""
    rows: list[tuple[str, ...]] = [
        ("mazes", "steps", "starts, mazes", "success", "optimal", "paper", "processor time")
    ]
    for size in (15, 35, 100):
        data = _load(results, f"planners/maze_{size}.json")
        case = next(row for row in data["summary"] if row["case"] == "dt_vin")
        paper = _PAPER_DT_VIN.get(size)
        for index, bin_ in enumerate(case["bins"]):
            rows.append(
                (
                    f"{size} x {size}",
                    f"{bin_['lo']} to {bin_['hi']}",
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    _spread(bin_["success"]),
                    _spread(bin_["optimal"]),
                    f"{paper[index]:.2f} %" if paper else "",
                    f"{case['training_cpu_seconds']['mean']:.0f} s",
                )
            )
    return _rows(rows)


def _spread(numbers: dict[str, float]) -> str:
    if numbers["std"] < 0.005:
        return f"{numbers['mean']:.2f} %"
    return f"{numbers['mean']:.2f} ± {numbers['std']:.2f} %"


def _networks(results: Path) -> str:
    """All networks at 15 x 15, by start."""
    data = _load(results, "planners/maze_15.json")
    about = {run["case"]: run for run in data["runs"]}
    spans = [f"{bin_['lo']} to {bin_['hi']}" for bin_ in data["summary"][0]["bins"]]
    rows: list[tuple[str, ...]] = [("network", "start", *spans, "seeds", "processor time")]
    for case in data["summary"]:
        run = about[case["case"]]
        rows.append(
            (
                _NETWORK_NAMES[run["model"]],
                run["about"],
                *(_spread(bin_["success"]) for bin_ in case["bins"]),
                str(len(case["seeds"])),
                f"{case['training_cpu_seconds']['mean']:.0f} s",
            )
        )
    return _rows(rows)


def _plain_35(results: Path) -> str:
    """DT-VIN at 35 x 35 by start, seed by seed."""
    data = _load(results, "planners/maze_35.json")
    spans = [f"{bin_['lo']} to {bin_['hi']}" for bin_ in data["summary"][0]["bins"]]
    rows: list[tuple[str, ...]] = [("start", "seed", *spans, "updates", "processor time")]
    for run in data["runs"]:
        bins = run["tests"]["stratified"]["bins"]
        rows.append(
            (
                run["about"],
                str(run["seed"]),
                *(f"{bin_['success']:.2f} %" for bin_ in bins),
                f"{run['updates']:,}",
                f"{run['training_cpu_seconds']:.0f} s",
            )
        )
    return _rows(rows)


_NETWORK_NAMES = {
    "dt_vin": "DT-VIN",
    "vin": "VIN",
    "highway_vin": "Highway VIN",
    "gppn": "GPPN",
}


def _ablations(results: Path) -> str:
    """DT-VIN at 15 x 15 with one thing changed."""
    data = _load(results, "planners/maze_15_ablations.json")
    about = {run["case"]: run["about"] for run in data["runs"]}
    spans = [f"{bin_['lo']} to {bin_['hi']}" for bin_ in data["summary"][0]["bins"]]
    rows: list[tuple[str, ...]] = [("changed", *spans, "processor time")]
    for case in data["summary"]:
        rows.append(
            (
                about[case["case"]],
                *(_spread(bin_["success"]) for bin_ in case["bins"]),
                f"{case['training_cpu_seconds']['mean']:.0f} s",
            )
        )
    return _rows(rows)


def _transfer(results: Path) -> str:
    """DT-VIN of 100 x 100 on larger mazes."""
    data = _load(results, "planners/transfer.json")
    rows: list[tuple[str, ...]] = [
        ("mazes", "sharpness", "steps", "starts, mazes", "success", "optimal", "layers", "per maze")
    ]
    for row in data["sizes"]:
        for bin_ in row["bins"]:
            rows.append(
                (
                    f"{row['size']} x {row['size']}",
                    f"{row['sharpness']:g}",
                    f"{bin_['lo']:,} to {bin_['hi']:,}",
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    f"{bin_['success']:.2f} %",
                    f"{bin_['optimal']:.2f} %",
                    f"{row['depth']:,}",
                    f"{row['cpu_seconds'] / row['mazes']:.1f} s",
                )
            )
    return _rows(rows)


def _operator(results: Path) -> str:
    """Speed of the fused operator against plain PyTorch, and exact search beside DT-VIN."""
    data = _load(results, "planners/bench.json")
    rows: list[tuple[str, ...]] = [
        ("map x layers", "forward", "PyTorch", "training step", "PyTorch", "BFS", "A*", "DT-VIN")
    ]
    for one, search in zip(data["operator"], data["planners"], strict=True):
        rows.append(
            (
                f"{one['size']} x {one['size']} x {one['depth']}",
                f"{one['cpu_ms']:.2f} ms",
                f"{one['ratio']:.0f} times as long",
                f"{one['train_ms']:.1f} ms",
                f"{one['train_ratio']:.0f} times as long",
                f"{search['bfs_ms']:.3f} ms",
                f"{search['a_star_ms']:.3f} ms",
                f"{search['dt_vin_ms']:.1f} ms",
            )
        )
    return _rows(rows)


def _agents(results: Path) -> str:
    """Whom to believe: learned edges beside their controls, per cent right on held-out looks."""
    rows: list[tuple[str, ...]] = [
        (
            "of 6 cameras lie",
            "learned edges",
            "plain vote",
            "knows the liars",
            "best camera",
            "random graph",
            "same density",
            "liars' edges cut",
        )
    ]
    ways = ("learned", "plain_vote", "oracle", "best_single", "random_graph", "same_density")
    data = _load(results, "agents/edges.json")
    for row in data["summary"]:
        cells = [cell for cell in data["rows"] if cell["k"] == row["k"]]
        cut = f"{100 * _liars_edges_cut(cells):.1f} %"
        rows.append((str(row["k"]), *(_mean_std(row[way]) for way in ways), cut))
    return _rows(rows)


def _liars_edges_cut(cells: list[dict[str, Any]]) -> float:
    """Share of the liars' edges that no answer passes: cut, or into members that nobody hears."""
    possible = carrying = 0
    for cell in cells:
        heard, before = {"decision"}, 0
        while len(heard) > before:
            before = len(heard)
            heard |= {source for source, target in cell["edges"] if target in heard}
        possible += cell["liars_edges"]
        carrying += sum(s in cell["liars"] and t in heard for s, t in cell["edges"])
    return 1.0 - carrying / possible


def _mindstorms(results: Path) -> str:
    """Right answers about unseen mazes, per cent, over the size of the society."""
    ways = ("monarchy", "democracy", "plain_vote", "best_single")
    heading = ("members", "leader decides", "members vote", "vote without talk", "best member")
    rows: list[tuple[str, ...]] = [heading]
    for row in _load(results, "agents/mindstorm.json")["summary"]:
        rows.append((str(row["members"]), *(_mean_std(row[way]) for way in ways)))
    return _rows(rows)


def _mean_std(value: dict[str, float]) -> str:
    return f"{value['mean']:.1f} ({value['std']:.1f})"


def _doom(results: Path) -> str:
    """ViZDoom, all views given: planner, planner on soft maps and A* on what the mapper sees."""
    rows: list[tuple[str, ...]] = [
        (
            "mazes",
            "textures",
            "steps",
            "starts",
            "mapper + DT-VIN",
            "end to end",
            "mapper + A*",
            "paper",
        )
    ]
    for size in (15, 35):
        data = _load(results, f"doom/maze_{size}.json")
        given = [row for row in data["surveyed"] if row["views_given"] == 1]
        paper = [f"{one['mean']:.2f} ({one['std']:.2f}) %" for one in data.get("paper_success", [])]
        for textures, name in (("training", "known"), ("held_out", "held out")):
            ways = {row["planner"]: row["bins"] for row in given if row["textures"] == textures}
            three = zip(ways[data["planner"]], ways["end_to_end"], ways["a_star"], strict=True)
            for number, bins in enumerate(three):
                is_papers = paper and textures == "training"
                rows.append(
                    (
                        f"{size} x {size}",
                        name,
                        f"{bins[0]['lo']} to {bins[0]['hi']}",
                        f"{bins[0]['starts']:,}",
                        *(f"{one['success']:.2f} %" for one in bins),
                        paper[number] if is_papers else "",
                    )
                )
    return _rows(rows)


def _doom_explored(results: Path) -> str:
    """ViZDoom, exploring: goals reached, and the way's length over that with the map known."""
    agents = {"dt_vin": "DT-VIN", "a_star": "A*", "random_walk": "random walk"}
    rows: list[tuple[str, ...]] = [
        ("mazes", "textures", "agent", "goals reached", "way over shortest", "looks", "mazes tried")
    ]
    for size in (15, 35):
        for row in _load(results, f"doom/maze_{size}.json")["explored"]:
            ratio = row["path_over_optimum"]
            rows.append(
                (
                    f"{size} x {size}",
                    {"training": "known", "held_out": "held out"}[row["textures"]],
                    agents.get(row["agent"], row["agent"]),
                    f"{row['reached']:.1f} %",
                    "" if ratio is None else f"{ratio:.2f}",
                    f"{row['looks']:.0f}",
                    str(row["mazes"]),
                )
            )
    return _rows(rows)


_TABLES: dict[str, Callable[[Path], str]] = {
    "agents": _agents,
    "baselines": _baselines,
    "doom": _doom,
    "doom_explored": _doom_explored,
    "figures": _figures,
    "mindstorms": _mindstorms,
    "planners": _planners,
    "policies": _policies,
    "beyond": _beyond,
    "networks": _networks,
    "plain_35": _plain_35,
    "ablations": _ablations,
    "transfer": _transfer,
    "operator": _operator,
}
