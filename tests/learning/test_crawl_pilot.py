"""Steering a gait by a bearing, the place of a target in sight, and ``crawl-to``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asterias.errors import UserError
from hardware.description.limb import CameraDescription
from hardware.description.robot import load_robot
from hardware.perception.apriltag import detect_tags
from learning.crawling.crawl_to import CrawlToPlace
from learning.crawling.gaits import load_gait
from learning.crawling.pilot import GaitPilot
from learning.crawling.sighting import TargetSighting
from learning.crawling.tag_position import tag_position
from sim.standing_world import StandingWorld

# Where the cache is cold, numba compiles the loop with contact for a minute.
pytestmark = pytest.mark.timeout(600)


def test_the_limb_that_points_to_the_bearing_leads_from_the_next_cycle_on() -> None:
    pilot = GaitPilot(load_robot("starfish"), load_gait("rowing"))
    first = pilot.commands(0.0, 0.0)
    assert pilot.leading_limb == 0
    assert [len(part) for part in first] == [8] * 6
    assert max(np.abs(part).max() for part in first) <= 0.35
    pilot.commands(1.0, 2.0 * math.pi / 3.0)
    assert pilot.leading_limb == 0
    turned = pilot.commands(1.25, 2.0 * math.pi / 3.0)
    assert pilot.leading_limb == 2
    assert turned[2] == pytest.approx(first[0], abs=1e-6)


def test_a_gait_of_another_robot_is_refused() -> None:
    with pytest.raises(UserError, match="A gait of 36 numbers does not fit limb_p1; its 1 limbs"):
        GaitPilot(load_robot("limb_p1"), load_gait("rowing"))


def test_the_place_of_a_tag_comes_from_its_corners() -> None:
    camera = CameraDescription(name="eye", link="world", width_px=96, height_px=96)
    where = np.array([0.8, 0.1, -0.05])
    square = np.array([[0, 1, 1], [0, -1, 1], [0, -1, -1], [0, 1, -1]]) * 0.15 + where
    pixels = 47.5 - camera.focal_px * square[:, 1:] / square[:, :1]
    assert tag_position(pixels, 0.3, camera) == pytest.approx(where, abs=1e-4)
    assert tag_position(np.zeros((4, 2)), 0.3, camera) is None
    assert tag_position(np.full((4, 2), np.nan), 0.3, camera) is None


def test_a_target_in_sight_is_placed_within_centimetres() -> None:
    world = StandingWorld("starfish", target_xy_m=(1.1, 0.0))
    world.advance(0.1)
    sighting = TargetSighting(world.robot, 0.3)
    rotation, position = world.base_pose()
    places = []
    for limb, row in enumerate(world.cameras):
        for number, camera in enumerate(row):
            for found in detect_tags(world.draw(limb, camera.description), [29]):
                servos = world.bodies[limb].servo_rad
                place = sighting.position_m(limb, number, found.corners_px, servos)
                assert place is not None
                places.append(rotation @ place + position)
    assert len(places) >= 2
    assert np.median(places, axis=0)[:2] == pytest.approx([1.1, 0.0], abs=0.06)


def test_crawl_to_arrives_and_leaves_a_film(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "way.webp"
    crawl = CrawlToPlace(target_m=(0.1, 0.0), tolerance_m=0.09, out=out)
    assert crawl.run() == 0
    assert "Arrived after" in capsys.readouterr().out
    with Image.open(out) as film:
        assert film.size == (984, 480)
    assert CrawlToPlace(target_m=(5.0, 0.0), limit_s=0.16).run() == 1


def test_crawl_to_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    for changes, told in (
        ({"target_m": (1.0,)}, "--target-m takes two"),
        ({"limit_s": 0.0}, "--limit-s takes more than 0"),
        ({"out": tmp_path / "way.png"}, "a film ends in .webp or .gif"),
        ({"gait": "gallop"}, "There is no gait"),
    ):
        with pytest.raises(UserError, match=told):
            CrawlToPlace(**changes).run()  # type: ignore[arg-type]
