"""Robot descriptions: one YAML file drives the real robot and the simulated one.

All lengths in metres, angles in radians, masses in kilograms. Body coordinates are those of the
limb's common frame in its straight pose: every pivot, camera and centre of mass of a limb is given
in that one frame (x along the finger, z up), and ``base`` places the frame in the world.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from hardware.errors import DescriptionError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Vector3 = tuple[Finite, Finite, Finite]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

ROBOTS_DIR = Path(__file__).resolve().parent.parent / "launch" / "robots"


class Part(BaseModel):
    """Base of all parts: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Pose(Part):
    """Position and orientation: ``xyz`` in m, ``rpy`` roll, pitch, yaw in rad (fixed axes)."""

    xyz: Vector3 = (0.0, 0.0, 0.0)
    rpy: Vector3 = (0.0, 0.0, 0.0)


class Material(Part):
    """An elastic material.

    Attributes:
        youngs_modulus_pa: E.
        density_kg_m3: rho.
        retardation_time_s: Kelvin-Voigt time; damping is stiffness times this.
    """

    youngs_modulus_pa: Positive
    density_kg_m3: Positive
    retardation_time_s: NotNegative = 0.0


class Section(Part):
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


class Flexure(Part):
    """A flexible link lumped into one hinge of stiffness ``E I / length``."""

    material: str
    section: Section
    length_m: Positive
    rest_rad: Finite = 0.0


class Link(Part):
    """A rigid body: mass, centre of mass, and the box that gives its inertia and its picture."""

    name: Name
    mass_kg: Positive
    center_m: Vector3
    size_m: tuple[Positive, Positive, Positive]
    color: tuple[Share, Share, Share] = (0.12, 0.12, 0.13)
    shape: Literal["box", "capsule_x", "cylinder_z"] = "box"


class Hinge(Part):
    """A revolute joint of the body, driven by a servo, or flexible, or both."""

    name: Name
    parent: Name
    child: Name
    pivot_m: Vector3
    axis: Vector3
    limits_rad: tuple[Finite, Finite]
    friction_nm: NotNegative = 0.0
    damping_nms_rad: NotNegative = 0.0
    stop_stiffness_nm_rad: Positive = 50.0
    stop_damping_nms_rad: NotNegative = 0.05
    flexure: Flexure | None = None

    @model_validator(mode="after")
    def _sound(self) -> Hinge:
        _ordered(self.limits_rad)
        if math.hypot(*self.axis) < 1e-9:
            raise ValueError("axis must not be the zero vector")
        return self


class Tendon(Part):
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


class JointDescription(Part):
    """A commanded joint: one servo, on a hinge or on a tendon's pulley.

    Attributes:
        limits_rad: lower and upper end of the commanded range.
        velocity_limit_rad_s, torque_limit_nm: what the servo can do.
        home_rad: rest position.
        stiffness_nm_rad, damping_nms_rad: gains of the servo's own position loop.
        lag_s: time constant of the servo's first-order response.
        armature_kg_m2: rotor inertia at the output shaft.
    """

    name: Name
    limits_rad: tuple[Finite, Finite]
    velocity_limit_rad_s: Positive
    torque_limit_nm: Positive = 2.0
    home_rad: Finite = 0.0
    stiffness_nm_rad: Positive = 40.0
    damping_nms_rad: NotNegative = 0.4
    lag_s: NotNegative = 0.03
    armature_kg_m2: Positive = 1.0e-3
    hinge: Name | None = None
    tendon: Name | None = None

    @model_validator(mode="after")
    def _sound(self) -> JointDescription:
        _ordered(self.limits_rad)
        if not self.limits_rad[0] <= self.home_rad <= self.limits_rad[1]:
            raise ValueError(
                f"home_rad {self.home_rad:g} lies outside limits_rad "
                f"[{self.limits_rad[0]:g}, {self.limits_rad[1]:g}]"
            )
        return self


