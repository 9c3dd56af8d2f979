"""``inject_fault``: makes parts of a limb fail on purpose, where that is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asterias_interfaces.srv import InjectFault
from rclpy.node import Node

from asterias.errors import HardwareError
from hardware.faults.injection import FaultInjection


class FaultService:
    """Serves ``InjectFault`` for devices of one limb.

    Args:
        node: the hosting node.
        name: of the service.
        owner: the limb's name, for people.
        devices: those that are no :class:`FaultInjection` cannot fail.
        aliases: other names of components, such as ``camera_0``.
        is_allowed: False refuses everything.
        others: service of another node that knows the components that this one does not; empty:
            there is none.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        owner: str,
        devices: Sequence[object],
        aliases: Mapping[str, str],
        *,
        is_allowed: bool,
        others: str = "",
    ) -> None:
        self._node, self._owner = node, owner
        self._devices = [device for device in devices if isinstance(device, FaultInjection)]
        self._aliases = dict(aliases)
        self._is_allowed = is_allowed
        self._others = node.create_client(InjectFault, others) if others else None
        self._service = node.create_service(InjectFault, name, self._on_request)

    def close(self) -> None:
        """Take the service down."""
        self._node.destroy_service(self._service)
        if self._others is not None:
            self._node.destroy_client(self._others)

    async def _on_request(
        self, request: InjectFault.Request, response: InjectFault.Response
    ) -> InjectFault.Response:
        others = self._others
        if (
            self._is_allowed
            and others is not None
            and self._device(request.component) is None
            and others.service_is_ready()
        ):
            answer: InjectFault.Response = await others.call_async(request)
            return answer
        response.success, response.message = self._inject(
            request.component, request.fault, request.value
        )
        self._node.get_logger().warning(response.message)
        return response

    def _device(self, component: str) -> FaultInjection | None:
        name = self._aliases.get(component, component)
        return next((device for device in self._devices if name in device.components), None)

    def _inject(self, component: str, fault: str, value: float) -> tuple[bool, str]:
        if not self._is_allowed:
            return (
                False,
                "Faults are refused; start the robot with enable_faults:=true to allow them.",
            )
        device = self._device(component)
        if device is None:
            own = [name for one in self._devices for name in one.components]
            known = [name for name in own if name not in self._aliases.values()]
            known += self._aliases
            return False, f"There is no component '{component}'; known are {', '.join(known)}."
        try:
            name = self._aliases.get(component, component)
            device.inject(name, fault, value if value > 0.0 else None)
        except HardwareError as error:
            return False, str(error)
        return True, f"{component} of {self._owner} is now: {fault}."
