"""One ViZDoom process with mazes in it: moves, looks, and says when it has died.

The engine's own physics moves the player: each tic (1/35 s) thrust is added to the velocity and,
after the move, friction leaves 29/32 of it. :meth:`MazeGame.drive` inverts that, so callers give
velocities. Seeds of the engine are set by us; nothing in these mazes is random but what we draw.
"""

from __future__ import annotations

import math
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import vizdoom

from asterias.arrays import ImageArray
from asterias.context import Closeable
from asterias.errors import HardwareError
from sim.doom.maps import MazeMap, cell_at, centre_of, map_name, write_wad

Pose = tuple[float, float, float]

TICS_PER_S = 35
PLAYER_RADIUS_UNITS = 16
MAX_SPEED_UNITS = 12.0
"""Greatest speed in map units per tic; the engine's own limit is 16.7."""
_UNITS_PER_THRUST = 1 / 32
_MAX_THRUST = 40.0  # sideways; forward it is 50
# The player stands still for a few tics after the start of a map.
_FROZEN_TICS = 10
# Pictures of this size are the engine's smallest; 4:3.
WIDTH_PX, HEIGHT_PX = 160, 120
_ENDED = (
    vizdoom.ViZDoomErrorException,
    vizdoom.ViZDoomUnexpectedExitException,
    vizdoom.ViZDoomIsNotRunningException,
    vizdoom.MessageQueueException,
    vizdoom.SharedMemoryException,
)


class GameDiedError(HardwareError):
    """The engine's process has ended; :meth:`MazeGame.restart` starts another."""


