"""Picture of the belief-search study: steps to find against the order alpha."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from asterias.files import write_bytes
from hardware.description.robot import load_robot
from learning.target_finding.belief.searchers import RenyiSearcher
from learning.target_finding.belief.target_belief import view_table
from learning.target_finding.env.options import DEAD

_PLACES = {"described": "target as described", "anywhere": "target anywhere in reach"}
_LINES = {
    "bmms": ("BMMS", "0.4", ":"),
    "grid_filter": ("grid filter, information gain", "C1", "--"),
    "ppo": ("PPO, trained", "C2", "-."),
}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each place of the target and setting of dead cameras.

    Args:
        rows: as the study's result file holds them.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    places = list(dict.fromkeys(row["place"] for row in rows))
    figure, axes = pyplot.subplots(
        len(places), len(DEAD), figsize=(11, 3.4 * len(places)), squeeze=False, sharey="row",
        layout="constrained",
    )  # fmt: skip
    for line, place in zip(axes, places, strict=True):
        for axis, faults in zip(line, DEAD, strict=True):
            own = [r for r in rows if r["place"] == place and r["faults"] == faults]
            _draw_panel(axis, own)
            axis.set_title(f"{_PLACES[place]}, dead: {DEAD[faults]}", fontsize=9)
            axis.set_xlabel("alpha")
        line[0].set_ylabel("steps to find, mean")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def draw_maps(path: Path, alphas: tuple[float, ...] = (0.05, 30.0), looks: int = 4) -> None:
    """Draw beliefs after some looks that saw nothing, camera 2 dead, side by side.

    Args:
        path: of the picture.
        alphas: an order for each belief.
        looks: how many.
    """
    robot, maps = load_robot("limb_p1"), []
    for alpha in alphas:
        searcher = RenyiSearcher(view_table(robot, 0), np.random.default_rng(0), alpha)
        position = np.zeros(len(robot.limbs[0].joints))
        for _ in range(looks):
            position = searcher.act(position, (0, 1, 3))
        maps.append(searcher.picture())
    content = cv2.imencode(".png", cv2.cvtColor(np.hstack(maps), cv2.COLOR_RGB2BGR))[1].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)


def _draw_panel(axis: Any, rows: list[dict[str, Any]]) -> None:
    from matplotlib.ticker import FixedLocator, FormatStrFormatter

    for row in rows:
        if row["searcher"] not in _LINES:
            continue
        label, colour, dash = _LINES[row["searcher"]]
        axis.axhline(row["mean_steps"], color=colour, linestyle=dash, label=label)
        if row["searcher"] == "bmms":
            half = 0.5 * row["mean_steps"]
            axis.axhline(half, color="0.75", linestyle=":", label="half of BMMS")
    fits = [(float(r["searcher"][6:]), r) for r in rows if r["searcher"].startswith("renyi:")]
    if fits:
        axis.errorbar(
            [alpha for alpha, _ in fits],
            [row["mean_steps"] for _, row in fits],
            [row["standard_error"] for _, row in fits],
            fmt="o-",
            color="C0",
            capsize=3,
            label="renyi (standard error)",
        )
        axis.set_xscale("log")
    axis.set_yscale("log")
    # Places of ticks that, unlike set_yticks, leave the limits as they are.
    axis.yaxis.set_major_locator(FixedLocator([2, 5, 10, 20, 50, 100, 200]))
    axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.minorticks_off()
    axis.grid(alpha=0.25)
