"""``gymnasium.make_vec("Asterias/TargetFinding-v0", num_envs=64)``: many worlds in one loop."""

from __future__ import annotations

from functools import partial
from typing import Any

from gymnasium.vector import AutoresetMode

from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import PPO_PROTOCOL, TargetFindingOptions
from learning.training.lockstep_env import LockstepVectorEnv


class TargetFindingVectorEnv(LockstepVectorEnv):
    """Many searching limbs, each in its own world, moved and drawn together.

    Each world gives the numbers that :class:`TargetFindingEnv` gives for its seed, bit for bit.

    Args:
        num_envs: how many.
        options: the protocol, of all.
        autoreset_mode: ``NextStep``, ``SameStep`` or ``Disabled``.
        threads: that share the work; None: one for each core.
        copy: observations are copies, which later steps do not change.
        about: what else :class:`TargetFindingEnv` takes, and single options by name.
    """

    def __init__(
        self,
        num_envs: int = 1,
        options: TargetFindingOptions = PPO_PROTOCOL,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        threads: int | None = None,
        copy: bool = True,
        **about: Any,
    ) -> None:
        make = partial(TargetFindingEnv, options, **about)
        super().__init__(make, num_envs, autoreset_mode=autoreset_mode, threads=threads, copy=copy)
