"""Policies of stable-baselines3 become ours and act the same; nothing of their files is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from asterias.errors import UserError
from learning.__main__ import main
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.exchange.pickle_values import Record, read_values, to_array
from learning.target_finding.exchange.sb3_import import import_sb3
from learning.target_finding.exchange.vec_normalize import find_statistics, read_statistics
from learning.target_finding.policies.policy_files import find_policy

OPTIONS = TargetFindingOptions()
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=60)


class Stub(gymnasium.Env[Any, Any]):
    """The spaces of the environment, and random observations."""

    def __init__(self, action: gymnasium.Space[Any] | None = None, largest: float = 0.4) -> None:
        reach = np.array([1, 1, 0.75, 1], np.float32)
        low = np.concatenate([-reach, np.zeros(4)]).astype(np.float32)
        high = np.concatenate([reach, np.ones(4)]).astype(np.float32)
        self.observation_space = gymnasium.spaces.Box(low, high)
        self.action_space = action or gymnasium.spaces.Box(-largest, largest, (4,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 0.0, False, True, {}


LEARNERS: dict[str, Callable[[Any], Any]] = {
    "ppo": lambda env: sb3.PPO("MlpPolicy", env, device="cpu"),
    "ppo without layers": lambda env: sb3.PPO(
        "MlpPolicy", env, policy_kwargs={"net_arch": []}, device="cpu"
    ),
    "ppo of relu": lambda env: sb3.PPO(
        "MlpPolicy", env, policy_kwargs={"activation_fn": nn.ReLU}, device="cpu"
    ),
    "a2c": lambda env: sb3.A2C("MlpPolicy", env, device="cpu"),
    "sac": lambda env: sb3.SAC("MlpPolicy", env, device="cpu", buffer_size=10),
}


def shaken(model: Any) -> Any:
    """The learner with weights that are not small."""
    torch.manual_seed(3)
    for name, value in model.policy.named_parameters():
        if "log_std" not in name:
            value.data.add_(0.2 * torch.randn_like(value))
    return model


@pytest.mark.parametrize("name", LEARNERS)
def test_an_imported_policy_acts_as_it_did(name: str, tmp_path: Path) -> None:
    model = shaken(LEARNERS[name](Stub()))
    model.save(tmp_path / "policy.zip")
    policy = import_sb3(tmp_path / "policy.zip", OPTIONS)
    model.observation_space.seed(1)
    for _ in range(50):
        seen = model.observation_space.sample()
        action, _ = model.predict(seen, deterministic=True)
        np.testing.assert_allclose(policy.act(seen, None), action, atol=1e-6)
    assert policy.card["algorithm"] == name.split()[0]


def test_its_noise_is_that_of_the_training(tmp_path: Path) -> None:
    model = LEARNERS["ppo"](Stub())
    model.policy.log_std.data[:] = -1.5
    model.save(tmp_path / "policy.zip")
    policy = import_sb3(tmp_path / "policy.zip", OPTIONS)
    rng, seen = np.random.default_rng(0), np.zeros(8, np.float32)
    drawn = np.array([policy.act(seen, rng) for _ in range(2000)])
    # Increments are clipped at 0.4, which a deviation of 0.22 reaches now and then.
    assert np.allclose(drawn.std(axis=0), np.exp(-1.5), rtol=0.1)


def test_observations_are_normalised_as_in_training(tmp_path: Path) -> None:
    environment = VecNormalize(DummyVecEnv([Stub]), clip_obs=1.5)
    environment.reset()
    for _ in range(40):
        environment.step(np.zeros((1, 4)))
    model = shaken(LEARNERS["ppo"](environment))
    model.save(tmp_path / "Env-v0.zip")
    (tmp_path / "Env-v0").mkdir()
    environment.save(str(tmp_path / "Env-v0" / "vecnormalize.pkl"))
    place = find_statistics(tmp_path / "Env-v0.zip")
    assert place is not None
    policy = import_sb3(tmp_path / "Env-v0.zip", OPTIONS, read_statistics(place))
    for _ in range(50):
        seen = model.observation_space.sample()
        action, _ = model.predict(environment.normalize_obs(seen), deterministic=True)
        np.testing.assert_allclose(policy.act(seen, None), action, atol=1e-5)


def test_the_command_finds_the_statistics_and_writes_a_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = VecNormalize(DummyVecEnv([Stub]))
    LEARNERS["a2c"](environment).save(tmp_path / "run" / "best_model.zip")
    environment.save(str(tmp_path / "run" / "vecnormalize.pkl"))
    status = main(["import", str(tmp_path / "run"), "--out", str(tmp_path / "ours")])
    said = capsys.readouterr()
    assert status == 0, said.err
    assert "observations normalised by" in said.out and "Not read: value function" in said.out
    assert find_policy(str(tmp_path / "ours")).card["imported_from"] == "best_model.zip"


# -- what is refused ------------------------------------------------------------------------------


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


STRANGERS: dict[str, tuple[Callable[[], Any], str]] = {
    "recurrent": (lambda: RecurrentPPO("MlpLstmPolicy", Stub(), device="cpu"), "recurrent_ppo"),
    "moves": (
        lambda: sb3.PPO("MlpPolicy", Stub(gymnasium.spaces.Discrete(8)), device="cpu"),
        "actions=increments",
    ),
    "td3": (lambda: sb3.TD3("MlpPolicy", Stub(), device="cpu", buffer_size=10), "PPO, A2C or SAC"),
    "dqn": (
        lambda: sb3.DQN(
            "MlpPolicy", Stub(gymnasium.spaces.Discrete(8)), device="cpu", buffer_size=10
        ),
        "PPO, A2C or SAC",
    ),
    "sde": (lambda: sb3.PPO("MlpPolicy", Stub(), use_sde=True, device="cpu"), "use_sde false"),
    "elu": (
        lambda: sb3.PPO("MlpPolicy", Stub(), policy_kwargs={"activation_fn": nn.ELU}, device="cpu"),
        "its activation is ELU",
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_cannot_become_ours_is_told_with_a_cure(name: str, tmp_path: Path) -> None:
    make, words = STRANGERS[name]
    path = saved(make(), tmp_path / "policy.zip")
    with pytest.raises(UserError, match=words):
        import_sb3(path, OPTIONS)


def test_another_limb_is_told_with_its_joints(tmp_path: Path) -> None:
    path = saved(LEARNERS["ppo"](Stub()), tmp_path / "policy.zip")
    with pytest.raises(UserError, match=r"8 joints, 8 cameras.*--robot"):
        import_sb3(path, TargetFindingOptions(robot="starfish"))


def test_the_largest_increment_is_that_of_the_training(tmp_path: Path) -> None:
    path = saved(LEARNERS["sac"](Stub(largest=0.25)), tmp_path / "policy.zip")
    assert import_sb3(path, OPTIONS).card["options"]["increment"] == 0.25


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "no policy"), (b"PK\x03\x04 nothing", "no policy"), (b"x" * 1000, "no policy")],
)
def test_what_is_no_policy_is_told(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        import_sb3(path, OPTIONS)


def test_a_part_that_ends_too_early_is_told(tmp_path: Path) -> None:
    path = tmp_path / "policy.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("policy.pth", b"")
        file.writestr("data", json.dumps({"seed": 3}))
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 24] = content[entry + 24 : entry + 28] = b"\xff\xff\x00\x00"
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="no policy that stable-baselines3 has saved"):
        import_sb3(path, OPTIONS)


class Evil:
    """Would make a folder, if it were unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


