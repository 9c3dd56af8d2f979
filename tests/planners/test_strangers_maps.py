"""Maps, mazes and weights of strangers are read as meant, or refused in a sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from asterias.errors import UserError
from planners.__main__ import main
from planners.mapping.mapper import load_mapper
from planners.mazes.datasets import MazeKind, MazeRule, MazeSet, generate
from planners.mazes.map_files import NoMazeError, ReadOptions, read_map
from planners.networks.weights import WEIGHTS_FOLDER, load_weights
from planners.planning.learned import LearnedPlanner
from planners.training.train_config import PRESETS
from planners.training.trainer import PlannerTrainer, with_defaults

ROOM = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0] * 5])
ROOM = ROOM.astype(np.uint8)
HEAD = "resolution: 0.05\norigin: [0, 0, 0]\noccupied_thresh: 0.65\nfree_thresh: 0.25\n"


def ros_map(folder: Path, picture: np.ndarray, text: str = HEAD, name: str = "map.yaml") -> Path:
    Image.fromarray(picture).save(folder / "map.png")
    (folder / name).write_text(f"image: map.png\n{text}")
    return folder / name


def with_alpha(grey: list[int], alpha: list[int]) -> np.ndarray:
    rows = [[value, value, value, opacity] for value, opacity in zip(grey, alpha, strict=True)]
    return np.array([rows], np.uint8)


# -- modes of map_server ---------------------------------------------------------------------------


def test_transparent_pixels_are_unknown_in_mode_scale(tmp_path: Path) -> None:
    path = ros_map(tmp_path, with_alpha([255, 0, 128], [255, 255, 0]), HEAD + "mode: scale\n")
    np.testing.assert_array_equal(read_map(path).grid.free, [[1, 0, 0]])
    free = read_map(path, ReadOptions(unknown_is_free=True)).grid.free
    np.testing.assert_array_equal(free, [[1, 0, 1]])


def test_alpha_is_averaged_with_the_colours_in_mode_trinary(tmp_path: Path) -> None:
    # (0 + 0 + 0 + 255) / 4 is a quarter: occupied; (3 x 255 + 0) / 4 is three quarters: unknown.
    path = ros_map(tmp_path, with_alpha([255, 0, 255], [255, 255, 0]))
    np.testing.assert_array_equal(read_map(path).grid.free, [[1, 0, 0]])


def test_costs_of_scale_maps_are_free_below_the_threshold_of_the_node(tmp_path: Path) -> None:
    # Occupancy 0.4 and 0.5 between 0.25 and 0.65 are costs of 37 and 62.
    grey = np.array([[255, 153, 127, 0]], np.uint8)
    path = ros_map(tmp_path, grey, HEAD + "mode: Scale\n")
    np.testing.assert_array_equal(read_map(path).grid.free, [[1, 1, 0, 0]])


def test_raw_maps_are_costs_and_unknown_above_100_whatever_the_case_of_the_word(
    tmp_path: Path,
) -> None:
    path = ros_map(tmp_path, np.array([[0, 49, 50, 100, 255]], np.uint8), HEAD + "mode: RAW\n")
    np.testing.assert_array_equal(read_map(path).grid.free, [[1, 1, 0, 0, 0]])


@pytest.mark.parametrize(("word", "free"), [("'0'", [1, 0]), ("0", [1, 0]), ("'1'", [0, 1])])
def test_negate_is_a_number_or_a_word(tmp_path: Path, word: str, free: list[int]) -> None:
    path = ros_map(tmp_path, np.array([[255, 0]], np.uint8), HEAD + f"negate: {word}\n", "m.YAML")
    np.testing.assert_array_equal(read_map(path).grid.free, [free])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + "mode: sclae\n", "did you mean scale"),
        (HEAD + "negate: maybe\n", "negate"),
        (HEAD.replace("[0, 0, 0]", "[.nan, 0, 0]"), "origin is nan"),
        (HEAD.replace("[0, 0, 0]", '["0.\\n0", 0, 0]'), "finite number"),
        (HEAD.replace("0.05", "-1"), "above 0"),
        (HEAD.replace("0.05", "1" + "0" * 400), "finite number"),
        (HEAD.replace("0.65", "0.1"), "must rise"),
        ("resolution: [1\n", "no YAML file"),
        ("[" * 5000, "no YAML file"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n" + HEAD, "aliases"),
        ("x: 1\n" * 20000, "at most"),
    ],
)
def test_a_broken_map_file_is_refused_in_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = ros_map(tmp_path, np.array([[255, 0]], np.uint8), text)
    with pytest.raises(NoMazeError, match=sentence) as caught:
        read_map(path)
    assert "\n" not in str(caught.value)


# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("greatest", [1, 15, 100, 255, 1000, 65535])
def test_greys_are_shares_of_the_greatest_value(tmp_path: Path, greatest: int) -> None:
    kind = ">u2" if greatest > 255 else "u1"
    body = (ROOM.astype(int) * greatest).astype(kind).tobytes()
    (tmp_path / "room.pgm").write_bytes(b"P5 5 5 %d\n" % greatest + body)
    (tmp_path / "room.yaml").write_text(f"image: room.pgm\n{HEAD}")
    np.testing.assert_array_equal(read_map(tmp_path / "room.yaml").grid.free, ROOM)


def test_pictures_of_floats_are_read(tmp_path: Path) -> None:
    for top in (1.0, 255.0):
        cv2.imwrite(str(tmp_path / "room.tiff"), ROOM.astype(np.float32) * top)
        (tmp_path / "room.yaml").write_text(f"image: room.tiff\n{HEAD}")
        grid = read_map(tmp_path / "room.yaml").grid
        np.testing.assert_array_equal(grid.free, ROOM)


def coloured(wall: tuple[int, int, int], frame: tuple[int, int, int], cell_px: int) -> np.ndarray:
    """A maze of 9 x 9 cells with inner walls of one colour and a frame of another."""
    cells = np.full((9, 9, 3), 255, np.uint8)
    cells[[0, -1]] = cells[:, [0, -1]] = frame
    cells[2, 1:7] = cells[4, 2:8] = cells[6, 1:7] = wall
    return cells.repeat(cell_px, axis=0).repeat(cell_px, axis=1)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("wall", [(255, 0, 0), (0, 90, 255), (0, 160, 0), (255, 200, 0)])
@pytest.mark.parametrize("frame", [(0, 0, 0), (90, 90, 90)])
def test_coloured_walls_beside_a_frame_are_walls(
    tmp_path: Path, wall: tuple[int, int, int], frame: tuple[int, int, int], suffix: str
) -> None:
    Image.fromarray(coloured(wall, frame, 10)).save(tmp_path / f"maze{suffix}", quality=95)
    expected = (coloured((0, 0, 0), (0, 0, 0), 1)[..., 0] > 0).astype(np.uint8)
    np.testing.assert_array_equal(read_map(tmp_path / f"maze{suffix}").grid.free, expected)


def test_black_dots_among_coloured_walls_are_marks(tmp_path: Path) -> None:
    picture = coloured((255, 0, 0), (255, 0, 0), 10)
    picture[13:17, 13:17] = picture[73:77, 73:77] = 0
    Image.fromarray(picture).save(tmp_path / "maze.png")
    file = read_map(tmp_path / "maze.png", ReadOptions(cell_px=10))
    expected = (coloured((0, 0, 0), (0, 0, 0), 1)[..., 0] > 0).astype(np.uint8)
    np.testing.assert_array_equal(file.grid.free, expected)


def drawn(free: np.ndarray, style: str, margin_px: int) -> np.ndarray:
    """A picture ``(H, W)`` with dark walls: cells of 6 px, or walls of 2 px and ways of 9."""
    widths = (
        [6] * len(free) if style == "cells" else [2 if i % 2 == 0 else 9 for i in range(len(free))]
    )
    grey = np.repeat(np.repeat(free * 255, widths, axis=0), widths, axis=1).astype(np.uint8)
    return np.pad(grey, margin_px, constant_values=255)


def with_openings(free: np.ndarray) -> np.ndarray:
    free = free.copy()
    free[0, 1] = free[-1, -2] = 1
    return free


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("margin_px", [0, 15])
@pytest.mark.parametrize("style", ["cells", "thin"])
@pytest.mark.parametrize("kind", ["depth_first", "kruskal", "rooms"])
def test_walls_are_found_whether_they_are_dark_or_light(
    tmp_path: Path, kind: MazeKind, style: str, margin_px: int, suffix: str
) -> None:
    for seed in range(4):
        free = with_openings(generate(MazeRule(21, kind), 1, seed).mazes[0])
        picture = drawn(free, style, margin_px)
        files = []
        for name, grey in (("dark", picture), ("light", 255 - picture)):
            Image.fromarray(grey).save(tmp_path / f"{name}{suffix}", quality=92)
            files.append(read_map(tmp_path / f"{name}{suffix}"))
        np.testing.assert_array_equal(files[1].grid.free, files[0].grid.free)
        assert "--walls" not in files[0].note
        assert "walls are light" in files[1].note and "--walls dark" in files[1].note


def test_light_walls_round_coloured_marks_are_walls(tmp_path: Path) -> None:
    free = with_openings(generate(MazeRule(21), 1, 3).mazes[0])
    picture = np.repeat(255 - drawn(free, "cells", 15)[..., None], 3, axis=2)
    picture[22:26, 22:26] = (255, 0, 0)
    picture[-26:-22, -26:-22] = (0, 200, 0)
    Image.fromarray(picture).save(tmp_path / "maze.png")
    np.testing.assert_array_equal(read_map(tmp_path / "maze.png").grid.free, free)


def test_a_field_without_a_frame_says_that_dark_is_taken_for_wall(tmp_path: Path) -> None:
    free = np.ones((20, 20), np.uint8)
    free[4:9, 6:8] = free[12:14, 3:15] = 0
    Image.fromarray(np.kron(free * 255, np.ones((6, 6), np.uint8))).save(tmp_path / "m.png")
    file = read_map(tmp_path / "m.png")
    assert file.grid.free[0, 0] == 1 and "--walls light" in file.note
    asked = read_map(tmp_path / "m.png", ReadOptions(walls="dark"))
    assert "--walls" not in asked.note


def test_the_tone_of_walls_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.kron(255 - ROOM * 255, np.ones((6, 6), np.uint8))).save(tmp_path / "m.png")
    free = read_map(tmp_path / "m.png", ReadOptions(walls="light")).grid.free
    np.testing.assert_array_equal(free, ROOM)
    words = ["plan", "--maze", str(tmp_path / "m.png"), "--start", "1,1", "--goal", "3,3"]
    for option in (["--walls", "light"], ["--invert"]):
        assert main([*words, "--weights", "bfs", *option]) == 0
        assert "optimal: 4 steps" in capsys.readouterr().out


def test_a_photograph_is_turned_as_viewers_turn_it(tmp_path: Path) -> None:
    maze = ROOM[:, :4].copy()
    maze[:, -1] = 0
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    picture = Image.fromarray(np.kron(maze * 255, np.ones((8, 8), np.uint8)))
    picture.save(tmp_path / "maze.jpg", exif=exif, quality=95)
    np.testing.assert_array_equal(read_map(tmp_path / "maze.jpg").grid.free, np.rot90(maze, -1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P5 60000 60000 255\n",
        b"P5 99999999999 99999999999 255\n",
        b"P5 5 5 255\nxx",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"GIF89a\xff\xff\xff\xff" + bytes(20),
        b"<html><body>404</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    ],
)
def test_broken_and_huge_pictures_are_refused_before_memory_is_taken(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "maze.png").write_bytes(content)
    with pytest.raises(NoMazeError, match=r"maze\.png"):
        read_map(tmp_path / "maze.png")


# -- data sets -------------------------------------------------------------------------------------


def write_npz(path: Path, head: dict[str, object], body: bytes = b"") -> None:
    """Write a file whose mazes declare any shape."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("mazes", "goals"):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, head)
                member.write(body)


