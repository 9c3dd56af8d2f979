"""What each fault word does to joints, cameras and emulated devices: our own and those of packages.

A package adds a word with an entry point of the group ``asterias.fault_models`` that names a
subclass of :class:`FaultModel`. It can then be injected wherever our own words can.

Source of our words: PX4's failure injection (docs/en/debug/failure_injection.md).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from asterias.arrays import ImageArray
from asterias.registry import Registry
from hardware.cameras.health import CameraState

ENCODER_RANGE_RAD = 3.1  # a servo's encoder reads hardly more than half a turn either way


@dataclass(frozen=True)
class FaultStrength:
    """The value that a fault takes.

    Attributes:
        default: where none is given.
        low, high: lowest and highest value.
        meaning: what it is, as messages say it.
    """

    default: float
    low: float
    high: float
    meaning: str


class JointReading(NamedTuple):
    """Measured angle in rad and speed in rad/s of one joint."""

    position_rad: float
    velocity_rad_s: float


class JointRange(NamedTuple):
    """Lower and upper end of a joint's range in rad, and its velocity limit in rad/s."""

    lower_rad: float
    upper_rad: float
    speed_rad_s: float


class FaultModel:
    """A fault word and all that it does; what a subclass leaves alone works as when healthy.

    Attributes:
        word: by which it is injected.
        strength: the value that it takes; None: none.
        is_off: the device does not answer; a joint yields.
        jams: a joint stays where it is.
        freezes: a camera repeats one picture.
        shows_as: the state in which a camera with this fault is found.
    """

    word: str = "ok"
    strength: FaultStrength | None = None
    is_off: bool = False
    jams: bool = False
    freezes: bool = False
    shows_as: CameraState = CameraState.OK

    def loss_probability(self, value: float) -> float | None:
        """Return how likely a command, an answer or a frame is lost; None: nothing is."""
        return None

    def speed_fraction(self, value: float) -> float | None:
        """Return the fraction of its speed or rate that the device keeps; None: all."""
        return None

    def delay_s(self, value: float) -> float | None:
        """Return how late commands and frames come; None: at once."""
        return None

    def reading(
        self, reading: JointReading, value: float, joint: JointRange, rng: np.random.Generator
    ) -> JointReading:
        """Return what a joint reads."""
        return reading

    def encoder_rad(self, position_rad: float, value: float, rng: random.Random) -> float:
        """Return what the encoder of an emulated servo reads."""
        return position_rad

    def image(self, image: ImageArray, rng: np.random.Generator) -> ImageArray:
        """Return what becomes of a picture, ``(H, W, 3)`` uint8."""
        return image

    def jpeg(self, jpeg: bytes, rng: random.Random) -> bytes:
        """Return what becomes of the JPEG file of an emulated camera."""
        return jpeg


def _check(name: str, entry: object) -> None:
    """Refuse what is no fault model.

    Raises:
        TypeError: it is something else, or has another word.
    """
    if not (isinstance(entry, type) and issubclass(entry, FaultModel)) or entry.word != name:
        raise TypeError(f"a subclass of FaultModel with the word '{name}' is expected")


FAULT_MODELS: Registry[type[FaultModel]] = Registry("fault", "asterias.fault_models", _check)
FAULT_MODELS.register("ok", FaultModel)


@FAULT_MODELS.register("off")
class Off(FaultModel):
    """Does not answer."""

    word = "off"
    shows_as = CameraState.SILENT
    is_off = True


@FAULT_MODELS.register("stuck")
class Stuck(FaultModel):
    """Stays where it was, or repeats its last picture."""

    word = "stuck"
    shows_as = CameraState.FROZEN
    jams = freezes = True


@FAULT_MODELS.register("garbage")
class Garbage(FaultModel):
    """Reads noise."""

    word = "garbage"
    shows_as = CameraState.CORRUPT
    strength = FaultStrength(math.inf, 0.0, math.inf, "an amplitude of at least 0 rad")

    def reading(
        self, reading: JointReading, value: float, joint: JointRange, rng: np.random.Generator
    ) -> JointReading:
        """Return noise: of half width ``value`` around the truth, or over the whole range."""
        if math.isinf(value):
            position = float(rng.uniform(joint.lower_rad, joint.upper_rad))
        else:
            position = float(reading.position_rad + rng.uniform(-value, value))
        return JointReading(position, float(rng.uniform(-joint.speed_rad_s, joint.speed_rad_s)))

    def encoder_rad(self, position_rad: float, value: float, rng: random.Random) -> float:
        """Return any angle."""
        return rng.uniform(-ENCODER_RANGE_RAD, ENCODER_RANGE_RAD)

    def image(self, image: ImageArray, rng: np.random.Generator) -> ImageArray:
        """Return random pixels."""
        return rng.integers(0, 256, image.shape, dtype=np.uint8)

    def jpeg(self, jpeg: bytes, rng: random.Random) -> bytes:
        """Return bytes that are no JPEG file."""
        return rng.randbytes(len(jpeg))


@FAULT_MODELS.register("wrong")
class Wrong(FaultModel):
    """Reads plausible, but wrong values; a mirrored picture shows nothing of it."""

    word = "wrong"
    strength = FaultStrength(0.2, -math.inf, math.inf, "an offset in rad")

    def reading(
        self, reading: JointReading, value: float, joint: JointRange, rng: np.random.Generator
    ) -> JointReading:
        """Return the reading with an offset of ``value`` rad."""
        return reading._replace(position_rad=reading.position_rad + value)

    def encoder_rad(self, position_rad: float, value: float, rng: random.Random) -> float:
        """Return the angle with an offset of ``value`` rad."""
        return position_rad + value

    def image(self, image: ImageArray, rng: np.random.Generator) -> ImageArray:
        """Return the picture mirrored left to right."""
        return np.ascontiguousarray(image[:, ::-1])

    def jpeg(self, jpeg: bytes, rng: random.Random) -> bytes:
        """Return the first half of the file."""
        return jpeg[: len(jpeg) // 2]


@FAULT_MODELS.register("slow")
class Slow(FaultModel):
    """Moves or sends at a fraction of its rate."""

    word = "slow"
    shows_as = CameraState.SLOW
    strength = FaultStrength(0.25, 0.01, 1.0, "a share of the full speed from 0.01 to 1")

    def speed_fraction(self, value: float) -> float | None:
        """Return the value."""
        return value


@FAULT_MODELS.register("delayed")
class Delayed(FaultModel):
    """Obeys or sends late."""

    word = "delayed"
    shows_as = CameraState.LATE
    strength = FaultStrength(0.3, 0.0, 60.0, "a delay from 0 to 60 s")

    def delay_s(self, value: float) -> float | None:
        """Return the value."""
        return value


@FAULT_MODELS.register("intermittent")
class Intermittent(FaultModel):
    """Loses commands, answers and frames."""

    word = "intermittent"
    shows_as = CameraState.UNSTEADY
    strength = FaultStrength(0.3, 0.0, 1.0, "a probability from 0 to 1")

    def loss_probability(self, value: float) -> float | None:
        """Return the value."""
        return value
