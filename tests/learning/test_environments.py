"""Gymnasium makes every environment of Asterias by its plain name."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import pytest

from learning.environments import ENVIRONMENTS


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasium_makes_it_by_its_plain_name(name: str) -> None:
    with gymnasium.make(name) as environment:
        assert environment.spec is not None and environment.spec.id == name


@pytest.mark.parametrize("module", ["learning.environments", "learning.target_finding"])
def test_a_module_in_front_of_the_name_is_enough(module: str) -> None:
    code = (
        "import gymnasium\n"
        f"gymnasium.make('{module}:Asterias/TargetFinding-v0').close()\n"
        "import learning.doom_maze, learning.ball_maze, learning.target_finding\n"
    )
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Overriding" not in done.stderr
