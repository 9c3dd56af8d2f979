"""What trainings of whole-body policies share: what fails, how long, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from learning.starfish.options import BodySearchOptions
from learning.starfish.policy import BodyPolicy

# Steps so far, and the share found within :data:`WITHIN` of late; whoever is told may raise.
OnBodyProgress = Callable[[int, float], None]
# Searches of a training end after so many steps; figures say what is found within fewer.
LONGEST, WITHIN = 4, 3
# A find is worth so much less with each step: what is wanted is finds within three.
GAMMA = 0.8
# Each kind of failure gets an equal share of the searches of a training.
FAILURES: dict[str, dict[str, Any]] = {
    "all cameras": {},
    "half of them dead": {"dead_cameras": 0.5},
    "two limbs dead": {"dead_limbs": 2},
}


@dataclass(frozen=True)
class BodyTraining:
    """What is trained.

    Attributes:
        algorithm: ``pathwise``, ``ppo`` or ``pgpe``.
        sharing: ``limbs``: one policy that all limbs share; ``body``: one for all of them.
        seed: of everything.
        steps: of one robot, all searches together.
        hidden: units of the hidden layers.
        options: of the task; what fails is drawn from :data:`FAILURES` unless they say so.
    """

    algorithm: str
    sharing: str = "limbs"
    seed: int = 0
    steps: int = 300_000
    hidden: tuple[int, ...] = (64, 64)
    options: BodySearchOptions = field(default_factory=BodySearchOptions)

    @property
    def settings(self) -> list[BodySearchOptions]:
        """The task with each kind of failure."""
        if self.options.dead_cameras or self.options.dead_limbs or self.options.silent_cameras:
            return [self.options]
        return [replace(self.options, **changes) for changes in FAILURES.values()]

    def policy_of(self, layers: Iterable[Any], limbs: int) -> BodyPolicy:
        """Return the policy of linear layers of torch."""
        arrays = tuple(
            (layer.weight.detach().numpy().astype(float), layer.bias.detach().numpy().astype(float))
            for layer in layers
        )
        return BodyPolicy(arrays, self.sharing, limbs, {})
