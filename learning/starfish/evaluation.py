"""Episodes of ``Asterias/StarfishTargetFinding-v0`` in the simulation, with its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from learning.starfish.environment import StarfishTargetFindingEnv
from learning.starfish.options import BodySearchOptions
from learning.starfish.policy import load_body_policy
from learning.starfish.searchers import (
    BODY_SEARCHERS,
    KNOWING,
    BodySearcher,
    KnowingSearcher,
    make_body_searcher,
)
from learning.starfish.settings import WITHIN


@dataclass(frozen=True)
class BodyEpisode:
    """How one search ended.

    Attributes:
        steps: that it took.
        found: whether a camera decoded the tag.
        camera: number of it, through all limbs; -1 if none did.
    """

    steps: int
    found: bool
    camera: int


def body_episodes(
    environment: StarfishTargetFindingEnv, searcher: BodySearcher, count: int, seed: int
) -> Iterator[BodyEpisode]:
    """Yield how searches end; episode ``i`` depends on ``(seed, i)`` alone."""
    for episode in range(count):
        start, draws = np.random.SeedSequence((seed, episode)).generate_state(2)
        searcher.start(np.random.default_rng(int(draws)))
        observation, _ = environment.reset(seed=int(start))
        if isinstance(searcher, KnowingSearcher):
            searcher.target = environment.target
        found = truncated = False
        steps = 0
        info: dict[str, Any] = {}
        while not (found or truncated):
            action = searcher.act(observation).ravel().astype(np.float32)
            observation, _, found, truncated, info = environment.step(action)
            steps += 1
        yield BodyEpisode(steps, found, int(info.get("camera", -1)))


def measure_by_name(
    name: str,
    changes: Mapping[str, Any],
    count: int,
    seed: int,
    on_episode: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Return the figures of a searcher or a policy.

    Args:
        name: of a searcher of :data:`BODY_SEARCHERS`, ``knows``, or a policy's name or path.
        changes: of the task's options; what they leave is as in the policy's training.
        count: episodes.
        seed: of all of them.
        on_episode: called after each.

    Returns:
        Figures, as the result file holds them; an episode without a find counts the cap's steps.
    """
    trained: dict[str, Any] = {}
    if name != KNOWING and name not in BODY_SEARCHERS.names():
        about = load_body_policy(name).card.get("options", {})
        trained = {key: about[key] for key in ("increment", "robot") if key in about}
    options = BodySearchOptions(**{**trained, **changes})
    environment = StarfishTargetFindingEnv(options)
    try:
        searcher = make_body_searcher(name, environment.sight, options)
        results = []
        for result in body_episodes(environment, searcher, count, seed):
            results.append(result)
            on_episode()
    finally:
        environment.close()
    return {"policy": name, "cap": options.cap, **summarise(results), "options": asdict(options)}


def summarise(results: list[BodyEpisode]) -> dict[str, Any]:
    """Return the figures of episodes."""
    steps = np.array([result.steps for result in results])
    found = np.array([result.found for result in results])
    finds = [result.camera for result in results if result.found]
    return {
        "episodes": len(results),
        "mean_steps": round(float(steps.mean()), 3),
        "std_steps": round(float(steps.std(ddof=1)), 3) if len(results) > 1 else 0.0,
        "success_within_cap": round(float(found.mean()), 4),
        "found_within": [
            round(float((found & (steps <= n)).mean()), 4) for n in range(1, WITHIN + 1)
        ],
        "within": WITHIN,
        "found_by_camera": np.bincount(finds, minlength=1).tolist(),
    }
