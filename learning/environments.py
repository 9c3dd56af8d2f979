"""The environments of Asterias for Gymnasium, by their plain names.

``import learning.environments`` makes them known to ``gymnasium.make``: Gymnasium 1.0 and later ask
for an import, since they look at no entry points. So does
``gymnasium.make("learning.environments:Asterias/TargetFinding-v0")`` by itself. An environment's
own module is imported when it is made.
"""

from __future__ import annotations

ENVIRONMENTS = {
    "Asterias/TargetFinding-v0": "learning.target_finding.env.environment:TargetFindingEnv",
    "Asterias/DoomMaze-v0": "learning.doom_maze.environment:DoomMazeEnv",
    "Asterias/DoomMazeCells-v0": "learning.doom_maze.environment:DoomMazeCellsEnv",
    "Asterias/BallMaze-v0": "learning.ball_maze.environment:BallMazeEnv",
    "Asterias/StarfishCrawl-v0": "learning.crawling.environment:StarfishCrawlEnv",
    "Asterias/StarfishTargetFinding-v0": "learning.starfish.environment:StarfishTargetFindingEnv",
}
# Those of which many worlds are moved in one loop, for ``gymnasium.make_vec``.
VECTORISED = {
    "Asterias/TargetFinding-v0": (
        "learning.target_finding.env.vector_environment:TargetFindingVectorEnv"
    ),
}


def register_environments() -> None:
    """Register all environments that are not registered yet."""
    # Imported here: this project's plug-in calls this function while Gymnasium is imported.
    from gymnasium.envs.registration import register, registry

    for name, entry_point in ENVIRONMENTS.items():
        if name not in registry:
            # They enforce the order of calls themselves, and tests check them: without Gymnasium's
            # wrappers, what `make` returns has `compute_reward` where the task has goals.
            register(
                id=name,
                entry_point=entry_point,
                vector_entry_point=VECTORISED.get(name),
                order_enforce=False,
                disable_env_checker=True,
            )


register_environments()
