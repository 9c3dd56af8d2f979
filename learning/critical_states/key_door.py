"""Key, door and ball in two rooms: clips whose deciding frames are known.

An agent walks through two rooms with a door between them and sees the 5x5 cells round it. It is a
success when the key was fetched before the door was opened, and then the ball behind it. The door
can be forced without the key, and a ball of the same look lies in front of it: neither pays. So
each of the three frames is needed to tell a success, as in the grid world of the Deep State
Identifier (arXiv 2308.07795), whose rooms, view and policies are others.

Episodes of scripted policies are made all at once. They last equally long, successful or not: what
comes after the last errand is wandering.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import ImageArray

Cells = npt.NDArray[np.int64]

# Two rooms of this size share a wall.
ROOM = 5
HEIGHT, WIDTH = ROOM + 2, 2 * ROOM + 3
WALL_COLUMN = ROOM + 1
# Cells seen to each side, and pixels of a cell.
SIGHT, CELL_PX = 2, 3
SIDE_PX = (2 * SIGHT + 1) * CELL_PX
FRAMES = 48

FLOOR, WALL, KEY, DOOR, BALL, BOX = range(6)
COLOURS = np.array(
    [(30, 30, 36), (120, 120, 120), (235, 200, 40), (60, 110, 230), (220, 50, 50), (60, 180, 90)],
    np.uint8,
)
AGENT_COLOUR = np.array((255, 255, 255), np.uint8)

# Errands: what is visited, in order. FRONT and BEHIND are the balls of the two rooms.
_KEY, _DOOR, _FRONT, _BEHIND = range(4)
SUCCESSES: tuple[tuple[int, ...], ...] = ((_KEY, _DOOR, _BEHIND), (_FRONT, _KEY, _DOOR, _BEHIND))
# Key, door and ball are each missing about as often.
FAILURES: tuple[tuple[int, ...], ...] = (
    (_DOOR, _BEHIND),
    (_DOOR, _BEHIND),
    (_FRONT, _DOOR, _BEHIND),
    (),
    (_KEY,),
    (_KEY, _FRONT),
    (_KEY, _DOOR),
    (_FRONT, _KEY, _DOOR),
    # All three in another order: else key and ball alone would tell that the door was opened.
    (_DOOR, _KEY, _BEHIND),
    (_DOOR, _KEY, _BEHIND),
    (_DOOR, _FRONT, _KEY, _BEHIND),
)
# Row and column: right, left, down, up, nowhere.
MOVES = np.array([(0, 1), (0, -1), (1, 0), (-1, 0), (0, 0)])


@dataclass(frozen=True)
class ScriptedPolicy:
    """How an agent walks.

    Attributes:
        random: share of steps in a random direction.
        pause: share of steps that it stands still.
        columns_first: goes along the row before it goes along the column.
        detours: wanderings to random cells before an errand, at most.
    """

    random: float
    pause: float
    columns_first: bool
    detours: int


# What is learned from, what settings are chosen with, what is tested with: different walkers.
TRAINING_POLICIES = (
    ScriptedPolicy(0.05, 0.00, True, 1),
    ScriptedPolicy(0.15, 0.05, True, 1),
    ScriptedPolicy(0.10, 0.00, False, 2),
)
# Clips of these choose thresholds and settings; nothing else is made of them.
VALIDATION_POLICIES = (
    ScriptedPolicy(0.08, 0.08, False, 1),
    ScriptedPolicy(0.20, 0.00, True, 2),
)
HELD_OUT_POLICIES = (
    ScriptedPolicy(0.00, 0.10, False, 1),
    ScriptedPolicy(0.25, 0.00, False, 1),
)


@dataclass(frozen=True)
class KeyDoorClips:
    """Clips with what they were worth, and what only an examiner may look at.

    Attributes:
        pictures: ``(N, T, 15, 15, 3)`` uint8 RGB, what the agent saw.
        labels: ``(N,)`` 1 for a success.
        decided: ``(N, T)`` True where a successful agent fetched the key, opened the door, or
            fetched the ball; nothing of a failure.
        visits: ``(N, T)`` True at every first step onto key, door and ball, whether it paid or not.
        places: ``(N, T, 2)`` row and column of the agents; pictures may show them mirrored.
        things: ``(N, 4, 2)`` row and column of key, door, and the balls before and behind it.
    """

    pictures: ImageArray
    labels: Cells
    decided: npt.NDArray[np.bool_]
    visits: npt.NDArray[np.bool_]
    places: Cells
    things: Cells


def key_door_clips(
    count: int, policies: tuple[ScriptedPolicy, ...], seed: int, frames: int = FRAMES
) -> KeyDoorClips:
    """Return clips of policies in turn, half of them successes.

    Args:
        count: of clips.
        policies: who walks.
        seed: of everything.
        frames: of each clip.
    """
    rng = np.random.default_rng(seed)
    world = _Worlds(count, rng)
    labels = np.arange(count) % 2
    walkers = [policies[(number // 2) % len(policies)] for number in range(count)]
    errands = _errands(world, labels, walkers, frames, rng)
    places = _walk(world, errands, walkers, frames, rng)
    return _clips(world, places, rng)


def _balanced(labels: Cells, rng: np.random.Generator) -> Cells:
    """Return numbers of clips with as many failures as successes."""
    good, bad = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    fewer = min(len(good), len(bad))
    return rng.permutation(np.concatenate([good[:fewer], bad[:fewer]]))


class _Worlds:
    """The cells of all grids, ``(N, 7, 13)``, and where things lie, ``(N, 2)`` row and column."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self.count = count
        cells = np.full((count, HEIGHT, WIDTH), FLOOR)
        cells[:, [0, -1]] = cells[:, :, [0, WALL_COLUMN, -1]] = WALL
        every = np.arange(count)
        self.door = np.column_stack([rng.integers(1, ROOM + 1, count), np.full(count, WALL_COLUMN)])
        spots = np.argsort(rng.random((count, 2, ROOM * ROOM)), axis=2)
        rows, columns = spots // ROOM + 1, spots % ROOM + 1

        def spot(room: int, number: int) -> Cells:
            at = columns[:, room, number] + room * WALL_COLUMN
            found: Cells = np.column_stack([rows[:, room, number], at])
            return found

        self.key, self.front, self.behind = spot(0, 0), spot(0, 1), spot(1, 0)
        self.start = spot(0, 2)
        boxes = (spot(0, 3), spot(1, 1), spot(1, 2))
        things = [(self.door, DOOR), (self.key, KEY), (self.front, BALL), (self.behind, BALL)]
        for place, kind in [*things, *((box, BOX) for box in boxes)]:
            cells[every, place[:, 0], place[:, 1]] = kind
        self.cells = cells


