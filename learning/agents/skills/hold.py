"""The skill *hold*: stay where the limb is."""

from __future__ import annotations

from learning.agents.messages import Answer
from learning.agents.skills.skill import Skill, SkillBody, SkillCall


async def _hold(body: SkillBody, call: SkillCall) -> Answer:
    await body.send(body.position_rad())
    return Answer("I hold")


SKILL = Skill(
    name="hold",
    routine=_hold,
    moves=False,
    example="hold still",
    phrases=(
        r"(?:hold|stop|freeze|stay|halt)(?: (?:now|still|there|here|it|moving|searching))?",
        r"(?:hold|stop|freeze) (?:the |your )?(?:limb|arm)",
        r"(?:hold|stay) (?:your position|where you are)",
    ),
    verbs=("stop", "halt", "freeze", "stay", "rest", "wait"),
    objects=("there", "now", "still", "limb"),
)
