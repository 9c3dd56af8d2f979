"""Mazes in ViZDoom: maps, the game around them, and the views of their cells."""

from __future__ import annotations

import math
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import vizdoom
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sim.doom.game import GameDiedError, MazeGame
from sim.doom.maps import MazeMap, cell_at, centre_of, text_map, write_wad
from sim.doom.patterns import pattern, pattern_set
from sim.doom.pictures import MapPicture, beside, sheet_of
from sim.doom.textures import (
    GENERATED,
    GROUPS,
    MIXED,
    TEXTURE_SETS,
    TRAINING,
    UNSEEN,
    MazeAppearance,
    choose_look,
)
from sim.doom.views import survey, survey_mazes

MAZE = np.array(
    [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], np.uint8
)
FREE = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1)]


@pytest.fixture(scope="module")
def module_game() -> Iterator[MazeGame]:
    with MazeGame([MazeMap(MAZE, (1, 1)), MazeMap(MAZE[::-1].copy(), (1, 1))]) as game:
        yield game


@pytest.fixture
def game(module_game: MazeGame) -> MazeGame:
    if module_game.process_id is None:
        module_game.restart()
    module_game.load(0)
    return module_game


def lumps(wad: bytes) -> dict[str, int]:
    """Names and sizes of a WAD's lumps."""
    kind, count, place = struct.unpack("<4sii", wad[:12])
    assert kind in (b"PWAD", b"IWAD")
    entries = [struct.unpack("<ii8s", wad[place + 16 * k :][:16]) for k in range(count)]
    assert all(start + size <= len(wad) for start, size, _ in entries)
    return {name.rstrip(b"\0").decode(): size for _, size, name in entries}


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, (6, 7), elements=st.integers(0, 1)).filter(lambda maze: maze.any()))
def test_walls_run_exactly_between_free_cells_and_others(maze: NDArray[np.uint8]) -> None:
    row, column = np.argwhere(maze)[0].tolist()
    text = text_map(MazeMap(maze, (row, column)))
    padded = np.pad(maze, 1)
    edges = sum(int((padded != np.roll(padded, 1, axis)).sum()) for axis in (0, 1))
    assert text.count("linedef{") == text.count("sidedef{") == edges
    corners = [(int(x), int(y)) for x, y in re.findall(r"vertex\{x=(-?\d+);y=(-?\d+);\}", text)]
    for first, second in re.findall(r"linedef\{v1=(\d+);v2=(\d+)", text):
        (x0, y0), (x1, y1) = corners[int(first)], corners[int(second)]
        right = ((y1 - y0) / 64, -(x1 - x0) / 64)  # the front of a line is on its right
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        front = cell_at(middle[0] + 8 * right[0], middle[1] + 8 * right[1], len(maze))
        back = cell_at(middle[0] - 8 * right[0], middle[1] - 8 * right[1], len(maze))
        assert padded[front[0] + 1, front[1] + 1] == 1
        assert padded[back[0] + 1, back[1] + 1] == 0


def test_a_wad_holds_its_maps_in_order() -> None:
    found = lumps(write_wad([MazeMap(MAZE, (1, 1)), MazeMap(MAZE, (3, 1))]))
    assert [name for name in found if name.startswith("MAP")] == ["MAP01", "MAP02"]


def test_every_texture_is_in_the_data_that_the_wheel_brings() -> None:
    data = (Path(vizdoom.__file__).parent / "freedoom2.wad").read_bytes()
    found = lumps(data)
    mixes = [MazeAppearance(MIXED, seed=seed).texture_set for seed in range(150)]
    unseen = [MazeAppearance(UNSEEN, seed=seed).texture_set for seed in range(150)]
    for textures in (*TEXTURE_SETS.values(), *mixes, *unseen):
        assert textures.floor in found and textures.ceiling in found
        for wall in textures.walls:
            assert wall.encode().ljust(8, b"\0") in data  # an entry of TEXTURE1
    assert not set(GROUPS["varied"]) & set(GROUPS["held_out"])
    held_out = {wall for name in GROUPS["held_out"] for wall in TEXTURE_SETS[name].walls}
    mixed = {wall for mix in mixes for wall in mix.walls}
    trained_with = mixed | {wall for name in TRAINING for wall in TEXTURE_SETS[name].walls}
    assert not held_out & trained_with
    last = {wall for mix in unseen for wall in mix.walls}
    assert len(last) > 50 and not last & (held_out | trained_with)
    flats = [
        {flat for mix in some for flat in (mix.floor, mix.ceiling)} for some in (mixes, unseen)
    ]
    assert not flats[1] & (flats[0] | {s.floor for s in TEXTURE_SETS.values()})


