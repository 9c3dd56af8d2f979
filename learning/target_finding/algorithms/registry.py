"""Learning algorithms by name: ours, and those of installed packages.

An algorithm is one entry here and one file beside it. A package adds its own by the entry point
group ``asterias.algorithms``: a :class:`LearningAlgorithm`. Names on the command line and in
``/train_policy`` come from this registry. Nothing heavy is imported until an algorithm is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asterias.errors import UserError
from asterias.progress import TrainingProgress
from asterias.registry import Registry
from learning.target_finding.env.options import TargetFindingOptions
from learning.training.replay_options import ReplayOptions

LIMB, BODY = "Asterias/TargetFinding-v0", "Asterias/StarfishTargetFinding-v0"
OnTrainingProgress = Callable[[TrainingProgress], None]
ShouldStop = Callable[[], bool]


def ignore_progress(progress: TrainingProgress) -> None:
    """Do nothing with a training's progress."""


def never_stop() -> bool:
    """Return False: the training goes on to its end."""
    return False


@dataclass(frozen=True)
class TrainingRequest:
    """What a person asked to be trained; an algorithm takes what concerns it.

    Attributes:
        out: folder for checkpoint, policy and summary.
        options: the protocol, with a command range for each joint of the limb.
        algorithm: name of the algorithm.
        seed: of everything.
        steps: of the robot; None takes the algorithm's own.
        episodes: for algorithms that count episodes.
        network: name of the policy's network.
        padded: episodes take the cap's steps even when the target is found before.
        curiosity: weight of novelty in the reward.
        encoder: name or path of the encoder of images.
        processes: that simulate, 1 for the learner's own.
        worlds: that the learner's process simulates together, in place of processes; 0: none.
        resume: go on from the checkpoint in ``out``.
        recordings: demonstrations, for algorithms that imitate.
        env: name of the environment, one of :data:`TASKS`.
        body: options of the task where a whole body searches, by name.
        sharing: ``limbs``: one policy that all limbs of a body share; ``body``: one for all.
        replay: how examples of recordings are drawn, for algorithms that imitate.
    """

    out: Path
    options: TargetFindingOptions
    algorithm: str
    seed: int = 0
    steps: int | None = None
    episodes: int = 250
    network: str = "linear"
    padded: bool = False
    curiosity: float = 0.0
    encoder: str = "tiles"
    processes: int = 3
    worlds: int = 0
    resume: bool = False
    recordings: Path | None = None
    env: str = LIMB
    body: Mapping[str, Any] = field(default_factory=dict)
    sharing: str = "limbs"
    replay: ReplayOptions = field(default_factory=ReplayOptions)


Train = Callable[[TrainingRequest, OnTrainingProgress, ShouldStop], dict[str, Any]]


@dataclass(frozen=True)
class LearningAlgorithm:
    """One algorithm.

    Attributes:
        summary: one line for people.
        train: ``module:function`` that trains, writes ``policy.safetensors`` with its card into
            the request's folder, and returns a summary; or the function itself.
        recipe: ``module:attribute`` of its :class:`~learning.target_finding.algorithms.sb3.Recipe`,
            where it is a learner of stable-baselines3.
        task: options of the task that this algorithm needs.
        replays: it draws examples of recordings as the request says.
    """

    summary: str
    train: str | Train
    recipe: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    replays: bool = False

    def run(
        self,
        request: TrainingRequest,
        on_progress: OnTrainingProgress = ignore_progress,
        should_stop: ShouldStop = never_stop,
    ) -> dict[str, Any]:
        """Train; return the summary.

        Returns:
            The exit code.

        Raises:
            UserError: it draws no examples of recordings, and was asked to draw some of them more.
        """
        if request.replay.by != "uniform" and not self.replays:
            known = " and ".join(sorted(name for name, a in ALGORITHMS.items() if a.replays))
            raise UserError(
                f"--replay-by {request.replay.by} is for {known}, which draw examples of "
                f"recordings; leave it out for {request.algorithm}."
            )
        train: Any = _load(self.train) if isinstance(self.train, str) else self.train
        summary: dict[str, Any] = train(request, on_progress, should_stop)
        return summary

    def load_recipe(self) -> Any:
        """Return its recipe for stable-baselines3.

        Raises:
            UserError: it is no learner of stable-baselines3.
        """
        if not self.recipe:
            raise UserError("This algorithm is no learner of stable-baselines3.")
        return _load(self.recipe)


# Environments in which policies learn, and what trains whole bodies: in a wing above this one.
TASKS: Mapping[str, str] = {LIMB: "", BODY: "learning.starfish.training:train_request"}


