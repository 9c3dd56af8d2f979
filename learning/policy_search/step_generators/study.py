"""Commanded steps against steps obtained: in the copy of the task, and in the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from learning.policy_search.common.ranks import rank_correlation
from learning.policy_search.step_generators.generator import SETTINGS, StepGenerator
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.experiments import evaluation
from learning.target_finding.policies.policy_files import Policy

# Episodes of a policy in the copy, and the seed of its starts.
_EPISODES, _SEED = 200, 5


def curve_in_the_copy(generator: StepGenerator, commands: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row for each setting of dead cameras: what is obtained for commanded steps.

    Args:
        generator: of policies.
        commands: steps.
    """
    rows = []
    for number, setting in enumerate(SETTINGS):
        asked = np.array(commands, dtype=np.float64)
        thetas = generator.generate(asked, np.full(len(asked), number))
        steps = generator.obtained(thetas, setting, _EPISODES, np.random.default_rng(_SEED))
        mean = steps.mean(1)
        rows.append(
            {
                "faults": setting,
                "obtained": np.round(mean, 2).tolist(),
                "deviation": np.round(steps.std(1), 2).tolist(),
                "rank_correlation": round(rank_correlation(asked, mean), 3),
                "mean_error_steps": round(float(np.abs(mean - asked).mean()), 2),
            }
        )
    return rows


def card_of(generator: StepGenerator, setting: str) -> dict[str, Any]:
    """Return the card of generated policies, with the protocol under ``options``."""
    options = replace(protocol(generator.options.cap), faults=setting)  # type: ignore[arg-type]
    return {
        "algorithm": "step_generator",
        "seed": generator.options.seed,
        "options": asdict(options),
        "cameras": generator.copy.cameras,
    }


def protocol(cap: int) -> TargetFindingOptions:
    """Return target finding with that cap."""
    return with_command_range(TargetFindingOptions(cap=cap))


def measured(
    generator: StepGenerator,
    commands: Sequence[int],
    episodes: int,
    on_policy: Callable[[], None],
) -> dict[str, Any]:
    """Return what generated policies need in the simulation, no camera being dead.

    Args:
        generator: of policies.
        commands: steps.
        episodes: of each policy.
        on_policy: called after each.
    """
    means = []
    with TargetFindingEnv(protocol(generator.options.cap)) as environment:
        for command in commands:
            policy: Policy = generator.policy(
                float(command), SETTINGS[0], card_of(generator, SETTINGS[0])
            )
            found = evaluation.episodes(
                environment, policy, count=episodes, seed=3000, deterministic=True
            )
            means.append(float(np.mean([steps for steps, _ in found])))
            on_policy()
    asked = np.array(commands, dtype=np.float64)
    return {
        "faults": SETTINGS[0],
        "episodes": episodes,
        "obtained": np.round(means, 2).tolist(),
        "rank_correlation": round(rank_correlation(asked, np.array(means)), 3),
        "mean_error_steps": round(float(np.abs(np.array(means) - asked).mean()), 2),
    }


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw obtained against commanded steps, a panel for each setting of dead cameras.

    Args:
        result: as the result file holds it.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(SETTINGS), figsize=(15, 4.2), layout="constrained")
    commands = result["commands"]
    titles = ("no camera dead", "1 of 4 dead", "1 or 2 of 4 dead")
    for number, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        axis.plot(commands, commands, color="0.6", linewidth=1, label="as commanded")
        for seed, row in enumerate(result["seeds"]):
            about = row["copy"][number]
            axis.plot(commands, about["obtained"], "o-", markersize=3, color=f"C{seed}",
                      label=f"seed {seed}, copy of the task")  # fmt: skip
            if row["measured"] and row["measured"]["faults"] == about["faults"]:
                axis.plot(commands, row["measured"]["obtained"], "x", color=f"C{seed}",
                          label=f"seed {seed}, simulation")  # fmt: skip
        limits = (0, result["commands"][-1] + 5)
        axis.set(title=title, xlabel="commanded steps", ylim=limits, xticks=commands)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("mean steps until the target is found")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside right center")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
