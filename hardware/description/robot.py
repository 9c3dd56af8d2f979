"""Robot descriptions: one YAML file drives the real robot and the simulated one.

All lengths in metres, angles in radians, masses in kilograms. Body coordinates are those of the
limb's common frame in its straight pose: every pivot, camera and centre of mass of a limb is given
in that one frame (x along the finger, z up), and ``base`` places the frame in the world.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from asterias.errors import DescriptionError
from asterias.files import write_text
from asterias.yaml_text import load_yaml
from hardware.description.consistency import refuse, robot_problems
from hardware.description.defaults import with_defaults
from hardware.description.devices import BackendSettings, SimBackend
from hardware.description.fields import (
    Fraction,
    Name,
    Positive,
    StrictModel,
    Vector3,
    choices_hint,
)
from hardware.description.limb import Limb, Material, Pose
from hardware.description.validation_errors import format_validation_error

ROBOTS_DIR = Path(str(files("asterias") / "launch" / "robots")).resolve()


class Target(StrictModel):
    """The AprilTag to find: a textured square; its pose looks along +x towards the robot."""

    family: Literal["tag16h5"] = "tag16h5"
    id: Annotated[int, Field(ge=0, le=29)] = 29
    size_m: Positive = 0.1
    pose: Pose = Pose()


class Box(StrictModel):
    """A box that stands in the simulated room, edges along the world's axes."""

    name: Name
    center_m: Vector3
    size_m: tuple[Positive, Positive, Positive]
    color: tuple[Fraction, Fraction, Fraction] = (0.5, 0.5, 0.5)


class RobotDescription(StrictModel):
    """A whole robot; load one with :func:`load_robot`.

    Attributes:
        command_timeout_s: silence after which a limb holds that got a single command.
        stream_timeout_s: the same for a limb that gets commands in a stream.
    """

    name: Name
    backend: BackendSettings = SimBackend()
    # From a step in ten seconds to more than any bus here can take.
    control_rate_hz: Annotated[float, Field(ge=0.1, le=2000.0, allow_inf_nan=False)] = 50.0
    # Beyond a minute a limb would follow a sender that is long gone.
    command_timeout_s: Annotated[float, Field(ge=0.01, le=60.0, allow_inf_nan=False)] = 0.5
    stream_timeout_s: Annotated[float, Field(ge=0.01, le=60.0, allow_inf_nan=False)] = 0.1
    materials: dict[str, Material] = Field(default_factory=dict)
    limbs: tuple[Limb, ...] = Field(min_length=1)
    target: Target = Target()
    scenery: tuple[Box, ...] = ()

    @property
    def simulation(self) -> SimBackend:
        """Settings of the simulated body, also of a robot whose backend is real devices."""
        return self.backend if isinstance(self.backend, SimBackend) else SimBackend()

    @model_validator(mode="after")
    def _whole(self) -> RobotDescription:
        refuse(robot_problems(self), "RobotDescription")
        return self


def robot_path(robot: str | os.PathLike[str]) -> Path:
    """Return the file of a robot given by name (``limb_p1``) or by path.

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
    raise DescriptionError(f"There is no robot called '{text}'; {choices_hint(text, names)}")


def load_robot(robot: str | os.PathLike[str]) -> RobotDescription:
    """Return a robot description, loaded by name or by path and checked.

    Raises:
        DescriptionError: all mistakes, each a sentence with the key and what was expected.
    """
    path = robot_path(robot)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DescriptionError(_unreadable(path, error)) from error
    return _read_robot(text, path)


@lru_cache(maxsize=16)
def _read_robot(text: str, path: Path) -> RobotDescription:
    """Return the description that a text holds; many worlds ask for the same.

    Raises:
        DescriptionError: all mistakes in it.
    """
    try:
        data = load_yaml(text, _UniqueKeyLoader)
    except (OSError, ValueError) as error:
        raise DescriptionError(_unreadable(path, error)) from error
    return parse_robot(data, source=str(path))


def _unreadable(path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split()).rstrip(".")
    return f"{path}: this is not a readable YAML file: {reason}."


def save_robot(robot: RobotDescription, path: str | os.PathLike[str]) -> None:
    """Write a description that :func:`load_robot` reads, whole or not at all."""
    data = robot.model_dump(mode="json", exclude_none=True)
    write_text(path, yaml.safe_dump(data, sort_keys=False))


def parse_robot(data: Any, *, source: str = "robot description") -> RobotDescription:
    """Return a description that is already in memory, checked; ``source`` is named in errors.

    Raises:
        DescriptionError: all mistakes, each a sentence with the key and what was expected.
    """
    if not isinstance(data, dict):
        raise DescriptionError(f"{source}: expected a mapping with the keys name, limbs, target.")
    data = with_defaults(data)
    try:
        return RobotDescription.model_validate(data)
    except ValidationError as error:
        raise DescriptionError(
            format_validation_error(RobotDescription, source, data, error)
        ) from error


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
