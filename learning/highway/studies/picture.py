"""The picture of the anchors: bias, episodes until solved, and noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_NAMES = {
    "n_step": "n steps",
    "highway": "highway, samples",
    "highway_critics": "highway, two tables",
}


def draw_anchors(data: dict[str, Any], path: Path) -> None:
    """Draw three panels.

    Args:
        data: as the command ``highway`` writes it.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    _draw_bias(left, data["fixed_points"])
    _draw_four_rooms(middle, [row for row in data["four_rooms"] if not row["slip"]])
    _draw_noise(right, data["noise"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _draw_bias(axis: Any, rows: list[dict[str, Any]]) -> None:
    depths = [row["depth"] for row in rows]
    for key, label, colour in (
        ("n_step_bias", "n steps", "C3"),
        ("softmax_without_gate_bias", "softmax over policies, no gate", "C1"),
    ):
        bias = [row[key] for row in rows]
        axis.plot(depths, [b["mean"] for b in bias], "o-", color=colour, label=label)
        axis.fill_between(
            depths,
            [b["least"] for b in bias],
            [b["most"] for b in bias],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    axis.plot(depths, [0.0] * len(depths), "o-", color="C0", label="highway: exact")
    axis.set(
        xscale="log",
        xticks=depths,
        xticklabels=depths,
        xlabel="depth n",
        ylabel="mean of Q - Q* at the fixed point",
        title="Random processes: mean and range",
    )
    axis.minorticks_off()
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, loc="lower left")


def _draw_four_rooms(axis: Any, rows: list[dict[str, Any]]) -> None:
    limit = rows[0]["episodes"]
    for at, row in enumerate(rows):
        solved = [limit * 1.06 if s is None else s for s in row["solved"]]
        spread = [at + 0.3 * (i / max(len(solved) - 1, 1) - 0.5) for i in range(len(solved))]
        axis.plot(spread, solved, ".", color=f"C{list(_NAMES).index(row['target'])}")
        axis.plot([at - 0.25, at + 0.25], [min(row["median"], limit * 1.06)] * 2, "k-", linewidth=1)
    axis.axhline(limit, color="grey", linewidth=0.8, linestyle="--")
    axis.text(-0.4, limit * 1.09, "never", fontsize=8, color="grey")
    axis.set(
        xticks=range(len(rows)),
        xticklabels=[f"{_NAMES[r['target']]}\nn = {r['depth']}" for r in rows],
        ylim=(0, limit * 1.16),
        ylabel="episodes until the way is the shortest",
        title="Four rooms, reward at the exit only: each seed",
    )
    axis.tick_params(axis="x", labelsize=7, rotation=30)
    axis.grid(alpha=0.25, axis="y")


def _draw_noise(axis: Any, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        repeats = [int(key) for key in row["bias"]]
        axis.plot(repeats, list(row["bias"].values()), "o-", label=f"n = {row['depth']}")
    axis.set(
        xscale="log",
        xticks=repeats,
        xticklabels=repeats,
        xlabel="repeats averaged before the gate",
        ylabel="mean of Q above that of one step",
        title="Gate on samples in noise: biased upward",
        ylim=(0, None),
    )
    axis.minorticks_off()
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)


def draw_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each task: mean return of the greedy policy over seeds, and the goal.

    Args:
        rows: of the command ``highway-study``.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    names = list(dict.fromkeys(row["learner"] for row in rows))
    figure, axes = pyplot.subplots(
        1, len(tasks), figsize=(5.4 * len(tasks), 4.2), layout="constrained", squeeze=False
    )
    for axis, task in zip(axes[0], tasks, strict=True):
        own = [row for row in rows if row["task"] == task]
        for row in own:
            steps = [point["steps"] for point in row["curves"][0]]
            heights = [[point["return"] for point in curve] for curve in row["curves"]]
            mean = [sum(at) / len(at) for at in zip(*heights, strict=True)]
            colour = f"C{names.index(row['learner'])}"
            axis.plot(steps, mean, "o-", markersize=3, color=colour, label=row["learner"])
        axis.axhline(own[0]["goal"], color="grey", linestyle="--", linewidth=0.8)
        axis.set(title=own[0]["title"], xlabel="steps of training", ylim=(0, None))
        axis.title.set_fontsize(10)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, loc="upper left")
    axes[0][0].set_ylabel("discounted return, greedy, mean of seeds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def draw_minatar(rows: list[dict[str, Any]], summary: list[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each game, mean score while learning, and the interquartile means.

    Args:
        rows: of the command ``highway-minatar``.
        summary: of all games, by learner.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    games = list(dict.fromkeys(row["game"] for row in rows))
    names = list(dict.fromkeys(row["learner"] for row in rows))
    figure, axes = pyplot.subplots(
        1, len(games) + 1, figsize=(4.2 * len(games) + 4.2, 3.8), layout="constrained"
    )
    for axis, game in zip(axes[:-1], games, strict=True):
        for row in (row for row in rows if row["game"] == game):
            colour = f"C{names.index(row['learner'])}"
            for at, curve in enumerate(row["curves"]):
                frames = [point["frames"] for point in curve]
                scores = [point["score"] for point in curve]
                label = row["learner"] if not at else None
                axis.plot(frames, scores, color=colour, alpha=0.7, label=label)
        axis.set(title=game, xlabel="frames of training", ylim=(0, None))
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("score while learning, each seed")
    axes[0].legend(fontsize=8, loc="upper left")
    for at, row in enumerate(summary):
        low, high = row["interval"]
        colour = f"C{names.index(row['learner'])}"
        axes[-1].plot([low, high], [at, at], "-", color=colour, linewidth=3, alpha=0.5)
        axes[-1].plot(row["iqm"], at, "o", color=colour)
    axes[-1].set(
        yticks=range(len(summary)),
        yticklabels=[row["learner"] for row in summary],
        xlabel="1: the best learner of a game",
        title="Interquartile mean, 95 % interval",
    )
    axes[-1].grid(alpha=0.25, axis="x")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
