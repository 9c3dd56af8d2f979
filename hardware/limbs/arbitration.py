"""Which of several sources may command a limb now: priority, time-out, dead-man, emergency stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from hardware.limbs.driver import Clock
from hardware.limbs.trajectory import MOST_MOVE_S


@dataclass(frozen=True)
class CommandSource:
    """A source that may send commands.

    Attributes:
        name: unique, a part of topic names.
        priority: of the sources that command at a time, the highest is admitted.
        timeout_s: after this time without a command a source no longer commands; a dead-man
            counts as released after this time without being confirmed.
        needs_deadman: admitted only while its dead-man is held.
    """

    name: str
    priority: int
    timeout_s: float = 0.5
    needs_deadman: bool = True

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"Source '{self.name}' needs a name of letters, digits and '_'.")
        if not 0.0 < self.timeout_s < math.inf:
            raise ValueError(f"The time-out of source '{self.name}' must be above 0 s.")


class Admission(str, Enum):
    """Decision on a command."""

    PASSED = "passed"
    STOPPED = "the emergency stop is engaged"
    NO_DEADMAN = "its dead-man is not held"
    REARM = "its dead-man was held through the emergency stop; release it and hold it again"
    TOO_LONG = f"a timed move may take at most {MOST_MOVE_S:.0f} s"
    OUTRANKED = "a source with a higher priority commands"


@dataclass
class _State:
    """State of a source; ``armed`` is False until its dead-man was released once."""

    last_passed_s: float = -math.inf
    held_until_s: float = -math.inf
    armed: bool = True


class Arbiter:
    """Decides for one limb; not safe against calls from several threads at once.

    Args:
        sources: all that may command.
        clock: seconds, monotonic.

    Raises:
        ValueError: two sources share a name, or there is none.
    """

    def __init__(self, sources: Sequence[CommandSource], clock: Clock) -> None:
        self._sources = {source.name: source for source in sources}
        if not sources or len(self._sources) < len(sources):
            raise ValueError("The sources of a limb need names that differ, and there must be one.")
        self._states = {name: _State() for name in self._sources}
        self._clock = clock
        self._stopped = False

    @property
    def active(self) -> str:
        """Name of the source that commands the limb; empty when none does."""
        now = self._clock()
        holding = [one for one in self._sources.values() if self._commands(one, now)]
        if self._stopped or not holding:
            return ""
        return max(
            holding, key=lambda one: (one.priority, self._states[one.name].last_passed_s)
        ).name

    def stop(self, engaged: bool) -> None:
        """Engage or release the emergency stop; a dead-man held then must be released first."""
        if engaged:
            now = self._clock()
            for state in self._states.values():
                state.armed = state.armed and state.held_until_s <= now
                state.last_passed_s = -math.inf
        self._stopped = engaged

    def hold_deadman(self, name: str, is_held: bool) -> None:
        """Record that the dead-man of a source is held, or that it is released."""
        state, now = self._states[name], self._clock()
        if state.held_until_s <= now:
            # Silence for a whole time-out is a release, too. During a stop, holding arms nothing.
            state.armed = not (is_held and self._stopped)
        if not is_held:
            state.armed, state.last_passed_s = True, -math.inf
        state.held_until_s = now + self._sources[name].timeout_s if is_held else -math.inf

    def admit(self, name: str, duration_s: float = 0.0) -> Admission:
        """Return whether a command that has just come from this source goes on to the limb.

        A timed move counts as commanding for its ``duration_s``, and for the time-out after it.
        """
        source, state, now = self._sources[name], self._states[name], self._clock()
        if self._stopped:
            return Admission.STOPPED
        if not 0.0 <= duration_s <= MOST_MOVE_S:
            return Admission.TOO_LONG
        if source.needs_deadman:
            if state.held_until_s <= now:
                return Admission.NO_DEADMAN
            if not state.armed:
                return Admission.REARM
        for other in self._sources.values():
            outranks = other.priority > source.priority or (
                # Of equals, who has the limb keeps it until letting go.
                other.priority == source.priority and not self._commands(source, now)
            )
            if other is not source and outranks and self._commands(other, now):
                return Admission.OUTRANKED
        state.last_passed_s = now + duration_s
        return Admission.PASSED

    def _commands(self, source: CommandSource, now: float) -> bool:
        return now - self._states[source.name].last_passed_s <= source.timeout_s
