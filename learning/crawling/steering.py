"""Crawl to a target: the limb that points to it best leads, chosen anew in each cycle."""

from __future__ import annotations

import math

from asterias.arrays import FloatArray
from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.gaits import Gait, led_by
from learning.crawling.limb_modes import limb_towards


def leading_limb(environment: StarfishCrawlEnv) -> int:
    """Return the number of the limb that points to the environment's target best."""
    direction = environment.direction()
    bearing = math.atan2(float(direction[1]), float(direction[0]))
    return limb_towards(bearing, environment.crawler.limbs)


def reach_target(
    environment: StarfishCrawlEnv, theta: FloatArray, seed: int = 0
) -> dict[str, float]:
    """Crawl to the target of an environment with a gait that limb 0 leads.

    Returns:
        Whether it was ``reached`` (1 or 0), after how many ``seconds``, and the ``distance_m``
        that is left.
    """
    control_hz = float(environment.metadata["render_fps"])
    cycle = max(round(control_hz / environment.options.frequency_hz), 1)
    observation, _ = environment.reset(seed=seed)
    steps, over, reached = 0, False, False
    gait = Gait(theta, {})
    while not over:
        if steps % cycle == 0:
            gait = Gait(led_by(theta, leading_limb(environment)), {})
        action = gait.act(observation)
        observation, _, reached, truncated, _ = environment.step(action)
        steps, over = steps + 1, reached or truncated
    return {
        "reached": float(reached),
        "seconds": steps / control_hz,
        "distance_m": environment.distance_m(),
    }
