"""Bodies, robots and worlds that the tests of the simulation are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from hardware.description.limb import (
    Body,
    Flexure,
    Hinge,
    JointDescription,
    Limb,
    Link,
    Material,
    Section,
)
from hardware.description.robot import RobotDescription, load_robot
from sim.physics.beam import beam_limb
from sim.physics.limb_body import LimbBody
from sim.world import SimWorld

LENGTH_M = 0.1
SECTION = Section(shape="rectangle", width_m=0.02, thickness_m=0.005)
RUBBER = Material(youngs_modulus_pa=26e6, density_kg_m3=1210.0)

NewBeam = Callable[..., LimbBody]
NewPendulum = Callable[..., LimbBody]
NewLimb = Callable[..., LimbBody]


@dataclass(frozen=True)
class Beam:
    """The textbook beam's figures."""

    length_m: float = LENGTH_M
    bending_nm2: float = RUBBER.youngs_modulus_pa * SECTION.second_moment_m4
    line_density_kg_m: float = RUBBER.density_kg_m3 * 0.02 * 0.005

    @property
    def first_rad_s(self) -> float:
        """First natural frequency of a Euler-Bernoulli cantilever."""
        stiffness = self.bending_nm2 / (self.line_density_kg_m * self.length_m**4)
        return 1.8751040687**2 * math.sqrt(stiffness)


@pytest.fixture(scope="session")
def beam() -> Beam:
    """What every beam of ``new_beam`` is made of."""
    return Beam()


@pytest.fixture(scope="session")
def new_beam() -> NewBeam:
    """Makes a clamped chain of ``count`` flexible links."""

    def make(
        count: int,
        *,
        physics_hz: float = 500.0,
        retardation_s: float = 0.0,
        gravity_m_s2: float = 0.0,
        vertical: bool = False,
    ) -> LimbBody:
        material = RUBBER.model_copy(update={"retardation_time_s": retardation_s})
        limb = beam_limb(count, LENGTH_M, SECTION, material, vertical=vertical)
        return LimbBody(
            limb,
            {"beam": material},
            physics_hz=physics_hz,
            gravity_m_s2=gravity_m_s2,
            powered=False,
        )

    return make


@pytest.fixture(scope="session")
def new_pendulum() -> NewPendulum:
    """Makes one link on one hinge about y: 0.2 kg, its centre 0.1 m out along x."""

    def make(
        *,
        physics_hz: float = 500.0,
        gravity_m_s2: float = 9.81,
        section: Section | None = None,
        rest_rad: float = 0.0,
        retardation_s: float = 0.05,
        joint: JointDescription | None = None,
        limits_rad: tuple[float, float] = (-20.0, 20.0),
    ) -> LimbBody:
        material = RUBBER.model_copy(update={"retardation_time_s": retardation_s})
        flexure = None
        if section is not None:
            flexure = Flexure(material="rubber", section=section, length_m=0.02, rest_rad=rest_rad)
        hinge = Hinge(
            name="hinge",
            parent="base",
            child="arm",
            pivot_m=(0.0, 0.0, 0.0),
            axis=(0.0, 1.0, 0.0),
            limits_rad=limits_rad,
            flexure=flexure,
        )
        size = (0.2, 0.02, 0.02)
        links = (
            Link(name="base", mass_kg=1.0, center_m=(0.0, 0.0, 0.0), size_m=size),
            Link(name="arm", mass_kg=0.2, center_m=(0.1, 0.0, 0.0), size_m=size),
        )
        limb = Limb.model_construct(
            name="pendulum",
            joints=() if joint is None else (joint,),
            body=Body(links=links, hinges=(hinge,)),
        )
        return LimbBody(
            limb, {"rubber": material}, physics_hz=physics_hz, gravity_m_s2=gravity_m_s2
        )

    return make


@pytest.fixture(scope="session")
def limb_p1() -> RobotDescription:
    """The description of prototype 1."""
    return load_robot("limb_p1")


