"""Zeros of the joints on the servos' shafts: measured by hand, saved in a file, checked."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError

from asterias.arrays import FloatArray
from asterias.errors import DeviceError
from asterias.files import write_json
from hardware.buses.bus import Servo
from hardware.description.fields import Finite, StrictModel


class JointCalibration(StrictModel):
    """One joint: ``joint = direction * (shaft - zero)``.

    Attributes:
        model, id: of the servo it was measured on.
        zero_rad: shaft angle at the joint's zero.
        direction: 1, or -1 where the servo turns the other way round.
        range_rad: lowest and highest shaft angle that was reached by hand.
    """

    model: str
    id: Annotated[int, Field(ge=0, le=65535)]
    zero_rad: Finite = 0.0
    direction: Literal[-1, 1] = 1
    range_rad: tuple[Finite, Finite] = (-math.pi, math.pi)


class Calibration(StrictModel):
    """A limb's calibration, by joint name."""

    robot: str
    limb: str
    date: date
    joints: dict[str, JointCalibration]

    def zeros_rad(self, names: Sequence[str]) -> FloatArray:
        """Return ``(n,)`` shaft angles in rad at the joints' zeros."""
        return np.array([self.joints[name].zero_rad for name in names])

    def directions(self, names: Sequence[str]) -> FloatArray:
        """Return ``(n,)`` signs, 1 or -1, from shaft to joint."""
        return np.array([float(self.joints[name].direction) for name in names])

    def check(self, servos: Sequence[Servo], source: str) -> None:
        """Check that the calibration fits the servos.

        Raises:
            DeviceError: a joint is missing, or was measured on another servo.
        """
        again = "calibrate again with `python -m hardware calibrate`"
        for servo in servos:
            joint = self.joints.get(servo.name)
            if joint is None:
                raise DeviceError(f"{source}: joint '{servo.name}' is not in it; {again}.")
            if (joint.model, joint.id) != (servo.model, servo.id):
                raise DeviceError(
                    f"{source}: joint '{servo.name}' was measured on servo {joint.id} "
                    f"({joint.model}), but is driven by servo {servo.id} ({servo.model}); {again}."
                )


def centered(robot: str, limb: str, servos: Sequence[Servo]) -> Calibration:
    """Return the calibration of servos mounted with their middle at the joints' zero."""
    joints = {servo.name: JointCalibration(model=servo.model, id=servo.id) for servo in servos}
    return Calibration(robot=robot, limb=limb, date=date.today(), joints=joints)


def default_path(robot: str, limb: str) -> Path:
    """Return the file of a limb's calibration unless the description names another."""
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "asterias" / "calibration" / robot / f"{limb}.json"


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration, whole or not at all."""
    write_json(path, calibration.model_dump(mode="json"))


def load(path: Path) -> Calibration:
    """Return the calibration in a file.

    Raises:
        DeviceError: the file is missing or invalid; the message names file and cure.
    """
    again = "make one with `python -m hardware calibrate`"
    try:
        return Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DeviceError(f"{path}: there is no calibration; {again}.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DeviceError(f"{path} cannot be read ({error}); {again}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(step) for step in first["loc"])
        raise DeviceError(f"{path}: {key}: {first['msg']}; {again}.") from error