def test_code_in_the_weights_is_not_run(tmp_path: Path) -> None:
    path = saved(LEARNERS["ppo"](Stub()), tmp_path / "policy.zip")
    weights = io.BytesIO()
    torch.save({"action_net.weight": Evil(tmp_path / "run")}, weights)
    with zipfile.ZipFile(path) as file:
        data = file.read("data")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", data)
        file.writestr("policy.pth", weights.getvalue())
    with pytest.raises(UserError, match="more than weights"):
        import_sb3(path, OPTIONS)
    assert not (tmp_path / "run").exists()


def test_code_in_the_data_is_not_run(tmp_path: Path) -> None:
    import base64

    path = saved(LEARNERS["ppo"](Stub()), tmp_path / "policy.zip")
    with zipfile.ZipFile(path) as file:
        data, weights = json.loads(file.read("data")), file.read("policy.pth")
    bomb = base64.b64encode(pickle.dumps(Evil(tmp_path / "run"))).decode()
    for value in data.values():
        if isinstance(value, dict):
            value[":serialized:"] = bomb
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", json.dumps(data))
        file.writestr("policy.pth", weights)
    assert import_sb3(path, OPTIONS).card["algorithm"] == "ppo"
    assert not (tmp_path / "run").exists()


def test_code_in_the_statistics_is_not_run_and_the_cure_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vecnormalize.pkl"
    path.write_bytes(pickle.dumps(Evil(tmp_path / "run")))
    with pytest.raises(UserError, match=r"without running code.*--normalise FILE\.json"):
        read_statistics(path)
    assert not (tmp_path / "run").exists()


def test_statistics_can_be_given_as_json(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    numbers = {"mean": [0.0] * 8, "var": [4.0] * 8, "epsilon": 0.0, "clip_obs": 10.0}
    path.write_text(json.dumps(numbers))
    statistics = read_statistics(path)
    assert statistics is not None and statistics.std.tolist() == [2.0] * 8


def test_statistics_of_another_training_do_not_fit(tmp_path: Path) -> None:
    path = saved(LEARNERS["ppo"](Stub()), tmp_path / "policy.zip")
    numbers = {"mean": [0.0] * 5, "var": [4.0] * 5, "epsilon": 0.0, "clip_obs": 10.0}
    (tmp_path / "statistics.json").write_text(json.dumps(numbers))
    with pytest.raises(UserError, match=r"normalise\.mean has the shape \(5,\) instead of \(8,\)"):
        import_sb3(path, OPTIONS, read_statistics(tmp_path / "statistics.json"))


# -- pickles as values ----------------------------------------------------------------------------

PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False),
        st.text(max_size=20),
        st.binary(max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=5), inner, max_size=5),
    ),
    max_leaves=20,
)


@REPEATABLE
@given(value=PLAIN, protocol=st.sampled_from([3, 4, 5]))
def test_plain_values_are_read_as_they_are(value: Any, protocol: int) -> None:
    assert read_values(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_numpy_are_read(protocol: int, order: Any) -> None:
    array = np.arange(6.0).reshape(2, 3, order=order) / 7
    np.testing.assert_array_equal(to_array(read_values(pickle.dumps(array, protocol))), array)
    number = read_values(pickle.dumps(np.float64(0.3), protocol))
    assert float(to_array(number)) == 0.3


def test_an_object_is_a_record_of_its_class() -> None:
    record = read_values(pickle.dumps(TargetFindingOptions(robot="starfish")))
    assert isinstance(record, Record)
    assert record.name.endswith("options.TargetFindingOptions")
    assert record.state["robot"] == "starfish"


@REPEATABLE
@given(data=st.binary(max_size=200), cut=st.integers(0, 300))
def test_any_bytes_are_read_or_refused(data: bytes, cut: int) -> None:
    good = pickle.dumps({"a": [np.arange(3.0), Record("x", ())]})
    for content in (data, good[:cut], good[:cut] + data):
        try:
            read_values(content)
        except ValueError:
            continue