@pytest.fixture(scope="session")
def new_limb(limb_p1: RobotDescription) -> NewLimb:
    """Makes prototype 1's limb at any physics rate and gravity, powered or not."""

    def make(
        *, physics_hz: float = 500.0, gravity_m_s2: float = 9.81, powered: bool = True
    ) -> LimbBody:
        return LimbBody(
            limb_p1.limbs[0],
            limb_p1.materials,
            physics_hz=physics_hz,
            gravity_m_s2=gravity_m_s2,
            powered=powered,
        )

    return make


@pytest.fixture
def world(limb_p1: RobotDescription) -> Iterator[SimWorld]:
    """Prototype 1 with pictures."""
    with SimWorld(limb_p1, seed=3) as made:
        yield made


# -- descriptions from the whole range of the file ------------------------------------------------


def _spread(rng: np.random.Generator, low: float, high: float, *, zero: float = 0.0) -> float:
    """Drawn evenly over orders of magnitude; 0 with probability ``zero``."""
    value = float(10.0 ** rng.uniform(math.log10(low), math.log10(high)))
    return 0.0 if rng.random() < zero else value


def wild_robot(seed: int) -> RobotDescription:
    """Prototype 1 with everything soft and driven drawn over orders of magnitude."""
    rng = np.random.default_rng(seed)
    data = load_robot("limb_p1").model_dump()
    data["backend"]["physics_hz"] = float(rng.choice([100, 150, 250, 500, 1000, 2000]))
    for material in data["materials"].values():
        material["youngs_modulus_pa"] = _spread(rng, 26e3, 26e9)
        material["retardation_time_s"] = _spread(rng, 1e-4, 1.0, zero=0.25)
    (limb,) = data["limbs"]
    for joint in limb["joints"]:
        joint["torque_limit_nm"] = _spread(rng, 1e-2, 1e2)
        joint["velocity_limit_rad_s"] = _spread(rng, 0.5, 50.0)
        joint["stiffness_nm_rad"] = _spread(rng, 1e-1, 1e5)
        joint["damping_nms_rad"] = _spread(rng, 1e-3, 1e2, zero=0.25)
        joint["lag_s"] = _spread(rng, 1e-3, 1.0, zero=0.25)
        joint["armature_kg_m2"] = _spread(rng, 1e-6, 1.0)
    for hinge in limb["body"]["hinges"]:
        hinge["friction_nm"] = _spread(rng, 1e-4, 1.0, zero=0.25)
        hinge["damping_nms_rad"] = _spread(rng, 1e-4, 10.0, zero=0.25)
        hinge["stop_stiffness_nm_rad"] = _spread(rng, 1.0, 1e6)
        hinge["stop_damping_nms_rad"] = _spread(rng, 1e-4, 1e2, zero=0.25)
    for tendon in limb["body"]["tendons"]:
        tendon["stiffness_n_m"] = _spread(rng, 1e2, 1e8)
        tendon["damping_ns_m"] = _spread(rng, 1e-2, 1e3, zero=0.25)
        tendon["pretension_n"] = _spread(rng, 0.1, 1e3, zero=0.25)
        tendon["slack_m"] = _spread(rng, 1e-4, 1e-1, zero=0.25)
        tendon["capstan_friction"] = _spread(rng, 1e-2, 1.0, zero=0.25)
        tendon["wrap_rad"] = _spread(rng, 1e-2, 6.0, zero=0.25)
    return RobotDescription.model_validate(data)


@pytest.fixture(scope="session")
def new_wild_body() -> NewLimb:
    """Makes the limb of a random description; its rate is drawn too."""

    def make(*, seed: int, powered: bool = True) -> LimbBody:
        robot = wild_robot(seed)
        return LimbBody(
            robot.limbs[0],
            robot.materials,
            physics_hz=robot.backend.physics_hz,
            gravity_m_s2=robot.backend.gravity_m_s2,
            powered=powered,
        )

    return make
