"""Target finding with the whole body: what cameras see, what fails, and policies for all limbs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.starfish.body_sight import BodySight
from learning.starfish.environment import StarfishTargetFindingEnv
from learning.starfish.episodes import (
    draw_failures,
    draw_targets,
    facing,
    joints_of,
    views_of_limbs,
)
from learning.starfish.evaluation import body_episodes, summarise
from learning.starfish.learners.pathwise import SmoothSight
from learning.starfish.live_search import LiveBodySearcher, best_body_policy
from learning.starfish.options import BodySearchOptions
from learning.starfish.policy import BodyPolicy, check_fit, load_body_policy
from learning.starfish.searchers import make_body_searcher
from learning.starfish.searches import BodySearches
from learning.starfish.study import StarfishFind
from learning.target_finding.algorithms.registry import BODY, LIMB
from learning.target_finding.commands.evaluate import EvaluatePolicy
from learning.target_finding.commands.train import TaskArguments, Train

# Where the cache is cold, numba compiles.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sight() -> BodySight:
    """What the starfish's cameras see."""
    return BodySight(load_robot("starfish"))


def test_what_is_seen_by_geometry_is_decoded_in_the_simulation(sight: BodySight) -> None:
    environment = StarfishTargetFindingEnv()
    seen = decoded = missed = 0
    for seed in range(3):
        environment.reset(seed=seed)
        environment.step(np.random.default_rng(seed).uniform(-1, 1, 48).astype(np.float32))
        angles = joints_of(environment.command, sight.limits_rad)
        for _ in range(12):
            environment._place_target()
            found, pictures = sight.sees(angles, *environment.target)[0], environment._look()
            seen, decoded = seen + int(found.sum()), decoded + int((found & pictures).sum())
            missed += int((pictures & ~found).sum())
    environment.close()
    # Calibrated on 10,526 pictures: 96 of 100 that it calls seen are decoded.
    assert seen >= 15 and decoded >= 0.8 * seen and missed <= 0.4 * seen


def test_links_hide_targets_and_large_tags_are_decoded_more_often(sight: BodySight) -> None:
    rng = np.random.default_rng(0)
    place, rpy = draw_targets(rng, 400, sight.middle_m, BodySearchOptions())
    angles = joints_of(rng.uniform(-1, 1, (400, 6, 8)), sight.limits_rad)
    where = (angles, place.astype(np.float32), facing(rpy))
    sizes, bare = sight.sizes_px(*where), sight.without_links().sizes_px(*where)
    hidden = (bare > 0) & (sizes == 0)
    assert 0 < hidden.sum() < 0.5 * (bare > 0).sum()
    assert (sizes[sizes > 0] == bare[sizes > 0]).all()
    chances = sight.chances(*where)
    assert (chances[sizes == 0] == 0).all()
    order = np.argsort(sizes[sizes >= 12.0])
    assert (np.diff(chances[sizes >= 12.0][order]) >= 0).all()


def test_shares_of_failures_are_met_to_the_camera(sight: BodySight) -> None:
    options = BodySearchOptions(dead_cameras=0.5, silent_cameras=0.25, dead_limbs=2)
    failures = draw_failures(np.random.default_rng(0), 50, sight, options)
    assert (failures.works.sum(1) == 4).all()
    assert (failures.live.sum((1, 2)) == 16).all()
    assert ((failures.blind | failures.late).sum((1, 2)) == 4).all()
    assert not (failures.live & ~failures.works[:, :, None]).any()
    sees = np.ones_like(failures.live)
    finds = failures.finds(sees, ~sees)
    assert (finds.sum((1, 2)) == 12).all()
    # A camera that is late reports what was in sight a step before.
    assert (failures.finds(~sees, sees) == failures.late).all()


