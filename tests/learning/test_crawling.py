"""Crawling: what counts, what breaks, the stored gait, adaptation, targets, films, refusals."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from asterias.errors import UserError
from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.film import CrawlFilm
from learning.crawling.gaits import Gait, led_by, led_by_gap, load_gait, walk
from learning.crawling.learners.command import CompareGaits
from learning.crawling.learners.lost_limbs import distinct_losses
from learning.crawling.learners.training import make_learner, train
from learning.crawling.options import CrawlOptions
from learning.crawling.steering import leading_limb, reach_target
from learning.crawling.study import CrawlStudy
from learning.crawling.view import draw_crawler
from sim.rendering.film_view import studio

# Where the cache is cold, numba compiles the loop with contact for a minute.
pytestmark = pytest.mark.timeout(600)

# The aim of the study, in body lengths a minute.
AIM = 2.0


@pytest.fixture(scope="module")
def gait() -> Gait:
    """The gait that comes with the project."""
    return load_gait("rowing")


def test_a_robot_that_is_not_driven_stays_where_it_is() -> None:
    rows = walk(StarfishCrawlEnv(duration_s=1.0), np.zeros(36))
    assert abs(rows["lengths"]) < 1e-4


def test_the_stored_gait_crawls_faster_than_the_aim(gait: Gait) -> None:
    assert gait.theta.size == 36
    assert walk(StarfishCrawlEnv(duration_s=4.0), gait.theta)["lengths_per_min"] > AIM


def test_rewards_sum_to_the_body_lengths_made(gait: Gait) -> None:
    environment = StarfishCrawlEnv(duration_s=1.0)
    total = walk(environment, gait.theta)["lengths"]
    crawler = environment.crawler
    assert total == pytest.approx(crawler.position_m[0] / crawler.length_m, abs=1e-9)


def test_any_limb_can_lead(gait: Gait) -> None:
    ways = []
    for limb in (0, 2):
        heading = 2 * math.pi * limb / 6
        environment = StarfishCrawlEnv(duration_s=2.0, heading_rad=heading)
        ways.append(walk(environment, led_by(gait.theta, limb))["lengths"])
    # The robot is symmetric to the rounded angles of its description.
    assert ways[1] == pytest.approx(ways[0], rel=0.02)


def test_a_broken_limb_does_less_and_a_slope_slows(gait: Gait) -> None:
    environment = StarfishCrawlEnv(duration_s=0.5, broken=(1,))
    walk(environment, gait.theta)
    world = environment.crawler.world
    torque = np.abs(world.state.torque).reshape(6, 8).max(axis=1)
    assert torque[1] < 1e-6 < torque[0]
    flat = walk(StarfishCrawlEnv(duration_s=2.0), gait.theta)["lengths"]
    assert walk(StarfishCrawlEnv(duration_s=2.0, slope_rad=0.2), gait.theta)["lengths"] < flat


def test_broken_limbs_are_drawn_by_the_seed() -> None:
    environment = StarfishCrawlEnv(observe="body", draw_broken=2, broken=(0,))
    drawn = [environment.reset(seed=seed)[0][-6:] for seed in (0, 0, 1, 2, 3)]
    assert all(works.sum() == 3.0 and works[0] == 0.0 for works in drawn)
    assert (drawn[0] == drawn[1]).all()
    assert any((drawn[0] != other).any() for other in drawn[2:])


def test_the_same_seed_gives_the_same_episode(gait: Gait) -> None:
    rows = [walk(StarfishCrawlEnv(duration_s=1.0), gait.theta) for _ in range(2)]
    assert rows[0] == rows[1]


def test_a_target_is_reached_by_the_limb_that_points_to_it(gait: Gait) -> None:
    environment = StarfishCrawlEnv(target_m=(-0.15, 0.26), duration_s=20.0)
    environment.reset(seed=0)
    assert leading_limb(environment) == 2
    found = reach_target(environment, gait.theta)
    assert found["reached"] == 1.0
    assert found["distance_m"] < 0.1 * environment.crawler.length_m


@pytest.mark.slow
def test_a_study_writes_figures_curves_and_a_gait_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learning.crawling.study.TRAINING_S", 0.16)
    monkeypatch.setattr("learning.crawling.study.TEST_S", 0.16)
    monkeypatch.setattr("learning.crawling.study.TARGETS", 1)
    monkeypatch.setattr("learning.crawling.study.TARGET_DISTANCE_M", 0.05)
    study = CrawlStudy(
        out=tmp_path / "runs",
        learners=("cem",),
        seeds=1,
        episodes=30,
        json=tmp_path / "crawl.json",
        picture=tmp_path / "crawl.png",
        gait=tmp_path / "gait.json",
    )
    assert study.run() == 0
    result = json.loads((tmp_path / "crawl.json").read_text())
    assert [row["episodes"] for row in result["rows"]] == [30]
    assert result["targets"]["reached"] == 1
    assert load_gait(str(tmp_path / "gait.json")).theta.size == 36
    monkeypatch.setattr("learning.crawling.study.train", lambda *_: pytest.fail("trained twice"))
    assert study.run() == 0


def test_a_gap_between_two_limbs_can_lead(gait: Gait) -> None:
    environment = StarfishCrawlEnv(duration_s=2.0)
    slow = walk(environment, gait.theta)["lengths"]
    environment.face(math.pi / 2)
    rows = walk(environment, led_by_gap(gait.theta, 1))
    assert rows["lengths"] > slow
    assert environment.crawler.position_m[0] == pytest.approx(0.0, abs=0.01)
    with pytest.raises(UserError, match="A gap leads a gait of 6 limbs, and this one has 4"):
        led_by_gap(np.zeros(24), 0)


def test_losses_are_told_apart_but_for_turns_and_mirror_images() -> None:
    assert distinct_losses(6, 1) == [(0,)]
    assert distinct_losses(6, 2) == [(0, 1), (0, 2), (0, 3)]


@pytest.mark.parametrize("name", ["ars", "ppo", "ppois"])
def test_every_learner_makes_a_gait_of_a_moment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("policy_search", "stable_baselines", "training"):
        monkeypatch.setattr(f"learning.crawling.learners.{module}.TRAINING_S", 0.16)
    monkeypatch.setattr("learning.crawling.learners.training.TEST_S", 0.16)
    row = train(make_learner(name, 3), name, 3, 1e-3)
    assert (row["learner"], row["seed"]) == (name, 3)
    assert len(row["curve"]) == 1 and row["curve"][0][0] == row["episodes"] > 0
    assert math.isfinite(row["lengths_per_min"])
    # Linear policies of the clock are gaits; a network has hundreds of numbers.
    assert row["parameters"] == 18 if name != "ppo" else row["parameters"] > 500
    assert ("theta" in row) == (name != "ppo")


@pytest.mark.slow
def test_the_comparison_writes_figures_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("learners.lost_limbs.TRAINING_S", "learners.lost_limbs.TEST_S"):
        monkeypatch.setattr(f"learning.crawling.{part}", 0.08)
    monkeypatch.setattr("learning.crawling.learners.command.TEST_S", 0.08)
    figures = {"lengths_per_min": 1.0, "curve": [[3, 0.1, 0.2], [6, 0.2, 0.3]], "episodes": 6}
    trained: list[str] = []

    def pretend(_: object, name: str, seed: int, processor_s: float) -> dict[str, Any]:
        trained.append(name)
        return {"learner": name, "seed": seed, "processor_s": processor_s, **figures}

    monkeypatch.setattr("learning.crawling.learners.command.train", pretend)
    study = CompareGaits(
        out=tmp_path / "runs",
        learners=("cem", "ars"),
        seeds=1,
        lost=1,
        json=tmp_path / "compare.json",
        picture=tmp_path / "compare.png",
    )
    assert study.run() == study.run() == 0
    assert trained == ["cem", "ars"]
    told = json.loads((tmp_path / "compare.json").read_text())
    assert [row["limbs"] for row in told["lost"]] == [[0]]
    assert told["engines"].keys() == {"asterias", "pybullet"}
    assert (tmp_path / "compare.png").stat().st_size > 5000


def test_the_comparison_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    for changes, words in (
        ({"seeds": 0}, "--seeds, --learners and --processor-s take"),
        ({"processor_s": 0.0}, "--processor-s take"),
        ({"lost": 0}, "--lost takes one limb or more"),
    ):
        with pytest.raises(UserError, match=words):
            CompareGaits(out=tmp_path, **changes).run()


def test_the_robot_from_outside_casts_a_shadow_wherever_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = StarfishCrawlEnv(duration_s=1.0, render_mode="rgb_array")
    environment.reset(seed=0)
    world = environment.crawler.world
    for place in (0.0, 3.0):
        world.start_at((place, 0.0, float(world.position_m()[2])))
        pictures = []
        for shadow in (0.3, 0.0):
            look = replace(studio(), shadow=shadow)
            monkeypatch.setattr("learning.crawling.view.studio", lambda look=look: look)
            pictures.append(draw_crawler(environment.crawler).astype(int))
        darker = (pictures[1] - pictures[0]).max(axis=2) > 10
        assert darker.mean() > 0.01


def test_a_film_and_a_sheet_are_written(tmp_path: Path) -> None:
    for name, frames in (("crawl.webp", 3), ("crawl.png", 1)):
        out = tmp_path / name
        assert CrawlFilm(duration_s=0.24, out=out).run() == 0
        with Image.open(out) as film:
            assert getattr(film, "n_frames", 1) == frames


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"observe": "pixels"}, "observe is 'pixels': choose clock or body"),
        ({"duration_s": 0.0}, "duration_s takes more than 0"),
        ({"slope_rad": 2.0}, "slope_rad takes -0.7 to 0.7"),
        ({"broken": (6,)}, "broken names limb 6; starfish has 0 to 5"),
        ({"draw_broken": 7}, "starfish has 6 limbs; fewer can break"),
        ({"friction": -1.0}, "friction takes 0 or more"),
        ({"heading_rad": math.nan}, "heading_rad takes an angle"),
        ({"target_m": (math.inf, 0.0)}, "target_m takes two finite lengths"),
        ({"speed": 1.0}, "unexpected keyword argument 'speed'"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        StarfishCrawlEnv(**changes)


def test_a_gait_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no gait 'gallop'; known are rowing"):
        load_gait("gallop")
    path = tmp_path / "bad.json"
    for text in ("{}", "[]", '{"theta": [1, 2]}', '{"theta": ["a"]}', '{"theta": [1, 2, NaN]}'):
        path.write_text(text)
        with pytest.raises(UserError, match=r"holds no gait|JSON|not"):
            load_gait(str(path))
    with pytest.raises(UserError, match="does not fit this robot"):
        walk(StarfishCrawlEnv(CrawlOptions(duration_s=0.1)), np.zeros(6))