def _errands(
    world: _Worlds,
    labels: Cells,
    walkers: list[ScriptedPolicy],
    frames: int,
    rng: np.random.Generator,
) -> Cells:
    """Return cells ``(N, K, 2)`` to visit: errands, with detours, then wandering to the end."""
    length = frames // 2
    cells = np.zeros((world.count, length, 2), np.int64)
    places = {_KEY: world.key, _DOOR: world.door, _FRONT: world.front, _BEHIND: world.behind}
    for number, walker in enumerate(walkers):
        choices = SUCCESSES if labels[number] else FAILURES
        room, row = 0, 0
        for errand in (*choices[rng.integers(len(choices))], None):
            pauses = length - row if errand is None else rng.integers(walker.detours + 1)
            for _ in range(pauses):
                column = rng.integers(1, ROOM + 1) + room * WALL_COLUMN
                cells[number, row] = rng.integers(1, ROOM + 1), column
                row += 1
            if errand is None:
                break
            cells[number, row] = places[errand][number]
            row += 1
            room = 1 if errand == _DOOR else room
    return cells


def _walk(
    world: _Worlds,
    errands: Cells,
    walkers: list[ScriptedPolicy],
    frames: int,
    rng: np.random.Generator,
) -> Cells:
    """Let all agents walk.

    Returns:
        Their places ``(N, T, 2)``.
    """
    every = np.arange(world.count)
    random = np.array([walker.random for walker in walkers])
    pause = np.array([walker.pause for walker in walkers])
    first = np.array([int(walker.columns_first) for walker in walkers])
    place, current = world.start.copy(), np.zeros(world.count, np.int64)
    places = np.zeros((world.count, frames, 2), np.int64)
    for frame in range(frames):
        places[:, frame] = place
        there = (place == errands[every, current]).all(1)
        current = np.minimum(current + there, errands.shape[1] - 1)
        place = _step(world, place, errands[every, current], first, rng, random, pause)
    return places