def test_each_limb_is_told_the_same_from_its_own_place(sight: BodySight) -> None:
    searches = BodySearches(sight, [BodySearchOptions(dead_cameras=0.3)], 3, 2, seed=1)
    observation = searches.observation()
    views = views_of_limbs(observation, sight.limbs)
    assert views[:, 0] == pytest.approx(observation)
    table = observation[:, :-3].reshape(3, 6, -1)
    assert views[:, 2, :17] == pytest.approx(table[:, 2])
    assert views[:, 5, 17:34] == pytest.approx(table[:, 0])


def test_searches_begin_unseen_and_count_what_each_limb_adds(sight: BodySight) -> None:
    settings = [BodySearchOptions(), BodySearchOptions(dead_limbs=2)]
    searches = BodySearches(sight, settings, 20, 12, seed=2)
    assert (searches.failures.works.sum(1) == np.tile([6, 4], 10)).all()
    # Targets that are seen at once were drawn anew, but for tags that are seldom decoded.
    at_once = (searches.chances() * searches.failures.live[:, None]).max((2, 3))
    assert (at_once < 0.99).all() and (at_once > 0).mean() < 0.1
    rng = np.random.default_rng(3)
    for _ in range(3):
        before = searches.left.mean(axis=1)
        _, gained = searches.step(rng.uniform(-1, 1, searches.command.shape))
        assert gained[:, 0] == pytest.approx(before - searches.left.mean(axis=1))
        assert (gained[:, 1:].sum(axis=1) <= gained[:, 0] + 1e-9).all()
    assert (gained[:, 1:][~searches.failures.works] == 0).all()
    assert 0.2 < 1.0 - searches.left.mean() < 0.8


def test_the_soft_sight_has_the_gradient_of_its_value_and_grows_sharp(sight: BodySight) -> None:
    searches = BodySearches(sight, [BodySearchOptions()], 30, 8, seed=4)
    smooth = SmoothSight(sight.without_links())
    command = torch.as_tensor(searches.command, dtype=torch.float32, device="cpu")
    where = torch.as_tensor(searches.place_m), torch.as_tensor(searches.turn)
    sharp = smooth.chances(command, *where, 0.05).numpy() > 0.5
    hard = sight.without_links().sizes_px(
        joints_of(searches.command, sight.limits_rad), searches.place_m, searches.turn
    )
    assert (sharp == (hard > 12.5)).mean() > 0.99 and sharp.sum() > 20
    command.requires_grad_()
    value = smooth.chances(command, *where, 6.0).sum()
    value.backward()  # type: ignore[no-untyped-call]
    assert command.grad is not None
    way = torch.sign(command.grad)
    with torch.no_grad():
        step = 1e-3
        up, down = (smooth.chances(command + s * way, *where, 6.0).sum() for s in (step, -step))
    slope = float((up - down) / (2 * step))
    assert slope == pytest.approx(float(command.grad.abs().sum()), rel=0.05)


