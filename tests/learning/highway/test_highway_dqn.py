"""Highway DQN: replay of trajectories, gates, saving, on the limb, the study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from asterias.errors import UserError
from learning.__main__ import main
from learning.highway import HighwayDQN, corridor_env, four_rooms_env
from learning.highway.dqn.gates import GATES
from learning.highway.dqn.trajectory_buffer import TrajectoryBuffer
from learning.highway.dqn.two_heads import TwoHeadQNetwork
from learning.highway.studies import deep
from learning.highway.studies.deep_command import DeepRun
from learning.highway.tabular.processes import corridor, stumbling_corridor
from learning.highway.tasks import ProcessEnv

SMALL: dict[str, Any] = {
    "learning_starts": 50,
    "batch_size": 16,
    "policy_kwargs": {"net_arch": [16]},
    "device": "cpu",
    "seed": 0,
}


def filled_buffer(size: int = 8, depth: int = 4) -> TrajectoryBuffer:
    """Rows 2 to 9 of a stream in a ring of 8: row 4 ends a task, row 7 is a time limit."""
    box, discrete = spaces.Box(0, 20, (1,), np.float32), spaces.Discrete(3)
    buffer = TrajectoryBuffer(size, box, discrete, "cpu", depth=depth, gamma=0.5)
    for row in range(10):
        over, cut = row == 4, row == 7
        buffer.add(
            np.array([[row]], np.float32),
            np.array([[row + 1]], np.float32),
            np.array([[row % 3]]),
            np.array([1.0]),
            np.array([over or cut]),
            [{"TimeLimit.truncated": cut}],
        )
    return buffer


def test_lookaheads_end_with_their_episode_and_with_the_newest_row() -> None:
    buffer = filled_buffer()
    rows = np.array([2, 3, 4, 5, 6, 0, 1])  # of the ring: 0 and 1 hold rows 8 and 9
    looked = buffer._look(rows, np.zeros(7, int), np.full(7, 4), None)
    reached = looked.next_observations[:, 0].tolist()
    assert reached == [5, 5, 5, 8, 8, 10, 10]
    assert looked.rewards[:, 0].tolist() == [1.75, 1.5, 1, 1.75, 1.5, 1.5, 1]
    # 0 where the task ended; a time limit and the newest row are bootstrapped from.
    assert looked.discounts[:, 0].tolist() == [0, 0, 0, 0.125, 0.25, 0.25, 0.5]


def test_depths_are_drawn_from_one_to_the_largest() -> None:
    buffer = filled_buffer(depth=3)
    np.random.seed(0)
    samples: Any = buffer.sample(200)
    taken = {
        int(end - start)
        for start, end in zip(samples.observations, samples.far.next_observations, strict=True)
    }
    assert taken == {1, 2, 3}
    assert (samples.near.next_observations - samples.observations == 1).all()


def test_a_reset_ends_the_last_trajectory_as_a_time_limit_does() -> None:
    buffer = filled_buffer()
    buffer.truncate_last_trajectory()
    assert buffer.dones[1, 0] == 1 and buffer.timeouts[1, 0] == 1
    model = HighwayDQN("MlpPolicy", corridor_env(), **SMALL)
    model.learn(32)
    model.learn(32)
    assert isinstance(model.replay_buffer, TrajectoryBuffer)
    assert model.replay_buffer.timeouts[:40, 0].tolist() == [0] * 31 + [1] + [0] * 8


def test_the_gate_takes_the_larger_target() -> None:
    net = torch.nn.Linear(2, 2)
    near, far = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [0.5]])
    result = GATES.get("samples").apply(net, torch.eye(2), torch.zeros(2, 1).long(), near, far)
    assert result.gains.tolist() == [[2.0], [-1.5]] and result.raised == pytest.approx(1.0)
    plain = GATES.get("none").apply(net, torch.eye(2), torch.zeros(2, 1).long(), near, far)
    assert plain.raised == pytest.approx(0.25)


def test_two_heads_learn_means_and_values_are_the_larger() -> None:
    torch.manual_seed(0)
    model = HighwayDQN("MlpPolicy", corridor_env(), gate="critics", **SMALL)
    net = model.q_net
    assert isinstance(net, TwoHeadQNetwork)
    seen = torch.eye(42)[:2]
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    actions = torch.zeros(200, 1).long()
    for _ in range(150):
        # Equal means, and more noise far ahead: gating samples would be biased upward by 0.56.
        near, far = torch.zeros(200, 1), torch.randn(200, 1)
        loss = GATES.get("critics").apply(net, seen[:1].expand(200, -1), actions, near, far).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        assert net.heads(seen).shape == (2, 2, 4)
        assert torch.equal(net(seen), net.heads(seen).amax(1))
        assert abs(net(seen)[0, 0].item()) < 0.2


@pytest.mark.parametrize("gate", GATES.names())
def test_it_learns_logs_saves_and_loads(gate: str, tmp_path: Path) -> None:
    model = HighwayDQN("MlpPolicy", corridor_env(), depth=10, gate=gate, **SMALL)
    model.learn(120)
    assert set(model.figures) == {"open_gates", "mean_gain", "raised"}
    assert 0 <= model.figures["open_gates"] <= 1 and np.isfinite(list(model.figures.values())).all()
    model.save(tmp_path / "model")
    same = HighwayDQN.load(tmp_path / "model", env=corridor_env())
    assert same.gate == gate
    seen = torch.eye(42)
    assert torch.equal(same.q_net(seen), model.q_net(seen))
    same.learn(60, reset_num_timesteps=False)


def test_target_finding_with_dead_cameras_is_looked_at_more_often() -> None:
    for name, dead in (("dead_1", {1}), ("dead_2", {1, 2})):
        env = deep.TASKS.get(f"target_finding_{name}").make()
        counts = {len(env.reset(seed=seed)[1]["dead_cameras"]) for seed in range(6)}
        assert counts == dead
    whole = deep.TASKS.get("target_finding_dead_1")
    assert (whole.every, whole.patience, whole.steps) == (100, 30, 2000)


def test_evaluations_come_as_often_as_the_task_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(deep.TASKS.get("corridor"), steps=300, every=100)
    monkeypatch.setitem(deep.TASKS._entries, "corridor", tiny)
    told: list[int] = []
    deep.complete_deep_run(DeepRun("corridor", "dqn", 0, tmp_path), told.append)
    assert told == [100, 200, 300]


@pytest.mark.slow
def test_it_solves_corridors_that_one_step_does_not(tmp_path: Path) -> None:
    run = deep.DeepRun("corridor", "highway_50", 0, tmp_path)
    deep.complete_deep_run(run, lambda done: None)
    assert json.loads(run.path.read_text())["solved"] <= 6000


def test_the_tasks_pay_at_the_end_alone() -> None:
    env = corridor_env(length=3)
    process = env.process
    way = process.optimal_values().argmax(1)
    seen, _ = env.reset(seed=0)
    rewards, over = [], False
    while not over:
        seen, reward, over, _, _ = env.step(int(way[seen.argmax()]))
        rewards.append(reward)
    assert rewards == [0, 0, 0, 1]
    other = np.delete(np.arange(4), way[0])[0]
    assert stumbling_corridor(3).transitions[0, other, 4] == 1
    assert four_rooms_env().observation_space.shape == (104,)
    with pytest.raises(UserError, match="a cap above 0"):
        ProcessEnv(corridor(3), 0)


def test_what_it_does_not_take_is_one_sentence() -> None:
    with pytest.raises(UserError, match="depth of a lookahead"):
        HighwayDQN("MlpPolicy", corridor_env(), depth=0, **SMALL)
    with pytest.raises(UserError, match="gate of Highway DQN"):
        HighwayDQN("MlpPolicy", corridor_env(), gate="retrace", **SMALL)
    with pytest.raises(UserError, match="takes MlpPolicy"):
        HighwayDQN("CnnPolicy", corridor_env(), gate="critics", **SMALL)


def test_solved_are_two_good_evaluations_in_a_row() -> None:
    curve = [
        {"steps": 500.0 * (i + 1), "return": value} for i, value in enumerate([0, 1, 0, 1, 1, 0])
    ]
    assert deep.solved_at(curve, 0.9) == 2000 and deep.solved_at(curve[:4], 0.9) is None


def test_the_study_goes_on_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = deep.TASKS.get("corridor")
    small = {**whole.settings, "learning_starts": 50, "batch_size": 8}
    tiny = deep.DeepTask("tiny", whole.make, 500, 0.1, small, episodes=1, process=whole.process)
    monkeypatch.setitem(deep.TASKS._entries, "corridor", tiny)
    out, result, picture = tmp_path / "runs", tmp_path / "dqn.json", tmp_path / "dqn.png"
    command = ["highway-study", "--out", str(out), "--seeds", "1", "--tasks", "corridor"]
    command += ["--learners", "dqn_5", "highway_50"]
    assert main([*command, "--no-train"]) == 2
    assert "no finished training yet" in capsys.readouterr().err
    assert main([*command, "--json", str(result), "--picture", str(picture)]) == 0
    deep.complete_deep_run(DeepRun("corridor", "dqn_5", 0, out), pytest.fail)
    rows = json.loads(result.read_text())["rows"]
    assert [row["learner"] for row in rows] == ["dqn_5", "highway_50"]
    assert rows[0]["gates"] is None and 0 <= rows[1]["gates"]["open_gates"] <= 1
    assert picture.stat().st_size > 10_000
    (out / "corridor_dqn_5_0.json").write_text("[]")
    with pytest.raises(UserError, match="holds no training"):
        deep.deep_rows([DeepRun("corridor", "dqn_5", 0, out)])
