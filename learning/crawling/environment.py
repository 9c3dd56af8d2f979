"""``Asterias/StarfishCrawl-v0``: crawl on the ground with six soft limbs.

Action ``(12,)`` from -1 to 1: for each limb how far its end presses down and how far it sweeps to
the left, as shares of its joints' limits, held for 80 ms; ``(6,)`` where both sides do the same
(``mirrored=True``). Observation float32: sine and cosine of the gait's clock, and with
``observe="body"`` also the body's upright (3), velocity in its own frame in body lengths a second
(2), turning rate in rad/s, direction of the target or heading in its own frame (2), and which limbs
work (one each). Reward: body lengths made in the heading, or towards the target. An episode ends
within a tenth of a body length of the target.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from asterias.arrays import FloatArray
from learning.crawling.crawler import Crawler
from learning.crawling.limb_modes import CONTROL_HZ, MODES, mirroring
from learning.crawling.options import CrawlOptions
from learning.crawling.view import draw_crawler
from learning.training.actions import continuous_action
from learning.training.environment_options import changed_options, check_render_mode

ARRIVED_LENGTHS = 0.1
CrawlObservation = NDArray[np.float32]


class StarfishCrawlEnv(gymnasium.Env[CrawlObservation, NDArray[np.float32]], EzPickle):
    """Task for learners.

    A pickled environment is one with the same options, before its first reset.

    Args:
        options: of the task.
        render_mode: ``rgb_array`` lets :meth:`render` return the robot from outside.
        changes: fields of the options, as ``gymnasium.make`` passes them.

    Raises:
        UserError: an option cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}  # noqa: RUF012

    def __init__(
        self,
        options: CrawlOptions | None = None,
        render_mode: str | None = None,
        **changes: Any,
    ) -> None:
        EzPickle.__init__(self, options, render_mode, **changes)
        check_render_mode(render_mode)
        self.options = changed_options("StarfishCrawl", options or CrawlOptions(), changes)
        self.render_mode = render_mode
        self.crawler = Crawler(self.options)
        self.face(self.options.heading_rad)
        self._steps, self._ready = 0, False
        self._limit = max(round(self.options.duration_s * CONTROL_HZ), 1)
        self._works = np.ones(self.crawler.limbs)
        limbs = self.crawler.limbs
        self._spread = mirroring(limbs) if self.options.mirrored else np.eye(MODES * limbs)
        self.action_space = spaces.Box(-1.0, 1.0, (self._spread.shape[1],), np.float32)
        size = self._observation().size
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)

    def face(self, heading_rad: float) -> None:
        """Count distance in another direction from now on."""
        self._heading = np.array([np.cos(heading_rad), np.sin(heading_rad)])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[CrawlObservation, dict[str, Any]]:
        """Put the robot straight on the ground.

        Returns:
            The first observation, and information on the episode.
        """
        super().reset(seed=seed)
        broken = list(self.options.broken)
        whole = [limb for limb in range(self.crawler.limbs) if limb not in broken]
        drawn = self.np_random.choice(whole, self.options.draw_broken, replace=False)
        broken += drawn.tolist()
        self._works[:] = 1.0
        self._works[broken] = 0.0
        self.crawler.reset(broken)
        self._steps, self._ready = 0, True
        return self._observation(), {"lengths": 0.0, "broken_limbs": len(broken)}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[CrawlObservation, float, bool, bool, dict[str, Any]]:
        """Command all limbs for 80 ms.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.

        Raises:
            gymnasium.error.ResetNeeded: no episode has been started.
        """
        if not self._ready:
            raise gymnasium.error.ResetNeeded("Call reset() before step().")
        modes = self._spread @ continuous_action(action, self._spread.shape[1])
        before = self._progress_m()
        self.crawler.command(modes.reshape(-1, MODES))
        self._steps += 1
        made = (self._progress_m() - before) / self.crawler.length_m
        arrived = self.distance_m() < ARRIVED_LENGTHS * self.crawler.length_m
        truncated = not arrived and self._steps >= self._limit
        self._ready = not (arrived or truncated)
        information = {"lengths": float(self._progress_m() / self.crawler.length_m)}
        return self._observation(), float(made), arrived, truncated, information

    def distance_m(self) -> float:
        """Return how far the target is; without one, infinity."""
        if self.options.target_m is None:
            return float("inf")
        return float(np.linalg.norm(np.array(self.options.target_m) - self.crawler.position_m))

    def _progress_m(self) -> float:
        target = self.options.target_m
        if target is None:
            return float(self._heading @ self.crawler.position_m)
        return float(np.linalg.norm(target)) - self.distance_m()

    def _observation(self) -> CrawlObservation:
        phase = 2.0 * np.pi * self.options.frequency_hz * self._steps / CONTROL_HZ
        clock = [np.sin(phase), np.cos(phase)]
        if self.options.observe == "clock":
            return np.array(clock, np.float32)
        world = self.crawler.world
        rotation, velocity = world.rotation(), world.velocity_m_s()
        spin = float(world.state.v[3:6] @ world.frames.axis[3:6, 2])
        own = (rotation.T @ velocity)[:2] / self.crawler.length_m
        parts = [clock, rotation[:, 2], own, [spin], self.direction(), self._works]
        return np.concatenate(parts).astype(np.float32)

    def direction(self) -> FloatArray:
        """Return the direction of the target or the heading in the body's frame ``(2,)``."""
        way = self._heading
        if self.options.target_m is not None:
            way = np.array(self.options.target_m) - self.crawler.position_m
        own: FloatArray = (self.crawler.world.rotation().T @ np.array([*way, 0.0]))[:2]
        return own / max(float(np.linalg.norm(own)), 1e-9)

    def render(self) -> NDArray[np.uint8] | None:
        """Return the robot from outside ``(H, W, 3)`` RGB, where that was asked for.

        Returns:
            The picture, or None.
        """
        if self.render_mode is None:
            return None
        return draw_crawler(self.crawler)
