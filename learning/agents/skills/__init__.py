"""Skills of language agents: from an order in words to calls that pass a gate."""

from learning.agents.skills.skill import Plan, Skill, SkillCall

__all__ = ["Plan", "Skill", "SkillCall"]
