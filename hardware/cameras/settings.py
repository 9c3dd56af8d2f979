"""What every kind of camera is described with: the base of its settings in a robot description."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from hardware.cameras.stream import FrameSource
from hardware.description.buses import BusSettings
from hardware.description.fields import StrictModel
from hardware.description.limb import CameraDescription


class CameraSettings(StrictModel):
    """Settings of one camera; a kind of camera is a subclass, beside its source.

    Attributes:
        type: name of the kind; a subclass gives it as a ``Literal`` with that default.
        flip: the picture is upside down.
        silence_s: without a picture for so long, the source is opened anew.
    """

    type: str
    flip: bool = False
    silence_s: Annotated[float, Field(ge=0.01, le=3600.0, allow_inf_nan=False)] = 2.0

    def check_bus(self, bus: BusSettings) -> None:
        """Refuse a bus with which this kind of camera does not work; most need none."""

    @abstractmethod
    def open(self, description: CameraDescription, bus: BusSettings) -> FrameSource:
        """Return the source of the pictures, closed.

        Args:
            description: size, rate and name of the camera.
            bus: of the limb that carries the camera.
        """
