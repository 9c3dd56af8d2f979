"""MinAtar's games (arXiv 1903.03176) with the whole reward paid at the end of the episode.

The package is the extra ``minatar``, under the GPL; nothing of it is needed by anything else here::

    pip install --no-deps MinAtar==1.0.15
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from asterias.errors import UserError
from learning.highway.tasks import Seen

GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")
INSTALL = "pip install --no-deps MinAtar==1.0.15"


def load_game(game: str) -> Any:
    """Return the module of a game.

    Args:
        game: name in :data:`GAMES`.

    Raises:
        UserError: there is no such game, or the package is missing.
    """
    if game not in GAMES:
        raise UserError(f"MinAtar has no game {game!r}; choose one of {', '.join(GAMES)}.")
    handlers = list(logging.root.handlers)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the package warns that it cannot draw without seaborn
    try:
        return importlib.import_module(f"minatar.environments.{game}")
    except ImportError as error:
        raise UserError(f"MinAtar's games are not installed; they come with: {INSTALL}") from error
    finally:
        logging.disable(before)
        logging.root.handlers[:] = handlers


class MinAtarEnv(gymnasium.Env[Seen, int]):
    """A game of MinAtar with its minimal set of actions, seen as ``(C * 100,)`` float32 of 0 and 1.

    Channels come first, so that ``reshape(C, 10, 10)`` is the image.

    Args:
        game: name in :data:`GAMES`.
        delayed: pay all rewards at the end of the episode, also where a limit ends it.
        sticky: probability that the last action is repeated, MinAtar's default.
        cap: steps after which an episode is truncated.

    Attributes:
        channels: C.
    """

    def __init__(
        self, game: str, *, delayed: bool = True, sticky: float = 0.1, cap: int = 1000
    ) -> None:
        if not 0.0 <= sticky < 1.0 or cap < 1:
            raise UserError("A game needs sticky actions from 0 to below 1, and a cap above 0.")
        self._game = load_game(game).Env(ramping=True)
        self._actions = self._game.minimal_action_set()
        self.delayed, self.sticky, self.cap = delayed, sticky, cap
        self.channels = int(self._game.state_shape()[2])
        self.observation_space = spaces.Box(0.0, 1.0, (100 * self.channels,), np.float32)
        self.action_space = spaces.Discrete(len(self._actions))  # type: ignore[assignment]
        self._last, self._steps, self._score = 0, 0, 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin a game.

        Returns:
            The observation, and nothing else.
        """
        super().reset(seed=seed)
        if seed is not None or not self._steps:
            # The game's own draws; the package has numpy's older generator.
            self._game.random = np.random.RandomState(int(self.np_random.integers(2**31)))
        self._game.reset()
        self._last, self._steps, self._score = 0, 0, 0.0
        return self._seen(), {}

    def step(self, action: int) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Act for a frame.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and the ``score``.
        """
        if self.np_random.random() >= self.sticky:
            self._last = self._actions[int(action)]
        reward, ended = self._game.act(self._last)
        self._steps += 1
        self._score += float(reward)
        truncated = not ended and self._steps >= self.cap
        if self.delayed:
            reward = self._score if ended or truncated else 0.0
        return self._seen(), float(reward), bool(ended), truncated, {"score": self._score}

    def _seen(self) -> Seen:
        state: npt.NDArray[np.bool_] = self._game.state()
        seen: Seen = state.transpose(2, 0, 1).reshape(-1).astype(np.float32)
        return seen
