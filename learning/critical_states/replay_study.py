"""Whether a replay priority helps: clones of key-door walks after few updates, drawn in five ways.

A clone sees where it is and what it has fetched, and says the next moves; it is trained on walks
that were successes, and walks by itself through grids that it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from asterias.arrays import FloatArray
from learning.critical_states.key_door import (
    FRAMES,
    HELD_OUT_POLICIES,
    MOVES,
    ROOM,
    WALL_COLUMN,
    WIDTH,
    Cells,
    KeyDoorClips,
    first_visits,
    key_door_clips,
    succeeded,
)
from learning.critical_states.study import (
    MaskRun,
    OnStage,
    key_door_training_clips,
    trained_detector,
)
from learning.training.replay_options import ReplayOptions
from learning.training.replay_priority import draw_examples, priority_of, window_means

# Moves that an example looks at, and of which a clone makes the first.
CHUNK = 6
DEMONSTRATIONS = 100
# Grids that are made; those kept are as many of successes as of failures of their walkers.
WORLDS = 500
# Updates after which a clone is measured.
CHECKS = (100, 200, 400, 800)
BATCH, LEARNING_RATE, UNITS, SHARE = 64, 3e-3, 64, 0.5


@dataclass(frozen=True)
class Way:
    """A way to draw.

    Attributes:
        replay: options of the priority.
        criticality: name of what is followed.
    """

    replay: ReplayOptions
    criticality: str = "mask"


_FOLLOWED = ReplayOptions("criticality", SHARE)
WAYS: Mapping[str, Way] = {
    "uniform": Way(ReplayOptions()),
    "criticality": Way(_FOLLOWED),
    "criticality, corrected": Way(ReplayOptions("criticality", SHARE, 1.0)),
    "random": Way(_FOLLOWED, "shifted"),
    "truth": Way(_FOLLOWED, "truth"),
    "errands": Way(_FOLLOWED, "errands"),
}


@dataclass(frozen=True)
class Examples:
    """What a clone learns from.

    Attributes:
        seen: ``(N, 14)``.
        moves: ``(N, H)`` numbers of moves; -1 behind the end.
        criticality: ``(N,)`` by name.
    """

    seen: torch.Tensor
    moves: torch.Tensor
    criticality: Mapping[str, FloatArray]


def complete_replay_runs(run: MaskRun, clones: int, on_stage: OnStage) -> list[dict[str, Any]]:
    """Train the detector of a run where it is not trained, and clones in all ways.

    Args:
        run: of the task key-door.
        clones: of each way, with seeds from 0 on.
        on_stage: gets stage, done, total.

    Returns:
        A row for each clone.
    """
    clips = key_door_training_clips(run.seed)
    model = trained_detector(run, clips.pictures, clips.labels, on_stage)
    shown = np.flatnonzero(clips.labels == 1)[:DEMONSTRATIONS]
    masks = model.predict(clips.pictures[shown])
    examples = examples_of(clips, shown, masks, np.random.default_rng(run.seed))
    worlds = key_door_clips(WORLDS, HELD_OUT_POLICIES, seed=900 + run.seed)
    rows = []
    for clone in range(clones):
        for name, way in WAYS.items():
            success = clone_success(examples, way, worlds, seed=1000 * run.seed + clone)
            about = {"seed": run.seed, "clone": clone, "grids": len(worlds.labels)}
            rows.append({**about, "way": name, "success": success})
        on_stage(f"clones {run.seed}", clone + 1, clones)
    return rows


def examples_of(
    clips: KeyDoorClips, shown: Cells, masks: npt.NDArray[np.floating], rng: np.random.Generator
) -> Examples:
    """Return what is seen, which moves follow, and how far they decided.

    Args:
        clips: all.
        shown: ``(D,)`` numbers of those that are learned from.
        masks: ``(D, T)`` of them.
        rng: shifts masks in time: a priority of the same shape that says nothing.
    """
    places, things = clips.places[shown], clips.things[shown]
    count, frames = places.shape[:2]
    fetched = first_visits(places, things)[:, None] <= np.arange(frames)[:, None]
    seen = observations(places, things[:, None], fetched)[:, :-1]
    moved = (np.diff(places, axis=1)[:, :, None] == MOVES).all(3).argmax(2)
    padded = np.pad(moved, ((0, 0), (0, CHUNK - 1)), constant_values=-1)
    chunks = np.lib.stride_tricks.sliding_window_view(padded, CHUNK, axis=1)
    shifts = rng.integers(CHUNK, frames - CHUNK, count)
    shifted = np.array([np.roll(m, s) for m, s in zip(masks, shifts, strict=True)])
    decided = clips.decided[shown]
    # What comes after the last errand is wandering: all frames before its end.
    errands = np.cumsum(decided[:, ::-1], axis=1)[:, ::-1] > 0
    followed = {"mask": masks, "shifted": shifted, "truth": decided, "errands": errands}
    criticality = {
        # The frame in which a thing is reached counts for the moves that lead there.
        name: np.concatenate([window_means(row[1:], CHUNK) for row in values])
        for name, values in followed.items()
    }
    return Examples(
        torch.from_numpy(seen.reshape(-1, seen.shape[-1])),
        torch.from_numpy(chunks.reshape(-1, CHUNK).copy()),
        criticality,
    )


def observations(
    places: Cells, things: Cells, fetched: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return ``(..., 14)``: ways to the four things, which were reached, and the own place.

    Args:
        places: ``(..., 2)`` of the agents.
        things: ``(..., 4, 2)``.
        fetched: ``(..., 4)`` reached by now.
    """
    ways = (things - places[..., None, :]) / ROOM
    own = places / ROOM - 1.0
    flat = ways.reshape(*ways.shape[:-2], 8)
    return np.concatenate([flat, fetched.astype(np.float64), own], axis=-1).astype(np.float32)


