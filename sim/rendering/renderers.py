"""The renderers by the names that a description, a launch argument or an option gives them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

from asterias.errors import UserError
from hardware.description.devices import OLD_RENDERERS
from hardware.description.robot import RobotDescription
from sim.rendering.scene import Scene

log = logging.getLogger(__name__)


def _raster(supersampling: int) -> Callable[[RobotDescription], Scene]:
    def make(robot: RobotDescription) -> Scene:
        from sim.rendering.raster.scene import RasterScene

        return RasterScene(robot, supersampling=supersampling)

    return make


def _pybullet(renderer: str) -> Callable[[RobotDescription], Scene]:
    def make(robot: RobotDescription) -> Scene:
        # Here, not above: the other renderers work where PyBullet is not installed.
        from sim.rendering.bullet_scene import BulletScene

        return BulletScene(robot, renderer=renderer)

    return make


# A name of :data:`hardware.description.devices.RendererName` -> what makes the scene.
RENDERERS: dict[str, Callable[[RobotDescription], Scene]] = {
    "raster": _raster(1),
    "raster_2x2": _raster(2),
    "pybullet": _pybullet("pybullet"),
    "egl": _pybullet("egl"),
    "auto": _pybullet("auto"),
}


def make_scene(robot: RobotDescription, renderer: str) -> Scene:
    """Return a scene of a robot, drawn by the renderer of a name, which may be an old one.

    Passes on ``DeviceError``: the renderer does not work here, and ``UserError``: PyBullet, which
    it needs, is not installed.

    Raises:
        UserError: there is no such renderer.
    """
    name = OLD_RENDERERS.get(renderer, renderer)
    if name not in RENDERERS:
        raise UserError(f"There is no renderer '{renderer}': choose one of {', '.join(RENDERERS)}.")
    scene = RENDERERS[name](robot)
    _tell(scene.renderer_name)
    return scene


@cache
def _tell(renderer: str) -> None:
    """Say once which renderer draws, however many worlds there are."""
    log.info("Cameras are drawn by %s.", renderer)
