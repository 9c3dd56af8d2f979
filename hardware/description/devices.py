"""What stands behind a robot description: a simulated body, or servo buses and cameras.

The backend of a real robot names, for each limb, one bus, one servo per joint and one device per
enabled camera::

    backend:
      type: devices
      limbs:
        limb_0:
          bus: {type: dynamixel, port: /dev/ttyUSB0, baud_rate: 1000000}
          servos:
            shoulder_yaw: {id: 1, model: xl430_w250}   # not needed where the joint names its servo
          cameras:
            tip_down: {type: mjpeg, url: "http://192.168.4.11:81/stream"}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)

from hardware.buses.families import SERVO_FAMILIES, UDP, serial_families
from hardware.camera_kinds import CAMERA_KINDS, CameraSettings
from hardware.description.buses import SerialBusSettings, UdpSettings
from hardware.description.consistency import Problem, refuse
from hardware.description.fields import (
    Finite,
    Fraction,
    NotNegative,
    Positive,
    StrictModel,
    choices_hint,
)

# What draws what simulated cameras see; :mod:`sim.rendering.renderers` makes them.
RendererName = Literal["raster", "raster_2x2", "pybullet", "egl", "auto"]
# What moves simulated bodies; :mod:`sim.engines.registry` makes them.
EngineName = Literal["asterias", "pybullet"]
# What descriptions called PyBullet's own rasteriser when there was no other.
OLD_RENDERERS = {"tiny": "pybullet"}


def _present_renderer(name: Any) -> Any:
    return OLD_RENDERERS.get(name, name) if isinstance(name, str) else name


class SimBackend(StrictModel):
    """The simulated body.

    Attributes:
        physics_hz: integration steps per second of simulated time.
        gravity_m_s2: downward acceleration.
        renderer: ``raster`` draws by compiled loops, ``raster_2x2`` with four samples a pixel;
            ``pybullet`` by PyBullet on the CPU, ``egl`` by PyBullet on the GPU, and ``auto`` by
            ``egl`` where it works.
        engine: ``asterias``, our own compiled loop, or ``pybullet``.
    """

    type: Literal["sim"] = "sim"
    physics_hz: Annotated[float, Field(gt=0, le=100_000.0, allow_inf_nan=False)] = 500.0
    gravity_m_s2: Finite = 9.81
    renderer: Annotated[RendererName, BeforeValidator(_present_renderer)] = "raster"
    engine: EngineName = "asterias"


def _serial_settings(family: str) -> type[SerialBusSettings]:
    """Return the settings of a family's bus: those of any serial one, under its name."""
    type_field: Any = (Literal[family], family)
    return create_model(
        f"{family.title()}Settings",
        __base__=SerialBusSettings,
        __doc__=f"Bus of {family} servos.",
        type=type_field,
    )


class ServoSettings(StrictModel):
    """One servo.

    Attributes:
        id: number on its bus; for ``udp`` the number of the board.
        model: one that :mod:`hardware.buses.families` knows.
    """

    id: Annotated[int, Field(ge=0, le=65535)]
    model: str


def _tag(default: str = "") -> Callable[[Any], str | None]:
    """Return a function that reads the type of a part; None where there is no part at all."""

    def tag(value: Any) -> str | None:
        if isinstance(value, BaseModel):
            return str(getattr(value, "type", ""))
        return str(value.get("type", default)) if isinstance(value, dict) else None

    return tag


if TYPE_CHECKING:
    BusChoice = SerialBusSettings | UdpSettings
    CameraDevice = CameraSettings
else:
    _CHOICES = {name: _serial_settings(name) for name in serial_families()} | {UDP: UdpSettings}
    BusChoice = Annotated[
        Union[tuple(Annotated[kind, Tag(name)] for name, kind in _CHOICES.items())],  # noqa: UP007
        Discriminator(_tag()),
    ]
    CameraDevice = Annotated[
        Union[tuple(Annotated[kind, Tag(name)] for name, kind in CAMERA_KINDS.items())],  # noqa: UP007
        Discriminator(_tag()),
    ]


# -- a limb's devices -----------------------------------------------------------------------------


class LimbDevices(StrictModel):
    """Bus, servos and cameras of one limb.

    Attributes:
        servos: by joint name; of a joint that names its servo's model, what is left out is that
            model, and its place among the joints as the id.
        cameras: by camera name.
        calibration: file that :mod:`hardware.limbs.calibration` wrote; empty: where ``python -m
            hardware calibrate`` puts it; ``none``: the servos' middle is the joints' zero.
    """

    bus: BusChoice
    servos: dict[str, ServoSettings] = Field(default_factory=dict)
    cameras: dict[str, CameraDevice] = Field(default_factory=dict)
    calibration: str = ""

    @model_validator(mode="after")
    def _sound(self) -> LimbDevices:
        refuse(self._problems(), "LimbDevices")
        return self

    def _problems(self) -> Iterator[Problem]:
        models = sorted(SERVO_FAMILIES.get(self.bus.type).model_names)
        joints: dict[int, str] = {}
        for joint, servo in self.servos.items():
            where = ("servos", joint)
            if servo.model not in models:
                hint = choices_hint(servo.model, models)
                text = f"unknown {self.bus.type} model '{servo.model}'; {hint}"
                yield Problem((*where, "model"), f"servo of '{joint}': {text}")
            if self.bus.type != UDP and servo.id > 253:
                yield Problem((*where, "id"), f"servo of '{joint}': id {servo.id} is above 253")
            if servo.id in joints:
                text = f"'{joint}' and '{joints[servo.id]}' both have id {servo.id}"
                yield Problem((*where, "id"), f"{text}; give each servo its own")
            joints.setdefault(servo.id, joint)
        for name, camera in self.cameras.items():
            try:
                camera.check_bus(self.bus)
            except ValueError as error:
                yield Problem(("cameras", name), str(error))


class SafetySettings(StrictModel):
    """When a limb is found unwell; see :mod:`hardware.limbs.safety_monitor`.

    Attributes:
        follow_tolerance_rad: how far a joint may be from where it was sent in ``follow_s``.
        follow_s: time a joint may take to get where it was sent.
        silence_s: without an answer for so long, the limb holds; for twice as long, it lets go.
        hot_c, too_hot_c: temperatures for a warning, and for a way back to rest.
        low_v, high_v: voltages outside which a warning is due; 0: not checked.
        rest_speed: share of the velocity limits for the way back to rest.
    """

    follow_tolerance_rad: Positive = 0.15
    follow_s: Positive = 0.2
    silence_s: Positive = 0.2
    hot_c: Positive = 60.0
    too_hot_c: Positive = 70.0
    low_v: NotNegative = 0.0
    high_v: NotNegative = 0.0
    rest_speed: Annotated[Fraction, Field(gt=0)] = 0.2


class DevicesBackend(StrictModel):
    """A robot of servos and cameras, by limb name."""

    type: Literal["devices"] = "devices"
    limbs: dict[str, LimbDevices]
    safety: SafetySettings = SafetySettings()


BackendSettings = Annotated[
    Annotated[SimBackend, Tag("sim")] | Annotated[DevicesBackend, Tag("devices")],
    Discriminator(_tag(default="sim")),
]
