"""*Where is the target?* Each camera is a member that says what it saw; a decision node counts.

A member that saw the tag names the place, and speaks with more weight the more of those it hears
agree. One that saw nothing abstains. One whose pictures hold nothing at all names a place all the
same: nonsense, which is what models with eyes do when the lens is covered.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from asterias.arrays import FloatArray, ImageArray
from hardware.cameras.health import is_blank
from hardware.description.limb import CameraDescription
from hardware.perception.apriltag import Detection, detect_tags
from learning.agents.graph.decisions import vote
from learning.agents.graph.graph import Node
from learning.agents.graph.swarm import Swarm, single
from learning.agents.messages import AgentError, Answer, FailureKind, Message, Task, answers
from learning.agents.models.model import Model, Request
from learning.agents.models.scripted import Rule, ScriptedModel

QUESTION = "Where is the target?"
NOWHERE = "nowhere"
_SIDES = ("far right", "right", "ahead", "left", "far left")
_LEVELS = ("low", "middle", "high")
_BEARINGS_DEG = (-30.0, -10.0, 10.0, 30.0)  # borders between the sides
_HEIGHTS_M = (0.2, 0.3)  # borders between the levels
PLACES = tuple(f"{side} {level}" for side in _SIDES for level in _LEVELS)


@dataclass(frozen=True)
class View:
    """One picture of a camera, and where the camera was.

    Attributes:
        image: ``(H, W, 3)`` RGB.
        rotation, position_m: ``(3, 3)`` and ``(3,)`` of the camera about the limb's foot, in a
            frame with x ahead and z up; the camera looks along its own x.
    """

    image: ImageArray
    rotation: FloatArray
    position_m: FloatArray


@dataclass(frozen=True)
class CameraReport:
    """What a camera saw in all its views.

    Attributes:
        place: that most of its sightings say, or None.
        sightings: views with the tag.
        side_px: of the tag where it was largest.
        blank: whether all its pictures were without any contrast.
    """

    place: str | None
    sightings: int = 0
    side_px: float = 0.0
    blank: bool = False


def place_of(point_m: FloatArray) -> str:
    """Return the name of the place that a point ``(3,)`` about the limb's foot lies in."""
    bearing_deg = math.degrees(math.atan2(point_m[1], point_m[0]))
    side = _SIDES[bisect(_BEARINGS_DEG, bearing_deg)]
    return f"{side} {_LEVELS[bisect(_HEIGHTS_M, point_m[2])]}"


def report_on(
    views: Sequence[View], camera: CameraDescription, tag: int, size_m: float
) -> CameraReport:
    """Look for the tag, and for its mirror image, in each view, and say where it is.

    Returns:
        What the camera reports.
    """
    votes: Counter[str] = Counter()
    largest = 0.0
    for view in views:
        seen = _look(view.image, tag)
        if seen is not None:
            point = view.rotation @ _point(seen, camera, size_m) + view.position_m
            votes[place_of(point)] += 1
            largest = max(largest, seen.side_px)
    blank = all(is_blank(view.image) for view in views)
    place = votes.most_common(1)[0][0] if votes else None
    return CameraReport(place, votes.total(), round(largest, 1), blank)


def _look(image: ImageArray, tag: int) -> Detection | None:
    """Return the tag in a picture; else the tag as a mirror shows it, where it appears."""
    for is_mirrored in (False, True):
        found = detect_tags(np.ascontiguousarray(image[:, ::-1]) if is_mirrored else image, [tag])
        if found and is_mirrored:
            corners = found[0].corners_px[[1, 0, 3, 2]]
            corners[:, 0] = image.shape[1] - 1 - corners[:, 0]
            return Detection(tag, corners)
        if found:
            return found[0]
    return None


def _point(seen: Detection, camera: CameraDescription, size_m: float) -> FloatArray:
    """Return the tag's centre ``(3,)`` in the camera's frame (x along its view, z up)."""
    half, focal = size_m / 2, camera.focal_px
    corners_m = half * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]], dtype=np.float64)
    middle = (camera.width_px - 1) / 2, (camera.height_px - 1) / 2
    matrix = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]], dtype=np.float64)
    pixels = seen.corners_px.astype(np.float64)
    _, _, shift = cv2.solvePnP(corners_m, pixels, matrix, None, flags=cv2.SOLVEPNP_IPPE_SQUARE)
    right, down, away = shift.ravel()
    return np.array([away, -right, -down])


# -- members --------------------------------------------------------------------------------------


def _sighting(request: Request) -> Mapping[str, object]:
    place, px = request.fields["place"], request.fields["side_px"]
    inputs = [reply.data.get("answer") for _, reply in answers(request.inputs)]
    agree = sum(answer == place for answer in inputs)
    differ = sum(answer not in (None, place) for answer in inputs)
    text = f"I see the tag {place}, {px:g} px"
    if inputs:
        text += f"; {agree} of those I hear agree, {differ} do not"
    return {"answer": place, "weight": max(0, 1 + agree - differ), "text": f"{text}."}


def _nonsense(request: Request) -> Mapping[str, object]:
    number = zlib.crc32(request.task.encode() + str(request.fields.get("look")).encode())
    place = PLACES[number % len(PLACES)]
    return {"answer": place, "weight": 1, "text": f"It must be {place}."}


def _nothing(request: Request) -> Mapping[str, object]:
    return {"answer": None, "text": "I looked and saw no tag."}


def _asks_where(request: Request) -> bool:
    return "where" in request.task.lower() and "place" in request.fields


RULES = (
    Rule("sighting", lambda r: _asks_where(r) and r.fields["place"] is not None, _sighting),
    Rule("nonsense", lambda r: _asks_where(r) and bool(r.fields["blank"]), _nonsense),
    Rule("nothing seen", _asks_where, _nothing),
)


def camera_member(name: str, model: Model | None = None) -> Node:
    """Return a member that reports for one camera, from the task's observations."""
    speaker = ScriptedModel(RULES) if model is None else model

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        seen: CameraReport | None = task.observations.get(name)
        if seen is None:
            raise AgentError(FailureKind.ERROR, f"No pictures come from {name}.")
        fields = {**vars(seen), "look": task.observations.get("look")}
        request = Request(
            system=f"You speak for {name} of a robot. Say where the target is; null if you "
            "did not see it. What others say may be wrong.",
            task=task.text,
            inputs=tuple(inputs),
            options=PLACES,
            fields=fields,
        )
        return await speaker.complete(request)

    return Node(name, routine, "perception")


def camera_swarm(names: Sequence[str], model: Model | None = None) -> Swarm:
    """Return one agent per camera and a vote."""
    return Swarm(
        {name: single(camera_member(name, model)) for name in names}, vote(silence=NOWHERE)
    )
