"""Faults on purpose: the eight failure words of PX4, for any limb and any camera.

``FaultyLimb`` and ``FaultyCamera`` wrap a driver, keep its contract, and do nothing until
``inject`` is called. A fault is as silent as the real one: no log line, no exception where the
device itself would not give one, and ``send`` still returns what the limits let through. The same
seed and the same calls give the same faults.

========================  =====================================  =================================
word                      joint                                  camera
========================  =====================================  =================================
``ok``                    works                                  works
``off``                   yields: no command has effect, the     no frame arrives; ``read`` raises
                          goal follows the measured position     ``DeviceError``
``stuck``                 jammed: stays where it was             frozen picture with new stamps
``garbage``               random readings, of half width         random pixels
                          *value* rad (default: whole range)
``wrong``                 reads *value* rad too much (0.2)       picture mirrored left to right
``slow``                  moves at *value* of its speed (0.25)   *value* of its rate (0.25)
``delayed``               commands come *value* s late (0.3)     frames come *value* s late (0.3),
                                                                 with their true stamps
``intermittent``          loses a command or raises              loses a frame with probability
                          ``DeviceError`` on a reading with      *value* (0.3)
                          probability *value* (0.3)
========================  =====================================  =================================

A camera that has nothing new for ``read`` (slow, delayed) gives its last picture again; it raises
``DeviceError`` if there is none.

Source of the words: PX4's failure injection (docs/en/debug/failure_injection.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from asterias.errors import FaultError
from hardware.faults.words import ActiveFault, Fault, checked_fault, closest


class FaultInjection(ABC):
    """What the fault wrappers have in common: set and clear faults by component name.

    Not safe against calls from several threads at once, as little as the drivers are.
    """

    _faults: dict[str, ActiveFault]

    @property
    def components(self) -> tuple[str, ...]:
        """Names that can fail: the joints of a limb, or the camera."""
        return tuple(self._faults)

    @property
    def faults(self) -> dict[str, ActiveFault]:
        """The present fault of each component; a copy."""
        return dict(self._faults)

    def inject(self, component: str, fault: Fault | str, value: float | None = None) -> None:
        """Let a component fail from now on; replaces its earlier fault, ``ok`` heals it.

        FaultError comes for an unknown word or component, or a value out of range. Nothing changes
        then.

        Args:
            component: one of ``components``, or the device's own name for all of them.
            fault: one of the eight words; YAML's false is ``off``.
            value: strength, in the unit of the module's table; None takes the default.
        """
        active = checked_fault(fault, value)
        for name in self._named(component):
            self._faults[name] = active
            self._reset_fault(name)

    def clear(self, component: str | None = None) -> None:
        """Heal one component, or all."""
        for name in self.components if component is None else self._named(component):
            self.inject(name, Fault.OK)

    def _named(self, component: str) -> tuple[str, ...]:
        if component == self._device_name():
            return self.components
        if component not in self._faults:
            names = [*self.components, self._device_name()]
            raise FaultError(
                f"'{self._device_name()}' has no component '{component}'; "
                f"{closest(component, names)}"
            )
        return (component,)

    @abstractmethod
    def _device_name(self) -> str:
        """Return the name that stands for all components."""

    @abstractmethod
    def _reset_fault(self, component: str) -> None:
        """Forget what an earlier fault of this component left behind."""