class CameraDescription(Part):
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
    rate_hz: Positive = 10.0
    near_m: Positive = 0.02
    far_m: Positive = 5.0
    noise_std: NotNegative = 0.0
    vignetting: Share = 0.0
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _sound(self) -> CameraDescription:
        if self.near_m >= self.far_m:
            raise ValueError(f"near_m {self.near_m:g} must be smaller than far_m {self.far_m:g}")
        return self

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, the same along both axes (square pixels)."""
        return 0.5 * self.width_px / math.tan(0.5 * self.fov_rad)


class Body(Part):
    """What moves: the links, the hinges in order from root to tip, and the tendons."""

    links: tuple[Link, ...] = Field(min_length=1)
    hinges: tuple[Hinge, ...]
    tendons: tuple[Tendon, ...] = ()


class Limb(Part):
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
        links = _unique("link", (link.name for link in self.body.links))
        hinges = _unique("hinge", (hinge.name for hinge in self.body.hinges))
        tendons = _unique("tendon", (tendon.name for tendon in self.body.tendons))
        _unique("joint", (joint.name for joint in self.joints))
        _unique("camera", (camera.name for camera in self.cameras))
        _check_tree(self.body, links)
        for tendon in self.body.tendons:
            for name in tendon.hinges:
                _known(f"tendon '{tendon.name}'", "hinge", name, hinges)
        for joint in self.joints:
            if (joint.hinge is None) == (joint.tendon is None):
                raise ValueError(f"joint '{joint.name}' needs either a hinge or a tendon")
            if joint.hinge is not None:
                _known(f"joint '{joint.name}'", "hinge", joint.hinge, hinges)
            if joint.tendon is not None:
                _known(f"joint '{joint.name}'", "tendon", joint.tendon, tendons)
        for camera in self.cameras:
            _known(f"camera '{camera.name}'", "link", camera.link, links)
        return self


class Target(Part):
    """The AprilTag to find: a textured square; its pose looks along +x towards the robot."""

    family: Literal["tag16h5"] = "tag16h5"
    id: Annotated[int, Field(ge=0, le=29)] = 29
    size_m: Positive = 0.1
    pose: Pose = Pose()


class Box(Part):
    """A box that stands in the simulated room, edges along the world's axes."""

    name: Name
    center_m: Vector3
    size_m: tuple[Positive, Positive, Positive]
    color: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)


class SimBackend(Part):
    """The simulated body.

    Attributes:
        physics_hz: integration steps per second of simulated time.
        gravity_m_s2: downward acceleration.
        renderer: ``auto`` takes the GPU (EGL) where it works, ``tiny`` the software renderer.
    """

    type: Literal["sim"] = "sim"
    physics_hz: Positive = 500.0
    gravity_m_s2: Finite = 9.81
    renderer: Literal["auto", "tiny", "egl"] = "tiny"


class RobotDescription(Part):
    """A whole robot; load one with :func:`load_robot`."""

    name: Name
    backend: SimBackend = SimBackend()
    control_rate_hz: Positive = 50.0
    command_timeout_s: Positive = 0.5
    materials: dict[str, Material] = {}
    limbs: tuple[Limb, ...] = Field(min_length=1)
    target: Target = Target()
    scenery: tuple[Box, ...] = ()

    @model_validator(mode="after")
    def _materials_known(self) -> RobotDescription:
        _unique("limb", (limb.name for limb in self.limbs))
        _unique("scenery box", (box.name for box in self.scenery))
        for limb in self.limbs:
            for hinge in limb.body.hinges:
                if hinge.flexure is not None:
                    _known(
                        f"hinge '{hinge.name}'", "material", hinge.flexure.material, self.materials
                    )
        return self


BACKENDS: tuple[str, ...] = ("sim",)


def _ordered(limits: tuple[float, float]) -> None:
    if limits[0] >= limits[1]:
        raise ValueError(
            f"limits_rad [{limits[0]:g}, {limits[1]:g}] are reversed; write [lower, upper]"
        )


