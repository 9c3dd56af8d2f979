"""``python -m learning.doom_maze textures``: look at the textures of a group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asterias.cli import check_file, check_seed
from asterias.errors import UserError

# 1 = free; the camera stands in the south-west corner and looks north.
_MAZE = ((0, 0, 0, 0, 0), (0, 1, 1, 1, 0), (0, 1, 0, 1, 0), (0, 1, 1, 1, 0), (0, 0, 0, 0, 0))
_CELL, _NORTH = (3, 1), 0


@dataclass(frozen=True)
class DrawTextures:
    """Draw a passage as the camera sees it, with textures of each group."""

    out: Path
    """Picture to write, for example results/doom/textures.png."""
    groups: tuple[str, ...] = ("training", "any", "held_out", "unseen")
    """Groups of textures, or sets, a row of pictures each."""
    looks: int = 6
    """Pictures of a group."""
    seed: int = 1
    """Seed of the first look of each group."""

    def run(self) -> int:
        """Look, and write the picture.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        import numpy as np

        from hardware.perception.images import save_png
        from sim.doom.game import MazeGame
        from sim.doom.maps import MazeMap
        from sim.doom.pictures import sheet_of
        from sim.doom.textures import choose_look

        check_file("--out", self.out)
        check_seed(self.seed)
        if not 1 <= self.looks <= 24 or not 1 <= len(self.groups) <= 4:
            raise UserError("give 1 to 24 --looks and 1 to 4 --groups.")
        try:
            chosen = [
                choose_look(group, self.seed + number)
                for group in self.groups
                for number in range(self.looks)
            ]
        except ValueError as error:
            raise UserError(str(error)) from error
        pictures = []
        maze = np.array(_MAZE, np.uint8)
        with MazeGame([MazeMap(maze, _CELL, look=look) for look in chosen]) as game:
            for index in range(len(chosen)):
                game.load(index)
                game.warp(_CELL, (0, 0))
                pictures.append(game.look_around(turn_back=False)[_NORTH])
        save_png(str(self.out), sheet_of(pictures, self.looks, f"rows: {', '.join(self.groups)}"))
        print(f"{len(pictures)} pictures, a row each of {', '.join(self.groups)}: {self.out}")
        return 0
