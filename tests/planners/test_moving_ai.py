"""Maps and scenarios of MovingAI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planners.mazes.map_files import NoMazeError, ReadOptions, read_map
from planners.planning.plan_command import PlanConfig, run_plan
from planners.planning.types import PlanStatus

MAP = "type octile\nheight 4\nwidth 6\nmap\n@@@@@@\n@.GT.@\n@W.S.@\n@@@@@@\n"
SCEN = "version 1\n0\tarena/a.map\t6\t4\t1\t1\t4\t1\t4.4\n1\ta.map\t6\t4\t4\t1\t2\t2\t2.4\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.map").write_text(MAP)
    (tmp_path / "a.scen").write_text(SCEN)
    return tmp_path


def test_ground_and_swamp_are_free(folder: Path) -> None:
    file = read_map(folder / "a.map")
    free = [[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 1, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(file.grid.free, free)
    assert file.goal is None and file.note == "4 x 6 cells, read as a map of MovingAI."


def test_a_scenario_names_start_and_goal(folder: Path) -> None:
    file = read_map(folder / "a.scen", ReadOptions(index=1))
    assert file.start == (1, 4) and file.goal == (2, 2) and "problem 1 of 2" in file.note
    plan = run_plan(PlanConfig(folder / "a.scen")).plan
    assert plan.status is PlanStatus.OPTIMAL
    assert plan.cells == ((1, 1), (1, 2), (2, 2), (2, 3), (2, 4), (1, 4))
    other = run_plan(PlanConfig(folder / "a.scen", start="2,2")).plan
    assert other.cells[0] == (2, 2) and other.cells[-1] == (1, 4)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.map", "height 4\n", "it begins with the lines type"),
        ("a.map", MAP.replace("height 4", "height 5"), "says 5 rows of 6 cells, but has 4"),
        ("a.map", MAP.replace("width 6", "width -6"), "width is '-6'"),
        ("a.map", MAP.replace("@W.S", "@x.S"), "cells of kind 'x'"),
        ("a.scen", "0\ta.map\n", "first line is the version"),
        ("a.scen", SCEN.replace("4.4", "nan"), "line 2: the length is nan"),
        ("a.scen", SCEN.replace("\t1\t1\t", "\tone\t1\t"), "line 2: expected bucket, map"),
        ("a.scen", SCEN.replace("arena/a.map", "a\0map"), "is no name of a map"),
        ("a.scen", SCEN.replace("arena/a.map", ".."), "is no"),
        ("a.scen", "version 1\n", "holds 0 problems"),
        ("a.scen", SCEN.replace("arena/a.map", "b.map"), "b.map"),
    ],
)
def test_files_that_are_none_are_told(folder: Path, name: str, text: str, sentence: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(NoMazeError, match=sentence):
        read_map(folder / name)
