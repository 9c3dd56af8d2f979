"""A ball pushed through mazes: DT-VIN's continuous control, with PyBullet for MuJoCo.

``gymnasium.make("learning.ball_maze:Asterias/BallMaze-v0")`` is the task for learners;
``python -m learning.doom_maze ball`` measures a planner that was trained on 2-D mazes alone.
"""

from __future__ import annotations

from learning.environments import register_environments

ENVIRONMENT_ID = "Asterias/BallMaze-v0"

register_environments()