@pytest.mark.parametrize(
    ("algorithm", "sharing"),
    [
        ("pathwise", "limbs"),
        pytest.param("pathwise", "body", marks=pytest.mark.slow),
        pytest.param("pgpe", "limbs", marks=pytest.mark.slow),
        pytest.param("pgpe", "body", marks=pytest.mark.slow),
        pytest.param("ppo", "limbs", marks=pytest.mark.slow),
        pytest.param("ppo", "body", marks=pytest.mark.slow),
    ],
)
def test_policies_learn_and_are_measured_by_the_commands(
    algorithm: str, sharing: str, tmp_path: Path, sight: BodySight
) -> None:
    out = tmp_path / "trained"
    train = Train(out=out, algo=algorithm, env=BODY, sharing=sharing, steps=700, progress="json")
    assert train.run() == 0
    policy = load_body_policy(str(out))
    assert (policy.sharing, policy.limbs) == (sharing, 6)
    check_fit(policy, sight.limbs, sight.joints, sight.cameras)
    assert 0.2 < policy.card["found_by_geometry"]["all cameras"][-1] <= 1.0
    with pytest.raises(UserError, match="holds a policy; choose another --out"):
        train.run()
    if (algorithm, sharing) == ("pathwise", "limbs"):
        result = tmp_path / "found.json"
        words = {"env": BODY, "episodes": 2, "dead_share": 0.5, "dead_limbs": 1, "json": result}
        assert EvaluatePolicy(str(out), **words).run() == 0  # type: ignore[arg-type]
        told = json.loads(result.read_text())
        assert told["options"]["dead_limbs"] == 1 and told["options"]["increment"] == 0.4
        assert 1 <= told["mean_steps"] <= told["cap"] == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"algo": "sac"}, "Whole bodies learn by pathwise, ppo, pgpe, not by sac"),
        ({"padded": True}, "take no --padded"),
        ({"resume": True}, "begin anew: omit --resume"),
        ({"steps": 0}, "--steps must be 1 or more"),
        ({"env": "Asterias/Maze-v0"}, "train knows the environments Asterias/TargetFinding-v0"),
        ({"env": LIMB, "algo": "pathwise"}, "pathwise trains whole bodies: add --env"),
        ({"task": TaskArguments(robot="limb_p1_two")}, "There is no robot"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    words: dict[str, Any], told: str, tmp_path: Path
) -> None:
    given = {"algo": "pathwise", "env": BODY, "progress": "json", **words}
    with pytest.raises(UserError, match=told):
        Train(out=tmp_path, **given).run()
    with pytest.raises(UserError, match="are of whole bodies: add --env"):
        Train(out=tmp_path, task=TaskArguments(dead_limbs=1)).run()


@pytest.mark.parametrize("name", ["random", "alone", "together", "knows"])
def test_searchers_move_limbs_that_work_within_a_step(name: str, sight: BodySight) -> None:
    options = BodySearchOptions(dead_limbs=2, simulate=False)
    environment = StarfishTargetFindingEnv(options)
    searcher = make_body_searcher(name, sight, options)
    results = list(body_episodes(environment, searcher, 3, seed=1))
    assert results == list(body_episodes(environment, searcher, 3, seed=1))
    assert all(1 <= result.steps <= options.cap for result in results)
    found = summarise(results)
    assert found["episodes"] == 3 and len(found["found_within"]) == 3
    if name == "knows":
        assert found["mean_steps"] <= 2.0
    environment.close()


def test_policies_of_other_robots_are_refused(sight: BodySight) -> None:
    for name in ("ppo_kill0", "x" * 5000):
        with pytest.raises(UserError, match="There is no whole-body policy"):
            make_body_searcher(name, sight, BodySearchOptions())
    with pytest.raises(UserError, match="takes --dead-share and --dead-limbs, no --faults"):
        EvaluatePolicy("random", env=BODY, faults="kill1").run()
    with pytest.raises(UserError, match="evaluate knows the environments"):
        EvaluatePolicy("random", env="CartPole-v1").run()


def test_the_same_seed_gives_the_same_episode() -> None:
    rows = []
    for _ in range(2):
        environment = StarfishTargetFindingEnv(wait_s=0.1, dead_cameras=0.5)
        observation, info = environment.reset(seed=4)
        step = environment.step(np.full(48, 0.5, np.float32))
        rows.append((observation.tolist(), info, step[0].tolist(), step[1]))
        environment.close()
    assert rows[0] == rows[1]
    assert len(rows[0][1]["dead_cameras"]) == 24


def test_limbs_that_are_dead_stay_limp_and_the_others_move() -> None:
    environment = StarfishTargetFindingEnv(dead_limbs=2, wait_s=0.5, increment=2.0)
    _, info = environment.reset(seed=1)
    environment.step(np.full(48, 1.0, np.float32))
    for number, body in enumerate(environment.world.bodies):
        # A limp limb hangs down, but does not turn sideways.
        sideways = np.abs(body.servo_rad[1::2]).min()
        assert (sideways < 0.01) == (number in info["dead_limbs"])
    environment.close()


