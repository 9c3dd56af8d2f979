"""More tasks of the deep study: an exit in ViZDoom, and continuous actions for SAC and TD3."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise

from learning.highway.continuous.highway_sac import HighwaySAC
from learning.highway.continuous.highway_td3 import HighwayTD3
from learning.highway.doom_exit import DoomExitEnv
from learning.highway.studies.deep import CORRIDOR_SETTINGS, DEEP_LEARNERS, TASKS, DeepTask
from learning.highway.tasks import DelayedReachEnv

__all__ = ["DEEP_LEARNERS", "TASKS"]

# The first maze from seed 100 on whose exit is 15 steps away or more; maze 3 was for trials.
_MAZE, _SHORTEST = 103, 20
# The next eight by the same rule, with the steps of their shortest ways.
MORE_EXITS = {120: 15, 183: 18, 203: 25, 205: 18, 206: 24, 210: 16, 212: 22, 214: 15}
_EXIT_STEPS = 15_000
_DOOM = {**CORRIDOR_SETTINGS, "learning_starts": 300, "target_update_interval": 200}


def register_exit(
    name: str,
    between_updates: int = 2,
    random_for: int = 2400,
    cap: int = 300,
    every: int = 500,
    learners: tuple[str, ...] = ("dqn", "highway_50"),
    maze: int = _MAZE,
    shortest: int = _SHORTEST,
) -> None:
    """Register the exit of a maze as a task; it is solved by ways at most 2 steps too long.

    Args:
        name: of the task.
        between_updates: steps between two updates of DQN.
        random_for: steps over which random moves become fewer.
        cap: steps after which an episode is truncated.
        every: steps between two evaluations.
        learners: that are compared on it.
        maze: its seed.
        shortest: steps of its shortest way.
    """
    title = f"exit of a maze in ViZDoom, {shortest} steps away"
    if maze != _MAZE:
        title = f"{title}, maze {maze}"
    if between_updates != 2:
        title = f"{title}, an update every {between_updates} steps"
    if random_for != 2400:
        title = f"{title}, random moves for longer"
    schedule = {"train_freq": between_updates, "exploration_fraction": random_for / _EXIT_STEPS}
    TASKS.register(
        name,
        DeepTask(
            title,
            partial(DoomExitEnv, maze, cap=cap),
            _EXIT_STEPS,
            0.95 ** (shortest + 1),
            {**_DOOM, **schedule},
            episodes=1,  # the same each time
            patience=60,
            every=every,
            learners=learners,
        ),
    )


register_exit("doom_exit", learners=("dqn", "highway_50", "ppo"))
# As often as DQN of stable-baselines3 updates by itself: steps cost more than updates there. What
# PPO does is the same at any number.
register_exit("doom_exit_sb3", between_updates=4)
# Random moves of 2,400 steps need not find the exit. Twice as many, in episodes twice as long, were
# chosen among five schedules in the maze for trials.
register_exit(
    "doom_exit_explored",
    between_updates=4,
    random_for=4800,
    cap=600,
    every=250,
    learners=("dqn", "highway_50", "ppo"),
)
for _seed, _steps in MORE_EXITS.items():
    register_exit(f"doom_exit_{_seed}", every=250, maze=_seed, shortest=_steps)

_REACH: dict[str, Any] = {
    "buffer_size": 20_000,
    "learning_starts": 500,
    "batch_size": 128,
    "train_freq": 2,
    "gradient_steps": 1,
    "learning_rate": 1e-3,
    "gamma": 0.95,
    "tau": 0.01,
    "policy_kwargs": {"net_arch": [64, 64]},
    "device": "cpu",
}
TASKS.register(
    "reach",
    DeepTask(
        "arm that reaches, paid after 20 steps for being near",
        DelayedReachEnv,
        4000,
        # Within 0.4 m of the target on average, discounted by the steps before; arms that do not
        # learn end 0.7 m away.
        0.6 * 0.95**19,
        _REACH,
        episodes=20,
        learners=("sac", "sac_20", "highway_sac_20", "td3", "td3_20", "highway_td3_20"),
    ),
)

# The end pays at most 1: with SAC's own start of 1 the entropy would be all that counts.
_TEMPERATURE = 0.01


def _sac(steps: int) -> Any:
    return lambda env, **settings: SAC(
        "MlpPolicy", env, n_steps=steps, ent_coef=_TEMPERATURE, **settings
    )


def _highway_sac(depth: int) -> Any:
    return lambda env, **settings: HighwaySAC(
        "MlpPolicy", env, depth=depth, ent_coef=_TEMPERATURE, **settings
    )


def _noise(env: gymnasium.Env[Any, Any]) -> NormalActionNoise:
    actions = int(np.prod(env.action_space.shape or ()))
    return NormalActionNoise(np.zeros(actions), np.full(actions, 0.2))


def _td3(steps: int) -> Any:
    return lambda env, **settings: TD3(
        "MlpPolicy", env, n_steps=steps, action_noise=_noise(env), **settings
    )


def _highway_td3(env: gymnasium.Env[Any, Any], **settings: Any) -> BaseAlgorithm:
    return HighwayTD3("MlpPolicy", env, depth=20, action_noise=_noise(env), **settings)


for _name, _make in (
    ("sac", _sac(1)),
    ("sac_20", _sac(20)),
    ("highway_sac_20", _highway_sac(20)),
    ("td3", _td3(1)),
    ("td3_20", _td3(20)),
    ("highway_td3_20", _highway_td3),
):
    DEEP_LEARNERS.register(_name, _make)
