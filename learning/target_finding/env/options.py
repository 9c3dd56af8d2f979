"""The options of the target-finding task: the paper's protocol, and what goes beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.target_finding.env.observation import PAPER_COMMAND_RANGE

# How many of a limb's cameras are dead in an episode: none, 1, or 1 or 2. The authors' words (kill
# so many) are those of policies, cards and launch files; the numbers mean the same.
Faults = Literal["kill0", "kill1", "kill12"]
DeadCameras = Literal["kill0", "kill1", "kill12", "0", "1", "1-2"]
Actions = Literal["increments", "moves"]
Observed = Literal["commands", "images", "both"]
SilentFailure = Literal["black", "frozen", "noisy", "delayed"]
ServoFailure = Literal["none", "stuck", "limp"]
TargetMotion = Literal["fixed", "moved", "moving"]
Variation = Literal["light", "texture", "stiffness", "camera_pose"]


@dataclass(frozen=True)
class TargetFindingOptions:
    """The protocol; as it stands, that of the paper's PPO.

    Attributes:
        robot: name or path of a robot description.
        limb: number of the limb that searches.
        faults: cameras that fail in an episode: ``kill0`` (or ``0``) none, ``kill1`` (``1``) one,
            ``kill12`` (``1-2``) one or two.
        actions: ``increments``, one per servo, or ``moves``, each one servo one way.
        increment: largest increment of a servo's command.
        move: size of one of the ``moves``.
        wait_s: simulated s between a command and the observation.
        cap: steps after which an episode is truncated; 0 for none.
        command_range: ``(n,)`` commands at the joints' upper limits, the authors' unit; empty: the
            paper's for a limb of 4 joints, 1 for each joint of another (see
            :func:`with_command_range`).
        observe: ``commands`` and camera flags as in the paper, the cameras' ``images``, or both.
        silent: ways in which the failing cameras fail without being flagged, one of them drawn for
            each; empty: they are dead, and the flags show it. A single word is a tuple of one.
        mid_episode: failures set in at a random step instead of before the first.
        servo: one servo, drawn for each episode, is ``stuck`` where it starts, or ``limp``.
        target: ``fixed``; ``moved`` elsewhere for each episode; or ``moving`` during it as well.
        randomise: what is drawn anew for each episode. A single word is a tuple of one.
        goal: goal-conditioned form: observation, achieved_goal and desired_goal, fit for hindsight
            replay.
    """

    robot: str = "limb_p1"
    limb: int = 0
    faults: Faults = "kill0"
    actions: Actions = "increments"
    increment: float = 0.4
    move: float = 0.25
    wait_s: float = 2.0
    cap: int = 5
    command_range: tuple[float, ...] = ()
    observe: Observed = "commands"
    silent: tuple[SilentFailure, ...] = ()
    mid_episode: bool = False
    servo: ServoFailure = "none"
    target: TargetMotion = "fixed"
    randomise: tuple[Variation, ...] = ()
    goal: bool = False

    def __post_init__(self) -> None:
        for name in ("silent", "randomise"):
            object.__setattr__(self, name, _as_tuple(name, getattr(self, name)))
        object.__setattr__(self, "faults", dead_cameras_word(self.faults))
        for name, choices in _CHOICES.items():
            given = getattr(self, name)
            for value in given if isinstance(given, tuple) else (given,):
                if value not in choices:
                    raise UserError(f"{name} must be {_listed(choices)}, not {value!r}.")
        self._check_numbers()
        if self.silent and self.faults == "kill0":
            raise UserError("silent says how cameras fail, and kill0 lets none; try kill1.")

    def _check_numbers(self) -> None:
        sizes = (self.increment, self.move, self.wait_s)
        if not all(_is_number(size) and size > 0 for size in sizes):
            raise UserError(
                f"increment, move and wait_s must be above 0; they are {sizes[0]}, {sizes[1]} and "
                f"{sizes[2]}."
            )
        for name, value in (("cap", self.cap), ("limb", self.limb)):
            if not isinstance(value, int) or value < 0:
                raise UserError(f"{name} must be a whole number, 0 or more, not {value!r}.")
        reach = self.command_range
        if not isinstance(reach, tuple) or not all(_is_number(r) and r > 0 for r in reach):
            raise UserError(f"command_range must hold positive numbers; it is {reach!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _as_tuple(name: str, given: Any) -> tuple[Any, ...]:
    """Return one word as a tuple of one, and any other collection of words as a tuple.

    Raises:
        UserError: it is neither.
    """
    if isinstance(given, str):
        return (given,)
    try:
        return tuple(given)
    except TypeError as error:
        raise UserError(f"{name} takes words, not {given!r}.") from error


def dead_cameras_word(faults: str) -> str:
    """Return the authors' word for a setting of dead cameras: ``kill12`` for ``1-2``."""
    return {"0": "kill0", "1": "kill1", "1-2": "kill12"}.get(str(faults), faults)


# How the settings of dead cameras are called in tables.
DEAD: dict[str, str] = {"kill0": "none", "kill1": "1 of 4", "kill12": "1 or 2 of 4"}

_CHOICES: dict[str, tuple[str, ...]] = {
    "faults": get_args(Faults),
    "actions": get_args(Actions),
    "observe": get_args(Observed),
    "silent": get_args(SilentFailure),
    "servo": get_args(ServoFailure),
    "target": get_args(TargetMotion),
    "randomise": get_args(Variation),
}

PPO_PROTOCOL = TargetFindingOptions()
ACTOR_CRITIC_PROTOCOL = TargetFindingOptions(actions="moves", wait_s=1.0, cap=0)


def options_from_card(saved: Mapping[str, Any]) -> TargetFindingOptions:
    """Return the options that a policy's card holds.

    JSON has lists for tuples, and older cards lack some options.

    Raises:
        UserError: an option is unknown or has a wrong value.
    """
    known = {field.name for field in fields(TargetFindingOptions)}
    unknown = sorted(set(saved) - known)
    if unknown:
        raise UserError(f"The card has an unknown option '{unknown[0]}'; was it made later?")
    tuples = {key: tuple(value) for key, value in saved.items() if isinstance(value, list)}
    return TargetFindingOptions(**{**saved, **tuples})


def with_command_range(options: TargetFindingOptions) -> TargetFindingOptions:
    """Return the options with a command range for each joint of the limb.

    Raises:
        UserError: there is no such robot or limb, or the given range does not fit its joints.
    """
    limbs = load_robot(options.robot).limbs
    if options.limb >= len(limbs):
        raise UserError(
            f"Robot {options.robot} has no limb {options.limb}; its limbs are 0 to "
            f"{len(limbs) - 1}."
        )
    joints = len(limbs[options.limb].joints)
    if not options.command_range:
        paper = joints == len(PAPER_COMMAND_RANGE)
        return replace(options, command_range=PAPER_COMMAND_RANGE if paper else (1.0,) * joints)
    if len(options.command_range) != joints:
        raise UserError(
            f"command_range holds {len(options.command_range)} numbers; limb {options.limb} of "
            f"{options.robot} has {joints} joints."
        )
    return options


def camera_count(options: TargetFindingOptions) -> int:
    """Return the number of the limb's cameras, dead ones included."""
    return len(load_robot(options.robot).limbs[options.limb].live_cameras)


def _listed(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
