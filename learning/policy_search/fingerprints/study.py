"""Fingerprints of saved policies: made, kept in a folder, compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load, save

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_json, write_bytes, write_json
from asterias.progress import OnProgress
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.fingerprints import evaluator as evaluators
from learning.policy_search.fingerprints.evaluator import LimbEvaluator, Population
from learning.policy_search.fingerprints.picture_book import BookPage
from learning.policy_search.fingerprints.policy_group import PolicyGroup, PolicyLayers
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.experiments import evaluation
from learning.target_finding.policies.policy_files import Policy, find_policy

POSES, EVALUATOR, CARD = "poses.safetensors", "evaluator.safetensors", "evaluator.json"
# Root mean square distance of answers, of the largest increment, below which policies are alike.
ALIKE = 0.05


@dataclass(frozen=True)
class FingerprintOptions:
    """How fingerprints are made.

    Attributes:
        states: number K of probing states.
        population: noisy relatives of the policies that states are learned on.
        episodes: of each of them, in the copy of the task.
        poses: of the copy.
        updates: steps of Adam.
        faults: cameras dead in each episode.
        seed: of everything.
    """

    states: int = 12
    population: int = 300
    episodes: int = 60
    poses: int = 12_000
    updates: int = 1500
    faults: str = "kill1"
    seed: int = 0


@dataclass(frozen=True)
class Fingerprints:
    """What was made.

    Attributes:
        names: of the policies.
        answers: ``(P, K, n)``.
        predicted: ``(P,)`` steps.
        states: ``(K, n + c)``.
        matters: ``(K,)`` steps, the change in predicted steps without a state.
        held_out: how well policies that were held out are predicted.
    """

    names: tuple[str, ...]
    answers: FloatArray
    predicted: FloatArray
    states: FloatArray
    matters: FloatArray
    held_out: dict[str, Any]

    def distances(self) -> FloatArray:
        """Return root mean square distances ``(P, P)`` of answers."""
        flat = self.answers.reshape(len(self.names), -1)
        apart: FloatArray = np.sqrt(((flat[:, None] - flat[None]) ** 2).mean(2))
        return apart

    def alike(self) -> list[tuple[str, str, float]]:
        """Return pairs of policies that do nearly the same, the nearest first."""
        apart, pairs = self.distances(), []
        for i, one in enumerate(self.names):
            pairs += [
                (one, self.names[j], float(apart[i, j]))
                for j in range(i + 1, len(self.names))
                if apart[i, j] < ALIKE
            ]
        return sorted(pairs, key=lambda pair: pair[2])

    def pages(self) -> list[BookPage]:
        """Return what the picture book shows."""
        spread = np.sqrt(((self.answers - self.answers.mean(0)) ** 2).mean((0, 2)))
        return [
            BookPage(number, state, float(self.matters[number]), float(spread[number]))
            for number, state in enumerate(self.states)
        ]


def load_policies(names: Sequence[str], options: TargetFindingOptions) -> list[Policy]:
    """Return policies by name or path.

    Args:
        names: of policies.
        options: of the task.

    Raises:
        UserError: one is missing, or was trained for another kind of limb or command.
    """
    policies = [find_policy(name) for name in names]
    for name, policy in zip(names, policies, strict=True):
        trained = policy.card["options"]
        own = tuple(trained["command_range"]), float(trained["increment"])
        if own != (tuple(options.command_range), options.increment):
            raise UserError(f"{name} was trained for other commands than the task's; leave it out.")
    return policies


def copy_of_the_task(
    folder: Path, options: TargetFindingOptions, about: FingerprintOptions, on_progress: OnProgress
) -> PoseMap:
    """Return the nearest-pose copy that is kept in a folder.

    Args:
        folder: where it is kept.
        options: of the task.
        about: its number of poses.
        on_progress: told stage, done and total.
    """
    tell = _counted(on_progress, "poses", about.poses)
    return PoseMap.kept(folder / POSES, options, about.poses, tell)


def fingerprints(
    folder: Path,
    names: Sequence[str],
    layers: Sequence[PolicyLayers],
    copy: PoseMap,
    about: FingerprintOptions,
    on_progress: OnProgress,
) -> tuple[Fingerprints, Population]:
    """Ask policies in the states that a folder keeps; where it keeps none, learn them.

    Args:
        folder: where states and evaluation function are kept.
        names: of the policies.
        layers: the policies.
        copy: of the task.
        about: how they are made.
        on_progress: told stage, done and total.

    Returns:
        The fingerprints, and the population that states are learned on.
    """
    rng = np.random.default_rng(about.seed)
    population = evaluators.make_population(layers, about.population, about.episodes, copy, rng)
    path, card = folder / EVALUATOR, folder / CARD
    if not path.exists():
        start = population.visited[rng.choice(len(population.visited), about.states, replace=False)]
        tell = _counted(on_progress, "updates", about.updates)
        made, held_out = evaluators.train_evaluator(
            population, start, copy, rng, about.updates, on_update=tell
        )
        write_bytes(path, save(made.state_dict()))
        write_json(card, {**asdict(about), "policies": list(names), "held_out": held_out})
    learned, held_out = _kept(path, card, copy, about)
    group = PolicyGroup(layers)
    answers, predicted = evaluators.predict(learned, group)
    matters = evaluators.importance(learned, population.group, np.random.default_rng(about.seed))
    states = learned.states.detach().double().numpy()
    return Fingerprints(tuple(names), answers, predicted, states, matters, held_out), population


def measured_steps(
    policies: Sequence[Policy],
    options: TargetFindingOptions,
    episodes: int,
    on_progress: OnProgress,
) -> list[float]:
    """Return mean steps of policies in the simulation, by their means, without draws.

    Args:
        policies: one or more.
        options: of the task.
        episodes: of each.
        on_progress: told stage, done and total.
    """
    means = []
    with TargetFindingEnv(options) as environment:
        for number, policy in enumerate(policies):
            lengths = [
                steps
                for steps, _ in evaluation.episodes(
                    environment, policy, count=episodes, seed=2000, deterministic=True
                )
            ]
            means.append(round(float(np.mean(lengths)), 3))
            on_progress("measured policies", number + 1, len(policies))
    return means


def _kept(
    path: Path, card: Path, copy: PoseMap, about: FingerprintOptions
) -> tuple[LimbEvaluator, dict[str, Any]]:
    """Return the evaluation function that is kept.

    Raises:
        UserError: it is damaged, or was made with other options.
    """
    told = read_json(card)
    other = not isinstance(told, dict) or {**told, **asdict(about)} != told
    if other:
        raise UserError(f"{card} was made with other options; choose another folder.")
    start = np.zeros((about.states, copy.joints + copy.cameras))
    made = LimbEvaluator(copy.reach, start, copy.options.cap)
    try:
        made.load_state_dict(load(path.read_bytes()))
    except Exception as error:  # safetensors raises its own kinds
        raise UserError(f"{path} is damaged; remove it, and it is made again.") from error
    return made, dict(told["held_out"])


def _counted(on_progress: OnProgress, stage: str, total: int) -> Callable[[], None]:
    done = [0]

    def count() -> None:
        done[0] += 1
        if done[0] % 50 == 0 or done[0] == total:
            on_progress(stage, done[0], total)

    return count
