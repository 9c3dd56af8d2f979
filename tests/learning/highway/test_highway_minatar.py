"""MinAtar with the reward at the end, the study of Highway DQN on it, an exit in ViZDoom."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from asterias.errors import UserError
from learning.__main__ import main
from learning.doom_maze.environment import DoomMazeOptions
from learning.environments import register_environments
from learning.highway.doom_exit import DoomExitEnv
from learning.highway.minatar import GAMES, MinAtarEnv, load_game
from learning.highway.studies.deep_more import MORE_EXITS, TASKS
from learning.highway.studies.minatar import MinAtarRun, interquartile_mean, summarise
from planners.mazes.problems import draw_problem


def play(env: MinAtarEnv, seed: int) -> tuple[list[float], float, bool]:
    """Rewards of an episode of fixed actions, the score, and whether it was truncated."""
    env.reset(seed=seed)
    rng, rewards, over = np.random.default_rng(seed), list[float](), False
    while not over:
        _, reward, ended, truncated, info = env.step(int(rng.integers(env.action_space.n)))  # type: ignore[attr-defined]
        rewards.append(reward)
        over = ended or truncated
    return rewards, info["score"], truncated


def test_missing_or_unknown_games_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no game 'pong'; choose one of asterix"):
        load_game("pong")
    monkeypatch.setitem(sys.modules, "minatar", None)
    monkeypatch.delitem(sys.modules, "minatar.environments.breakout", raising=False)
    with pytest.raises(UserError, match="pip install --no-deps MinAtar"):
        load_game("breakout")


@pytest.mark.parametrize("game", GAMES)
def test_all_is_paid_at_the_end_and_the_same_seed_is_the_same_episode(game: str) -> None:
    pytest.importorskip("minatar", reason="pip install --no-deps MinAtar")
    late, early = (MinAtarEnv(game, delayed=delayed, cap=200) for delayed in (True, False))
    scores = []
    for seed in range(4):
        delayed, score, truncated = play(late, seed)
        plain, same, also = play(early, seed)
        assert (score, truncated, len(delayed)) == (same, also, len(plain))
        assert not any(delayed[:-1]) and delayed[-1] == score == sum(plain)
        scores.append((score, len(plain)))
    assert scores == [(play(late, seed)[1], len(play(early, seed)[0])) for seed in range(4)]


def test_the_image_has_its_channels_first() -> None:
    pytest.importorskip("minatar", reason="pip install --no-deps MinAtar")
    env = MinAtarEnv("breakout")
    seen, _ = env.reset(seed=0)
    paddle, ball, _, bricks = seen.reshape(env.channels, 10, 10)
    assert env.observation_space.contains(seen)
    assert paddle.sum() == paddle[9].sum() == 1 and ball[3].sum() == 1
    assert bricks[1:4].all() and bricks.sum() == 30
    with pytest.raises(UserError, match="cap above 0"):
        MinAtarEnv("breakout", cap=0)


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    assert interquartile_mean(np.array([[9.0, 1, 2], [3, 4, -50]])) == pytest.approx(2.5)
    rows = [
        {"game": game, "learner": learner, "scores": scores}
        for game, learner, scores in (
            ("a", "good", [4.0, 4.0]),
            ("a", "bad", [2.0, 1.0]),
            ("b", "good", [1.0, 0.5]),
            ("b", "bad", [2.0, 2.0]),
        )
    ]
    good, bad = summarise(rows)
    # 1, 1, 0.5, 0.25 without the ends; 0.5, 0.25, 1, 1 as well.
    assert good["iqm"] == bad["iqm"] == 0.75
    assert good["interval"][0] <= 0.75 <= good["interval"][1] and good["interval"][0] >= 0.625
    assert [row["learner"] for row in summarise(rows[:3])] == ["good"]  # the other lacks a game


def test_the_study_goes_on_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("minatar", reason="pip install --no-deps MinAtar")
    out, result, picture = tmp_path / "runs", tmp_path / "a.json", tmp_path / "a.png"
    command = ["highway-minatar", "--out", str(out), "--seeds", "1", "--games", "breakout"]
    command += ["--learners", "dqn_3", "highway_20", "--frames", "400"]
    assert main([*command, "--no-train"]) == 2
    assert "no finished training yet" in capsys.readouterr().err
    assert main([*command, "--json", str(result), "--picture", str(picture)]) == 0
    found = json.loads(result.read_text())
    assert [row["learner"] for row in found["rows"]] == ["dqn_3", "highway_20"]
    assert found["rows"][0]["open_gates"] is None and found["rows"][1]["open_gates"] is not None
    assert [row["learner"] for row in found["summary"]] == ["dqn_3", "highway_20"]
    assert found["random"]["breakout"] > 0
    assert picture.stat().st_size > 10_000
    file = MinAtarRun("breakout", "dqn_3", 0, out, 400).path
    before = file.stat().st_mtime_ns
    assert main(command) == 0 and file.stat().st_mtime_ns == before
    file.write_text("[]")
    assert main(command) == 2 and "holds no training" in capsys.readouterr().err
    assert main([*command[:-1], "5"]) == 2 and "--frames" in capsys.readouterr().err


def test_only_the_exit_of_a_maze_pays() -> None:
    env = DoomExitEnv(maze_seed=3, cap=30)
    seen, info = env.reset(seed=0)
    assert env.observation_space.contains(seen) and seen.shape == (84,)
    assert seen[48:].sum() == 4 and info["shortest_steps"] == 18
    rewards, way = [], []
    for _ in range(18):  # down the lengths
        lengths = []
        for action in range(4):
            row, column = info["cell"]
            down, right = ((-1, 0), (0, 1), (1, 0), (0, -1))[action]
            length = env.unwrapped._lengths[row + down, column + right]  # type: ignore[attr-defined]
            lengths.append(length if length >= 0 else 10_000)
        way.append(int(np.argmin(lengths)))
        seen, reward, ended, _, info = env.step(way[-1])
        rewards.append(reward)
    env.close()
    assert ended and rewards == [0.0] * 17 + [1.0]


def test_views_that_are_drawn_once_are_those_of_every_visit() -> None:
    register_environments()
    env, rng = DoomExitEnv(maze_seed=3, cap=30), np.random.default_rng(0)
    options: dict[str, Any] = {"size": 9, "reward": "sparse", "start": "farthest"}
    anew = gymnasium.make("Asterias/DoomMazeCells-v0", max_steps=30, **options)
    visited = []
    for _ in range(2):
        seen, info = env.reset()
        drawn, same = anew.reset(options={"maze_seed": 3})
        over = False
        while not over:
            assert info == same and np.array_equal(seen, env._flat(drawn))
            visited.append(info["cell"])
            action = int(rng.integers(4))
            seen, reward, ended, over, info = env.step(action)
            drawn, *others, same = anew.step(action)
            assert [reward, ended, over] == others
    env.close()
    anew.close()
    assert 4 < len(set(visited)) < len(visited) == 60


def test_more_exits_are_as_far_away_as_it_is_said() -> None:
    rule = DoomMazeOptions(size=9).rule()
    for seed, steps in MORE_EXITS.items():
        assert draw_problem(rule, seed, True, 1.0).shortest_steps == steps
        assert TASKS.get(f"doom_exit_{seed}").goal == 0.95 ** (steps + 1)


def test_the_exits_differ_in_what_their_tables_say() -> None:
    plain, often, explored = (
        TASKS.get(name) for name in ("doom_exit", "doom_exit_sb3", "doom_exit_explored")
    )
    assert [t.settings["train_freq"] for t in (plain, often, explored)] == [2, 4, 4]
    random_for = [t.settings["exploration_fraction"] * t.steps for t in (plain, often, explored)]
    assert random_for == [2400, 2400, 4800]
    assert plain.goal == often.goal == explored.goal == 0.95**21
    env = explored.make()
    env.reset(seed=0)
    inner: Any = env.unwrapped
    env.close()
    assert inner.max_steps == 600
