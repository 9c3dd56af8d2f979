"""What dead cameras cost policies: measured in pairs of episodes, and how far that can be trusted.

A difference of two means of a few episodes is mostly chance. Pairs of episodes from the same starts
take the starts' share of it out; many of them, in the nearest-pose copy, the rest. The reliability
of a measure is its rank correlation with the same measure on other episodes. No prediction can be
expected to correlate with a measure better than the root of that (Spearman 1904).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from asterias.arrays import FloatArray
from asterias.cli import check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars, stop_requests
from asterias.provenance import provenance
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.common.ranks import rank_correlation
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.weight_space.archive.copy_runs import SETTINGS, run_episodes
from learning.weight_space.archive.encoder_files import SHIPPED, find_encoder
from learning.weight_space.archive.encoder_training import ask_bank
from learning.weight_space.archive.policy_bank import PolicyBank
from learning.weight_space.archive.study_command import POSES
from learning.weight_space.archive.trainings import TrainingOptions, make_trainings

# Seed of the episodes; those of the trainings are others.
_EPISODES_SEED = 77
_CHUNK = 50


@dataclass(frozen=True)
class CostEpisodes:
    """Steps of P policies in M episodes each.

    Attributes:
        alive: ``(P, M)`` without dead cameras.
        dead: ``(P, M)`` from the same starts with one or two dead cameras.
        others: ``(P, M)`` with dead cameras, from other starts.
    """

    alive: FloatArray
    dead: FloatArray
    others: FloatArray


def cost_episodes(
    copy: PoseMap,
    bank: PolicyBank,
    episodes: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> CostEpisodes:
    """Run episodes in the copy.

    Args:
        copy: of the task.
        bank: of P policies.
        episodes: M of each.
        on_progress: told policies that are done and their number.

    Returns:
        Their steps.
    """
    parts: list[list[Any]] = []
    for first in range(0, len(bank), _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, len(bank)))
        parts.append(
            [
                run_episodes(
                    copy,
                    bank.asked(numbers, episodes),
                    len(numbers),
                    episodes,
                    # Starts are drawn first: the same seed gives the same, whatever is dead.
                    np.random.default_rng(_EPISODES_SEED + shift),
                    faults,
                )
                for faults, shift in ((SETTINGS[0], 0), (SETTINGS[-1], 0), (SETTINGS[-1], 1))
            ]
        )
        on_progress(int(numbers[-1]) + 1, len(bank))
    return CostEpisodes(
        *(np.concatenate(columns).astype(float) for columns in zip(*parts, strict=True))
    )


def reliability(differences: FloatArray, episodes: int) -> float:
    """Return the rank correlation of a mean of so many episodes with that of as many others.

    Args:
        differences: ``(P, M)`` one for each policy and episode.
        episodes: of a mean, at most M / 2.

    Returns:
        The mean over pairs of blocks of episodes, 8 blocks at most.
    """
    blocks = min(differences.shape[1] // episodes, 8)
    means = [
        differences[:, k * episodes : (k + 1) * episodes].mean(1) for k in range(max(blocks, 2))
    ]
    return float(np.mean([rank_correlation(a, b) for a, b in combinations(means, 2)]))


@dataclass(frozen=True)
class ArchiveCost:
    """Measure what dead cameras cost an archive's policies, and how well that can be told."""

    out: Path
    """Folder of archive-study; poses and trainings that are missing are made."""
    trainings: int = 40
    """Trainings of policies; each leaves five."""
    episodes: int = 128
    """Pairs of episodes of each policy, in the nearest-pose copy."""
    poses: int = 6000
    """Poses of the copy."""
    encoder: str = SHIPPED
    """Encoder that predicts; policies of trainings that it has learned from are left out."""
    seed: int = 0
    """Seed of the trainings."""
    json: Path | None = None
    """Result file to write, for example results/learning/archive_cost.json."""

    def run(self) -> int:
        """Measure, print, write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
            KeyboardInterrupt: it was stopped; the same command goes on.
        """
        check_seed(self.seed)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        if self.episodes < 8 or self.trainings < 1 or self.poses < 100:
            raise UserError("--episodes must be 8 or more, --trainings 1 and --poses 100.")
        torch.set_num_threads(1)  # the nets are tiny
        saved = find_encoder(self.encoder)
        with stop_requests() as should_stop, progress_bars(24) as progress:
            stages = Stages(progress)
            options = with_command_range(TargetFindingOptions(cap=int(saved.card["cap"])))
            copy = PoseMap.kept(self.out / POSES, options, self.poses)
            trained = make_trainings(
                self.out / "trainings",
                copy,
                TrainingOptions(trainings=self.trainings, seed=self.seed),
                lambda done, total: stages("trainings", done, total),
                should_stop,
            )
            if trained is None:
                raise KeyboardInterrupt
            made = cost_episodes(
                copy, trained.bank, self.episodes, lambda done, total: stages("cost", done, total)
            )
        told = ask_bank(saved.encoder, trained.bank)
        held = np.isin(trained.runs, saved.card.get("held_out_trainings", range(self.trainings)))
        found = cost_figures(made, told, held, copy.options.cap)
        Console().print(found)
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "encoder": self.encoder, **found})
        return 0


def cost_figures(
    made: CostEpisodes, told: dict[str, FloatArray], held: Any, cap: int
) -> dict[str, Any]:
    """Return how surely the cost of dead cameras is measured, and how well it is predicted.

    Args:
        made: episodes of P policies.
        told: by an encoder, ``steps`` and ``copy_steps`` of ``(P, 3)``.
        held: ``(P,)`` whether the encoder has seen no policy of that training.
        cap: most steps of an episode; able policies need less than half without dead cameras.
    """
    able = made.alive.mean(1) < cap / 2
    paired, apart = made.dead - made.alive, made.others - made.alive
    most = made.alive.shape[1] // 2
    sizes = [size for size in (4, 16, 64) if size < most] + [most]
    cost, rows = paired.mean(1), able & held
    return {
        "policies": len(able),
        "able": int(able.sum()),
        "able_held_out": int(rows.sum()),
        "episodes": made.alive.shape[1],
        "mean_cost_steps": round(float(cost[able].mean()), 3),
        "deviation_over_policies": round(float(cost[able].std()), 3),
        "reliability": [
            {
                "episodes": size,
                "apart": round(reliability(apart[able], size), 3),
                "paired": round(reliability(paired[able], size), 3),
            }
            for size in sizes
        ],
        "predicted": {
            name: round(rank_correlation(told[name][rows, -1] - told[name][rows, 0], cost[rows]), 3)
            for name in ("steps", "copy_steps")
        },
    }
