"""The authors' one-step actor-critic.

Linear softmax actor and linear critic over the eight observations, accumulating eligibility traces,
and an average reward that the temporal-difference error is measured against; arXiv 2404.08093,
version 2, and its code. Episodes have no cap, a move shifts one servo by 0.25, and a find ends the
episode with reward 1 and no future (gamma 0), which also empties the traces.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import provenance
from learning.target_finding.algorithms.checkpoint import (
    load_checkpoint,
    refuse_overwriting,
    save_checkpoint,
)
from learning.target_finding.algorithms.registry import (
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
    ignore_progress,
    never_stop,
)
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import (
    TargetFindingOptions,
    camera_count,
    with_command_range,
)
from learning.target_finding.policies.linear_policy import SoftmaxPolicy
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE

# The paper's moving average, which its table takes the last value of.
WINDOW = 15
# Episodes between checkpoints.
SAVE_EVERY = 5


@dataclass(frozen=True)
class ActorCriticConfig:
    """One training; the numbers are the paper's.

    Attributes:
        out: folder for checkpoint, policy and summary.
        options: the protocol; its actions must be moves.
        seed: of everything.
        episodes: to train for.
        resume: go on from the checkpoint in ``out``.
        alpha_actor, alpha_critic, eta: step sizes of actor, critic and average reward.
        gamma: discount within an episode.
        lambda_actor, lambda_critic: decay of the traces.
    """

    out: Path
    options: TargetFindingOptions
    seed: int = 0
    episodes: int = 250
    resume: bool = False
    # Step sizes and decays are those of the authors' code (arXiv 2404.08093, version 2).
    alpha_actor: float = 0.1
    alpha_critic: float = 0.01
    eta: float = 0.01
    gamma: float = 0.9
    lambda_actor: float = 0.9
    lambda_critic: float = 0.9

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", with_command_range(self.options))
        if self.episodes < 1:
            raise UserError("A training needs 1 episode or more.")
        if self.options.actions != "moves" or self.options.observe != "commands":
            raise UserError("The actor-critic takes moves and sees commands; set both so.")

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint must have in common with a training that goes on from it."""
        settings = {k: v for k, v in asdict(self).items() if k not in ("out", "resume")}
        return {"algorithm": "ac", **settings}


@dataclass
class ActorCritic:
    """The learner: weights, traces, average reward, and what the last step left.

    Attributes:
        w_actor: ``(n, actions)``; w_critic: ``(n,)``; their traces have the same shapes.
        average_reward: running mean that rewards are compared with.
        prediction: the critic's value of the last observation, before the update.
    """

    config: ActorCriticConfig
    w_actor: FloatArray
    w_critic: FloatArray
    trace_actor: FloatArray
    trace_critic: FloatArray
    average_reward: float = 0.0
    prediction: float = 0.0

    @classmethod
    def fresh(cls, config: ActorCriticConfig, inputs: int, actions: int) -> ActorCritic:
        """Return an untrained learner: all moves are equally likely."""
        pair, single = (inputs, actions), (inputs,)
        return cls(config, np.zeros(pair), np.zeros(single), np.zeros(pair), np.zeros(single))

    def probabilities(self, x: FloatArray) -> FloatArray:
        """Return the ``(actions,)`` softmax of the actor's preferences at ``x`` ``(n,)``."""
        preference = x @ self.w_actor
        weight = np.exp(preference - preference.max())
        softmax: FloatArray = weight / weight.sum()
        return softmax

    def choose(self, x: FloatArray, rng: np.random.Generator) -> int:
        """Draw a move, add it to the traces, and return it.

        Returns:
            Its number.
        """
        likely = self.probabilities(x)
        move = int(rng.choice(likely.size, p=likely))
        chosen = (np.arange(likely.size) == move).astype(np.float64)
        # The gradient of the logarithm of a softmax policy.
        self.trace_actor += np.outer(x, chosen - likely)
        self.trace_critic += x
        return move

    def learn(self, reward: float, gamma: float, x: FloatArray) -> None:
        """Learn from a reward and the observation after it; then decay the traces."""
        about = self.config
        prediction = float(self.w_critic @ x)
        delta = reward - self.average_reward + gamma * prediction - self.prediction
        self.w_critic += about.alpha_critic * delta * self.trace_critic
        self.w_actor += about.alpha_actor * delta * self.trace_actor
        self.average_reward += about.eta * delta
        self.trace_critic *= about.lambda_critic * gamma
        self.trace_actor *= about.lambda_actor * gamma
        self.prediction = prediction


