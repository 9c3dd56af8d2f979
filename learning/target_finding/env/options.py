"""The options of the target-finding task: the paper's protocol, and what goes beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from asterias.errors import HardwareError
from learning.target_finding.env.observation import PAPER_COMMAND_RANGE

Faults = Literal["kill0", "kill1", "kill12"]
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
        faults: cameras that fail in an episode: ``kill0`` none, ``kill1`` one, ``kill12`` one or
            two.
        actions: ``increments``, one per servo, or ``moves``, each one servo one way.
        increment: largest increment of a servo's command.
        move: size of one of the ``moves``.
        wait_s: simulated s between a command and the look.
        cap: steps after which an episode is truncated; 0 for none.
        command_range: commands at the joints' limits, the authors' unit.
        observe: ``commands`` and camera flags as in the paper, the cameras' ``images``, or both.
        silent: ways in which the failing cameras fail without a word, one of them drawn for each;
            empty: they are dead, and the flags say so.
        mid_episode: failures set in at a random step instead of before the first.
        servo: one servo, drawn for each episode, is ``stuck`` where it starts, or ``limp``.
        target: ``fixed``; ``moved`` elsewhere for each episode; or ``moving`` during it as well.
        randomise: what is drawn anew for each episode.
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
    command_range: tuple[float, ...] = PAPER_COMMAND_RANGE
    observe: Observed = "commands"
    silent: tuple[SilentFailure, ...] = ()
    mid_episode: bool = False
    servo: ServoFailure = "none"
    target: TargetMotion = "fixed"
    randomise: tuple[Variation, ...] = ()
    goal: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            given = getattr(self, name)
            for value in given if isinstance(given, tuple) else (given,):
                if value not in choices:
                    raise HardwareError(f"{name} must be {_listed(choices)}, not '{value}'.")
        if min(self.increment, self.move, self.wait_s) <= 0 or self.cap < 0:
            raise HardwareError("increment, move and wait_s must be above 0, and cap 0 or more.")
        if self.silent and self.faults == "kill0":
            raise HardwareError("silent says how cameras fail, and kill0 lets none; try kill1.")


# How the settings of dead cameras are told in tables.
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


def options_from_card(told: Mapping[str, Any]) -> TargetFindingOptions:
    """Options as a policy's card holds them: JSON has lists for tuples, and older cards lack some.

    Raises:
        HardwareError: an option is unknown or has a wrong value.
    """
    known = {field.name for field in fields(TargetFindingOptions)}
    unknown = sorted(set(told) - known)
    if unknown:
        raise HardwareError(f"The card has an unknown option '{unknown[0]}'; was it made later?")
    tuples = {key: tuple(value) for key, value in told.items() if isinstance(value, list)}
    return TargetFindingOptions(**{**told, **tuples})


def _listed(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
