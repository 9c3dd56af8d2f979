"""Managed node ``foxglove_bridge``: the running robot in Foxglove, live.

Open ``ws://127.0.0.1:8765`` in Foxglove (*Open connection*, *Foxglove WebSocket*): images, 3D,
plots, diagnostics and parameters, with the layout of ``launch/layouts/foxglove.json``. Nothing is
heard that nobody looks at. The service ``/e_stop`` engages the emergency stop. With ``drive``,
clients command limbs through the multiplexer as the source ``foxglove``
(:mod:`asterias_nodes.foxglove_bridge.client_commands`), and release the emergency stop.

The protocol knows no password and no origin: any program of this machine, and any web page that a
browser here has open, is a client if it reaches the port. So the port is open on this machine only
unless ``host`` says otherwise, and nobody drives unless ``drive`` says so.
"""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from typing import Annotated, Any

from rclpy.serialization import deserialize_message, serialize_message
from std_srvs.srv import SetBool

from asterias.errors import UserError
from asterias_nodes.foxglove_bridge.client_commands import (
    ENCODINGS,
    ClientCommands,
    CommandRefusedError,
)
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.run_node import run_node
from hardware.description.robot import load_robot

try:
    import foxglove
    from foxglove import websocket

    from asterias_nodes.foxglove_bridge.channels import TopicChannels
    from asterias_nodes.foxglove_bridge.node_parameters import NodeParameters
except ImportError as error:
    raise UserError(
        "The node foxglove_bridge needs the package foxglove-sdk: pip install 'asterias[foxglove]'."
    ) from error

LOOK_PERIOD_S = 1.0
CLOCK_PERIOD_S = 0.05
PARAMETERS_PERIOD_S = 5.0
ANSWER_S = 3.0
# Messages that wait for a slow client: of raw pictures, a few dozen megabytes.
BACKLOG = 256


@dataclass(frozen=True)
class FoxgloveBridgeSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of a robot description: how many limbs"] = "limb_p1"
    host: Annotated[str, "address to serve on; 0.0.0.0: the whole network, without a password"] = (
        "127.0.0.1"
    )
    port: Annotated[int, "port to serve on; 0: any that is free"] = 8765
    drive: Annotated[bool, "clients may drive, and release the emergency stop"] = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError("Parameter 'port' must be from 0 to 65535.")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the port."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class _Listener(websocket.ServerListener):
    """Hands what clients ask for from the server's threads to the node's."""

    def __init__(self, node: FoxgloveBridge) -> None:
        self._node = node

    def on_subscribe(self, client: Any, channel: Any) -> None:
        soon(self._node, self._node.channels.listen, channel.topic)

    def on_unsubscribe(self, client: Any, channel: Any) -> None:
        soon(self._node, self._node.channels.ignore, channel.topic)

    def on_client_advertise(self, client: Any, channel: Any) -> None:
        about = (channel.topic, channel.schema_name, channel.encoding)
        soon(self._node, self._node.on_advertise, client.id, channel.id, *about)

    def on_client_unadvertise(self, client: Any, client_channel_id: int) -> None:
        soon(self._node, self._node.on_unadvertise, client.id, client_channel_id)

    def on_message_data(self, client: Any, client_channel_id: int, data: bytes) -> None:
        soon(self._node, self._node.on_message, client.id, client_channel_id, bytes(data))

    def on_get_parameters(
        self, client: Any, param_names: list[str], request_id: str | None = None
    ) -> list[websocket.Parameter]:
        return self._node.node_parameters.known(param_names)

    def on_set_parameters(
        self, client: Any, parameters: list[websocket.Parameter], request_id: str | None = None
    ) -> list[websocket.Parameter]:
        soon(self._node, self._node.tell, "Parameters are set when nodes start; nothing changed.")
        return self._node.node_parameters.known([one.name for one in parameters])


