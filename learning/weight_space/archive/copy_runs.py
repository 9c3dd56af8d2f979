"""Episodes of many recurrent policies at once, in the nearest-pose copy of target finding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from asterias.arrays import FloatArray
from learning.policy_search.common.pose_map import PoseMap
from learning.weight_space.archive.policy_bank import PolicyBank
from learning.weight_space.encoders.probing import Asked

# Settings of dead cameras, the columns of what is measured and predicted.
SETTINGS = ("kill0", "kill1", "kill12")
_CHUNK = 200


def run_episodes(
    copy: PoseMap,
    asked: Asked,
    policies: int,
    episodes: int,
    rng: np.random.Generator,
    faults: str,
) -> npt.NDArray[np.int64]:
    """Run episodes; all policies get the same starts and dead cameras.

    Args:
        copy: of the task.
        asked: the policies, with empty memories.
        policies: number P of them.
        episodes: M of each.
        rng: of starts and dead cameras.
        faults: setting of dead cameras.

    Returns:
        Steps ``(P, M)``, the cap's where the tag was not found.
    """
    starts, live = copy.draw_episodes(episodes, rng, faults)
    flags = torch.tensor(live / np.maximum(live.sum(1, keepdims=True), 1), dtype=torch.float32)
    command = np.tile(starts, (policies, 1, 1))
    alive = np.tile(live, (policies, 1, 1))
    seen = torch.cat(
        [torch.zeros(policies, episodes, copy.joints), flags.expand(policies, -1, -1)], 2
    )
    steps = np.full((policies, episodes), copy.options.cap, np.int64)
    searching = np.ones((policies, episodes), bool)
    for number in range(1, copy.options.cap + 1):
        seen[..., : copy.joints] = torch.from_numpy(command)
        with torch.no_grad():
            share = asked(seen).numpy()
        command = np.clip(command + copy.options.increment * share, -copy.reach, copy.reach)
        at = copy.nearest(command[searching])
        found = searching.copy()
        found[searching] = (copy.poses.seeing[at] & alive[searching]).any(1)
        steps[found] = number
        searching &= ~found
        if not searching.any():
            break
    return steps


def mean_steps(
    copy: PoseMap,
    bank: PolicyBank,
    episodes: int,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> FloatArray:
    """Return mean steps ``(P, 3)`` of a bank's policies with each setting of dead cameras.

    Args:
        copy: of the task.
        bank: of P policies.
        episodes: of each policy and setting.
        seed: of starts and dead cameras, which are the same for all policies.
        on_progress: told policies that are done and their number.
    """
    parts = []
    for first in range(0, len(bank), _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, len(bank)))
        columns = [
            run_episodes(
                copy,
                bank.asked(numbers, episodes),
                len(numbers),
                episodes,
                np.random.default_rng((seed, column)),
                faults,
            ).mean(1)
            for column, faults in enumerate(SETTINGS)
        ]
        parts.append(np.stack(columns, 1))
        on_progress(int(numbers[-1]) + 1, len(bank))
    return np.concatenate(parts)
