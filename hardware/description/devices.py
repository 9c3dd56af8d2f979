"""What stands behind a robot description: a simulated body, or servo buses and cameras.

The backend of a real robot names, for each limb, one bus, one servo per joint and one device per
enabled camera::

    backend:
      type: devices
      limbs:
        limb_0:
          bus: {type: dynamixel, port: /dev/ttyUSB0, baud_rate: 1000000}
          servos:
            shoulder_yaw: {id: 1, model: xl430_w250}
          cameras:
            tip_down: {type: mjpeg, url: "http://192.168.4.11:81/stream"}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    create_model,
    field_validator,
    model_validator,
)

from hardware.buses.families import SERVO_FAMILIES, UDP, serial_families
from hardware.description.fields import (
    ADDRESS,
    HTTP,
    OPTIONAL_ADDRESS,
    Finite,
    Fraction,
    NotNegative,
    Positive,
    StrictModel,
    check_known,
    check_unique,
    choices_hint,
)


class SimBackend(StrictModel):
    """The simulated body.

    Attributes:
        physics_hz: integration steps per second of simulated time.
        gravity_m_s2: downward acceleration.
        renderer: ``auto`` takes the GPU (EGL) where it works, ``tiny`` the software renderer.
    """

    type: Literal["sim"] = "sim"
    physics_hz: Annotated[float, Field(gt=0, le=100_000.0, allow_inf_nan=False)] = 500.0
    gravity_m_s2: Finite = 9.81
    renderer: Literal["auto", "tiny", "egl"] = "tiny"


# -- servo buses ----------------------------------------------------------------------------------


class BusSettings(StrictModel):
    """What all buses have in common.

    Attributes:
        answer_timeout_s: how long servos may take to answer, beyond the time on the wire.
        retries: further attempts when an answer is missing or broken.
        watchdog_s: silence on the bus after which the servos themselves stop.
    """

    answer_timeout_s: Annotated[float, Field(ge=1e-4, le=5.0, allow_inf_nan=False)] = 0.02
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    watchdog_s: Annotated[float, Field(ge=0.02, le=2.54)] = 0.2


class SerialBusSettings(BusSettings):
    """A bus on a serial port.

    Attributes:
        type: name of the servo family.
        port: device file; ``/dev/serial/by-id/...`` survives replugging.
        baud_rate: bits/s, as set in the servos.
    """

    type: str
    port: Annotated[str, Field(min_length=1)]
    baud_rate: Annotated[int, Field(ge=9600, le=4_500_000)] = 1_000_000


def _serial_settings(family: str) -> type[SerialBusSettings]:
    """Return the settings of a family's bus: those of any serial one, under its name."""
    type_field: Any = (Literal[family], family)
    return create_model(
        f"{family.title()}Settings",
        __base__=SerialBusSettings,
        __doc__=f"Bus of {family} servos.",
        type=type_field,
    )


class UdpSettings(BusSettings):
    """Boards with one servo and one camera each, on a network (:mod:`hardware.buses.udp_packets`).

    Attributes:
        interface: own address of the network that the boards are on; nothing else is listened to.
        broadcast: address that reaches the boards; empty: the interface's own, ``x.y.z.255``.
        port: UDP port on which the boards listen for the call to announce themselves.
        key: secret shared with the boards, 16 characters or more; packets without it are dropped.
    """

    type: Literal["udp"] = "udp"
    interface: Annotated[str, Field(pattern=ADDRESS)] = "127.0.0.1"
    broadcast: Annotated[str, Field(pattern=OPTIONAL_ADDRESS)] = ""
    port: Annotated[int, Field(gt=0, le=65535)] = 1200
    key: str = ""
    # A wireless network stalls for longer than a cable.
    answer_timeout_s: Annotated[float, Field(ge=1e-4, le=5.0, allow_inf_nan=False)] = 0.05

    @field_validator("key")
    @classmethod
    def _long_enough(cls, key: str) -> str:
        if 0 < len(key) < 16:
            raise ValueError("a key needs 16 characters or more; leave it empty for none")
        return key


class ServoSettings(StrictModel):
    """One servo.

    Attributes:
        id: number on its bus; for ``udp`` the number of the board.
        model: one that :mod:`hardware.buses.families` knows.
    """

    id: Annotated[int, Field(ge=0, le=65535)]
    model: str


# -- cameras --------------------------------------------------------------------------------------


SilenceS = Annotated[float, Field(ge=0.01, le=3600.0, allow_inf_nan=False)]


class MjpegSettings(StrictModel):
    """A stream of JPEG pictures over HTTP, as ESP32-CAM boards serve it.

    Attributes:
        url: of the stream, for an ESP32-CAM ``http://<address>:81/stream``.
        flip: the picture is upside down.
        silence_s: without a picture for so long, the connection is made anew.
    """

    type: Literal["mjpeg"] = "mjpeg"
    url: Annotated[str, Field(pattern=HTTP)]
    flip: bool = False
    silence_s: SilenceS = 2.0