class FoxgloveBridge(ManagedNode):
    """A Foxglove server beside the robot."""

    def __init__(self) -> None:
        super().__init__("foxglove_bridge")
        self.settings = declare_settings(self, FoxgloveBridgeSettings)
        self._server: websocket.WebSocketServer | None = None
        self._limbs_of: dict[tuple[int, int], tuple[int, str]] = {}

    def configure(self) -> None:
        """Serve; topics are offered from activation on.

        Raises:
            OSError: the port cannot be opened.
        """
        settings, context = self.settings, foxglove.Context()
        limbs = len(load_robot(settings.robot).limbs)
        self.channels = TopicChannels(self, context)
        self.node_parameters = NodeParameters(self, self._publish_parameters)
        self.owned.add(self.channels.close)
        self.owned.add(self.node_parameters.close)
        self._commands = ClientCommands(self.owned, limbs) if settings.drive else None
        self._stop = self.owned.client(SetBool, "/e_stop")
        uses_clock = bool(self.get_parameter("use_sim_time").value)
        able = [websocket.Capability.Parameters, websocket.Capability.Services]
        able += [websocket.Capability.ClientPublish] if settings.drive else []
        able += [websocket.Capability.Time] if uses_clock else []
        try:
            self._server = foxglove.start_server(
                name="asterias",
                host=settings.host,
                port=settings.port,
                capabilities=able,
                server_listener=_Listener(self),
                supported_encodings=list(ENCODINGS),
                services=[self._stop_service()],
                context=context,
                message_backlog_size=BACKLOG,
            )
        except RuntimeError as error:
            raise OSError(f"{settings.host}:{settings.port} cannot be served: {error}") from error
        self.owned.add(self._end_server)
        if uses_clock:
            self.owned.wall_timer(CLOCK_PERIOD_S, self._send_clock)

    def activate(self) -> None:
        """Offer the topics, and say where."""
        self.owned.wall_timer(LOOK_PERIOD_S, self.channels.look)
        self.owned.wall_timer(PARAMETERS_PERIOD_S, self.node_parameters.refresh)
        self.channels.look()
        self.node_parameters.refresh()
        port = self._server.port if self._server is not None else 0
        who = "clients may drive" if self.settings.drive else "clients see and do not drive"
        self.get_logger().info(f"Foxglove: ws://{self.settings.host}:{port}; {who}.")
        if not self.settings.is_local:
            self.get_logger().warning("Whoever reaches this port sees everything: no password.")

    # -- clients, in the node's thread ----------------------------------------------------------

    def on_advertise(
        self, client: int, channel: int, topic: str, type_name: str, encoding: str
    ) -> None:
        """Take a client's channel, or tell why it commands nothing."""
        if self._commands is None:
            self.tell("Driving is off here; see the parameter 'drive'.")
            return
        try:
            limb = self._commands.limb_of(topic, type_name, encoding)
            self._limbs_of[client, channel] = limb, encoding
        except CommandRefusedError as error:
            self.tell(str(error))

    def on_unadvertise(self, client: int, channel: int) -> None:
        """Let go of what a client has commanded by this channel."""
        if self._limbs_of.pop((client, channel), None) is not None and self._commands is not None:
            self._commands.release(client)

    def on_message(self, client: int, channel: int, data: bytes) -> None:
        """Take a command of a client."""
        found = self._limbs_of.get((client, channel))
        if found is None or self._commands is None:
            return
        try:
            self._commands.take(client, found[0], found[1], data)
        except CommandRefusedError as error:
            self.tell(str(error))

    def tell(self, text: str) -> None:
        """Show a sentence in the clients, and log it."""
        self.get_logger().warning(text, throttle_duration_sec=1.0)
        if self._server is not None:
            self._server.publish_status(text, websocket.StatusLevel.Warning)

    # -- the server -----------------------------------------------------------------------------

    def _stop_service(self) -> websocket.Service:
        def part(name: str, text: str) -> websocket.MessageSchema:
            schema = foxglove.Schema(name=name, encoding="ros2msg", data=text.encode())
            return websocket.MessageSchema(encoding="cdr", schema=schema)

        schema = websocket.ServiceSchema(
            "std_srvs/srv/SetBool",
            request=part("std_srvs/srv/SetBool_Request", "bool data"),
            response=part("std_srvs/srv/SetBool_Response", "bool success\nstring message"),
        )
        return websocket.Service("/e_stop", schema=schema, handler=self._on_stop_request)

    def _on_stop_request(self, request: websocket.ServiceRequest) -> bytes:
        """Return the robot's answer; called in a thread of the server.

        Raises:
            PermissionError: clients do not release the stop here.
            TimeoutError: the robot does not answer.
        """
        asked = deserialize_message(request.payload, SetBool.Request)
        if not asked.data and not self.settings.drive:
            raise PermissionError("Releasing is off here; see the parameter 'drive'.")
        if not self._stop.wait_for_service(ANSWER_S):
            raise TimeoutError("The robot's /e_stop is NOT there: use the power switch.")
        answers: list[SetBool.Response] = []
        is_answered = threading.Event()

        def take(future: Any) -> None:
            answers.append(future.result())
            is_answered.set()

        soon(self, lambda: self._stop.call_async(asked).add_done_callback(take))
        if not is_answered.wait(ANSWER_S) or answers[0] is None:
            raise TimeoutError("The robot's /e_stop does not answer: use the power switch.")
        return bytes(serialize_message(answers[0]))

    def _send_clock(self) -> None:
        if self._server is not None:
            self._server.broadcast_time(self.get_clock().now().nanoseconds)

    def _publish_parameters(self, parameters: list[websocket.Parameter]) -> None:
        if self._server is not None:
            self._server.publish_parameter_values(parameters)

    def _end_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self._limbs_of.clear()


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes foxglove_bridge``."""
    return run_node(FoxgloveBridge)