def train(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train in the environment that is asked for.

    Returns:
        The summary.

    Raises:
        UserError: no policy can be trained there.
    """
    if request.env not in TASKS:
        raise UserError(f"train knows the environments {' and '.join(TASKS)}, not {request.env}.")
    if not TASKS[request.env]:
        return ALGORITHMS.get(request.algorithm).run(request, on_progress, should_stop)
    if request.replay.by != "uniform":
        raise UserError("--replay-by is for a limb that learns from recordings; leave it out.")
    trained: dict[str, Any] = _load(TASKS[request.env])(request, on_progress, should_stop)
    return trained


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _check(name: str, entry: object) -> None:
    if not isinstance(entry, LearningAlgorithm):
        raise TypeError(f"{name} is no LearningAlgorithm")


ALGORITHMS: Registry[LearningAlgorithm] = Registry(
    "learning algorithm", "asterias.algorithms", _check
)

_HERE = "learning.target_finding.algorithms"
_SB3 = f"{_HERE}.training:train_request"
ALGORITHMS.register(
    "ppo", LearningAlgorithm("proximal policy optimisation, the paper's", _SB3, f"{_HERE}.ppo:PPO")
)
ALGORITHMS.register(
    "ac",
    LearningAlgorithm(
        "the paper's one-step actor-critic",
        f"{_HERE}.actor_critic:train_request",
        task={"actions": "moves", "wait_s": 1.0, "cap": 0},
    ),
)
ALGORITHMS.register(
    "sac",
    LearningAlgorithm(
        "soft actor-critic, with hindsight for goals", _SB3, f"{_HERE}.soft_actor_critic:SAC"
    ),
)
ALGORITHMS.register(
    "recurrent_ppo",
    LearningAlgorithm("PPO with a memory (LSTM)", _SB3, f"{_HERE}.recurrent_ppo:RECURRENT_PPO"),
)
ALGORITHMS.register(
    "highway_dqn",
    LearningAlgorithm(
        "Highway DQN: long lookaheads through a gate; one servo moves at a time",
        _SB3,
        "learning.highway.limb_training:HIGHWAY_DQN",
        task={"actions": "moves", "wait_s": 1.0, "cap": 60},
    ),
)
ALGORITHMS.register(
    "highway_sac",
    LearningAlgorithm(
        "Highway SAC: long lookaheads through a gate, with the behaviour's entropy",
        _SB3,
        "learning.highway.continuous_limb_training:HIGHWAY_SAC",
    ),
)
ALGORITHMS.register(
    "highway_td3",
    LearningAlgorithm(
        "Highway TD3: long lookaheads through a gate, a deterministic policy",
        _SB3,
        "learning.highway.continuous_limb_training:HIGHWAY_TD3",
    ),
)
ALGORITHMS.register(
    "bc",
    LearningAlgorithm(
        "behaviour cloning of recorded demonstrations", f"{_HERE}.behaviour_cloning:train_request"
    ),
)
# It lives in a wing above this one, which is imported when used.
ALGORITHMS.register(
    "diffusion",
    LearningAlgorithm(
        "diffusion policy, cloned from recorded demonstrations",
        "learning.diffusion_policy.limb_training:train_request",
        replays=True,
    ),
)

ALGORITHMS.register(
    "act",
    LearningAlgorithm(
        "chunks by a transformer with a style (ACT), cloned from recorded demonstrations",
        "learning.action_chunking.limb_training:train_request",
        replays=True,
    ),
)

ALGORITHMS.register(
    "state_estimator",
    LearningAlgorithm(
        "no policy: joint states from the cameras alone, of --recordings or of --episodes "
        "of babbling, in --steps updates",
        "learning.fast_weights.estimation.training:train_request",
    ),
)

ALGORITHMS.register(
    "pathwise",
    LearningAlgorithm(
        "the gradient of what cameras see through the geometry of sight; for whole bodies alone",
        "learning.starfish.training:refuse_limb",
    ),
)

# Learners over whole policies; they live in a wing above this one, which is imported when used.
for _name, _summary in (
    ("pssvf", "a value function of the policy's parameters, one number an episode"),
    ("psvf", "a value function of state and the policy's parameters"),
    ("pavf", "a value function of state, action and the policy's parameters"),
    ("ppois", "policy optimisation via importance sampling, over parameters"),
    ("apois", "policy optimisation via importance sampling, over actions"),
    ("pgpe", "policy gradients with parameter-based exploration"),
    ("cem", "cross-entropy method over parameters"),
    ("gogepo", "a generator of policies for commanded returns, through an evaluation function"),
    ("udrlpg", "a generator of policies for commanded returns, from stored policies"),
    ("random_search", "policies at random, the best is kept"),
):
    ALGORITHMS.register(
        _name, LearningAlgorithm(_summary, "learning.policy_search.limb_training:train_request")
    )