def clone_success(
    examples: Examples, way: Way, worlds: KeyDoorClips, seed: int
) -> dict[str, float]:
    """Train a clone, and let it walk.

    Args:
        examples: to learn from.
        way: how they are drawn.
        worlds: grids to walk through.
        seed: of weights, draws and walks.

    Returns:
        How often it succeeds in percent, by updates.
    """
    torch.manual_seed(seed)
    net = torch.nn.Sequential(
        torch.nn.Linear(examples.seen.shape[1], UNITS),
        torch.nn.ReLU(),
        torch.nn.Linear(UNITS, UNITS),
        torch.nn.ReLU(),
        torch.nn.Linear(UNITS, CHUNK * len(MOVES)),
    )
    adam = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    draws = torch.Generator().manual_seed(seed)
    priority = priority_of(way.replay, examples.criticality[way.criticality])
    success = {}
    for update in range(1, max(CHECKS) + 1):
        chosen, weights = draw_examples(len(examples.seen), BATCH, priority, draws)
        told = net(examples.seen[chosen]).view(BATCH, CHUNK, len(MOVES)).transpose(1, 2)
        errors = functional.cross_entropy(
            told, examples.moves[chosen], ignore_index=-1, reduction="none"
        )
        adam.zero_grad()
        (errors.mean(dim=1) * weights).mean().backward()  # type: ignore[no-untyped-call]
        adam.step()
        if update in CHECKS:
            won = succeeded(walk(net, worlds, seed), worlds.things)
            success[str(update)] = round(100 * float(won.mean()), 2)
    return success


@torch.inference_mode()
def walk(net: torch.nn.Module, worlds: KeyDoorClips, seed: int) -> Cells:
    """Let a clone walk from where the clips begin.

    Args:
        net: gives logits of moves, ``(N, H * 5)``, of which the next is drawn.
        worlds: grids.
        seed: of the draws.

    Returns:
        Its places ``(N, T, 2)``.
    """
    draws = torch.Generator().manual_seed(seed)
    things, place = worlds.things, worlds.places[:, 0]
    door = things[:, 1]
    fetched = np.zeros(things.shape[:2], np.bool_)
    places = []
    for _ in range(FRAMES):
        places.append(place)
        fetched = fetched | (place[:, None] == things).all(2)
        logits = net(torch.from_numpy(observations(place, things, fetched)))[:, : len(MOVES)]
        move = torch.multinomial(logits.softmax(1), 1, generator=draws)[:, 0].numpy()
        after = place + MOVES[move]
        row, column = after.T
        wall = (row < 1) | (row > ROOM) | (column < 1) | (column > WIDTH - 2)
        wall |= (column == WALL_COLUMN) & (after != door).any(1)
        place = np.where(wall[:, None], place, after)
    return np.stack(places, axis=1)