def _step(
    world: _Worlds,
    place: Cells,
    goal: Cells,
    first: Cells,
    rng: np.random.Generator,
    random: npt.NDArray[np.float64],
    pause: npt.NDArray[np.float64],
) -> Cells:
    """Return where the agents stand next, ``(N, 2)``."""
    every = np.arange(world.count)
    # The way into the other room leads through the door.
    across = (np.sign(place[:, 1] - WALL_COLUMN) * np.sign(goal[:, 1] - WALL_COLUMN)) < 0
    goal = np.where(across[:, None], world.door, goal)
    towards = np.sign(goal - place)
    chosen = np.zeros_like(place)
    for axis in (1 - first, first):  # the one that is preferred comes last
        step = np.zeros_like(place)
        step[every, axis] = towards[every, axis]
        after = place + step
        free = world.cells[every, after[:, 0], after[:, 1]] != WALL
        useful = free & (step != 0).any(1)
        chosen = np.where(useful[:, None], step, chosen)
    dice = rng.random(world.count)
    chosen = np.where((dice < random)[:, None], MOVES[rng.integers(4, size=world.count)], chosen)
    chosen = np.where((rng.random(world.count) < pause)[:, None], 0, chosen)
    after = place + chosen
    # Nobody walks into a wall, or by chance through the door.
    is_door = (after == world.door).all(1) & ~((goal == world.door).all(1))
    blocked = (world.cells[every, after[:, 0], after[:, 1]] == WALL) | is_door
    return np.where(blocked[:, None], place, after)


def _clips(world: _Worlds, places: Cells, rng: np.random.Generator) -> KeyDoorClips:
    """See what the agents saw, with half of the worlds mirrored.

    Returns:
        As many successes as failures.
    """
    count, frames = places.shape[:2]
    things = np.stack([world.key, world.door, world.front, world.behind], axis=1)
    key, door, front, behind = first_visits(places, things).T
    labels = succeeded(places, things).astype(np.int64)
    visits = np.zeros((count, frames + 1), np.bool_)
    decided = visits.copy()
    for first in (key, door, front, behind):
        visits[np.arange(count), first] = True
        if first is not front:
            decided[np.arange(count), first] = labels == 1
    taken = [(world.key, key), (world.front, front), (world.behind, behind)]
    pictures = _views(world, places, taken)
    mirrored = rng.random(count) < 0.5
    pictures[mirrored] = pictures[mirrored][:, :, :, ::-1]
    kept = _balanced(labels, rng)
    seen = pictures[kept], labels[kept], decided[kept, :-1], visits[kept, :-1]
    return KeyDoorClips(*seen, places[kept], things[kept])


def first_visits(places: Cells, things: Cells) -> Cells:
    """Return ``(N, K)`` the frames of the first steps onto things; T where there was none.

    Args:
        places: ``(N, T, 2)`` of the agents.
        things: ``(N, K, 2)``.
    """
    there = (places[:, None] == things[:, :, None]).all(3)
    first: Cells = np.where(there.any(2), there.argmax(2), places.shape[1])
    return first


def succeeded(places: Cells, things: Cells) -> npt.NDArray[np.bool_]:
    """Return ``(N,)`` whether agents fetched key, opened door and fetched ball in this order.

    Args:
        places: ``(N, T, 2)`` of the agents.
        things: ``(N, 4, 2)`` key, door, and the balls before and behind it.
    """
    key, door, _, behind = first_visits(places, things).T
    all_three: npt.NDArray[np.bool_] = (key < door) & (door < behind) & (behind < places.shape[1])
    return all_three


def _views(world: _Worlds, places: Cells, taken: list[tuple[Cells, Cells]]) -> ImageArray:
    """Return ``(N, T, 15, 15, 3)``: the cells round each agent, which is a dot in the middle.

    Args:
        world: the grids.
        places: of the agents.
        taken: cells, and the last frames in which what lies there is seen.
    """
    padded = np.pad(world.cells, ((0, 0), (SIGHT, SIGHT), (SIGHT, SIGHT)), constant_values=WALL)
    offsets = np.arange(-SIGHT, SIGHT + 1)
    every = np.arange(world.count)[:, None, None, None]
    rows = places[:, :, 0, None, None] + offsets[:, None]
    columns = places[:, :, 1, None, None] + offsets[None, :]
    seen = padded[every, rows + SIGHT, columns + SIGHT]
    frames = np.arange(places.shape[1])[None, :, None, None]
    for cell, last in taken:
        here = (rows == cell[:, 0, None, None, None]) & (columns == cell[:, 1, None, None, None])
        seen[here & (frames > last[:, None, None, None])] = FLOOR
    pictures: ImageArray = COLOURS[seen].repeat(CELL_PX, axis=2).repeat(CELL_PX, axis=3)
    middle = SIDE_PX // 2
    pictures[:, :, middle, middle] = AGENT_COLOUR
    return pictures