def test_generated_textures_are_what_the_game_shows() -> None:
    """Of two mazes in one file each has its own; a plain floor of one is seen in its colour."""
    looks = [MazeAppearance(GENERATED, 255, seed) for seed in (3, 4)]
    own = [look.generated() for look in looks]
    assert not set(own[0]) & set(own[1]) and all(len(name) == 8 for name in (*own[0], *own[1]))
    assert set(own[0]) == {
        *looks[0].texture_set.walls,
        looks[0].texture_set.floor,
        looks[0].texture_set.ceiling,
    }
    found = list(lumps(write_wad([MazeMap(MAZE, (1, 1), look=look) for look in looks])))
    inside = found[found.index("TX_START") + 1 : found.index("TX_END")]
    assert sorted(inside) == sorted([*own[0], *own[1]])
    views = [survey_mazes(MAZE[None], [look.seed], GENERATED, 255)[0] for look in looks]
    for pictures, seen in zip(own, views, strict=True):
        feet = seen.views[seen.given][:, :, -1].reshape(-1, 3)  # the row at the player's feet
        colours = [picture.reshape(-1, 3).mean(0) for picture in pictures.values()]
        # The light falls with the distance, so that colours are compared without it.
        far = [np.abs(c / c.sum() - feet.mean(0) / feet.mean(0).sum()).max() for c in colours]
        assert min(far) < 0.15
    first, second = (seen.views[seen.given] for seen in views)
    assert (first != second).mean() > 0.5


def test_patterns_differ_and_a_seed_draws_the_same_set() -> None:
    rng, grey = np.random.default_rng(0), np.full(3, 128.0)
    drawn = [pattern(rng, grey) for _ in range(200)]
    assert len({picture.tobytes() for picture in drawn}) == 200
    assert all(picture.shape == (64, 64, 3) for picture in drawn)
    alike = pattern_set(12, 5)
    assert all(np.array_equal(a, b) for a, b in zip(alike, pattern_set(12, 5), strict=True))


