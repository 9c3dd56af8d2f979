"""A game pad through Linux's input devices, in the order of ROS 2's game controllers."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from asterias.errors import UserError
from hardware.teleop.gamepad import AXES, BUTTONS

try:
    import evdev
    from evdev import ecodes
except ImportError as error:
    raise UserError(
        "Game pads need the package evdev, which is not installed: pip install 'asterias[gamepad]'."
    ) from error

# Kernel's names (Documentation/input/gamepad.rst): south is A, east B, west X, north Y.
BUTTON_CODES = {
    ecodes.BTN_SOUTH: 0,
    ecodes.BTN_EAST: 1,
    ecodes.BTN_WEST: 2,
    ecodes.BTN_NORTH: 3,
    ecodes.BTN_SELECT: 4,
    ecodes.BTN_MODE: 5,
    ecodes.BTN_START: 6,
    ecodes.BTN_THUMBL: 7,
    ecodes.BTN_THUMBR: 8,
    ecodes.BTN_TL: 9,
    ecodes.BTN_TR: 10,
    ecodes.BTN_DPAD_UP: 11,
    ecodes.BTN_DPAD_DOWN: 12,
    ecodes.BTN_DPAD_LEFT: 13,
    ecodes.BTN_DPAD_RIGHT: 14,
}
# Drivers that send BTN_X and BTN_Y for the buttons with these letters, as xpad does; BTN_X is
# another name of BTN_NORTH (input-event-codes.h), so for them X and Y change places.
# Source: Linux, drivers/input/joystick/xpad.c.
LETTERED = re.compile(r"x-?box|xpad|x-input|xinput|microsoft", re.IGNORECASE)
LETTER_DRIVERS = ("xpad", "microsoft", "hid-microsoft")
MICROSOFT = 0x045E
LETTER_CODES = BUTTON_CODES | {ecodes.BTN_X: 2, ecodes.BTN_Y: 3}
# Number of the axis, and its sign: the kernel counts right and down as positive, ROS left and up.
AXIS_CODES = {
    ecodes.ABS_X: (0, -1.0),
    ecodes.ABS_Y: (1, -1.0),
    ecodes.ABS_RX: (2, -1.0),
    ecodes.ABS_RY: (3, -1.0),
    ecodes.ABS_Z: (4, 1.0),
    ecodes.ABS_RZ: (5, 1.0),
}
TRIGGERS = (4, 5)
HATS = {ecodes.ABS_HAT0X: (13, 14), ecodes.ABS_HAT0Y: (11, 12)}


class AxisRange(Protocol):
    """The ends of an axis, as the kernel reports them."""

    min: int
    max: int


class InputEvent(Protocol):
    """One change, as the kernel reports it."""

    type: int
    code: int
    value: int


class PadState:
    """Axes and buttons, updated by events.

    Args:
        ranges: of the axes, by code.
        buttons: number of each button, by code; see :func:`button_codes`.
    """

    def __init__(
        self, ranges: dict[int, AxisRange], buttons: Mapping[int, int] = BUTTON_CODES
    ) -> None:
        self.axes = [0.0] * AXES
        self.buttons = [0] * BUTTONS
        self._ranges = ranges
        self._codes = buttons

    def take(self, event: InputEvent) -> bool:
        """Record one event.

        Returns:
            Whether it ends a report.
        """
        if event.type == ecodes.EV_KEY and event.code in self._codes:
            self.buttons[self._codes[event.code]] = int(event.value > 0)
        elif event.type == ecodes.EV_ABS and event.code in HATS:
            negative, positive = HATS[event.code]
            self.buttons[negative] = int(event.value < 0)
            self.buttons[positive] = int(event.value > 0)
        elif event.type == ecodes.EV_ABS and event.code in AXIS_CODES:
            self.turn(event.code, event.value)
        return bool(event.type == ecodes.EV_SYN and event.code == ecodes.SYN_REPORT)

    def turn(self, code: int, value: int) -> None:
        """Set an axis to the value that the kernel reports."""
        number, sign = AXIS_CODES[code]
        ends = self._ranges.get(code)
        span = (ends.max - ends.min) if ends is not None else 0
        if ends is None or span <= 0:
            return
        share = (value - ends.min) / span
        self.axes[number] = share if number in TRIGGERS else sign * (2.0 * share - 1.0)


def driver_of(path: str) -> str:
    """Return the name of the kernel's driver behind an event device; empty where there is none."""
    link = Path("/sys/class/input") / Path(path).name / "device" / "device" / "driver"
    return link.resolve().name if link.exists() else ""


def button_codes(name: str, vendor: int, driver: str = "") -> Mapping[int, int]:
    """Return the number of each button of a pad, by the codes that its driver sends.

    Args:
        name: that the driver gives it, such as "Microsoft X-Box 360 pad".
        vendor: USB number of its maker.
        driver: of the kernel, such as ``xpad``, which also drives pads of other makers; empty:
            not known, then name and maker decide.
    """
    if driver:
        return LETTER_CODES if driver.startswith(LETTER_DRIVERS) else BUTTON_CODES
    is_lettered = vendor == MICROSOFT or LETTERED.search(name) is not None
    return LETTER_CODES if is_lettered else BUTTON_CODES


class EvdevPad:
    """An open game pad.

    Args:
        device: of evdev.
    """

    def __init__(self, device: evdev.InputDevice[str]) -> None:
        self._device = device
        self.is_closed = False
        found: Any = device.capabilities(absinfo=True).get(ecodes.EV_ABS, [])
        ranges: dict[int, Any] = dict(found)
        codes = button_codes(str(device.name), device.info.vendor, driver_of(self.path))
        self._state = PadState(ranges, codes)
        for code, ends in ranges.items():
            if code in AXIS_CODES:
                self._state.turn(code, ends.value)

    @property
    def name(self) -> str:
        """Name that the device reports."""
        return str(self._device.name)

    @property
    def path(self) -> str:
        """Path of the device file."""
        return str(self._device.path)

    @property
    def axes(self) -> list[float]:
        """Six axes from -1 to 1; triggers from 0 to 1."""
        return list(self._state.axes)

    @property
    def buttons(self) -> list[int]:
        """Fifteen buttons, 1 while down."""
        return list(self._state.buttons)

    def changes(self) -> Iterator[None]:
        """Wait for reports of the device, without end.

        OSError is raised when the device is gone.

        Yields:
            None after each report.
        """
        for event in self._device.read_loop():
            if self._state.take(event):
                yield None

    def close(self) -> None:
        """Close the device."""
        self.is_closed = True
        self._device.close()


def find_pad(path: str = "") -> EvdevPad:
    """Return the game pad at ``path``, or the first one found.

    Raises:
        OSError: there is none, or it must not be read; the text says what to do.
    """
    paths: Iterable[str] = [path] if path else evdev.list_devices()
    for candidate in paths:
        try:
            device = evdev.InputDevice(candidate)
        except OSError as error:
            if path:
                cure = "; add yourself to the group 'input'" if error.errno == errno.EACCES else ""
                raise OSError(f"{path} cannot be read: {error.strerror}{cure}.") from error
            continue
        keys = device.capabilities().get(ecodes.EV_KEY, [])
        if path or ecodes.BTN_SOUTH in keys:
            return EvdevPad(device)
        device.close()
    raise OSError(
        "No game pad is found: plug one in, and be a member of the group 'input' "
        '(sudo usermod -aG input "$USER", then log in again).'
    )
