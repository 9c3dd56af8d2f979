"""The skill *move_joints*: joints by name to positions in rad."""

from __future__ import annotations

from learning.agents.messages import AgentError, Answer, FailureKind
from learning.agents.skills.skill import Skill, SkillBody, SkillCall

_GOAL = (
    r"(?:the )?(?P<joint>[a-z][a-z_]*(?: ?[a-z0-9]+)?) to (?P<value>[+-]?\d+(?:\.\d+)?)"
    r"(?: ?(?P<unit>rad|radians?|deg|degrees?|°))?"
)


async def _move_joints(body: SkillBody, call: SkillCall) -> Answer:
    if not call.numbers:
        raise AgentError(FailureKind.REFUSED, "move_joints names no joint.")
    unknown = [name for name in call.numbers if name not in body.joints]
    if unknown:
        text = f"The limb has no joint {unknown[0]!r}; it has {', '.join(body.joints)}."
        raise AgentError(FailureKind.REFUSED, text)
    goal = body.position_rad()
    for name, value in call.numbers.items():
        goal[body.joints.index(name)] = value
    reached = await body.move(goal)
    positions = (
        f"{name} is at {reached[body.joints.index(name)]:.2f} rad" for name in call.numbers
    )
    return Answer(f"I moved: {', '.join(positions)}")


SKILL = Skill(
    name="move_joints",
    routine=_move_joints,
    moves=True,
    example="move shoulder_yaw to 0.3 rad",
    phrases=(rf"(?:move|set|turn|bend|rotate|bring) {_GOAL}",),
    continuations=(_GOAL,),
    takes_joints=True,
    verbs=("move", "bend", "turn", "raise", "lower", "rotate"),
    objects=("shoulder", "wrist", "finger", "limb"),
)
