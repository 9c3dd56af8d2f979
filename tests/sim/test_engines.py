"""PyBullet as the simulation's engine: beside our own loop, and what it cannot carry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from asterias.errors import UserError
from asterias.files import read_json
from hardware.description.devices import EngineName
from hardware.description.robot import RobotDescription, load_robot
from sim.contact.shapes import ball
from sim.contact.standing_robot import standing_robot
from sim.engines.bullet_robots import BulletContactBody, BulletRobot
from sim.engines.bullet_urdf import bullet_urdf
from sim.engines.command import MeasureEngines
from sim.engines.registry import ENGINES, find_engine
from sim.physics.rotations import rotation_from_rpy, rpy_from_rotation
from sim.vectorised.worlds import WorldBatch
from sim.world import SimWorld

# Where the cache is cold, numba compiles the loops for a minute.
pytestmark = pytest.mark.timeout(600)

# Of a hinge, between the engines, while the limb moves at the servos' full speed.
WITHIN_RAD = 0.02


@pytest.fixture
def pair(limb_p1: RobotDescription) -> Iterator[tuple[SimWorld, SimWorld]]:
    """Prototype 1 in both engines."""
    with (
        SimWorld(limb_p1, pictures=False) as own,
        SimWorld(limb_p1, engine="pybullet", pictures=False) as bullet,
    ):
        yield own, bullet


def test_every_name_of_an_engine_has_one() -> None:
    assert set(ENGINES) == set(get_args(EngineName))
    with pytest.raises(UserError, match="no engine 'bullet': choose one of asterias, pybullet"):
        find_engine("bullet")


def test_a_description_chooses_the_engine() -> None:
    robot = load_robot("limb_p1")
    told = robot.model_copy(
        update={"backend": robot.simulation.model_copy(update={"engine": "pybullet"})}
    )
    with SimWorld(told, pictures=False) as world:
        assert world.engine.name == "pybullet"


@pytest.mark.parametrize("name", ["limb_p1", "starfish"])
def test_bullet_has_the_links_inertia(name: str) -> None:
    robot = BulletRobot(load_robot(name))
    multibody = robot._multibody
    angles = 0.1 * np.arange(1, multibody.hinges + 1) / multibody.hinges
    found = np.array(multibody.bullet.calculateMassMatrix(multibody.body, angles.tolist()))
    for body in robot.bodies:
        body.place(angles[body.hinges])
        own = body.mass_matrix() - np.diag(body.soft.armature)
        count = body.hinge_count
        np.testing.assert_allclose(
            found[body.hinges, body.hinges], own[:count, :count], atol=1e-9 * found.max()
        )


def test_the_urdf_of_a_robot_that_stands_has_its_bodys_mass_and_place() -> None:
    body = standing_robot(load_robot("starfish"), body=BulletContactBody)
    assert isinstance(body, BulletContactBody) and body._multibody is not None
    multibody = body._multibody
    about = multibody.bullet.getDynamicsInfo(multibody.body, -1)
    assert about[0] == pytest.approx(body.bodies[0].mass_kg)
    assert sorted(about[2]) == pytest.approx(
        np.sort(np.linalg.eigvalsh(body.bodies[0].inertia_kg_m2))
    )
    body.start_at((0.1, -0.2, 0.3), (0.3, -0.4, 1.2))
    rotation, position = multibody.base_pose()
    assert position == pytest.approx([0.1, -0.2, 0.3])
    assert rotation == pytest.approx(rotation_from_rpy((0.3, -0.4, 1.2)))


def test_roll_pitch_and_yaw_come_back_from_a_rotation() -> None:
    rng = np.random.default_rng(0)
    for rpy in [*rng.uniform(-1.5, 1.5, (20, 3)), (0.3, 0.5 * np.pi, -0.2)]:
        rotation = rotation_from_rpy(rpy)
        np.testing.assert_allclose(
            rotation_from_rpy(rpy_from_rotation(rotation)), rotation, atol=1e-7
        )


def test_limbs_sag_alike_and_take_the_same_way(pair: tuple[SimWorld, SimWorld]) -> None:
    for world in pair:
        world.advance(1.5)
    own, bullet = (world.bodies[0] for world in pair)
    assert np.abs(own.hinge_rad).max() > 0.1  # it does sag
    assert bullet.hinge_rad == pytest.approx(own.hinge_rad, abs=2e-3)
    apart = []
    for body in (own, bullet):
        body.set_goal([0.6, -0.4, 0.5, 0.7])
    for _ in range(40):
        for world in pair:
            world.advance(0.02)
        apart.append(np.abs(own.hinge_rad - bullet.hinge_rad).max())
    assert max(apart) < WITHIN_RAD
    assert bullet.servo_nm == pytest.approx(own.servo_nm, abs=0.02)
    assert bullet.tendon_tensions_n() == pytest.approx(own.tendon_tensions_n(), abs=0.5)


def test_without_power_a_limb_falls_and_a_push_moves_it(pair: tuple[SimWorld, SimWorld]) -> None:
    for world in pair:
        body = world.bodies[0]
        body.power(False)
        body.push("finger_tip", (0.1, 0.0, 0.03), (0.0, 0.05, 0.0))
        world.advance(0.16)
    own, bullet = (world.bodies[0].hinge_rad for world in pair)
    assert own[1] > 0.3 and own[0] > 0.003
    assert bullet == pytest.approx(own, abs=0.02)


def test_a_held_limb_does_not_pass_through_the_scenery(limb_p1: RobotDescription) -> None:
    box = limb_p1.scenery[0].model_copy(
        update={"center_m": (0.0, 0.0, 0.195), "size_m": (0.1, 0.4, 0.15)}
    )
    robot = limb_p1.model_copy(update={"scenery": (box,)})
    down = [0.0, 0.8, 0.0, 0.0]
    angles = {}
    for engine in ENGINES:
        with SimWorld(robot, engine=engine, pictures=False) as world:
            world.bodies[0].set_goal(down)
            world.advance(1.5)
            angles[engine] = world.bodies[0].hinge_rad[1]
    assert angles["asterias"] > 0.75 > 0.6 > angles["pybullet"]


def test_a_robot_that_drops_loses_its_energy_to_the_ground() -> None:
    body = standing_robot(load_robot("starfish"), height_m=0.03, body=BulletContactBody)
    before = sum(body.energy_j())
    body.advance(150)
    lost = before - sum(body.energy_j())
    assert body.position_m()[2] == pytest.approx(0.025, abs=0.001)  # half a block's height
    assert np.abs(body.velocity_m_s()).max() < 0.01
    assert body.contacts >= 12
    assert -body.contact_work_j == pytest.approx(lost, rel=0.15)


def test_what_it_cannot_carry_is_one_sentence(limb_p1: RobotDescription) -> None:
    limb = limb_p1.limbs[0]
    many = limb_p1.model_copy(
        update={"limbs": tuple(limb.model_copy(update={"name": f"limb_{k}"}) for k in range(21))}
    )
    with pytest.raises(UserError, match=r"122 hinges at most, and limb_p1 has 126; set backend"):
        SimWorld(many, engine="pybullet", pictures=False)
    with pytest.raises(UserError, match="one robot with limbs; use engine asterias"):
        BulletContactBody([ball(1.0, 0.1, (0.0, 0.0, 1.0))])
    with (
        SimWorld(limb_p1, engine="pybullet", pictures=False) as world,
        pytest.raises(UserError, match="moved by engine asterias alone"),
    ):
        WorldBatch([world])


def test_the_study_measures_the_same_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_SAG_S", "_MOVE_S", "_DROP_S"):
        monkeypatch.setattr(f"sim.engines.comparison.{name}", 0.2)
    monkeypatch.setattr("sim.engines.comparison._CREEP_S", 0.6)
    path = tmp_path / "engines.json"
    assert MeasureEngines(duration_s=0.1, repeats=1, json=path).run() == 0
    told = read_json(path)
    for part in ("limb", "ground"):
        own, bullet = (told[part][engine] for engine in ENGINES)
        assert own.keys() == bullet.keys()
    for engine in ENGINES:
        assert told["ground"][engine]["slide_error"] < 0.005
        assert told["limb"][engine]["energy_gained_mj"] < 0.01
        assert told["real_time_factor"]["held"][engine]["median"] > 0.0


def test_the_study_refuses_what_it_cannot_do() -> None:
    with pytest.raises(UserError, match="--repeats takes 1 or more"):
        MeasureEngines(repeats=0).run()
    with pytest.raises(UserError, match=r"--duration-s takes 0\.1 or more"):
        MeasureEngines(duration_s=0.0).run()


def test_its_urdf_turns_nothing_that_has_no_mass() -> None:
    text = bullet_urdf(load_robot("limb_p1"))
    assert text.count('<joint name="') == text.count('type="continuous"') == 6
    assert "camera" not in text and "pulley" not in text
