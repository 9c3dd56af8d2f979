"""Highway DQN beside DQN of 1, 3 and 20 steps in MinAtar's games, paid at the end alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from asterias.arrays import FloatArray
from asterias.files import read_training, write_json
from asterias.provenance import Clock
from asterias.registry import Registry
from learning.highway.dqn.highway_dqn import HighwayDQN
from learning.highway.minatar import MinAtarEnv

STUDIED_GAMES = ("breakout", "space_invaders", "asterix")
# Frames of a training, a hundredth of what MinAtar's paper takes, so that all fit an afternoon.
FRAMES = 30_000
# Games that run side by side, so that the network chooses for all of them at once.
_LANES = 8
_SETTINGS: dict[str, Any] = {
    "buffer_size": FRAMES,
    "learning_starts": 1000,
    "batch_size": 64,
    # A gradient step every 4 frames, as in MinAtar's and Atari's DQN.
    "train_freq": 1,
    "gradient_steps": _LANES // 4,
    "learning_rate": 5e-4,
    "gamma": 0.99,
    "target_update_interval": 1000,
    "exploration_fraction": 0.4,
    "exploration_final_eps": 0.05,
    "policy_kwargs": {"net_arch": [128], "optimizer_kwargs": {"fused": True}},
    "device": "cpu",
}
_POINTS = 10
_EPISODES = 50
_RESAMPLES = 2000

_MakeLearner = Callable[..., DQN]


def _n_step(steps: int) -> _MakeLearner:
    return lambda env, **settings: DQN("MlpPolicy", env, n_steps=steps, **settings)


def _highway(depth: int) -> _MakeLearner:
    return lambda env, **settings: HighwayDQN("MlpPolicy", env, depth=depth, **settings)


MINATAR_LEARNERS: Registry[_MakeLearner] = Registry("learner of MinAtar's games")
for _name, _make in (
    ("dqn", _n_step(1)),
    ("dqn_3", _n_step(3)),
    ("dqn_20", _n_step(20)),
    ("highway_20", _highway(20)),
):
    MINATAR_LEARNERS.register(_name, _make)


@dataclass(frozen=True)
class MinAtarRun:
    """One training.

    Attributes:
        game: of MinAtar.
        learner: name in :data:`MINATAR_LEARNERS`.
        seed: of everything.
        folder: of results.
        frames: of the training.
    """

    game: str
    learner: str
    seed: int
    folder: Path
    frames: int = FRAMES

    @property
    def path(self) -> Path:
        """Where its result lies, once it is finished."""
        return self.folder / f"{self.game}_{self.learner}_{self.frames}_{self.seed}.json"


class _Scores(BaseCallback):
    """Collects the scores of finished episodes."""

    def __init__(self, on_frames: Callable[[int], None]) -> None:
        super().__init__()
        self.at: list[int] = []
        self.scores: list[float] = []
        self._on_frames = on_frames

    def _on_step(self) -> bool:
        for done, info in zip(self.locals["dones"], self.locals["infos"], strict=True):
            if done:
                self.at.append(self.num_timesteps)
                self.scores.append(info["score"])
        if self.num_timesteps % 1000 < _LANES:
            self._on_frames(self.num_timesteps)
        return True


def _lanes(game: str, count: int) -> DummyVecEnv:
    return DummyVecEnv([partial(MinAtarEnv, game)] * count)


def greedy_score(model: DQN, game: str, episodes: int = _EPISODES) -> float:
    """Return the mean score of a greedy policy."""
    return _mean_score(lambda seen: model.predict(seen, deterministic=True)[0], game, episodes)


def random_score(game: str, episodes: int = _EPISODES) -> float:
    """Return the mean score of random actions."""
    rng, space = np.random.default_rng(0), MinAtarEnv(game).action_space
    actions = int(space.n)  # type: ignore[attr-defined]
    return _mean_score(lambda seen: rng.integers(actions, size=len(seen)), game, episodes)


def _mean_score(act: Callable[[Any], Any], game: str, episodes: int) -> float:
    """Return the mean over as many episodes of each lane, so that short ones count no more."""
    lanes = 10 if episodes >= 10 else 1
    env = _lanes(game, lanes)
    env.seed(100_000)
    seen: Any = env.reset()
    left, scores = [episodes // lanes] * lanes, []
    while any(left):
        seen, _, dones, infos = env.step(act(seen))
        for lane in np.flatnonzero(dones):
            if left[lane]:
                left[lane] -= 1
                scores.append(infos[lane]["score"])
    env.close()
    return round(float(np.mean(scores)), 3)


def complete_minatar_run(run: MinAtarRun, on_frames: Callable[[int], None]) -> None:
    """Train, where that is not done yet.

    Args:
        run: the training.
        on_frames: told now and then how many frames were played.
    """
    if run.path.exists():
        return
    torch.set_num_threads(1)  # the nets are small
    clock = Clock()
    env = _lanes(run.game, _LANES)
    settings = {
        **deepcopy(_SETTINGS),
        "learning_starts": min(_SETTINGS["learning_starts"], run.frames // 4),
    }
    model = MINATAR_LEARNERS.get(run.learner)(env, seed=run.seed, **settings)
    scores = _Scores(on_frames)
    model.learn(run.frames, callback=scores)
    env.close()
    result = {
        "game": run.game,
        "learner": run.learner,
        "seed": run.seed,
        "curve": _curve(scores, run.frames),
        "score": greedy_score(model, run.game),
        "gates": {k: round(v, 4) for k, v in getattr(model, "figures", {}).items()},
        "wall_s": round(clock.elapsed()[0], 1),
    }
    write_json(run.path, result)


def _curve(scores: _Scores, frames: int) -> list[dict[str, float]]:
    """Return the mean score of the episodes that ended in each tenth of a training."""
    at, values = np.array(scores.at), np.array(scores.scores)
    points = []
    for part in range(1, _POINTS + 1):
        end = part * frames / _POINTS
        inside = (at > end - frames / _POINTS) & (at <= end)
        if inside.any():
            points.append({"frames": end, "score": round(float(values[inside].mean()), 3)})
    return points


def minatar_rows(runs: Sequence[MinAtarRun]) -> list[dict[str, Any]]:
    """Return a row per game and learner, over its finished trainings."""
    rows = []
    for game, learner in dict.fromkeys((run.game, run.learner) for run in runs):
        paths = [r.path for r in runs if (r.game, r.learner) == (game, learner) and r.path.exists()]
        results = [read_training(path, "curve") for path in paths]
        if results:
            gates = [result["gates"] for result in results if result["gates"]]
            rows.append(
                {
                    "game": game,
                    "learner": learner,
                    "seeds": [result["seed"] for result in results],
                    "scores": [result["score"] for result in results],
                    "curves": [result["curve"] for result in results],
                    "open_gates": _mean([gate["open_gates"] for gate in gates]),
                    "raised": _mean([gate["raised"] for gate in gates]),
                    "wall_s": _mean([result["wall_s"] for result in results]),
                }
            )
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def interquartile_mean(scores: FloatArray) -> float:
    """Return the mean of the middle half of all scores: a quarter is left out at each end."""
    ordered = np.sort(scores, axis=None)
    left_out = ordered.size // 4
    return float(ordered[left_out : ordered.size - left_out].mean())


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per learner that has all games: interquartile mean and interval.

    A score of 1 is the mean of the game's best learner. Intervals are 95 % of a bootstrap that
    draws seeds within games (rliable's, arXiv 2108.13264).

    Args:
        rows: of :func:`minatar_rows`.
    """
    games = list(dict.fromkeys(row["game"] for row in rows))
    best = {
        game: max(float(np.mean(row["scores"])) for row in rows if row["game"] == game)
        for game in games
    }
    found, rng = [], np.random.default_rng(0)
    for learner in dict.fromkeys(row["learner"] for row in rows):
        own = {row["game"]: row["scores"] for row in rows if row["learner"] == learner}
        if set(own) != set(games) or len({len(scores) for scores in own.values()}) > 1:
            continue
        normal = np.array([np.array(own[game]) / max(best[game], 1e-9) for game in games])
        drawn = rng.integers(normal.shape[1], size=(_RESAMPLES, *normal.shape))
        means = [interquartile_mean(np.take_along_axis(normal, draw, 1)) for draw in drawn]
        low, high = np.percentile(means, [2.5, 97.5])
        found.append(
            {
                "learner": learner,
                "seeds": normal.shape[1],
                "iqm": round(interquartile_mean(normal), 4),
                "interval": [round(float(low), 4), round(float(high), 4)],
            }
        )
    return found