@pytest.mark.parametrize("rows", [2**53, 60_000])
def test_data_sets_that_declare_any_size_are_refused_before_memory_is_taken(
    tmp_path: Path, rows: int
) -> None:
    head = {"descr": "|u1", "fortran_order": False, "shape": (1, rows, rows)}
    write_npz(tmp_path / "mazes.npz", head)
    with pytest.raises(NoMazeError, match="at most"):
        read_map(tmp_path / "mazes.npz")


@pytest.mark.parametrize(
    "arrays",
    [
        {"mazes": ROOM[None]},
        {"mazes": ROOM[None], "goals": np.array([[1.5, np.nan]])},
        {"mazes": ROOM[None], "goals": np.array([[9, 9]])},
        {"mazes": ROOM[None] * 7, "goals": np.array([[1, 1]])},
        {"mazes": ROOM[None].astype(float) + 256, "goals": np.array([[1, 1]])},
        {"mazes": np.array(["wall"]), "goals": np.array([[1, 1]])},
    ],
)
def test_data_sets_of_other_things_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    np.savez(tmp_path / "mazes.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"mazes\.npz"):
        MazeSet.load(tmp_path / "mazes.npz")


@pytest.mark.parametrize("cut", [0, 1, 60, 200])
def test_cut_and_foreign_data_sets_are_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "mazes.npz"
    MazeSet(ROOM[None], np.array([[1, 1]])).save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(NoMazeError, match="no maze file"):
        read_map(path)


def test_a_goal_in_a_wall_is_the_goals_fault_without_a_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MazeSet(ROOM[None], np.array([[0, 0]])).save(tmp_path / "mazes.npz")
    assert main(["plan", "--maze", str(tmp_path / "mazes.npz"), "--weights", "bfs"]) == 4
    assert "the goal 0,0 is a wall" in capsys.readouterr().out


# -- weights ---------------------------------------------------------------------------------------


def broken_weights(folder: Path, kind: str) -> Path:
    source = WEIGHTS_FOLDER / "dt_vin_15.safetensors"
    content, card = source.read_bytes(), json.loads(source.with_suffix(".json").read_text())
    contents = {
        "cut": content[:-9],
        "html": b"<html></html>",
        "lfs": b"version https://git-lfs.github.com/spec/v1\n",
        "empty": b"",
        "nan": content[:-4] + np.float32(np.nan).tobytes(),
    }
    cards = {
        "list": [1, 2],
        "no_depth": {key: value for key, value in card.items() if key != "depth"},
        "no_model": {key: value for key, value in card.items() if key != "model"},
        "huge": {**card, "options": {"latent_actions": 100_000, "field": 99_999}},
        "words": {**card, "options": {"kernel_type": "sideways"}},
        "endless": {**card, "depth": 10**30},
        "moves": {**card, "moves": "moore"},
    }
    (folder / "w.safetensors").write_bytes(contents.get(kind, content))
    (folder / "w.json").write_text(json.dumps(cards.get(kind, card)))
    return folder / "w.safetensors"


@pytest.mark.parametrize(
    "kind",
    [
        "cut",
        "html",
        "lfs",
        "empty",
        "nan",
        "list",
        "no_depth",
        "no_model",
        "huge",
        "words",
        "endless",
        "moves",
    ],
)
def test_damaged_and_foreign_weights_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = broken_weights(tmp_path, kind)
    with pytest.raises(UserError, match=r"w\.(safetensors|json)") as caught:
        LearnedPlanner.load(path, device="cpu")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError):
        load_mapper(str(path))