class MazeGame(Closeable):
    """Mazes that can be walked through; the first is loaded.

    Args:
        worlds: 1 to 99 mazes.
        seed: of the engine.

    Raises:
        GameDiedError: by every method that asks a dead engine.
    """

    def __init__(self, worlds: Sequence[MazeMap], seed: int = 0) -> None:
        self.worlds, self.seed = tuple(worlds), seed
        self.restarts = 0
        self._index = 0
        self._state: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="asterias-doom-")
        self._wad = Path(self._folder.name) / "mazes.wad"
        self._game: Any = None
        self._guard: subprocess.Popen[bytes] | None = None
        self.replace(worlds)

    # -- life -----------------------------------------------------------------------------------

    def replace(self, worlds: Sequence[MazeMap]) -> None:
        """Put other mazes in the place of these; the engine starts anew."""
        self._wad.write_bytes(write_wad(worlds))
        self.worlds, self._index = tuple(worlds), 0
        self._start()

    def restart(self) -> None:
        """Start the engine again, in the maze of before, at its start."""
        self.restarts += 1
        self._start()

    def close(self) -> None:
        """End the engine."""
        self._end()
        self._folder.cleanup()

    @property
    def process_id(self) -> int | None:
        """The engine's process, None where it has died."""
        return self._process_id if psutil.pid_exists(self._process_id) else None

    def _end(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        if self._game is not None:
            self._game.close()
            self._game = None

    def _start(self) -> None:
        self._end()
        folder = Path(self._folder.name)
        self._game = _new_game(self._wad, folder / "vizdoom.ini", self.seed)
        engine = _engine_in(folder)
        if os.access(engine, os.X_OK):  # not where temporary files may not be executed
            self._game.set_vizdoom_path(str(engine))
        before = {child.pid for child in psutil.Process().children()}
        try:
            self._game.init()
        except _ENDED as error:
            raise GameDiedError(f"ViZDoom does not start: {error}") from error
        new = [c.pid for c in psutil.Process().children() if c.pid not in before]
        self._process_id = new[0] if new else -1
        self._guard = _guard(self._process_id)
        self.load(self._index)

    def load(self, index: int) -> None:
        """Begin the maze ``worlds[index]`` at its start."""
        self._index = index
        self._guarded(self._game.set_doom_map, map_name(index + 1))
        self._guarded(self._game.new_episode)
        self._tic(tics=_FROZEN_TICS)

    # -- what is ----------------------------------------------------------------------------------

    @property
    def world(self) -> MazeMap:
        """The maze that is loaded."""
        return self.worlds[self._index]

    @property
    def pose(self) -> Pose:
        """Position x and y in map units, and yaw in rad, counter-clockwise from east."""
        x, y, angle = self._state.game_variables[:3]
        return float(x), float(y), math.radians(float(angle))

    @property
    def velocity(self) -> tuple[float, float]:
        """Velocity along x and y in map units per tic."""
        x, y = self._state.game_variables[3:5]
        return float(x), float(y)

    @property
    def cell(self) -> tuple[int, int]:
        """The cell that the player is in."""
        x, y, _ = self.pose
        return cell_at(x, y, len(self.world.maze))

    @property
    def picture(self) -> ImageArray:
        """What the player sees: RGB ``(120, 160, 3)``."""
        picture: ImageArray = self._state.screen_buffer.copy()  # the engine draws into it again
        return picture

    # -- what can be done -------------------------------------------------------------------------

    def drive(self, forward: float, left: float, turn_rad: float) -> None:
        """Let a tic pass: ``forward`` and ``left`` in units per tic, ``turn_rad`` in this tic.

        What the engine's thrust cannot do in one tic is done in the next ones; walls stop.
        """
        speed = math.hypot(forward, left)
        scale = min(1.0, MAX_SPEED_UNITS / speed) if speed else 0.0
        yaw = self.pose[2] + turn_rad  # the engine turns first
        cos, sin = math.cos(yaw), math.sin(yaw)
        x, y = self.velocity
        ahead = scale * forward - (cos * x + sin * y)
        aside = scale * left - (cos * y - sin * x)
        thrust = np.array([ahead, -aside]) / _UNITS_PER_THRUST
        thrust *= min(1.0, _MAX_THRUST / max(float(np.abs(thrust).max()), 1e-9))
        self._tic([float(thrust[0]), float(thrust[1]), -math.degrees(turn_rad)])

    def warp(self, cell: tuple[int, int], offset: tuple[int, int] = (0, 0)) -> None:
        """Put the player into the middle of a cell, or ``offset`` units east and north of it."""
        x, y = centre_of(cell, len(self.world.maze))
        self._warp(x + offset[0], y + offset[1])

    def warp_to(self, pose: Pose) -> None:
        """Put the player at a pose, to the nearest map unit, at rest."""
        self._warp(round(pose[0]), round(pose[1]))
        self.drive(0.0, 0.0, math.remainder(pose[2] - self.pose[2], math.tau))

    def _warp(self, x: int, y: int) -> None:
        self._guarded(self._game.send_game_command, f"warp {x} {y}")
        self._tic()  # in this tic the eyes are on the floor: no picture to be used

    def look_around(self, turn_back: bool = True) -> list[ImageArray]:
        """Brake, and look north, east, south and west.

        The player ends as it stood, or, to save a tic, looking west.

        Returns:
            The pictures.
        """
        yaw = self.pose[2]
        pictures = []
        for compass in (90, 0, -90, 180):
            turn = math.remainder(math.radians(compass) - self.pose[2], math.tau)
            self.drive(0.0, 0.0, turn)
            pictures.append(self.picture)
        if turn_back:
            self.drive(0.0, 0.0, math.remainder(yaw - self.pose[2], math.tau))
        return pictures

    def _tic(self, action: Sequence[float] = (0.0, 0.0, 0.0), tics: int = 1) -> None:
        self._guarded(self._game.make_action, list(action), tics)
        self._state = self._guarded(self._game.get_state)
        if self._state is None:
            raise GameDiedError("ViZDoom has ended the episode by itself.")

    def _guarded(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except _ENDED as error:
            raise GameDiedError(f"The ViZDoom process has ended: {error}") from error


def _guard(process_id: int) -> subprocess.Popen[bytes] | None:
    """Return a process that kills the engine when this one ends without closing it (SIGKILL).

    It waits for the end of a pipe; an engine left alone would wait for orders for ever.
    """
    if process_id <= 0:
        return None
    return subprocess.Popen(
        ["sh", "-c", f"read -r _; kill -9 {process_id}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _engine_in(folder: Path) -> Path:
    """Return a script that starts the engine in ``folder``: it makes ``_vizdoom`` where it is."""
    script = folder / "vizdoom"
    engine = shlex.quote(str(Path(vizdoom.__file__).parent / "vizdoom"))
    script.write_text(
        f'#!/bin/sh\ncd {shlex.quote(str(folder))} && exec {engine} "$@"\n', encoding="utf-8"
    )
    script.chmod(0o700)
    return script


def _new_game(wad: Path, settings: Path, seed: int) -> Any:
    game = vizdoom.DoomGame()
    game.set_doom_config_path(str(settings))
    game.set_doom_scenario_path(str(wad))
    game.set_doom_map(map_name(1))
    game.set_seed(seed)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_window_visible(False)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    for hide in (
        game.set_render_hud,
        game.set_render_weapon,
        game.set_render_crosshair,
        game.set_render_messages,
        game.set_render_particles,
    ):
        hide(False)
    game.set_episode_timeout(0)
    for button in ("MOVE_FORWARD_BACKWARD_DELTA", "MOVE_LEFT_RIGHT_DELTA", "TURN_LEFT_RIGHT_DELTA"):
        game.add_available_button(getattr(vizdoom.Button, button))
    for name in ("POSITION_X", "POSITION_Y", "ANGLE", "VELOCITY_X", "VELOCITY_Y"):
        game.add_available_game_variable(getattr(vizdoom.GameVariable, name))
    return game
