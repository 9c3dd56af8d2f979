"""The skill *find_target*: search until a camera that is at rest sees the target."""

from __future__ import annotations

from learning.agents.messages import AgentError, Answer, FailureKind
from learning.agents.skills.skill import Skill, SkillBody, SkillCall

_STEPS, _SEARCHES = 100, 3


async def _find_target(body: SkillBody, call: SkillCall) -> Answer:
    """Search; a find counts when the camera still sees the tag once the limb has come to rest.

    A soft limb may swing past it; then the search goes on.

    Returns:
        The camera that sees the target, and the steps taken.

    Raises:
        AgentError: the target was not found.
    """
    steps, camera = 0, ""
    seed = call.numbers.get("seed")
    for attempt in range(_SEARCHES):
        result = await body.search(
            int(call.numbers.get("max_steps", _STEPS)), None if seed is None else int(seed), attempt
        )
        steps, camera = steps + result.steps, result.camera
        if not result.found:
            text = f"The target was not found in {steps} steps: {result.reason}"
            raise AgentError(FailureKind.ERROR, text)
        await body.rest()
        if await body.sees_target(camera):
            text = f"I found the target after {steps} steps"
            return Answer(text, {"camera": camera, "steps": steps})
    text = f"The search says that {camera} found the target, but its picture shows no tag."
    raise AgentError(FailureKind.ERROR, text)


_TARGET = r"(?:it|(?:the |a )?(?:target|tag|marker))"
SKILL = Skill(
    name="find_target",
    routine=_find_target,
    moves=True,
    example="find the target",
    phrases=(
        rf"(?:find|seek|locate) {_TARGET}(?: again| now)?",
        rf"(?:search|look) for {_TARGET}(?: again| now)?",
    ),
    numbers={"max_steps": (1.0, 200.0), "seed": (0.0, 1e9)},
    preparation=("check_cameras",),
    verbs=("find", "seek", "hunt", "locate", "spot", "search"),
    objects=("target", "tag", "marker"),
)