def test_a_policy_is_saved_loaded_and_checked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layers = ((rng.standard_normal((4, 105)), np.zeros(4)), (np.ones((8, 4)), np.zeros(8)))
    policy = BodyPolicy(layers, "limbs", 6, {"note": "a test"})
    policy.save(tmp_path / "policy.safetensors")
    again = load_body_policy(str(tmp_path))
    observation = rng.uniform(-1, 1, (2, 105)).astype(np.float32)
    assert again.act(observation) == pytest.approx(policy.act(observation), abs=1e-5)
    assert again.act(observation).shape == (2, 6, 8)
    check_fit(again, 6, 8, 8)
    with pytest.raises(UserError, match="does not fit a robot of 5 limbs"):
        check_fit(again, 5, 8, 8)
    (tmp_path / "policy.json").write_text('{"sharing": "nobody", "limbs": 6}')
    with pytest.raises(UserError, match="hold no whole-body policy"):
        load_body_policy(str(tmp_path))
    with pytest.raises(UserError, match="There is no whole-body policy 'best'"):
        load_body_policy("best")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dead_cameras": 1.5}, "dead_cameras is a share from 0 to 1"),
        ({"dead_limbs": 6}, "dead_limbs takes fewer than the robot's 6 limbs"),
        ({"increment": 0.0}, "increment takes more than 0"),
        ({"cap": 0}, "cap 1 or more"),
        ({"distance_m": (0.7, 0.5)}, "a lower and an upper bound"),
        ({"silent": ("loud",)}, "silent takes some of black"),
        ({"robot": "limb_p1"}, "limb_p1 cannot search with its whole body"),
        ({"colour": 1}, "unexpected keyword argument 'colour'"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        StarfishTargetFindingEnv(**changes)


def test_a_robot_is_searched_with_in_joints_and_numbers(sight: BodySight) -> None:
    rng = np.random.default_rng(0)
    works = np.array([True, True, False, True, True, True])
    low, high = sight.limits_rad[..., 0].ravel(), sight.limits_rad[..., 1].ravel()
    live = [j for j in range(48) if j // 8 != 4]
    for name in (best_body_policy(sight), "together", "random"):
        searcher = LiveBodySearcher(name, sight, rng, lambda: works)
        position = rng.uniform(low, high)
        for _ in range(6):  # longer than the searches that a policy was trained in
            goal = searcher.act(position, live)
            change = np.abs(goal - position).reshape(6, 8)
            # A fifth of the range; a limb that is dead or blind stays where it is.
            assert change.max() <= 0.4 * 0.35 + 1e-9 and change[0].max() > 0.01
            assert change[[2, 4]].max() < 1e-9
            position = goal
    for name in ("knows", "ppo_kill0"):
        with pytest.raises(UserError, match=r"simulation alone|no whole-body policy"):
            LiveBodySearcher(name, sight, rng, lambda: works)


@pytest.mark.slow
def test_the_study_measures_goes_on_and_draws(tmp_path: Path) -> None:
    result, picture = tmp_path / "found.json", tmp_path / "coverage.png"
    study = StarfishFind(
        ("pathwise_limbs", "random"),
        out=tmp_path / "study",
        episodes=2,
        json=result,
        picture=picture,
    )
    assert study.run() == 0
    told = json.loads(result.read_text())
    assert [row["searcher"] for row in told["rows"]] == ["pathwise_limbs", "random"] * 3
    assert told["trainings"][0]["parameters"] == 31112 and len(told["trainings"]) == 1
    with Image.open(picture) as drawn:
        assert drawn.width > 1000
    # What is finished is read, not measured again.
    path = tmp_path / "study" / "random-all_cameras-0.4.json"
    path.write_text(path.read_text().replace('"mean_steps"', '"as_stored": 1, "mean_steps"'))
    assert study.run() == 0
    assert json.loads(result.read_text())["rows"][1]["as_stored"] == 1
