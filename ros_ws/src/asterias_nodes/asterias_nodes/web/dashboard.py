"""Node ``dashboard``: the robot in a web browser, on a desk or a phone.

Shows cameras, limbs, health and running actions, and drives limbs as the source ``web`` of the
command multiplexer (``/limb_<i>/sources/web``, ``…/deadman``). A page that is closed, hidden or cut
off has released its dead-man. Pictures are subscribed to only while a page is open. Serves on this
machine only unless ``host`` says otherwise; then a token is needed, a part of the address that is
printed on the terminal (and nowhere else: logs are read by others).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from asterias_interfaces.msg import TagDetections
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from asterias_nodes.robot.emergency_stop_client import EmergencyStopClient
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.teleop.teleop_client import check_speeds, make_teleop_clients
from asterias_nodes.web.access import MIN_TOKEN_CHARS, Gate, is_loopback, make_token
from asterias_nodes.web.action_watch import ActionWatch
from asterias_nodes.web.camera_feeds import BeliefFeed, CameraFeeds
from asterias_nodes.web.health_table import HealthTable
from asterias_nodes.web.live import LiveHub
from asterias_nodes.web.node_services import FaultRemote, RecorderRemote
from asterias_nodes.web.page import make_app
from asterias_nodes.web.robot_view import RobotView
from asterias_nodes.web.scene.robot_scene import LimbFrame
from asterias_nodes.web.server import WebServer
from asterias_nodes.web.topic_plots import TopicPlots
from asterias_nodes.web.web_driver import WebDriver
from hardware.description.robot import load_robot
from hardware.teleop.jogging import JogLimits

STATE_PERIOD_S = 0.05
LOOK_PERIOD_S = 0.5
PICTURES = ("raw", "compressed")
TOKEN = re.compile(r"[A-Za-z0-9._~-]+")


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
    joint_speed: Annotated[float, "fraction of the joints' velocity limits, above 0 to 1"] = 0.3
    tip_speed_m_s: Annotated[float, "m/s of the tip"] = 0.15
    rate_hz: Annotated[float, "commands per s while something is held"] = 50.0
    enable_faults: Annotated[bool, "show the panel that injects faults"] = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            SettingsError: naming the parameter.
        """
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
        if 0 < len(self.token) < MIN_TOKEN_CHARS:
            raise SettingsError(f"Parameter 'token' needs {MIN_TOKEN_CHARS} characters or more.")
        if self.token and not TOKEN.fullmatch(self.token):
            raise SettingsError(
                "Parameter 'token' is a part of an address: letters, digits and - . _ ~ only."
            )


class Dashboard(Node):
    """The node behind the page: it owns what pages show and do (see ``panels.PageModel``)."""

    def __init__(self) -> None:
        super().__init__("dashboard")
        settings = declare_settings(self, DashboardSettings)
        self.robot = load_robot(settings.robot)
        limits = JogLimits(settings.joint_speed, settings.tip_speed_m_s)
        clients = make_teleop_clients(self, settings.robot, 0, "web", limits)
        self.frames = [
            LimbFrame(one.kinematics.base_rotation, one.kinematics.base_m) for one in clients
        ]
        self._stop = EmergencyStopClient(self, self.tell_all)
        period_s = 1.0 / settings.rate_hz
        self._driver = WebDriver(clients, self._stop, self._tell, period_s)
        self.recorder = RecorderRemote(self, self.tell_all)
        self.faults = FaultRemote(self, len(clients), self.tell_all)
        self.health = HealthTable()
        self.actions = ActionWatch(self)
        self.plots = TopicPlots(self)
        self.belief = BeliefFeed(self)
        view = RobotView(self.robot, clients, self._stop, self._driver, self.recorder, limits)
        self.hub = LiveHub(view.hello(), self._on_message, self._on_leave)
        self._view = view
        self._feeds = CameraFeeds(
            self, self.robot, self.hub, settings.pictures, settings.tile_rate_hz
        )
        self.create_subscription(
            TagDetections, "/target/detections", view.on_detections, reliable_qos(50)
        )
        self.create_subscription(
            DiagnosticArray, "/diagnostics", self.health.on_diagnostics, reliable_qos()
        )
        self._server = self._serve(settings)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(period_s, self._driver.step, clock=steady)
        self.create_timer(STATE_PERIOD_S, self._show, clock=steady)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)

    def _serve(self, settings: DashboardSettings) -> WebServer:
        is_local = is_loopback(settings.host)
        token = settings.token or ("" if is_local else make_token())
        app = make_app(self, self.hub, settings.enable_faults)
        server = WebServer(Gate(app, token, is_local), settings.host, settings.port)
        server.start()
        name = settings.host if is_local else "<this machine's address>"
        address = f"http://{name}:{server.port}/"
        if token:
            # Not by the logger: /rosout and the log files are read by others.
            sys.stdout.write(f"The page, with its token: {address}?token={token}\n")
            sys.stdout.flush()
            self.get_logger().info(f"The page is at {address}; its token is on the terminal.")
        else:
            self.get_logger().info(f"The page is at {address}")
        return server

    @property
    def is_stopped(self) -> bool:
        """Whether the emergency stop is engaged."""
        return self._stop.is_engaged

    def do(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the node's thread, from the server's."""
        soon(self, function, *arguments)

    def tell_all(self, text: str) -> None:
        """Show a sentence on all pages."""
        self.hub.tell(None, text)

    def close(self) -> None:
        """Release all limbs, and close the pages."""
        self._driver.close()
        self._server.close()
        self.actions.close()
        self.plots.close()

    def _tell(self, page: int | None, text: str) -> None:
        self.hub.tell(page, text)

    # -- called in the server's thread ------------------------------------------------------------

    def _on_message(self, page: int, message: dict[str, Any]) -> None:
        self.do(self._driver.obey, page, message)

    def _on_leave(self, page: int) -> None:
        self.do(self._driver.release, page)

    # -- timers -----------------------------------------------------------------------------------

    def _show(self) -> None:
        if self.hub.page_count:
            self.hub.offer_state(self._view.state())

    def _look(self) -> None:
        self._feeds.set_open(self.hub.page_count > 0)
        self.actions.look()
        if self.hub.page_count:
            self.plots.look()


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes dashboard``."""
    return run_node(Dashboard)
