"""The skill *check_cameras*: move a little and back, and see which cameras notice."""

from __future__ import annotations

import numpy as np

from asterias.arrays import ImageArray
from hardware.cameras.health import CameraState, compared_state
from hardware.faults.models import FAULT_MODELS
from learning.agents.messages import Answer
from learning.agents.skills.skill import Skill, SkillBody, SkillCall

_AMPLITUDE_RAD = 0.2


async def _check_cameras(body: SkillBody, call: SkillCall) -> Answer:
    start = body.position_rad()
    before = body.last_images()
    amplitude = call.numbers.get("amplitude_rad", _AMPLITUDE_RAD)
    # Every joint towards its middle: a horizon, for one, looks the same from any bearing.
    await body.move(start - np.copysign(amplitude, start))
    after = await body.new_images()
    await body.move(start)
    body.broken = {}
    for camera in body.cameras:
        fault = diagnose(before.get(camera), after.get(camera))
        if fault:
            body.broken[camera] = fault
    text = ", ".join(f"{camera} is broken ({fault})" for camera, fault in body.broken.items())
    return Answer(text or "All cameras work", {"broken": dict(body.broken)})


def diagnose(before: ImageArray | None, after: ImageArray | None) -> str:
    """Return what is wrong with a camera that moved between two images; empty: nothing.

    ``off``: no picture; ``garbage``: noise; ``stuck``: the same picture though it moved. Of a blank
    wall no two pictures differ, so it is no sign.
    """
    state = compared_state(before, after)
    if state is CameraState.OK:
        return ""
    faults = (word for word, model in FAULT_MODELS.items() if model.shows_as is state)
    return next(faults, state.value)


_ONE = r"(?:something|anything|(?:a|any|some|one) camera)"
SKILL = Skill(
    name="check_cameras",
    routine=_check_cameras,
    moves=True,
    example="check the cameras",
    phrases=(
        r"(?:look|glance) around",
        r"(?:check|inspect|test) (?:all |the |your |all the )?(?:cameras?|eyes)",
        rf"(?:check (?:whether|if) )?{_ONE} is broken",
        rf"is {_ONE} broken",
        r"(?:check )?which cameras? (?:is|are) broken",
    ),
    numbers={"amplitude_rad": (0.0, 0.3)},
    verbs=("check", "inspect", "examine", "verify", "test", "review"),
    objects=("cameras", "eyes", "pictures"),
)
