"""Mazes in ViZDoom for learners, and the agents that walk through them.

``import learning.doom_maze`` makes two environments known to Gymnasium, as does
``gymnasium.make("learning.doom_maze:Asterias/DoomMaze-v0")`` by itself: ``Asterias/DoomMaze-v0``
with continuous first-person control, and ``Asterias/DoomMazeCells-v0`` with cell-wise moves.
"""

from __future__ import annotations

from learning.environments import register_environments

ENVIRONMENT_ID = "Asterias/DoomMaze-v0"
CELLS_ENVIRONMENT_ID = "Asterias/DoomMazeCells-v0"

register_environments()