class UsbSettings(StrictModel):
    """A USB camera (V4L2).

    Attributes:
        device: ``/dev/video0``, or better a link below ``/dev/v4l/by-id``.
        controls: values by name, for example ``{brightness: 0.5, auto_exposure: 1}``.
        flip: the picture is upside down.
        silence_s: without a picture for so long, the device is opened anew.
    """

    type: Literal["usb"] = "usb"
    device: Annotated[str, Field(min_length=1)]
    controls: dict[str, Finite] = Field(default_factory=dict)
    flip: bool = False
    silence_s: SilenceS = 2.0


class ReplaySettings(StrictModel):
    """Pictures from a file, at the pace in which they were taken.

    Attributes:
        file: a recording (``.mcap``) or a video.
        topic: of the recording; needed for ``.mcap`` only.
        loop: start again at the end.
    """

    type: Literal["replay"] = "replay"
    file: Annotated[str, Field(min_length=1)]
    topic: str = ""
    loop: bool = True
    flip: bool = False
    silence_s: SilenceS = 2.0


class UdpCameraSettings(StrictModel):
    """The camera of a board on the limb's ``udp`` bus.

    Attributes:
        id: number of the board.
    """

    type: Literal["udp"] = "udp"
    id: Annotated[int, Field(ge=0, le=65535)]
    flip: bool = False
    silence_s: SilenceS = 2.0


def _tag(default: str = "") -> Callable[[Any], str | None]:
    """Reads the type of a part; None where there is no part at all."""

    def tag(value: Any) -> str | None:
        if isinstance(value, BaseModel):
            return str(getattr(value, "type", ""))
        return str(value.get("type", default)) if isinstance(value, dict) else None

    return tag


if TYPE_CHECKING:
    BusChoice = SerialBusSettings | UdpSettings
else:
    _CHOICES = {name: _serial_settings(name) for name in serial_families()} | {UDP: UdpSettings}
    BusChoice = Annotated[
        Union[tuple(Annotated[kind, Tag(name)] for name, kind in _CHOICES.items())],  # noqa: UP007
        Discriminator(_tag()),
    ]
CameraDevice = Annotated[
    Annotated[MjpegSettings, Tag("mjpeg")]
    | Annotated[UsbSettings, Tag("usb")]
    | Annotated[ReplaySettings, Tag("replay")]
    | Annotated[UdpCameraSettings, Tag("udp")],
    Discriminator(_tag()),
]


# -- a limb's devices -----------------------------------------------------------------------------


class LimbDevices(StrictModel):
    """Bus, servos and cameras of one limb.

    Attributes:
        servos: by joint name.
        cameras: by camera name.
        calibration: file that :mod:`hardware.limbs.calibration` wrote; empty: where ``python -m
            hardware calibrate`` puts it; ``none``: the servos' middle is the joints' zero.
    """

    bus: BusChoice
    servos: dict[str, ServoSettings]
    cameras: dict[str, CameraDevice] = Field(default_factory=dict)
    calibration: str = ""

    @model_validator(mode="after")
    def _sound(self) -> LimbDevices:
        models = SERVO_FAMILIES.get(self.bus.type).model_names
        for joint, servo in self.servos.items():
            if servo.model not in models:
                raise ValueError(
                    f"servo of '{joint}': unknown {self.bus.type} model '{servo.model}'; "
                    f"{choices_hint(servo.model, sorted(models))}"
                )
            if self.bus.type != "udp" and servo.id > 253:
                raise ValueError(f"servo of '{joint}': id {servo.id} is above 253")
        check_unique("servo", (f"id {servo.id}" for servo in self.servos.values()))
        for camera in self.cameras.values():
            if camera.type == "udp" and self.bus.type != "udp":
                raise ValueError("cameras of type udp need a bus of type udp")
        return self

    def check(
        self, limb: str, joints: Sequence[str], cameras: Sequence[str], enabled: Sequence[str]
    ) -> None:
        """Complain where the devices do not fit the limb."""
        for name in self.servos:
            check_known(f"backend of '{limb}'", "joint", name, joints)
        for name in joints:
            if name not in self.servos:
                raise ValueError(f"joint '{name}' of '{limb}' has no servo in the backend; add one")
        for name in self.cameras:
            check_known(f"backend of '{limb}'", "camera", name, cameras)
        for name in enabled:
            if name not in self.cameras:
                raise ValueError(
                    f"camera '{name}' of '{limb}' has no device in the backend; "
                    "add one, or set enabled: false"
                )


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
