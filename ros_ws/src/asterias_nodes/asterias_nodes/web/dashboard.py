"""Node ``dashboard``: the robot in a web browser, on a desk or a phone.

Shows cameras, limbs, health and running actions, and drives limbs as the source ``web`` of the
command multiplexer (``/limb_<i>/sources/web``, ``…/deadman``). A page that is closed, hidden or cut
off has let go. Pictures are subscribed to only while a page is open. Serves on this machine only
unless ``host`` says otherwise; then a token is needed, a part of the address that is printed.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from asterias_interfaces.msg import RecorderStatus, TagDetections
from asterias_interfaces.srv import InjectFault, StartEpisode
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool, Trigger

from asterias.arrays import FloatArray
from asterias_nodes.robot.emergency_stop_client import EmergencyStopClient
from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos, sensor_qos
from asterias_nodes.teleop.teleop_client import check_speeds, make_teleop_clients
from asterias_nodes.web.access import LEAST_TOKEN, Gate, is_loopback, make_token
from asterias_nodes.web.action_watch import ActionWatch
from asterias_nodes.web.live import CameraKey, LiveFrame, LiveHub
from asterias_nodes.web.page import PageModel, make_app
from asterias_nodes.web.server import WebServer
from hardware.description.robot import RobotDescription, load_robot
from hardware.teleop.jogging import JogLimits
from hardware.teleop.web_pilot import PageCommand, PageError, PagePilot

STATE_PERIOD_S = 0.05
LOOK_PERIOD_S = 0.5
PICTURES = ("raw", "compressed")
# A camera's tile says that it sees the tag for so long after the detector said so.
SEEN_S = 0.5
STALE_HEALTH_S = 3.0


@dataclass(frozen=True)
class DashboardSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    host: Annotated[str, "address to serve on; 0.0.0.0: the whole network, with a token"] = (
        "127.0.0.1"
    )
    port: Annotated[int, "port to serve on; 0: any that is free"] = 8080
    token: Annotated[str, "what pages must know, 16 characters or more; empty: a random one"] = ""
    pictures: Annotated[str, "raw: compressed here; compressed: by the camera's driver"] = "raw"
    tile_rate_hz: Annotated[float, "pictures per s and camera that pages get at most"] = 30.0
    joint_speed: Annotated[float, "share of the joints' velocity limits, above 0 to 1"] = 0.3
    tip_speed_m_s: Annotated[float, "m/s of the tip"] = 0.15
    rate_hz: Annotated[float, "commands per s while something is held"] = 50.0
    enable_faults: Annotated[bool, "show the panel that injects faults"] = False

    def __post_init__(self) -> None:
        check_speeds(self.joint_speed, self.tip_speed_m_s, self.rate_hz)
        if self.pictures not in PICTURES:
            raise SettingsError(
                f"Parameter 'pictures' must be one of {', '.join(PICTURES)}, not '{self.pictures}'."
            )
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"Parameter 'port' must be from 0 to 65535, not {self.port}.")
        if not 0.5 <= self.tile_rate_hz <= 120.0:
            raise SettingsError(
                f"Parameter 'tile_rate_hz' must be from 0.5 to 120, not {self.tile_rate_hz:g}."
            )
        if 0 < len(self.token) < LEAST_TOKEN:
            raise SettingsError(f"Parameter 'token' needs {LEAST_TOKEN} characters or more.")


class CameraFeeds:
    """The newest picture of each camera, while somebody looks.

    Args:
        node: the hosting node.
        robot: which cameras there are.
        hub: gets the pictures.
        pictures: ``raw`` or ``compressed``.
        rate_hz: pictures per s and camera at most.
    """

    def __init__(
        self, node: Node, robot: RobotDescription, hub: LiveHub, pictures: str, rate_hz: float
    ) -> None:
        self._node, self._hub, self._pictures = node, hub, pictures
        # A little less than the period: a camera of just this rate loses none.
        self._gap_s = 0.8 / rate_hz
        self._keys = [
            (i, j) for i, limb in enumerate(robot.limbs) for j in range(len(limb.live_cameras))
        ]
        self._counts = dict.fromkeys(self._keys, 0)
        self._last_s = dict.fromkeys(self._keys, -np.inf)
        self._open: list[Subscription] = []

    def set_open(self, is_open: bool) -> None:
        """Begin or end to listen."""
        if is_open == bool(self._open):
            return
        for subscription in self._open:
            self._node.destroy_subscription(subscription)
        self._open = [self._subscribe(key) for key in self._keys] if is_open else []

    def _subscribe(self, key: CameraKey) -> Subscription:
        topic = f"/limb_{key[0]}/camera_{key[1]}/image_raw"
        is_raw = self._pictures == "raw"
        return self._node.create_subscription(
            Image if is_raw else CompressedImage,
            topic if is_raw else f"{topic}/compressed",
            partial(self._take, key),
            sensor_qos(1),
        )

    def _take(self, key: CameraKey, message: Any) -> None:
        now = time.monotonic()
        if now - self._last_s[key] < self._gap_s:
            return
        self._last_s[key] = now
        self._counts[key] += 1
        stamp_s = to_seconds(message.header.stamp)
        frame = LiveFrame(key, self._counts[key], stamp_s, time.time())
        if isinstance(message, Image):
            try:
                frame.image = from_image_msg(message)
            except ValueError as error:
                self._node.get_logger().warning(str(error), throttle_duration_sec=5.0)
                return
        else:
            frame.jpeg = bytes(message.data)
        self._hub.offer_frame(frame)


class Dashboard(Node):
    """What pages show and want; the page itself is in :mod:`asterias_nodes.web`."""

    def __init__(self) -> None:
        super().__init__("dashboard")
        self.settings = declare_settings(self, DashboardSettings)
        settings = self.settings
        self.robot = load_robot(settings.robot)
        limits = JogLimits(settings.joint_speed, settings.tip_speed_m_s)
        self._limbs = make_teleop_clients(self, settings.robot, 0, "web", limits)
        self._pilot = PagePilot([len(one.names) for one in self._limbs], time.monotonic)
        self._stop = EmergencyStopClient(self, self._tell_all)
        self._period_s = 1.0 / settings.rate_hz
        self._seen: dict[CameraKey, tuple[float, float, list[float]]] = {}
        self._health: dict[str, tuple[float, DiagnosticStatus]] = {}
        self.recorder: RecorderStatus | None = None
        self.actions = ActionWatch(self)
        self.hub = LiveHub(json.dumps(self._hello()), self._on_message, self._on_leave)
        self._feeds = CameraFeeds(
            self, self.robot, self.hub, settings.pictures, settings.tile_rate_hz
        )
        self._open_topics()
        self._server = self._open_server()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self._period_s, self._drive, clock=steady)
        self.create_timer(STATE_PERIOD_S, self._show, clock=steady)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)

    def _open_topics(self) -> None:
        self.create_subscription(
            TagDetections, "/target/detections", self._on_detections, reliable_qos(50)
        )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, reliable_qos())
        self.create_subscription(
            RecorderStatus, "/recorder/status", self._on_recorder, latched_qos()
        )
        self._start_episode = self.create_client(StartEpisode, "/recorder/start")
        self._recorder_calls = {
            name: self.create_client(Trigger, f"/recorder/{name}") for name in ("stop", "discard")
        }
        self._mark = self.create_client(SetBool, "/recorder/mark_success")
        self._faults = [
            self.create_client(InjectFault, f"/limb_{one.number}/inject_fault")
            for one in self._limbs
        ]

    def _open_server(self) -> WebServer:
        settings = self.settings
        is_local = is_loopback(settings.host)
        token = settings.token or ("" if is_local else make_token())
        app = make_app(PageModel(self, self.settings.enable_faults), self.hub)
        server = WebServer(Gate(app, token, is_local), settings.host, settings.port)
        server.start()
        name = settings.host if is_local else "<this machine's address>"
        key = f"/?token={token}" if token else "/"
        self.get_logger().info(f"The page is at http://{name}:{server.port}{key}")
        return server

    def close(self) -> None:
        """Let go of all limbs, and close the pages."""
        for client in self._limbs:
            client.close()
        self._server.close()
        self.actions.close()

    # -- called by pages, in the server's thread --------------------------------------------------

    def _on_message(self, page: int, message: dict[str, Any]) -> None:
        soon(self, self._obey, page, message)

    def _on_leave(self, page: int) -> None:
        soon(self, self._release, page)

    # -- driving ----------------------------------------------------------------------------------

    def _obey(self, page: int, message: dict[str, Any]) -> None:
        kind = message.get("t")
        if kind == "drive":
            was_driven = self._pilot.command is not None
            try:
                self._pilot.drive(page, message)
            except PageError as error:
                self.hub.tell(page, str(error))
            if not was_driven:
                self._drive()  # a first touch does not wait for its turn
        elif kind == "release":
            self._release(page)
        elif kind in ("stop", "unstop"):
            self._stop.request(kind == "stop")

    def _release(self, page: int) -> None:
        self._pilot.release(page)
        self._drive()

    def _drive(self) -> None:
        command = self._pilot.command
        for client in self._limbs:
            if command is None or client.number != command.limb:
                client.let_go()
                continue
            if self._stop.is_engaged:
                client.hold()
                continue
            client.jogger.speed = command.speed
            if not client.drive(partial(self._step, command), self._period_s):
                self._pilot.release_all()
                self._tell_all(f"No joint states come from limb_{command.limb}; is it launched?")

    def _step(self, command: PageCommand, measured: FloatArray, span_s: float) -> FloatArray:
        jogger = self._limbs[command.limb].jogger
        if command.kind == "tip":
            return jogger.jog_tip(command.values, measured, span_s)
        target = jogger.home_rad if command.kind == "home" else np.array(command.values)
        return jogger.move_towards(target, measured, span_s)

    # -- what the robot says ----------------------------------------------------------------------

    def _on_detections(self, message: TagDetections) -> None:
        try:
            key = (int(message.limb.rpartition("_")[2]), int(message.camera.rpartition("_")[2]))
        except ValueError:
            return
        target = self.robot.target.id
        corners = [list(map(float, d.corners_px)) for d in message.detections if d.id == target]
        if corners:
            stamp_s = to_seconds(message.header.stamp)
            self._seen[key] = (time.monotonic(), stamp_s, corners[0])
        else:
            self._seen.pop(key, None)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._health[status.name] = (time.monotonic(), status)

    def _on_recorder(self, message: RecorderStatus) -> None:
        self.recorder = message

    @property
    def health(self) -> list[tuple[DiagnosticStatus, bool]]:
        """Each part's newest report, and whether it is out of date; by name."""
        now = time.monotonic()
        return [
            (status, now - heard_s > STALE_HEALTH_S)
            for _, (heard_s, status) in sorted(self._health.items())
        ]

    def _look(self) -> None:
        self._feeds.set_open(self.hub.page_count > 0)
        self.actions.look()

    # -- what pages are told ----------------------------------------------------------------------

    def _tell_all(self, text: str) -> None:
        self.hub.tell(None, text)

    def _hello(self) -> dict[str, Any]:
        """What does not change: limbs, joints, cameras, bodies."""
        target = self.robot.target
        return {
            "t": "hello",
            "robot": self.robot.name,
            "limbs": [self._describe(i) for i in range(len(self.robot.limbs))],
            "target": {"pose": target.pose.model_dump(), "size": target.size_m},
        }

    def _describe(self, number: int) -> dict[str, Any]:
        limb, kinematics = self.robot.limbs[number], self._limbs[number].kinematics
        moved = [hinge.child for hinge in limb.body.hinges]
        links = {link.name: link for link in limb.body.links}
        return {
            "name": limb.name,
            "joints": [
                {"name": j.name, "limits": j.limits_rad, "home": j.home_rad} for j in limb.joints
            ],
            "cameras": [
                {
                    "name": c.name,
                    "width": c.width_px,
                    "height": c.height_px,
                    "fov": c.fov_rad,
                    "link": moved.index(c.link) if c.link in moved else -1,
                    "at": c.pose.xyz,
                    "rpy": c.pose.rpy,
                }
                for c in limb.live_cameras
            ],
            "base": {
                "rotation": kinematics.base_rotation.ravel().tolist(),
                "at": kinematics.base_m.tolist(),
            },
            "root": links[limb.body.links[0].name].model_dump(),
            "links": [links[name].model_dump() for name in moved],
        }

    def _show(self) -> None:
        if self.hub.page_count:
            self.hub.offer_state(json.dumps(self._state()))

    def _state(self) -> dict[str, Any]:
        """What changes all the time."""
        now = time.monotonic()
        seen = {
            f"{i}_{j}": {"stamp": stamp_s, "corners": corners}
            for (i, j), (seen_s, stamp_s, corners) in self._seen.items()
            if now - seen_s < SEEN_S
        }
        return {
            "t": "state",
            "stop": self._stop.is_engaged if self._stop.is_known else None,
            "driver": self._pilot.holder,
            "seen": seen,
            "limbs": [self._limb_state(i) for i in range(len(self._limbs))],
        }

    def _limb_state(self, number: int) -> dict[str, Any]:
        client = self._limbs[number]
        measured = client.measured_rad
        if measured is None:
            return {"heard": False, "owner": client.active_source}
        names = [hinge.name for hinge in client.limb.body.hinges]
        known = [client.joint_state.get(name, np.nan) for name in names]
        # A real limb does not measure its flexible links: they are drawn at rest.
        hinges = known if np.isfinite(known).all() else client.kinematics.hinges(measured)
        rotations, shifts = client.kinematics.link_poses(hinges)
        tip = client.kinematics.tip_of_hinges(hinges)
        return {
            "heard": True,
            "owner": client.active_source,
            "joints": np.round(measured, 4).tolist(),
            "tip": np.round(tip, 4).tolist(),
            "rotations": np.round(rotations.reshape(len(names), 9), 4).tolist(),
            "shifts": np.round(shifts, 4).tolist(),
        }

    # -- services that pages call -----------------------------------------------------------------

    def call(self, client: Any, request: Any) -> None:
        """Call a service; its sentence goes to all pages."""
        if not client.service_is_ready():
            self._tell_all(f"The service {client.srv_name} is not there; is its node launched?")
            return

        def answered(future: Any) -> None:
            answer = future.result()
            self._tell_all(getattr(answer, "message", "") or "There was no answer.")

        client.call_async(request).add_done_callback(answered)

    def start_episode(self, task: str) -> None:
        """Begin to record."""
        self.call(self._start_episode, StartEpisode.Request(task=task))

    def recorder_call(self, name: str) -> None:
        """``stop`` or ``discard``."""
        self.call(self._recorder_calls[name], Trigger.Request())

    def mark_episode(self, is_success: bool) -> None:
        """Say how the episode went."""
        self.call(self._mark, SetBool.Request(data=is_success))

    def inject_fault(self, limb: int, component: str, fault: str, value: float) -> None:
        """Make something fail."""
        request = InjectFault.Request(component=component, fault=fault, value=value)
        self.call(self._faults[limb], request)


def make_node() -> Dashboard:
    """For ``run_node.main_late``."""
    return Dashboard()
