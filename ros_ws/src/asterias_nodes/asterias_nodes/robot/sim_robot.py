"""Managed node ``sim_robot``: hosts the simulated world, its limb drivers and its cameras.

For limb i: publishes ``/limb_<i>/joint_states`` at the control rate and, for camera j,
``/limb_<i>/camera_<j>/image_raw``, ``…/image_raw/compressed`` and ``…/camera_info``; takes
``/limb_<i>/commands`` and ``/limb_<i>/joint_trajectory``; serves ``/limb_<i>/inject_fault``.
For all: ``/clock``, ``/diagnostics``, ``/e_stop`` with its latched state ``/e_stop_state``. A robot
on the ground also publishes ``/odom`` (nav_msgs/Odometry: the true pose of ``base_link`` in the
frame ``map``) at the control rate.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated

from nav_msgs.msg import Odometry
from rclpy.publisher import Publisher
from rclpy.timer import Timer
from rosgraph_msgs.msg import Clock

from asterias.pacing import Pacer
from asterias_nodes.robot.camera_interface import CameraInterface
from asterias_nodes.robot.emergency_stop import EmergencyStop
from asterias_nodes.robot.limb_interface import LimbInterface
from asterias_nodes.runtime.conversions import to_odometry_msg, to_time_msg
from asterias_nodes.runtime.diagnostics import OK, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.description.frames import BASE_FRAME, MAP_FRAME
from hardware.faults.camera import FaultyCamera
from hardware.faults.limb import FaultyLimb
from sim.standing_world import TARGET_SIZE_M, TARGET_XY_M, StandingWorld
from sim.world import SimWorld


@dataclass(frozen=True)
class SimRobotSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of a robot description"] = "limb_p1"
    seed: Annotated[int, "seed of camera noise and of injected faults"] = 0
    real_time_factor: Annotated[float, "simulated s per s; 0 is as fast as possible"] = 1.0
    renderer: Annotated[
        str, "raster, raster_2x2, pybullet, egl or auto; empty takes the description's"
    ] = ""
    engine: Annotated[str, "asterias or pybullet; empty takes the description's"] = ""
    enable_faults: Annotated[bool, "serve inject_fault instead of refusing it"] = False
    ground: Annotated[bool, "nothing holds the robot: it lies on the ground, with contact"] = False
    target_xy_m: Annotated[list[float], "on the ground: where the target stands, x and y"] = field(
        default_factory=lambda: list(TARGET_XY_M)
    )
    target_size_m: Annotated[float, "on the ground: edge of the target's black square"] = (
        TARGET_SIZE_M
    )


class SimRobot(ManagedNode):
    """The simulated robot on topics; one thread steps the world, publishes and takes commands."""

    def __init__(self) -> None:
        super().__init__("sim_robot")
        self.settings = declare_settings(self, SimRobotSettings)
        self.world: SimWorld | None = None
        self.limbs: list[LimbInterface] = []
        self.cameras: list[CameraInterface] = []
        self.pacer: Pacer | None = None
        self._topics: list[Publisher] = []
        self._stop: EmergencyStop | None = None
        self._timer: Timer | None = None
        self._diagnostics: Diagnostics | None = None

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Build the world, the drivers and the topics."""
        self.world = self._make_world()
        period_s = 1.0 / self.world.robot.control_rate_hz
        self.pacer = Pacer(period_s, self.settings.real_time_factor)
        for number in range(len(self.world.limbs)):
            self._open_limb(self.world, number)
        self._sim_clock = self.create_publisher(Clock, "/clock", reliable_qos())
        self._topics = [self._sim_clock]
        if isinstance(self.world, StandingWorld):
            self._odometry = self.create_publisher(Odometry, "/odom", reliable_qos())
            self._topics.append(self._odometry)
        self._stop = EmergencyStop(self, self.limbs, self.world.robot.name)
        limbs = [limb.report for limb in self.limbs]
        cameras = [camera.report for camera in self.cameras]
        self._diagnostics = Diagnostics(self, [self._report, *limbs, *cameras])

    def activate(self) -> None:
        """Let time pass, publish and accept commands."""
        for limb in self.limbs:
            limb.driver.activate()
        pacer = self._pacer()
        pacer.restart()
        # As fast as possible still leaves the executor room for commands between the steps.
        self._timer = self.create_timer(max(pacer.wall_period_s, 1e-4), self._tick)
        factor = pacer.real_time_factor
        pace = f"{factor:g}" if factor > 0 else "as fast as possible"
        self.get_logger().info(
            f"Robot {self._world().robot.name} is active: {len(self.limbs)} limb(s), "
            f"{len(self.cameras)} camera(s) drawn by {self._renderer()}, moved by "
            f"{self._world().engine.words}, real-time factor {pace}."
        )

    def deactivate(self) -> None:
        """Stop time; the limbs hold and refuse commands."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for limb in self.limbs:
            limb.driver.deactivate()

    def cleanup(self) -> None:
        """Make all drivers safe, then take down topics and world."""
        for limb in self.limbs:
            limb.close()
        for camera in self.cameras:
            camera.close()
        self.limbs, self.cameras = [], []
        if self._diagnostics is not None:
            self._diagnostics.close()
            self._diagnostics = None
        if self._stop is not None:
            self._stop.close()
            self._stop = None
        for topic in self._topics:
            self.destroy_publisher(topic)
        self._topics = []
        if self.world is not None:
            self.world.close()
            self.world = None

    # -- building -------------------------------------------------------------------------------

    def _make_world(self) -> SimWorld:
        settings = self.settings
        renderer, engine = settings.renderer or None, settings.engine or None
        if not settings.ground:
            return SimWorld(settings.robot, seed=settings.seed, renderer=renderer, engine=engine)
        return StandingWorld(
            settings.robot,
            seed=settings.seed,
            renderer=renderer,
            engine=engine,
            target_xy_m=settings.target_xy_m,
            target_size_m=settings.target_size_m,
        )

    def _open_limb(self, world: SimWorld, number: int) -> None:
        faults, seed = self.settings.enable_faults, self.settings.seed
        driver, cameras = world.limbs[number], world.cameras[number]
        devices = [FaultyCamera(camera, seed=seed) if faults else camera for camera in cameras]
        self.cameras += [CameraInterface(self, number, j, c) for j, c in enumerate(devices)]
        self.limbs.append(
            LimbInterface(
                self,
                number,
                FaultyLimb(driver, seed=seed) if faults else driver,
                clock=lambda: world.time_s,
                cameras=devices,
                allow_faults=faults,
                passive=lambda: world.passive_joints(number),
            )
        )

    def _world(self) -> SimWorld:
        if self.world is None:
            raise RuntimeError("The simulated robot is not configured yet.")
        return self.world

    def _pacer(self) -> Pacer:
        if self.pacer is None:
            raise RuntimeError("The simulated robot is not configured yet.")
        return self.pacer

    def _renderer(self) -> str:
        scene = self._world().scene
        return scene.renderer_name if scene is not None else "nobody"

    # -- running --------------------------------------------------------------------------------

    def _tick(self) -> None:
        pacer = self._pacer()
        for _ in range(pacer.due()):
            self._step(pacer.period_s)

    def _step(self, period_s: float) -> None:
        """One control period: commands, physics, clock, joints, pictures."""
        world = self._world()
        for limb in self.limbs:
            limb.tick()
        world.advance(period_s)
        stamp = to_time_msg(world.time_s)
        self._sim_clock.publish(Clock(clock=stamp))
        for limb in self.limbs:
            limb.publish(stamp)
        if isinstance(world, StandingWorld):
            pose, velocity = world.base_pose(), world.base_velocity()
            self._odometry.publish(to_odometry_msg(*pose, *velocity, stamp, MAP_FRAME, BASE_FRAME))
        world.draw_due()
        for camera in self.cameras:
            camera.publish()

    def _report(self) -> DiagnosticReport:
        pacer = self._pacer()
        stopped = self._stop is not None and self._stop.is_engaged
        values: dict[str, object] = {
            "time_s": round(self._world().time_s, 3),
            "real_time_factor": round(pacer.measured_factor(), 3),
            "dropped_periods": pacer.dropped,
            "renderer": self._renderer(),
            "engine": self._world().engine.name,
            "e_stop": stopped,
        }
        level, message = (WARN, "emergency stop engaged") if stopped else (OK, "ok")
        return DiagnosticReport("sim_robot: world", level, message, values)


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(SimRobot, sends_pictures=True))


if __name__ == "__main__":
    main()
