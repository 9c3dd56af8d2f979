"""A generator of policies that need a commanded number of steps, with so many cameras dead.

GoGePo (arXiv 2207.01570) with the mean steps until the target is found as the command, and the
setting of dead cameras as a second one. Policies that are generated run in the nearest-pose copy of
the task; what they need in the simulation is measured afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load, save
from torch import nn

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_json, write_bytes, write_json
from learning.policy_search.algorithms.critics import perceptron
from learning.policy_search.algorithms.generators import HeadsGenerator
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.common.pose_map import PoseMap
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.weight_files import part_of

# Settings of dead cameras, as the second command counts them.
SETTINGS = ("kill0", "kill1", "kill12")
# Of a policy that does not draw, in a file whose policies do.
_NO_SPREAD = -20.0


@dataclass(frozen=True)
class StepGeneratorOptions:
    """How a generator learns.

    Attributes:
        cap: steps after which an episode ends.
        least, most: mean steps that are commanded.
        hidden: units of the policies' hidden layer.
        probes: number of probing states of the evaluation function.
        iterations: of learning.
        policies: that are generated in an iteration.
        episodes: of each, in the copy of the task.
        updates: of evaluation function and generator in an iteration.
        batch_size: policies or commands of an update.
        kept: policies that are learned from, the newest.
        sigma: standard deviation of the noise on generated policies.
        learning_rate: of Adam.
        spread_weight: of the steps' squared deviation beside the squared error of their mean:
            without it, half of the episodes found at once and half never are a good mean.
        seed: of everything.
    """

    cap: int = 25
    least: float = 1.5
    most: float = 22.0
    hidden: int = 16
    probes: int = 24
    iterations: int = 300
    policies: int = 24
    episodes: int = 20
    updates: int = 20
    batch_size: int = 64
    kept: int = 3000
    sigma: float = 0.15
    learning_rate: float = 1e-3
    spread_weight: float = 0.1
    seed: int = 0


class StepsCritic(nn.Module):
    """Mean and deviation of a policy's steps from its answers in learned states.

    Args:
        architecture: of the policies.
        probes: number of states.
    """

    def __init__(self, architecture: PolicyArchitecture, probes: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.states = nn.Parameter(torch.rand(probes, architecture.observations) * 2 - 1)
        self.network = perceptron(probes * architecture.outputs + 1, (128, 128), 2)

    def forward(self, thetas: torch.Tensor, setting: torch.Tensor) -> torch.Tensor:
        """Return mean and deviation ``(B, 2)``, in caps, of ``(B, n)`` with settings ``(B, 1)``."""
        answers = self.architecture.actions_of(thetas, self.states).flatten(1)
        out: torch.Tensor = self.network(torch.cat([answers, setting], 1))
        return torch.sigmoid(out)


class StepGenerator:
    """Learns to generate policies, and generates them.

    Args:
        copy: of the task.
        options: how it learns.
    """

    def __init__(self, copy: PoseMap, options: StepGeneratorOptions) -> None:
        self.options = options
        self.copy = replace(copy, options=replace(copy.options, cap=options.cap))
        increment = (copy.options.increment,) * copy.joints
        low = tuple(-one for one in increment)
        seen = copy.joints + copy.cameras
        self.architecture = PolicyArchitecture(seen, (options.hidden,), low, increment)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.network = HeadsGenerator(self.architecture, 2, (128, 128))
            self.critic = StepsCritic(self.architecture, options.probes)
        self._rng = np.random.default_rng(options.seed)

    def generate(self, steps: FloatArray, setting: npt.NDArray[np.int64]) -> FloatArray:
        """Return policies ``(P, n)`` for mean steps ``(P,)`` and settings ``(P,)``."""
        with torch.no_grad():
            made: FloatArray = self.network(self._command(steps, setting)).double().numpy()
        return made

    def obtained(
        self, thetas: FloatArray, setting: str, episodes: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Return the steps ``(P, M)`` of policies ``(P, n)`` in the copy of the task."""
        weights = torch.tensor(thetas, dtype=torch.float32)

        def act(numbers: npt.NDArray[np.int64], seen: FloatArray) -> FloatArray:
            inputs = torch.tensor(seen, dtype=torch.float32)[:, None]
            with torch.no_grad():
                shares = self.architecture.actions_of(weights[numbers], inputs)[:, 0]
            moves: FloatArray = shares.double().numpy() * self.copy.options.increment
            return moves

        steps, _ = self.copy.run(act, len(thetas), episodes, rng, setting)
        return steps

    def learn(self, on_iteration: Callable[[int], None] = lambda done: None) -> None:
        """Learn from the beginning.

        Args:
            on_iteration: told how many iterations are done.
        """
        about, rng = self.options, self._rng
        size = self.architecture.parameters
        thetas = np.zeros((0, size), np.float32)
        told = np.zeros((0, 3), np.float32)  # setting, mean and deviation in caps
        optimisers: list[Any] = [
            torch.optim.Adam(part.parameters(), about.learning_rate)
            for part in (self.critic, self.network)
        ]
        for done in range(1, about.iterations + 1):
            tried, found = self._try(rng)
            thetas = np.concatenate([thetas, tried.astype(np.float32)])[-about.kept :]
            told = np.concatenate([told, found.astype(np.float32)])[-about.kept :]
            for _ in range(about.updates):
                rows = rng.integers(len(thetas), size=about.batch_size)
                _step(optimisers[0], self.critic, self._critic_loss(thetas[rows], told[rows]))
            for _ in range(about.updates):
                _step(optimisers[1], self.network, self._generator_loss(rng))
            on_iteration(done)

    def policy(self, steps: float, setting: str, card: Mapping[str, Any]) -> NetworkPolicy:
        """Return a generated policy as ``/find_target`` runs it.

        Args:
            steps: that it is to need.
            setting: of dead cameras.
            card: of the protocol, and what else is to be told.
        """
        number = np.array([SETTINGS.index(setting)])
        theta = self.generate(np.array([steps]), number)[0]
        tensors = {}
        for layer, (weight, bias) in enumerate(self.architecture.layers(theta)):
            tensors[f"layer_{layer}.weight"] = weight.astype(np.float32)
            tensors[f"layer_{layer}.bias"] = bias.astype(np.float32)
        tensors["log_std"] = np.full(self.architecture.outputs, _NO_SPREAD, np.float32)
        told = {"commanded_steps": steps, "dead_cameras": setting}
        return NetworkPolicy(tensors, {**card, **told, "activation": "tanh", "squashed": True})

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card."""
        parts = {"generator": self.network, "critic": self.critic}
        tensors = {
            f"{name}.{key}": value
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        write_bytes(path, save(tensors))
        write_json(path.with_suffix(".json"), asdict(self.options))

    def load(self, path: Path) -> None:
        """Take what :meth:`save` wrote.

        Raises:
            UserError: it is damaged, or of other options.
        """
        if read_json(path.with_suffix(".json")) != asdict(self.options):
            raise UserError(f"{path} was made with other options; choose another folder.")
        try:
            tensors = load(path.read_bytes())
            for name, part in (("generator", self.network), ("critic", self.critic)):
                part.load_state_dict(part_of(tensors, f"{name}."))
        except Exception as error:  # safetensors raises its own kinds
            raise UserError(f"{path} is damaged; remove it, and it is made again.") from error

    # -- parts --------------------------------------------------------------------------------

    def _command(self, steps: Any, setting: Any) -> torch.Tensor:
        scaled = np.stack([np.asarray(steps) / self.options.cap, np.asarray(setting) / 2], 1)
        return torch.tensor(scaled, dtype=torch.float32)

    def _try(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return policies ``(P, n)`` for random commands, with noise, and what came of them."""
        about = self.options
        steps = rng.uniform(about.least, about.most, about.policies)
        setting = np.arange(about.policies) % len(SETTINGS)
        thetas = self.generate(steps, setting)
        thetas = thetas + about.sigma * rng.standard_normal(thetas.shape)
        found = np.zeros((about.policies, 3))
        found[:, 0] = setting / 2
        for number, name in enumerate(SETTINGS):
            own = setting == number
            if own.any():
                got = self.obtained(thetas[own], name, about.episodes, rng) / about.cap
                found[own, 1], found[own, 2] = got.mean(1), got.std(1)
        return thetas, found

    def _critic_loss(self, thetas: Any, told: Any) -> Any:
        rows = torch.from_numpy(told)
        return ((self.critic(torch.from_numpy(thetas), rows[:, :1]) - rows[:, 1:]) ** 2).mean()

    def _generator_loss(self, rng: np.random.Generator) -> Any:
        about = self.options
        steps = rng.uniform(about.least, about.most, about.batch_size)
        command = self._command(steps, rng.integers(len(SETTINGS), size=about.batch_size))
        told = self.critic(self.network(command), command[:, 1:])
        error = (told[:, 0] - command[:, 0]) ** 2
        return (error + about.spread_weight * told[:, 1] ** 2).mean()


def _step(optimiser: Any, module: nn.Module, loss: Any) -> None:
    """Move one network; the other's gradients are not made."""
    own = list(module.parameters())
    for parameter, gradient in zip(own, torch.autograd.grad(loss, own), strict=True):
        parameter.grad = gradient
    optimiser.step()