def _unique(kind: str, names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {kind}s are called '{name}'; give each its own name")
        seen.add(name)
    return seen


def _known(owner: str, kind: str, name: str, names: Iterable[str]) -> None:
    choices = sorted(names)
    if name not in choices:
        raise ValueError(f"{owner} names unknown {kind} '{name}'; {_choices(name, choices)}")


def _choices(word: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, choices, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known are: {', '.join(choices) or 'none'}."


def _check_tree(body: Body, links: set[str]) -> None:
    """Hinges run from the root outwards: each parent is the root or an earlier child."""
    root = body.links[0].name
    reached = {root}
    for hinge in body.hinges:
        _known(f"hinge '{hinge.name}'", "link", hinge.parent, links)
        _known(f"hinge '{hinge.name}'", "link", hinge.child, links)
        if hinge.child == root:
            raise ValueError(f"hinge '{hinge.name}' carries '{root}', the first link and root")
        if hinge.parent not in reached:
            raise ValueError(
                f"hinge '{hinge.name}' comes before the hinge that carries its parent; "
                "write hinges from the root outwards"
            )
        if hinge.child in reached:
            raise ValueError(f"link '{hinge.child}' is the child of more than one hinge")
        reached.add(hinge.child)
    if reached != links:
        raise ValueError(f"link '{min(links - reached)}' is connected by no hinge")


def robot_path(robot: str | os.PathLike[str]) -> Path:
    """Find the file of a robot given by name (``limb_p1``) or by path.

    Raises:
        DescriptionError: there is no such file.
    """
    text = os.fspath(robot)
    path = Path(text)
    if path.suffix in (".yaml", ".yml") or "/" in text:
        if path.is_file():
            return path
        raise DescriptionError(f"{text}: there is no such robot description file.")
    path = ROBOTS_DIR / f"{text}.yaml"
    if path.is_file():
        return path
    names = sorted(p.stem for p in ROBOTS_DIR.glob("*.yaml"))
    raise DescriptionError(f"There is no robot called '{text}'; {_choices(text, names)}")


def load_robot(robot: str | os.PathLike[str]) -> RobotDescription:
    """Load and check a robot description, by name or by path.

    Raises:
        DescriptionError: one sentence with the file, the key and what was expected.
    """
    path = robot_path(robot)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except Exception as error:  # PyYAML leaks KeyError, RecursionError and more on odd input
        raise DescriptionError(
            f"{path}: this is not a readable YAML file: {_yaml_reason(error)}."
        ) from error
    return parse_robot(data, source=str(path))


def parse_robot(data: Any, *, source: str = "robot description") -> RobotDescription:
    """Check a description that is already in memory; ``source`` is named in errors.

    Raises:
        DescriptionError: one sentence with the source, the key and what was expected.
    """
    if not isinstance(data, dict):
        raise DescriptionError(f"{source}: expected a mapping with the keys name, limbs, target.")
    backend = data.get("backend")
    if isinstance(backend, dict) and backend.get("type", "sim") not in BACKENDS:
        raise DescriptionError(
            f"{source}: backend.type: unknown backend {_shown(backend['type'])}; "
            f"choose one of: {', '.join(BACKENDS)}."
        )
    try:
        return RobotDescription.model_validate(data)
    except ValidationError as error:
        raise DescriptionError(_sentence(source, data, error)) from error


# -- how mistakes are told ------------------------------------------------------------------------


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe loader, except that a key written twice is an error, not a silent loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = {"<<"}  # may be merged twice
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is written twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# Where pydantic speaks of Python, we speak of the file.
_EXPECTATIONS = {
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "tuple_type": "expected a list",
    "invalid_key": "expected a key that is text",
    "string_type": "expected text",
    "string_pattern_mismatch": "expected a name of small letters, digits and underscores",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a smaller number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
}


def _yaml_reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} (line {mark.line + 1}, column {mark.column + 1})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return " ".join(f"{error}".split()).rstrip(".") or type(error).__name__


def _sentence(source: str, data: Any, error: ValidationError) -> str:
    """One sentence for the first mistake, and the count of the others."""
    errors = _innermost(error.errors(include_url=False))
    first = _most_telling(errors)
    text = _mistake(first)
    if len(errors) > 1:
        mistakes = "mistake follows" if len(errors) == 2 else "mistakes follow"
        text = f"{text.rstrip('.')} ({len(errors) - 1} more {mistakes})"
    key = _key(first["loc"], data)
    end = "" if text.endswith((".", "?")) else "."
    return f"{source}: {key + ': ' if key else ''}{text}{end}"


def _innermost(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out echoes: a list whose element is wrong is also called too short by pydantic."""
    inner = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [error for error in errors if error["loc"] not in inner]


def _most_telling(errors: list[ErrorDetails]) -> ErrorDetails:
    """The first mistake; but a misspelt key explains a missing one, so it goes before that."""
    first = errors[0]
    if first["type"] == "missing":
        for other in errors[1:]:
            if other["type"] == "extra_forbidden" and other["loc"][:-1] == first["loc"][:-1]:
                return other
    return first


def _mistake(error: ErrorDetails) -> str:
    kind, location = error["type"], error["loc"]
    if kind == "missing":
        return _missing(location)
    if kind == "extra_forbidden":
        known = list(_part_at(location[:-1]).model_fields)
        return f"this key is unknown; {_choices(str(location[-1]), known)}"
    text = _EXPECTATIONS.get(kind) or error["msg"].removeprefix("Value error, ")
    text = (text[:1].lower() + text[1:]).replace("input should be", "must be")
    text = text.replace("tuple should", "the list should").replace(" after validation", "")
    if isinstance(error["input"], (dict, list, tuple, BaseModel)):
        return text
    return f"{text} (got {_shown(error['input'])})"


def _missing(location: Sequence[str | int]) -> str:
    key = location[-1]
    if isinstance(key, int):
        return "this value is missing from the list"
    annotation = _part_at(location[:-1]).model_fields[key].annotation
    if getattr(annotation, "__origin__", None) is tuple:
        return "this key is missing; add a list"
    if _part_in(annotation) is not None:
        return "this key is missing; add a mapping"
    return f"this key is missing; add {'a number' if annotation in (int, float) else 'text'}"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _part_at(location: Sequence[str | int]) -> type[Part]:
    """The part of a description that a location leads to."""
    part: type[Part] = RobotDescription
    for step in location:
        field = part.model_fields.get(str(step))
        part = (field and _part_in(field.annotation)) or part
    return part


def _part_in(annotation: Any) -> type[Part] | None:
    inner = get_args(annotation)
    if inner:
        return next((part for part in map(_part_in, inner) if part is not None), None)
    is_part = isinstance(annotation, type) and issubclass(annotation, Part)
    return annotation if is_part else None


def _key(location: Sequence[str | int], data: Any) -> str:
    """``limbs[0].cameras[2] (tip_down).width_px``: the innermost element with a name shows it."""
    pieces: list[str] = []
    named: tuple[int, str] | None = None
    for step in location:
        pieces.append(f"[{step}]" if isinstance(step, int) else f".{_one_line(step)}")
        data = _child(data, step)
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(step, int) and isinstance(name, str) and name.isidentifier():
            named = (len(pieces) - 1, name)
    if named is not None:
        pieces[named[0]] += f" ({named[1]})"
    return "".join(pieces).removeprefix(".")


def _one_line(key: str) -> str:
    """A key as it is, or quoted where it would break the sentence."""
    return key if key.isprintable() else repr(key)


def _child(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    if isinstance(data, (list, tuple)) and isinstance(step, int) and step < len(data):
        return data[step]
    return None
