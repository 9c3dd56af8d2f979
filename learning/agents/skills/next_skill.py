"""*Which skill next?* Orders in many words for few skills, and rules that can learn the words.

The scripted assistant knows what its prompt says ("hunt means find_target") and what its
demonstrations show; the scripted improver reads failures and writes such lines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from learning.agents.models.model import Demonstration, Request
from learning.agents.models.scripted import Rule, ScriptedModel
from learning.agents.skills.registry import BUILT_IN

SKILL_NAMES = tuple(skill.name for skill in BUILT_IN)
FIRST_PROMPT = "Name the skill that an order asks for.\nfind means find_target\nstop means hold"
_MEANS = re.compile(r"^(\w+) means (\w+)$", re.MULTILINE)

# Words that people use; in a prompt or a demonstration, or nowhere.
_VERBS = {skill.name: skill.verbs for skill in BUILT_IN}
_OBJECTS = {skill.name: skill.objects for skill in BUILT_IN}
_OPENINGS = ("please", "now", "robot", "could you", "next", "and then")


def draw_orders(count: int, rng: np.random.Generator) -> list[Demonstration]:
    """Return orders with the skill that they ask for."""
    orders = []
    for _ in range(count):
        skill = str(rng.choice(SKILL_NAMES))
        opening, verb = rng.choice(_OPENINGS), rng.choice(_VERBS[skill])
        orders.append(Demonstration(f"{opening} {verb} the {rng.choice(_OBJECTS[skill])}", skill))
    return orders


def scripted_assistant() -> ScriptedModel:
    """Return a model that scores options by the prompt's words, then by similar demonstrations."""
    return ScriptedModel([Rule("words of prompt and examples", _has_options, _choose)])


def scripted_improver() -> ScriptedModel:
    """Return a model that adds to the prompt the word that failures of one skill share most."""
    return ScriptedModel([Rule("a word that failed", _has_failures, _add_words)])


def _has_options(request: Request) -> bool:
    return bool(request.options)


def _has_failures(request: Request) -> bool:
    return bool(request.fields.get("failures"))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _choose(request: Request) -> Mapping[str, Any]:
    ordered = set(_words(request.task))
    scores: Counter[str] = Counter()
    for word, skill in _MEANS.findall(request.system):
        scores[skill] += 10 * (word in ordered)
    for one in request.demonstrations:
        scores[one.answer] = max(scores[one.answer], len(ordered & set(_words(one.task)) - {"the"}))
    allowed = [(scores[option], option) for option in request.options]
    best, option = max(allowed, key=lambda entry: entry[0])
    return {"answer": option if best > 0 else None, "reason": f"It scores {best}."}


def _add_words(request: Request) -> Mapping[str, Any]:
    prompt: str = request.fields["prompt"]
    known = {word for word, _ in _MEANS.findall(prompt)}
    faults, lines = [], []
    for word, skill in _suspects(request, known):
        faults.append(f"'{word}' was not understood as {skill}.")
        lines.append(f"{word} means {skill}")
    return {"prompt": "\n".join([prompt, *lines]), "faults": faults, "answer": None}


def _suspects(request: Request, known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield for each failure the word that is rarest among all failures, and not known.

    Yields:
        The skill and the word.
    """
    failures = request.fields["failures"]
    counts = Counter(word for one in failures for word in set(_words(one["task"])))
    for one in failures:
        fresh = [word for word in _words(one["task"]) if word not in known | {"the"}]
        if fresh:
            word = min(fresh, key=lambda w: (counts[w], w))
            known.add(word)
            yield word, one["right"]
