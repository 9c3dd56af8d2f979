"""A gait after limbs are lost: which way leads best, then a hill climb, in 20 episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.gaits import GAP_LIMBS, led_by, led_by_gap, walk
from learning.crawling.learners.gait_learner import TEST_S, TRAINING_S

ADAPTING_EPISODES = 20
# Of the mutations while adapting: a tenth of what the learners begin with.
MUTATION = 0.1


def distinct_losses(limbs: int, lost: int) -> list[tuple[int, ...]]:
    """Return the ways to lose so many limbs that differ by more than a turn or a mirror image."""
    found: list[tuple[int, ...]] = []
    for broken in combinations(range(limbs), lost):
        alike = {
            tuple(sorted((side * limb + turn) % limbs for limb in broken))
            for side in (1, -1)
            for turn in range(limbs)
        }
        if alike.isdisjoint(found):
            found.append(broken)
    return found


def adapt(theta: FloatArray, broken: Sequence[int], limbs: int) -> dict[str, Any]:
    """Return figures of lost limbs: tries which limb or gap leads, then mutates the best.

    Each try is an episode of training length; distance counts where the leader points, and is
    extrapolated to an episode of a test with the turn that was made (:func:`score`).

    Args:
        theta: the gait of the whole robot, which limb 0 leads.
        broken: numbers of the lost limbs, which also seed the mutations.
        limbs: how many the robot has.
    """
    rng = np.random.default_rng(list(broken))
    short = StarfishCrawlEnv(broken=tuple(broken), duration_s=TRAINING_S)
    turn = 2.0 * math.pi / limbs
    leads = [(led_by(theta, k), turn * k) for k in range(limbs)]
    if limbs == GAP_LIMBS:
        leads += [(led_by_gap(theta, k), turn * (k + 0.5)) for k in range(limbs)]
    scores = [score(short, tried, heading) for tried, heading in leads]
    lead = int(np.argmax(scores))
    (best, heading), most = leads[lead], scores[lead]
    for _ in range(ADAPTING_EPISODES - len(leads)):
        tried = best + MUTATION * rng.standard_normal(best.size)
        found = score(short, tried, heading)
        if found > most:
            best, most = tried, found
    long = StarfishCrawlEnv(broken=tuple(broken), duration_s=TEST_S)
    long.face(heading)
    return {
        "limbs": list(broken),
        "episodes": ADAPTING_EPISODES,
        # Which limb leads when others are lost is chance: all are as likely.
        "before": round(float(np.mean(scores[:limbs])), 3),
        "leader": f"limb {lead}" if lead < limbs else f"gap left of limb {lead - limbs}",
        "after": round(walk(long, best)["lengths_per_min"], 3),
    }


def score(environment: StarfishCrawlEnv, theta: FloatArray, heading_rad: float) -> float:
    """Return the body lengths a minute in a heading that a test as long as ``TEST_S`` would see.

    A robot that turns at a steady rate by ``a`` in that time gets ``sin(a) / a`` as far as one that
    does not turn: a short episode hides a curve.
    """
    environment.face(heading_rad)
    speed = walk(environment, theta)["lengths_per_min"]
    rotation = environment.crawler.world.rotation()
    yaw = math.atan2(rotation[1, 0], rotation[0, 0])
    turned = yaw * TEST_S / environment.options.duration_s
    return speed * float(np.sinc(turned / math.pi))
