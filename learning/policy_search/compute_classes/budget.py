"""Compute classes: how many steps a learner may take in a class, from its measured throughput.

A class is a time on one reference machine. Throughput is measured once there; what may be spent is
``throughput x time``, and that many steps are then taken on whatever machine (arXiv 2309.11197).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Rounds that are not timed, and rounds that are, as in the paper's code.
WARM_UP, TIMED = 5, 15


def allowed_steps(
    throughput: float, seconds: float, batch_size: int = 1, sequence_length: int = 1
) -> float:
    """Return the updates of a compute class.

    ``steps = throughput x seconds / (batch_size x sequence_length)``.

    Args:
        throughput: items (tokens, steps of an environment) per second on the reference machine.
        seconds: of the class.
        batch_size: sequences of an update.
        sequence_length: items of a sequence.
    """
    return throughput * seconds / (batch_size * sequence_length)


@dataclass(frozen=True)
class PublishedClass:
    """A row of the paper's configurations.

    Attributes:
        model: name of the configuration.
        hours: of the class, on an RTX 3090.
        tokens_per_s: throughput there.
        batch_size: sequences of an update.
        steps: updates that the paper allows.
    """

    model: str
    hours: float
    tokens_per_s: float
    batch_size: int
    steps: int

    @property
    def formula_steps(self) -> float:
        """Updates by :func:`allowed_steps`; sequences have 512 tokens."""
        return allowed_steps(self.tokens_per_s, 3600 * self.hours, self.batch_size, 512)


# From the configurations of the paper's repository.
PUBLISHED = (
    PublishedClass("GPT small", 6, 55_416, 128, 18_265),
    PublishedClass("GPT small", 12, 55_416, 128, 36_529),
    PublishedClass("GPT small", 24, 55_416, 256, 36_529),
    PublishedClass("GPT medium", 48, 16_618, 256, 21_908),
    PublishedClass("GPT medium", 96, 16_618, 256, 43_817),
    PublishedClass("qLSTM mini", 6, 94_781, 80, 49_982),
    PublishedClass("qLSTM tiny", 12, 36_930, 80, 38_950),
    PublishedClass("qLSTM small", 24, 11_143, 84, 22_385),
    PublishedClass("qLSTM small", 48, 11_143, 80, 47_010),
    PublishedClass("qLSTM small", 96, 11_143, 160, 47_010),
)


def largest_deviation(rows: Sequence[PublishedClass] = PUBLISHED) -> float:
    """Return the largest relative deviation of the formula from the published steps."""
    return max(abs(row.formula_steps / row.steps - 1) for row in rows)


def measure_throughput(
    iterate: Callable[[], int], limit_s: float, clock: Callable[[], float] = time.process_time
) -> float:
    """Return steps per second of whole iterations, simulation and learning.

    5 iterations warm up and 15 are timed, as in the paper's code. Where they would take longer than
    ``limit_s``, both are fewer; one is always timed.

    Args:
        iterate: runs one iteration, and returns its steps.
        limit_s: time after which no further iteration is begun.
        clock: the processor's time of this process. Wall time would measure what else the machine
            does: it moved such figures by a factor of 2 to 6.
    """
    began = clock()
    warm = 0
    # A quarter of the time for what warms up, so that a slow learner is timed at all.
    while warm < WARM_UP and (not warm or clock() - began < limit_s / 4):
        iterate()
        warm += 1
    timed_from, steps, rounds = clock(), 0, 0
    while rounds < TIMED and (not rounds or clock() - began < limit_s):
        steps += iterate()
        rounds += 1
    return steps / max(clock() - timed_from, 1e-9)
