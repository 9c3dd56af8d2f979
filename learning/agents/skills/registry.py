"""The skills by name.

A new skill is a file here and a line below. An installed package adds one by an entry point of the
group ``asterias.skills`` that names a :class:`learning.agents.skills.skill.Skill`.
"""

from __future__ import annotations

import re

from asterias.registry import Registry
from learning.agents.skills import check_cameras, find_target, hold, move_joints
from learning.agents.skills.skill import Skill

BUILT_IN = (check_cameras.SKILL, find_target.SKILL, move_joints.SKILL, hold.SKILL)


def _check(name: str, entry: object) -> None:
    if not isinstance(entry, Skill) or entry.name != name:
        raise TypeError(f"{name} is no learning.agents.skills.skill.Skill of that name")
    for phrase in (*entry.phrases, *entry.continuations):
        re.compile(phrase)


SKILLS: Registry[Skill] = Registry("skill", "asterias.skills", _check)
for _skill in BUILT_IN:
    SKILLS.register(_skill.name, _skill)
