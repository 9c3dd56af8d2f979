"""Services that the page calls: the recorder's, and those that inject faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asterias_interfaces.msg import RecorderStatus
from asterias_interfaces.srv import InjectFault, StartEpisode
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from asterias_nodes.runtime.qos import latched_qos

Tell = Callable[[str], None]


def call_service(client: Any, request: Any, tell: Tell) -> None:
    """Call a service, and return the sentence that it replies.

    Args:
        client: of the service.
        request: what to send.
        tell: gets the sentence.
    """
    if not client.service_is_ready():
        tell(f"The service {client.srv_name} is not there; is its node launched?")
        return

    def on_answer(future: Any) -> None:
        answer = future.result()
        tell(getattr(answer, "message", "") or "There was no answer.")

    client.call_async(request).add_done_callback(on_answer)


class RecorderRemote:
    """The recorder's status and its buttons.

    Args:
        node: the hosting node.
        tell: gets the recorder's replies.
    """

    def __init__(self, node: Node, tell: Tell) -> None:
        self.status: RecorderStatus | None = None
        self._tell = tell
        self._start = node.create_client(StartEpisode, "/recorder/start")
        self._stop = node.create_client(Trigger, "/recorder/stop")
        self._discard = node.create_client(Trigger, "/recorder/discard")
        self._mark = node.create_client(SetBool, "/recorder/mark_success")
        node.create_subscription(RecorderStatus, "/recorder/status", self._on_status, latched_qos())

    @property
    def is_recording(self) -> bool:
        """Whether an episode is being recorded."""
        return self.status is not None and self.status.state == RecorderStatus.RECORDING

    def start(self, task: str) -> None:
        """Start an episode."""
        call_service(self._start, StartEpisode.Request(task=task), self._tell)

    def finish(self) -> None:
        """End the episode, and save it."""
        call_service(self._stop, Trigger.Request(), self._tell)

    def discard(self) -> None:
        """Delete the present or last episode."""
        call_service(self._discard, Trigger.Request(), self._tell)

    def mark(self, is_success: bool) -> None:
        """Mark the present or last episode."""
        call_service(self._mark, SetBool.Request(data=is_success), self._tell)

    def _on_status(self, message: RecorderStatus) -> None:
        self.status = message


class FaultRemote:
    """The services of all limbs that inject faults.

    Args:
        node: the hosting node.
        limbs: number of limbs.
        tell: gets the replies.
    """

    def __init__(self, node: Node, limbs: int, tell: Tell) -> None:
        self._tell = tell
        self._clients = [
            node.create_client(InjectFault, f"/limb_{i}/inject_fault") for i in range(limbs)
        ]

    def inject(self, limb: int, component: str, fault: str, value: float) -> None:
        """Inject a fault into a part of a limb."""
        request = InjectFault.Request(component=component, fault=fault, value=value)
        call_service(self._clients[limb], request, self._tell)
