"""Networks of a policy by name, with what their training needs."""

from __future__ import annotations

from dataclasses import dataclass

from asterias.registry import Registry

# Steps of an iteration, after which a learner learns: the paper's 15 episodes of 5, or ours.
PAPER_ITERATION, ITERATION = 75, 300
HIDDEN = (64, 64)
# Logarithm of the standard deviation that a policy begins with, the paper's code's.
LOG_STD = -1.0


@dataclass(frozen=True)
class PolicyNetwork:
    """A network, and PPO's settings for it.

    Attributes:
        summary: one line for people.
        hidden: units of each hidden layer of policy and value.
        iteration: steps between two updates.
        batch: steps of a gradient.
        epochs: passes over an iteration's steps.
        learning_rate: at the start; falls to 0.
        clip_value: clip range of the value's update; None leaves it free.
    """

    summary: str
    hidden: tuple[int, ...]
    iteration: int
    batch: int
    epochs: int
    learning_rate: float
    clip_value: float | None = None


NETWORKS: Registry[PolicyNetwork] = Registry("policy network")
# One linear layer for the mean, one for the value, 49 numbers in all, and the settings of the
# paper's code (arXiv 2404.08093, version 2).
NETWORKS.register(
    "linear", PolicyNetwork("the paper's", (), PAPER_ITERATION, PAPER_ITERATION, 5, 0.1, 0.2)
)
NETWORKS.register(
    "mlp", PolicyNetwork("two hidden layers of 64", HIDDEN, ITERATION, ITERATION // 4, 10, 4e-3)
)
