"""Contact: scenes with a known outcome, books of energy, other engines, repeatability, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.robot import RobotDescription, load_robot
from sim.contact import bullet_scenes, mujoco_scenes, scenes
from sim.contact.body import ContactBody
from sim.contact.shapes import FreeBody, Ground, Obstacle, Plane, Surface, ball, block
from sim.contact.standing_robot import standing_robot
from sim.physics import rigid_body

# Where the cache is cold, numba compiles the loop with contact for a minute.
pytestmark = pytest.mark.timeout(600)

# What the solver may leave moving does this much in a step of 2 ms under tens of newtons.
ENERGY_NOISE_J = 1e-8


@pytest.fixture(scope="module")
def starfish() -> RobotDescription:
    """The whole robot."""
    return load_robot("starfish")


# -- known outcomes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bound"), [("slide", 0.01), ("rest", 1e-3), ("bounce", 0.02), ("stack", 1e-3)]
)
def test_a_scene_ends_as_the_books_say(name: str, bound: float) -> None:
    assert scenes.JUDGES[name](scenes.run_scene(scenes.SCENES[name])) < bound


def test_a_block_at_rest_below_the_friction_angle_does_not_creep_at_all() -> None:
    track = scenes.run_scene(scenes.SCENES["rest"])
    assert scenes.creep_m(track) < 1e-6


def test_sliding_stops_where_coulomb_says() -> None:
    sliding = block(1.0, (0.2, 0.2, 0.1), (0.0, 0.0, 0.05))
    world = ContactBody([sliding], ground=Ground(surface=Surface(friction=0.5)))
    world.advance(50)
    world.state.v[0] = 1.0
    world.advance(500)
    assert world.position_m()[0] == pytest.approx(1.0 / (2 * 0.5 * 9.81), rel=0.02)
    assert np.abs(world.velocity_m_s()).max() < 1e-6


def test_a_ball_set_sliding_rolls_with_five_sevenths_of_its_speed() -> None:
    world = ContactBody([ball(1.0, 0.1, (0.0, 0.0, 0.1), (1.0, 0.0, 0.0))])
    world.advance(500)
    assert world.velocity_m_s()[0] == pytest.approx(5 / 7, rel=1e-3)
    begin = world.position_m()[0]
    world.advance(500)
    # It rolls on with nothing lost, over references of its attitude that change often.
    assert world.position_m()[0] - begin == pytest.approx(5 / 7, rel=1e-3)


def test_a_ball_rests_on_a_box_and_beside_it() -> None:
    box = Obstacle((0.0, 0.0, 0.1), (0.4, 0.4, 0.2))
    bodies = [ball(1.0, 0.1, (0.0, 0.0, 0.4)), ball(1.0, 0.1, (1.0, 0.0, 0.1))]
    world = ContactBody(bodies, ground=Ground(boxes=(box,)))
    world.state.v[6] = -1.0  # the second rolls towards the box
    world.advance(1500)
    assert world.position_m(0)[2] == pytest.approx(0.3, abs=1e-3)
    assert world.position_m(1)[0] > 0.3 - 1e-3


def test_a_free_body_tumbles_with_its_angular_momentum_and_energy() -> None:
    tumbling = block(1.0, (0.3, 0.2, 0.1), (0.0, 0.0, 0.0), (0.4, -0.3, 0.9))
    world = ContactBody([tumbling], ground=Ground(planes=()), gravity_m_s2=0.0)
    world.state.v[3:] = (1.0, 4.0, -2.0)
    rigid_body.forward_kinematics(world.tree, world.state.q, world.frames)
    before, energy = _angular_momentum(world, tumbling), sum(world.energy_j())
    world.advance(1000)
    assert _angular_momentum(world, tumbling) == pytest.approx(before, rel=5e-3, abs=1e-5)
    assert sum(world.energy_j()) == pytest.approx(energy, rel=1e-9)


def _angular_momentum(world: ContactBody, body: FreeBody) -> FloatArray:
    spin = world.state.v[3:6] @ world.frames.axis[3:6]
    turned = world.rotation()
    momentum: FloatArray = turned @ body.inertia_kg_m2 @ turned.T @ spin
    return momentum


# -- energy ---------------------------------------------------------------------------------------


def _heap(seed: int) -> ContactBody:
    """Balls and blocks thrown at a slope, a box and one another."""
    rng = np.random.default_rng(seed)
    bodies = []
    for k in range(4):
        x, y = rng.uniform(-0.15, 0.15, 2)
        place, speed = (x, y, 0.3 + 0.25 * k), tuple(rng.uniform(-2.0, 2.0, 3).tolist())
        if k % 2:
            made = block(float(rng.uniform(0.1, 2.0)), (0.2, 0.12, 0.1), place, (0.3, 0.2, 0.1))
        else:
            made = ball(float(rng.uniform(0.1, 2.0)), 0.08, place, speed)
        bodies.append(made)
    surface = Surface(friction=float(rng.uniform(0, 1)), restitution=float(rng.choice([0, 0.7, 1])))
    ground = Ground(
        planes=(Plane(), Plane((0.5, 0.0, 1.0), -0.2)),
        boxes=(Obstacle((0.2, 0.0, 0.05), (0.2, 0.3, 0.1), (0.0, 0.0, 0.4)),),
        surface=surface,
    )
    return ContactBody(bodies, ground=ground, physics_hz=float(rng.choice([250, 500, 1000])))


@pytest.mark.parametrize("seed", range(6))
def test_contact_only_takes_energy_away(seed: int) -> None:
    world = _heap(seed)
    energies = [sum(world.energy_j())]
    for _ in range(400):
        world.advance(1)
        energies.append(sum(world.energy_j()))
    assert np.diff(energies).max() < ENERGY_NOISE_J
    assert world.contact_work_j < 0.0


def test_the_books_of_a_limp_robot_balance(starfish: RobotDescription) -> None:
    world = standing_robot(starfish, height_m=0.05)
    world.weaken(np.zeros(world.servo.joint.size))
    energies = [sum(world.energy_j())]
    for _ in range(150):
        world.advance(2)
        energies.append(sum(world.energy_j()))
    assert np.diff(energies).max() < ENERGY_NOISE_J
    # Limbs bend, too, so contacts have not taken all of what is gone.
    assert energies[-1] - energies[0] < world.contact_work_j < 0.0


# -- the robot ------------------------------------------------------------------------------------


def test_a_dropped_starfish_settles(starfish: RobotDescription) -> None:
    world = standing_robot(starfish, height_m=0.05)
    world.advance(1000)
    assert np.abs(world.state.v).max() < 1e-5
    # The lowest sphere touches the ground, pressed in by micrometres.
    lowest = float((world.sphere_centers_m()[:, 2] - world.contact.radius_m).min())
    assert -1e-4 < lowest < 0.0
    assert world.contacts >= 12


def test_limbs_that_are_driven_into_each_other_do_not_pass(starfish: RobotDescription) -> None:
    world = standing_robot(starfish)
    goal = np.zeros((6, 8))
    goal[0, 1::2], goal[1, 1::2] = 0.35, -0.35  # sideways, towards each other
    world.set_goal(goal.ravel())
    world.advance(1000)
    centers = world.sphere_centers_m()
    first, second = world.contact.pair.T
    apart = np.linalg.norm(centers[first] - centers[second], axis=1)
    gap = apart - world.contact.radius_m[first] - world.contact.radius_m[second]
    assert gap.min() > -1e-3
    touching = world.contact.force_n[-len(gap) :].any(axis=1)
    assert touching.any()


def test_the_same_start_gives_the_same_motion_bit_for_bit(starfish: RobotDescription) -> None:
    def run(world: ContactBody) -> bytes:
        world.set_goal(np.tile([0.3, -0.2], 24))
        world.advance(200)
        return world.state.q.tobytes() + world.state.v.tobytes()

    world = standing_robot(starfish)
    first = run(world)
    world.reset()
    assert run(world) == first
    assert run(standing_robot(starfish)) == first


def test_a_free_body_has_its_mass_along_slides_and_its_inertia_about_hinges() -> None:
    # M of a free body alone: its mass along the slides, its turned inertia about the hinges.
    body = block(2.0, (0.3, 0.2, 0.1), (0.0, 0.0, 1.0))
    world = ContactBody([body])
    mass, count = np.zeros((6, 6)), 6
    centers, inertia = np.zeros((count, 3)), np.zeros((count, 3, 3))
    rigid_body.centers_of_mass(world.tree, world.frames, centers)
    rigid_body.world_inertia(world.tree, world.frames, inertia)
    rigid_body.mass_matrix(world.tree, world.frames, centers, inertia, mass)
    turning = body.inertia_kg_m2.diagonal()[::-1]
    assert mass == pytest.approx(np.diag([2.0, 2.0, 2.0, *turning]), abs=1e-12)


# -- other engines --------------------------------------------------------------------------------

# Bouncing differs: MuJoCo's bounce is a spring's, Bullet's moves by what a step cuts off.
PEERS = [
    (mujoco_scenes.run_scene, {"slide": 0.01, "rest": 1e-3, "bounce": 0.12, "stack": 1e-3}),
    (bullet_scenes.run_scene, {"slide": 0.01, "rest": 1e-3, "bounce": 0.5, "stack": 1e-3}),
]


@pytest.mark.parametrize("name", scenes.SCENES)
@pytest.mark.parametrize(("run", "bounds"), PEERS)
def test_other_engines_agree(
    run: Callable[[scenes.ContactScene], FloatArray], bounds: dict[str, float], name: str
) -> None:
    try:
        track = run(scenes.SCENES[name])
    except UserError as error:
        pytest.skip(str(error))
    assert scenes.JUDGES[name](track) < bounds[name]


def test_a_starfish_dropped_in_mujoco_rests_as_high(starfish: RobotDescription) -> None:
    world = standing_robot(starfish, height_m=0.02)
    try:
        track = mujoco_scenes.run_robot(world, 1.0)
    except UserError as error:
        pytest.skip(str(error))
    world.advance(500)
    assert track[-1, 0, 2] == pytest.approx(world.position_m()[2], abs=1e-4)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Surface(friction=-0.1), "friction takes 0 or more, not -0.1"),
        (lambda: Surface(restitution=1.5), "restitution takes 0 to 1, not 1.5"),
        (lambda: Surface(friction=math.nan), "friction takes 0 or more, not nan"),
        (lambda: Surface(stiffness_n_m=0.0), "stiffness takes more than 0 N/m"),
        (lambda: Surface(damping_ns_m=-1.0), "damping takes 0 N s/m or more"),
        (
            lambda: ContactBody([ball(1, 1, (0, 0, 1))], ground=Ground((Plane((0, 0, 0)),))),
            "normal of a plane must not be the zero vector",
        ),
    ],
)
def test_what_is_no_surface_is_refused(make: Callable[[], object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        make()
