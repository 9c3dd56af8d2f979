"""A limb as its description gives it: joints, body and cameras.

All lengths in metres, angles in radians, masses in kilograms. Body coordinates are those of the
limb's common frame in its straight pose: every pivot, camera and centre of mass of a limb is given
in that one frame (x along the finger, z up), and ``base`` places the frame in the world.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hardware.buses.families import servo_models
from hardware.description.consistency import limb_problems, refuse
from hardware.description.fields import (
    Finite,
    Fraction,
    Name,
    NotNegative,
    OrderedLimits,
    Positive,
    StrictModel,
    Vector3,
    choices_hint,
)

# How to cure that a joint lacks something that its servo's model would give.
_BY_SERVO = "or the joint's servo (servo: sts3215), whose data sheet gives it"


class Pose(StrictModel):
    """Position and orientation: ``xyz`` in m, ``rpy`` roll, pitch, yaw in rad (fixed axes)."""

    xyz: Vector3 = (0.0, 0.0, 0.0)
    rpy: Vector3 = (0.0, 0.0, 0.0)


class Material(StrictModel):
    """An elastic material.

    Attributes:
        youngs_modulus_pa: E.
        density_kg_m3: rho.
        retardation_time_s: Kelvin-Voigt time; damping is stiffness times this.
    """

    youngs_modulus_pa: Positive
    density_kg_m3: Positive
    retardation_time_s: NotNegative = 0.0


class Section(StrictModel):
    """Cross-section of a flexible link; ``thickness_m`` lies in the bending plane."""

    shape: Literal["rectangle", "circle", "tube"]
    width_m: Positive | None = None
    thickness_m: Positive | None = None
    diameter_m: Positive | None = None
    inner_diameter_m: Positive | None = None

    @model_validator(mode="after")
    def _complete(self) -> Section:
        needed = {
            "rectangle": ("width_m", "thickness_m"),
            "circle": ("diameter_m",),
            "tube": ("diameter_m", "inner_diameter_m"),
        }[self.shape]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"a {self.shape} section needs {' and '.join(needed)}")
        if self.shape == "tube" and (self.inner_diameter_m or 0) >= (self.diameter_m or 0):
            raise ValueError("inner_diameter_m must be smaller than diameter_m")
        return self

    @property
    def second_moment_m4(self) -> float:
        """Second moment of area I about the bending axis."""
        if self.shape == "rectangle":
            return (self.width_m or 0.0) * (self.thickness_m or 0.0) ** 3 / 12.0
        inner = self.inner_diameter_m or 0.0
        return math.pi * ((self.diameter_m or 0.0) ** 4 - inner**4) / 64.0


class Flexure(StrictModel):
    """A flexible link lumped into one hinge of stiffness ``E I / length``."""

    material: str
    section: Section
    length_m: Positive
    rest_rad: Finite = 0.0


class Link(StrictModel):
    """A rigid body: mass, centre of mass, and the box that gives its inertia and its picture."""

    name: Name
    mass_kg: Positive
    center_m: Vector3
    size_m: tuple[Positive, Positive, Positive]
    color: tuple[Fraction, Fraction, Fraction] = (0.12, 0.12, 0.13)
    shape: Literal["box", "capsule_x", "cylinder_z"] = "box"


class Hinge(StrictModel):
    """A revolute joint of the body, driven by a servo, or flexible, or both."""

    name: Name
    parent: Name
    child: Name
    pivot_m: Vector3
    axis: Vector3
    limits_rad: OrderedLimits
    friction_nm: NotNegative = 0.0
    damping_nms_rad: NotNegative = 0.0
    stop_stiffness_nm_rad: Positive = 50.0
    stop_damping_nms_rad: NotNegative = 0.05
    flexure: Flexure | None = None

    @field_validator("axis")
    @classmethod
    def _points_somewhere(cls, axis: Vector3) -> Vector3:
        if math.hypot(*axis) < 1e-9:
            raise ValueError("axis must not be the zero vector")
        return axis


class Tendon(StrictModel):
    """An antagonistic pair of tendons from a servo's pulley along a row of hinges.

    Both cords leave the pulley on opposite sides, run past each hinge at its moment arm, one on
    the flexor side and one on the extensor side, and end behind the last hinge.
    """

    name: Name
    hinges: tuple[Name, ...] = Field(min_length=1)
    moment_arms_m: tuple[Positive, ...]
    pulley_radius_m: Positive
    stiffness_n_m: Positive
    damping_ns_m: NotNegative = 0.0
    pretension_n: NotNegative = 0.0
    slack_m: NotNegative = 0.0
    capstan_friction: NotNegative = 0.0
    wrap_rad: NotNegative = 0.0

    @model_validator(mode="after")
    def _sound(self) -> Tendon:
        if len(self.hinges) != len(self.moment_arms_m):
            raise ValueError("moment_arms_m needs one value per hinge")
        if len(set(self.hinges)) < len(self.hinges):
            raise ValueError("a tendon runs along each of its hinges once only")
        return self


class JointDescription(StrictModel):
    """A commanded joint: one servo, on a hinge or on a tendon's pulley.

    Attributes:
        servo: model of the servo; what the joint does not say of limits and gains is then taken
            from its data sheet (:mod:`hardware.description.defaults`).
        limits_rad: lower and upper end of the commanded range.
        velocity_limit_rad_s, torque_limit_nm: what the servo can do.
        home_rad: rest position.
        stiffness_nm_rad, damping_nms_rad: gains of the servo's own position loop.
        lag_s: time constant of the servo's first-order response.
        armature_kg_m2: rotor inertia at the output shaft.
    """

    name: Name
    servo: str | None = None
    limits_rad: Annotated[OrderedLimits, Field(description=_BY_SERVO)]
    velocity_limit_rad_s: Annotated[Positive, Field(description=_BY_SERVO)]
    torque_limit_nm: Positive = 2.0
    home_rad: Annotated[Finite, Field(validate_default=True)] = 0.0
    stiffness_nm_rad: Positive = 40.0
    damping_nms_rad: NotNegative = 0.4
    lag_s: NotNegative = 0.03
    armature_kg_m2: Positive = 1.0e-3
    hinge: Name | None = None
    tendon: Name | None = None

    @field_validator("servo")
    @classmethod
    def _sold(cls, servo: str | None) -> str | None:
        models = sorted(servo_models())
        if servo is not None and servo not in models:
            raise ValueError(f"this model is unknown; {choices_hint(servo, models)}")
        return servo

    @field_validator("home_rad")
    @classmethod
    def _reachable(cls, home_rad: float, others: ValidationInfo) -> float:
        low, high = others.data.get("limits_rad", (-math.inf, math.inf))
        if not low <= home_rad <= high:
            raise ValueError(f"home_rad {home_rad:g} lies outside limits_rad [{low:g}, {high:g}]")
        return home_rad


class CameraDescription(StrictModel):
    """A camera on a link; it looks along +x of its pose, with +z up in the picture.

    Attributes:
        fov_rad: horizontal field of view of the pinhole model.
        noise_std: standard deviation of pixel noise, of 255.
        vignetting: share of light lost in the corners, 0 to 1.
        jpeg_quality: pictures pass through JPEG of this quality when given.
    """

    name: Name
    link: Name
    pose: Pose = Pose()
    width_px: Annotated[int, Field(gt=0, le=4096)] = 96
    height_px: Annotated[int, Field(gt=0, le=4096)] = 96
    fov_rad: Annotated[float, Field(gt=0.01, lt=3.0)] = 1.0472
    rate_hz: Annotated[float, Field(ge=0.01, le=1000.0, allow_inf_nan=False)] = 10.0
    near_m: Positive = 0.02
    far_m: Annotated[Positive, Field(validate_default=True)] = 5.0
    noise_std: NotNegative = 0.0
    vignetting: Fraction = 0.0
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None
    enabled: bool = True

    @field_validator("far_m")
    @classmethod
    def _beyond_near(cls, far_m: float, others: ValidationInfo) -> float:
        near_m = others.data.get("near_m", 0.0)
        if near_m >= far_m:
            raise ValueError(f"near_m {near_m:g} must be smaller than far_m {far_m:g}")
        return far_m

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, the same along both axes (square pixels)."""
        return 0.5 * self.width_px / math.tan(0.5 * self.fov_rad)


class Body(StrictModel):
    """What moves: the links, the hinges in order from root to tip, and the tendons."""

    links: tuple[Link, ...] = Field(min_length=1)
    hinges: tuple[Hinge, ...]
    tendons: tuple[Tendon, ...] = ()


class Limb(StrictModel):
    """One limb: its place, its commanded joints in command order, its body, its cameras."""

    name: Name
    base: Pose = Pose()
    joints: tuple[JointDescription, ...] = Field(min_length=1)
    body: Body
    cameras: tuple[CameraDescription, ...] = ()

    @property
    def live_cameras(self) -> tuple[CameraDescription, ...]:
        """The enabled cameras, in order: number j is ``camera_<j>`` on the topics."""
        return tuple(c for c in self.cameras if c.enabled)

    @model_validator(mode="after")
    def _wired(self) -> Limb:
        refuse(limb_problems(self), "Limb")
        return self
