"""Whether the parts of a description fit each other: names, the tree of hinges, the devices.

The same checks run on parts that are read already and, so that all mistakes are told at once, on
what a file with other mistakes holds: parts whose names are missing or wrong are then left out, and
so is every check that would need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from hardware.description.fields import choices_hint

Location = tuple[str | int, ...]
# Type of these errors among pydantic's own.
INCONSISTENT = "inconsistent"


class Problem(NamedTuple):
    """Something that does not fit: where, from the part that is checked, and a sentence."""

    location: Location
    text: str


def refuse(problems: Iterator[Problem], part: str) -> None:
    """Raise all problems at once, as one ValidationError, from a validator of a part.

    Args:
        problems: of the part; where there are none, nothing is raised.
        part: name of its class.
    """
    found = [
        InitErrorDetails(
            type=PydanticCustomError(INCONSISTENT, "{text}", {"text": problem.text}),
            loc=problem.location,
            input=None,
        )
        for problem in problems
    ]
    if found:
        error = ValidationError.from_exception_data(part, found)
        raise error


# -- parts that are read already, or mappings of a file -------------------------------------------


def _get(part: Any, key: str) -> Any:
    return part.get(key) if isinstance(part, dict) else getattr(part, key, None)


def _parts(part: Any, key: str) -> list[tuple[int, Any]]:
    """Return the parts of a list with their numbers; those that are no parts are left out."""
    listed = _get(part, key)
    if not isinstance(listed, list | tuple):
        return []
    return [(i, one) for i, one in enumerate(listed) if isinstance(one, dict | BaseModel)]


def _names(part: Any, key: str) -> list[str] | None:
    """Return the names in a list of parts; None where not every entry has one."""
    listed = _get(part, key)
    listed = () if listed is None else listed
    if not isinstance(listed, list | tuple):
        return None
    names = [_get(one, "name") for one in listed]
    return names if all(isinstance(name, str) for name in names) else None


def _unique(part: Any, key: str, kind: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, one in _parts(part, key):
        name = _get(one, "name")
        if isinstance(name, str) and name in seen:
            text = f"two {kind}s are called '{name}'; give each its own name"
            yield Problem((key, number, "name"), text)
        if isinstance(name, str):
            seen.add(name)


def _known(
    location: Location, owner: str, kind: str, name: Any, names: list[str] | None
) -> Iterator[Problem]:
    if isinstance(name, str) and names is not None and name not in names:
        hint = choices_hint(name, sorted(set(names)))
        yield Problem(location, f"{owner} names unknown {kind} '{name}'; {hint}")


# -- a limb ---------------------------------------------------------------------------------------


def limb_problems(limb: Any) -> Iterator[Problem]:
    """Yield what does not fit in a limb, located from the limb on."""
    body = _get(limb, "body")
    inside = isinstance(body, dict | BaseModel)
    for kind in ("link", "hinge", "tendon") if inside else ():
        for problem in _unique(body, f"{kind}s", kind):
            yield Problem(("body", *problem.location), problem.text)
    yield from _unique(limb, "joints", "joint")
    yield from _unique(limb, "cameras", "camera")
    links = _names(body, "links") if inside else None
    if inside:
        yield from _tree(body, links)
        yield from _tendons(body)
    yield from _joints(limb, body if inside else None)
    for number, camera in _parts(limb, "cameras"):
        owner = f"camera '{_get(camera, 'name')}'"
        yield from _known(("cameras", number, "link"), owner, "link", _get(camera, "link"), links)


def _tendons(body: Any) -> Iterator[Problem]:
    hinges = _names(body, "hinges")
    for number, tendon in _parts(body, "tendons"):
        listed = _get(tendon, "hinges")
        for place, name in enumerate(listed if isinstance(listed, list | tuple) else ()):
            where = ("body", "tendons", number, "hinges", place)
            yield from _known(where, f"tendon '{_get(tendon, 'name')}'", "hinge", name, hinges)


def _joints(limb: Any, body: Any) -> Iterator[Problem]:
    known = {kind: _names(body, f"{kind}s") if body else None for kind in ("hinge", "tendon")}
    for number, joint in _parts(limb, "joints"):
        owner = f"joint '{_get(joint, 'name')}'"
        drives = {kind: _get(joint, kind) for kind in ("hinge", "tendon")}
        if body is not None and (drives["hinge"] is None) == (drives["tendon"] is None):
            yield Problem(("joints", number), f"{owner} needs either a hinge or a tendon")
            continue
        for kind, name in drives.items():
            yield from _known(("joints", number, kind), owner, kind, name, known[kind])


def _tree(body: Any, links: list[str] | None) -> Iterator[Problem]:
    """Check that hinges run from the root outwards: each parent is the root or an earlier child.

    Yields:
        A problem for each hinge that breaks that order, and for a link that no hinge carries.
    """
    if not links or _names(body, "hinges") is None:
        return
    root, reached, broken = links[0], {links[0]}, False
    for number, hinge in _parts(body, "hinges"):
        parent, child = _get(hinge, "parent"), _get(hinge, "child")
        if not isinstance(parent, str) or not isinstance(child, str):
            return
        problem = _misplaced(hinge, links, root, reached)
        if problem is not None:
            broken = True
            yield Problem(("body", "hinges", number, *problem.location), problem.text)
        reached.add(child)
    lonely = [] if broken else sorted(set(links) - reached)
    for name in lonely:
        where = ("body", "links", links.index(name))
        yield Problem(where, f"link '{name}' is connected by no hinge")


def _misplaced(hinge: Any, links: list[str], root: str, reached: set[str]) -> Problem | None:
    owner = f"hinge '{_get(hinge, 'name')}'"
    parent, child = _get(hinge, "parent"), _get(hinge, "child")
    for key, name in (("parent", parent), ("child", child)):
        for problem in _known((key,), owner, "link", name, links):
            return problem
    if child == root:
        return Problem(("child",), f"{owner} carries '{root}', the first link and root")
    if parent not in reached:
        text = f"{owner} comes before the hinge that carries its parent"
        return Problem(("parent",), f"{text}; write hinges from the root outwards")
    if child in reached:
        return Problem(("child",), f"link '{child}' is the child of more than one hinge")
    return None


# -- the whole robot ------------------------------------------------------------------------------


def robot_problems(robot: Any) -> Iterator[Problem]:
    """Yield what does not fit between the limbs, materials, scenery and devices of a robot."""
    yield from _unique(robot, "limbs", "limb")
    yield from _unique(robot, "scenery", "scenery box")
    materials = _get(robot, "materials")
    known = [str(name) for name in materials] if isinstance(materials, dict) else []
    for number, limb in _parts(robot, "limbs"):
        for index, hinge in _parts(_get(limb, "body"), "hinges"):
            where = ("limbs", number, "body", "hinges", index, "flexure", "material")
            owner, flexure = f"hinge '{_get(hinge, 'name')}'", _get(hinge, "flexure")
            yield from _known(where, owner, "material", _get(flexure, "material"), known)
    wiring = _get(_get(robot, "backend"), "limbs")
    if isinstance(wiring, dict):
        yield from _wiring(robot, wiring)


def _wiring(robot: Any, wiring: dict[Any, Any]) -> Iterator[Problem]:
    for name in wiring:
        where = ("backend", "limbs", name)
        yield from _known(where, "backend", "limb", name, _names(robot, "limbs"))
    for number, limb in _parts(robot, "limbs"):
        name = _get(limb, "name")
        if isinstance(name, str) and name not in wiring:
            text = f"limb '{name}' has no devices; add backend.limbs.{name}"
            yield Problem(("limbs", number), text)
        elif isinstance(name, str) and isinstance(wiring[name], dict | BaseModel):
            for problem in _devices(name, limb, wiring[name]):
                yield Problem(("backend", "limbs", name, *problem.location), problem.text)


def _devices(limb_name: str, limb: Any, devices: Any) -> Iterator[Problem]:
    """Yield joints and enabled cameras without a device, and devices without any."""
    servos, cameras = _get(devices, "servos"), _get(devices, "cameras")
    servos = {} if servos is None else servos
    cameras = {} if cameras is None else cameras
    if not isinstance(servos, dict) or not isinstance(cameras, dict):
        return
    owner = f"backend of '{limb_name}'"
    joints = _names(limb, "joints")
    for name in servos:
        yield from _known(("servos", name), owner, "joint", name, joints)
    for name in joints or ():
        if name not in servos:
            text = f"joint '{name}' of '{limb_name}' has no servo in the backend; add one"
            yield Problem(("servos",), text)
    fitted = _names(limb, "cameras")
    for name in cameras:
        yield from _known(("cameras", name), owner, "camera", name, fitted)
    for _, camera in _parts(limb, "cameras"):
        name = _get(camera, "name")
        if isinstance(name, str) and name not in cameras and _get(camera, "enabled") is not False:
            text = f"camera '{name}' of '{limb_name}' has no device in the backend"
            yield Problem(("cameras",), f"{text}; add one, or set enabled: false")