def test_a_seed_draws_the_same_look_and_groups_are_kept_apart() -> None:
    looks = [choose_look("held_out", seed) for seed in range(40)]
    assert looks == [choose_look("held_out", seed) for seed in range(40)]
    assert {look.textures for look in looks} == set(GROUPS["held_out"])
    assert choose_look("brick", 5, 100) == MazeAppearance("brick", 100, 5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: MazeAppearance("velvet"),
            "'velvet': choose one of mixed, unseen, generated, startan",
        ),
        (lambda: MazeAppearance("brick", 300), "light is 300"),
        (lambda: choose_look("velvet", 0), "training, varied, held_out"),
        (lambda: MazeMap(MAZE, (0, 0)), "the start 0,0 is no free cell"),
        (lambda: MazeMap(MAZE, (1, 1), (9, 9)), "the goal 9,9"),
        (lambda: MazeMap(np.ones((600, 4), np.uint8), (1, 1)), "511"),
        (lambda: write_wad([]), "1 to 99 mazes"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


def test_the_player_starts_where_it_should_and_looks_north(game: MazeGame) -> None:
    assert game.cell == (1, 1)
    assert game.pose[:2] == centre_of((1, 1), 5)
    assert game.pose[2] == pytest.approx(math.pi / 2)
    assert game.picture.shape == (120, 160, 3)


def test_velocities_are_kept_and_walls_stop(game: MazeGame) -> None:
    x = game.pose[0]
    for _ in range(8):
        game.drive(0.0, -4.0, 0.0)  # to the right of north is east
    assert game.pose[0] - x > 7 * 4 - 4
    assert game.pose[1] == pytest.approx(centre_of((1, 1), 5)[1], abs=0.1)
    for _ in range(60):
        game.drive(0.0, -4.0, 0.0)
    assert game.cell == (1, 3)  # the wall at the end of the corridor
    assert game.pose[0] <= 4 * 64 - 15


def test_looking_around_leaves_the_player_as_it_stood(game: MazeGame) -> None:
    before = game.pose
    pictures = game.look_around()
    assert game.pose == pytest.approx(before, abs=1e-3)
    views = survey(game).views[1, 1]
    assert len(pictures) == 4
    for picture, view in zip(pictures, views, strict=True):
        small = picture.reshape(24, 5, 32, 5, 3).mean(axis=(1, 3))
        assert np.abs(small - view).mean() < 2


def test_views_show_what_is_near(game: MazeGame) -> None:
    seen = survey(game)
    assert [tuple(cell) for cell in np.argwhere(seen.given).tolist()] == FREE
    assert not seen.views[0, 0].any()
    # From one corner of the U to the other the corridor is longer than what is behind.
    assert not np.array_equal(seen.views[1, 1, 1], seen.views[1, 1, 3])


def test_the_same_seeds_give_the_same_views() -> None:
    first, second = (survey_mazes(np.stack([MAZE] * 2), [3, 4]) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.views, other.views)
    assert not np.array_equal(first[0].views, first[1].views)


def test_a_dead_game_is_noticed_and_can_be_restarted(game: MazeGame) -> None:
    process = game.process_id
    assert process is not None
    os.kill(process, signal.SIGKILL)
    with pytest.raises(GameDiedError):
        for _ in range(50):
            game.drive(1.0, 0.0, 0.0)
    game.restart()
    assert game.process_id not in (None, process)
    assert game.cell == (1, 1)
    assert game.restarts >= 1


def test_a_killed_program_takes_its_game_with_it() -> None:
    program = (
        "import numpy as np, time\n"
        "from sim.doom.game import MazeGame\nfrom sim.doom.maps import MazeMap\n"
        "game = MazeGame([MazeMap(np.pad(np.ones((2, 2), np.uint8), 1), (1, 1))])\n"
        "print(game.process_id, flush=True)\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        process = psutil.Process(int(run.stdout.readline()))
        run.kill()
    assert psutil.wait_procs([process], timeout=20)[0]


def test_closing_leaves_neither_process_nor_files() -> None:
    game = MazeGame([MazeMap(MAZE, (1, 1))])
    process = game.process_id
    game.close()
    assert process is not None and not psutil.pid_exists(process)


def test_the_engine_leaves_nothing_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with MazeGame([MazeMap(MAZE, (1, 1))]) as game:
        game.drive(1.0, 0.0, 0.0)
        assert not list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_sheet_has_a_title_and_pictures_a_legend() -> None:
    cells = np.zeros((9, 9), np.int8)
    shown = MapPicture(cells, goal=(7.5, 7.5), player=(1.5, 1.5), plan=[(1.5, 1.5), (7.5, 7.5)])
    picture = beside(np.full((240, 320, 3), 120, np.uint8), shown, "step 3")
    foot = picture[-20:, -340:].reshape(-1, 3)
    for colour in ((230, 25, 75), (44, 160, 44), (255, 176, 0)):
        assert (foot == colour).all(axis=1).sum() > 20, "a swatch of each colour of the map"
    plain, titled = sheet_of([picture] * 3, 2), sheet_of([picture] * 3, 2, "Three walks")
    assert titled.shape[0] == plain.shape[0] + 32
    assert titled[:32].std() > 5 and (titled[32:] == plain).all()