@dataclass
class ActorCriticTraining:
    """A running training: the learner, and the length of each episode so far."""

    learner: ActorCritic
    lengths: list[int] = field(default_factory=list)
    simulate_s: float = 0.0
    render_s: float = 0.0
    wall_s: float = 0.0


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train as a person asked; return the summary.

    Returns:
        The summary, with the history.
    """
    config = ActorCriticConfig(
        request.out, request.options, request.seed, request.episodes, request.resume
    )
    return train(config, on_progress, should_stop)


def train(
    config: ActorCriticConfig,
    on_progress: OnTrainingProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
) -> dict[str, Any]:
    """Train, write policy, card and summary into ``config.out``, and return the summary.

    Episode ``i`` depends on ``(seed, i)`` and the learner alone, so a resumed training ends in the
    same weights as an uninterrupted one. A ``UserError`` says so where there is nothing to resume,
    or something that a new training would overwrite.

    Args:
        config: the training.
        on_progress: called after each episode.
        should_stop: asked after each episode.

    Returns:
        The summary, with the history.

    Raises:
        KeyboardInterrupt: ``should_stop`` returned True; the checkpoint is saved.
    """
    refuse_overwriting(config.out, config.resume)
    with TargetFindingEnv(config.options) as environment:
        (inputs,) = environment.observation_space.shape or (0,)
        moves = environment.action_space
        assert isinstance(moves, gymnasium.spaces.Discrete)
        run = ActorCriticTraining(ActorCritic.fresh(config, inputs, int(moves.n)))
        if config.resume:
            _restore(run, config)
        while len(run.lengths) < config.episodes:
            began = time.perf_counter()
            run.lengths.append(_episode(environment, run.learner, config.seed, len(run.lengths)))
            run.wall_s += time.perf_counter() - began
            run.simulate_s, run.render_s = environment.simulate_s, environment.render_s
            on_progress(_progress(run, config))
            stopped = should_stop()
            if stopped or not len(run.lengths) % SAVE_EVERY:
                _save(run, config)
            if stopped:
                raise KeyboardInterrupt
    _save(run, config)
    return _finish(run, config)


def _episode(environment: TargetFindingEnv, learner: ActorCritic, seed: int, number: int) -> int:
    """Run one episode and return its length; its last reward is learned at the next one's start.

    Returns:
        Its length.
    """
    start, draws = np.random.SeedSequence((seed, number)).generate_state(2)
    rng = np.random.default_rng(int(draws))
    x = np.asarray(environment.reset(seed=int(start))[0], dtype=np.float64)
    if number:
        learner.learn(1.0, 0.0, x)
    steps, found, truncated = 0, False, False
    while True:
        move = learner.choose(x, rng)
        seen, _, found, truncated, _ = environment.step(move)
        steps += 1
        if found or truncated:
            return steps
        x = np.asarray(seen, dtype=np.float64)
        learner.learn(0.0, learner.config.gamma, x)


def _save(run: ActorCriticTraining, config: ActorCriticConfig) -> None:
    learner = {k: v for k, v in vars(run.learner).items() if k != "config"}
    about = {"lengths": run.lengths, "wall_s": run.wall_s}
    save_checkpoint(config.out, learner, config.settings, about)


def _restore(run: ActorCriticTraining, config: ActorCriticConfig) -> None:
    state, about = load_checkpoint(config.out, config.settings)
    for name, value in state.items():
        setattr(run.learner, name, value)
    run.lengths, run.wall_s = about["lengths"], about["wall_s"]


def _progress(run: ActorCriticTraining, config: ActorCriticConfig) -> TrainingProgress:
    done, steps = len(run.lengths), sum(run.lengths)
    last = float(np.mean(run.lengths[-WINDOW:]))
    return TrainingProgress(
        done=done,
        total=config.episodes,
        unit="episodes",
        mean_steps=last,
        mean_return=1.0,
        found=1.0,
        steps_per_s=steps / max(run.wall_s, 1e-9),
        left_s=run.wall_s / done * (config.episodes - done),
    )


def _finish(run: ActorCriticTraining, config: ActorCriticConfig) -> dict[str, Any]:
    steps = sum(run.lengths)
    summary = {
        **provenance(config.seed),
        **config.settings,
        "cameras": camera_count(config.options),
        "steps": steps,
        "wall_s": round(run.wall_s, 2),
        "simulate_s": round(run.simulate_s, 2),
        "render_s": round(run.render_s, 2),
        "steps_per_s": round(steps / max(run.wall_s, 1e-9), 1),
        "last_15_episodes": {"mean_steps": round(float(np.mean(run.lengths[-WINDOW:])), 3)},
        "history": run.lengths,
    }
    write_json(config.out / SUMMARY_FILE, summary)
    card = {key: value for key, value in summary.items() if key != "history"}
    SoftmaxPolicy(run.learner.w_actor.T.astype(np.float32), card).save(config.out / POLICY_FILE)
    return summary
