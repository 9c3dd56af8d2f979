"""Managed (lifecycle) nodes whose failures are reported in one sentence."""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from asterias.errors import AsteriasError
from asterias_nodes.runtime.owned_entities import OwnedEntities

AUTOSTART_HELP = "configure and activate when started; false waits for transitions from outside"


class ManagedNode(LifecycleNode):
    """A lifecycle node that is written as four plain methods which raise on failure.

    Subclasses override :meth:`configure`, :meth:`activate`, :meth:`deactivate` and :meth:`cleanup`.
    An expected error (``AsteriasError``, ``ValueError``, ``OSError``) makes the transition fail
    with a logged sentence, and the node can be configured again; any other is a defect and is
    logged with its type. What a failed :meth:`configure` or :meth:`activate` left open is closed by
    :meth:`cleanup` or :meth:`deactivate`, which must bear being called at any time.

    Attributes:
        autostart: whether ``run_node`` configures and activates the node.
        owned: opens topics, services and timers that :meth:`cleanup` closes.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        descriptor = ParameterDescriptor(description=AUTOSTART_HELP, read_only=True)
        self.autostart: bool = self.declare_parameter("autostart", True, descriptor).value
        self.is_starting = False
        self.owned = OwnedEntities(self)
        self._failure: Exception | None = None

    def configure(self) -> None:
        """Open devices and topics; nothing moves yet."""

    def activate(self) -> None:
        """Start to work."""

    def deactivate(self) -> None:
        """Stop to work; devices stay open."""

    def cleanup(self) -> None:
        """Close devices and topics; here: what was opened through :attr:`owned`."""
        self.owned.close()

    def start(self) -> None:
        """Configure and activate.

        Passes on ``Exception``: what made a transition fail.
        """
        self.is_starting = True
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self._failure or RuntimeError("A transition of the life cycle failed.")
        self.is_starting = False

    def close(self) -> None:
        """Stop and close whatever state the node is in; called once at the end."""
        try:
            self.deactivate()
        finally:
            self.cleanup()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return the result of the transition; override :meth:`configure` instead."""
        return self._attempt(self.configure, undo=self.cleanup) or super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return the result of the transition; override :meth:`activate` instead."""
        return self._attempt(self.activate, undo=self.deactivate) or super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return the result of the transition; override :meth:`deactivate` instead."""
        return self._attempt(self.deactivate) or super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return the result of the transition; override :meth:`cleanup` instead."""
        return self._attempt(self.cleanup) or super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return the result of the transition, after stopping and closing."""
        return self._attempt(self.close) or super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return success after stopping and closing, so that the node can be configured again."""
        return self._attempt(self.close) or TransitionCallbackReturn.SUCCESS

    def _attempt(
        self, action: Callable[[], None], undo: Callable[[], None] | None = None
    ) -> TransitionCallbackReturn | None:
        """Return None when one step of a transition succeeds, else what the transition becomes."""
        try:
            action()
        except (AsteriasError, ValueError, OSError) as error:
            self._failure = error
            if not self.is_starting:
                self.get_logger().error(" ".join(str(error).split()))
            if undo is not None:
                undo()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._failure = error
            self.get_logger().fatal(f"{type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return None