def test_cards_in_old_words_are_read() -> None:
    card = json.loads((WEIGHTS_FOLDER / "dt_vin_15.json").read_text())
    assert card["options"]["start"] == "structured"
    network, _ = load_weights(WEIGHTS_FOLDER / "dt_vin_15.safetensors")
    assert network.config.init == "structured"
    load_weights(WEIGHTS_FOLDER / "highway_vin_15.safetensors")


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--device", "tpu"), "choose cpu, cuda"),
        (("--cell-px", "-5"), "--cell-px"),
        (("--depth", "-1"), "--depth"),
        (("--time-limit-s", "nan"), "--time-limit-s"),
        (("--metres",), "--metres is for ROS maps"),
        (("--out", "/proc/none/plan.png"), "--out"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    Image.fromarray(np.kron(ROOM * 255, np.ones((6, 6), np.uint8))).save(tmp_path / "m.png")
    words = ["plan", "--maze", str(tmp_path / "m.png"), "--start", "1,1", "--goal", "3,3"]
    assert main([*words, *options]) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "change",
    [{"seed": -1}, {"batch": 0}, {"depth": 0}, {"learning_rate": float("nan")}, {"device": "tpu"}],
)
def test_trainings_with_senseless_options_do_not_start(
    tmp_path: Path, change: dict[str, object]
) -> None:
    out = tmp_path / "run"
    with pytest.raises(UserError):
        PlannerTrainer(with_defaults(PRESETS["15"][1], out=out, **change))
    assert not out.exists()
