"""What a description may leave out: joints by their servo's model, the body, places of cameras.

Works on what was read from the file, before it is checked: where that is not what it should be, it
is left as it is, and the check explains it.

A joint that names its ``servo`` gets limits, speed, torque and gains from the data sheet of that
model. A limb without a ``body`` gets a chain of boxes along x, one behind each joint; a joint turns
about the axis that its name says (pan, yaw: z; roll, twist: x; tilt, pitch, finger: y), else about
z and y in turn. The servos of a bus have the ids 1, 2, 3 ... in the order of the joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hardware.buses.families import SERVO_FAMILIES, servo_models
from hardware.buses.registers import ServoModel

# Box of a generated body behind each joint: edges along x, y and z, and mass without the servo.
LINK_M = (0.06, 0.04, 0.04)
BRACKET_KG = 0.03
BASE_HEIGHT_M = 0.30
BESIDE_M = 0.25
# A target in front of a robot whose body is generated, facing it, near enough to be decoded.
TARGET = {"pose": {"xyz": [0.55, 0.0, BASE_HEIGHT_M], "rpy": [0.0, 0.0, 3.1416]}}
AXES: dict[str, tuple[str, ...]] = {
    "z": ("pan", "yaw", "turn", "left_right"),
    "y": ("tilt", "pitch", "up_down", "finger", "bend", "elbow", "knee", "lift"),
    "x": ("roll", "twist"),
}
# Colours of the boxes, from the base outwards, in turn.
COLORS = ([0.20, 0.20, 0.22], [0.85, 0.33, 0.22], [0.75, 0.75, 0.78])
VECTORS = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1]}
# Where the cameras of a generated body sit on the last link, in half edges of it, and where they
# look: ahead, up, left, down, right.
MOUNTS: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((1, 0, 0), (0.0, 0.0, 0.0)),
    ((0, 0, 1), (0.0, -1.5708, 0.0)),
    ((0, 1, 0), (0.0, 0.0, 1.5708)),
    ((0, 0, -1), (0.0, 1.5708, 0.0)),
    ((0, -1, 0), (0.0, 0.0, -1.5708)),
)

Raw = dict[Any, Any]


def with_defaults(data: Raw) -> Raw:
    """Return a description with all that it may leave out; what it says stays as it is.

    Args:
        data: the mapping that was read.
    """
    limbs = data.get("limbs")
    if not isinstance(limbs, list):
        return data
    data = {**data, "limbs": list(limbs)}
    models = servo_models()
    wired = _wired(data)
    for number, limb in enumerate(limbs):
        if not isinstance(limb, dict):
            continue
        devices = wired.get(str(limb.get("name")), {})
        limb = {**limb, "joints": _joints(limb.get("joints"), devices, models)}
        if "joints" not in limbs[number]:
            del limb["joints"]
        elif "body" not in limb:
            limb = _with_body(limb, number, models)
            data.setdefault("target", TARGET)
            data.setdefault("scenery", _pedestals(len(limbs)))
        data["limbs"][number] = limb
    return _with_servos(data, wired)


def _wired(data: Raw) -> dict[str, Raw]:
    """Return the devices of each limb, as far as they are described."""
    backend = data.get("backend")
    limbs = backend.get("limbs") if isinstance(backend, dict) else None
    if not isinstance(limbs, dict):
        return {}
    return {str(name): one for name, one in limbs.items() if isinstance(one, dict)}


def _joints(joints: Any, devices: Raw, models: Mapping[str, ServoModel]) -> Any:
    """Return the joints with what the data sheets of their servos say."""
    if not isinstance(joints, list):
        return joints
    servos = devices.get("servos")
    servos = servos if isinstance(servos, dict) else {}
    return [_joint(joint, servos, models) for joint in joints]


def _joint(joint: Any, servos: Raw, models: Mapping[str, ServoModel]) -> Any:
    if not isinstance(joint, dict):
        return joint
    servo = servos.get(joint.get("name")) if isinstance(joint.get("name"), str) else None
    named = joint.get("servo", servo.get("model") if isinstance(servo, dict) else None)
    if not isinstance(named, str) or ("servo" not in joint and named not in models):
        return joint
    # An unknown model is one mistake, not one for each thing that it would have given.
    model = models.get(named, next(iter(models.values())))
    if model.rating is None:
        return joint
    given = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(model.rating.joint_defaults()).items()
    }
    return {"servo": named, **given, **joint}


# -- devices --------------------------------------------------------------------------------------


def _with_servos(data: Raw, wired: Mapping[str, Raw]) -> Raw:
    """Return the description with a servo for each joint whose model is known by the joint."""
    if not wired:
        return data
    filled = dict(data["backend"]["limbs"])
    for limb in data["limbs"]:
        name = limb.get("name") if isinstance(limb, dict) else None
        joints = limb.get("joints") if isinstance(limb, dict) else None
        if isinstance(name, str) and name in wired and isinstance(joints, list):
            filled[name] = _servos(wired[name], joints)
    return {**data, "backend": {**data["backend"], "limbs": filled}}


def _servos(devices: Raw, joints: list[Any]) -> Raw:
    servos = devices.get("servos", {})
    if not isinstance(servos, dict):
        return devices
    servos = dict(servos)
    for number, joint in enumerate(joints, start=1):
        name = joint.get("name") if isinstance(joint, dict) else None
        if not isinstance(name, str) or not isinstance(joint.get("servo"), str):
            continue
        servo = servos.get(name, {})
        if isinstance(servo, dict):
            model = joint["servo"] if joint["servo"] in servo_models() else _any_model(devices)
            servos[name] = {"id": number, "model": model, **servo}
    return {**devices, "servos": servos} if servos or "servos" in devices else devices


def _any_model(devices: Raw) -> str:
    """Return a model for the bus, in place of one that the joint's check refuses."""
    bus = devices.get("bus")
    family = bus.get("type") if isinstance(bus, dict) else None
    known = isinstance(family, str) and family in SERVO_FAMILIES
    return SERVO_FAMILIES.get(str(family)).default_model if known else ""


# -- body -----------------------------------------------------------------------------------------


def _with_body(limb: Raw, number: int, models: Mapping[str, ServoModel]) -> Raw:
    """Return a limb with a chain of boxes, one behind each joint, and its cameras at the end."""
    joints = limb["joints"]
    if not isinstance(joints, list) or not all(_has_name(joint) for joint in joints):
        return limb
    length = LINK_M[0]
    links = [_link("base", 0, BRACKET_KG + _mass(joints[:1], models))]
    hinges, carrier = [], "base"
    for index, joint in enumerate(joints):
        link = f"{joint['name']}_link"
        mass = BRACKET_KG + _mass(joints[index + 1 : index + 2], models)
        links.append(_link(link, index + 1, mass))
        hinges.append(_hinge(joint, index, carrier, link))
        carrier = link
    named = [
        joint if "hinge" in joint or "tendon" in joint else {**joint, "hinge": joint["name"]}
        for joint in joints
    ]
    tip = ((len(joints) - 0.5) * length, 0.0, 0.0)
    base = {"xyz": [0.0, BESIDE_M * number, BASE_HEIGHT_M]}
    filled = {"base": base, **limb, "joints": named, "body": {"links": links, "hinges": hinges}}
    if isinstance(limb.get("cameras"), list):
        filled["cameras"] = [
            _camera(camera, which, carrier, tip) for which, camera in enumerate(limb["cameras"])
        ]
    return filled


def _has_name(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("name"), str)


def _mass(joints: list[Any], models: Mapping[str, ServoModel]) -> float:
    """Return the mass of the servo of a joint, which sits on the link before it, kg."""
    model = models.get(str(joints[0].get("servo"))) if joints else None
    return model.rating.mass_kg if model is not None and model.rating is not None else 0.0


def _link(name: str, number: int, mass_kg: float) -> Raw:
    return {
        "name": name,
        "mass_kg": mass_kg,
        "center_m": [round((number - 0.5) * LINK_M[0], 4), 0.0, 0.0],
        "size_m": list(LINK_M),
        "color": COLORS[number % len(COLORS)],
    }


def _pedestals(count: int) -> list[Raw]:
    """Return a post below the base of each limb."""
    height = BASE_HEIGHT_M - 0.5 * LINK_M[2]
    return [
        {
            "name": f"pedestal_{number}",
            "center_m": [-0.5 * LINK_M[0], BESIDE_M * number, 0.5 * height],
            "size_m": [0.05, 0.05, height],
            "color": [0.55, 0.42, 0.30],
        }
        for number in range(count)
    ]


def _hinge(joint: Raw, index: int, parent: str, child: str) -> Raw:
    return {
        "name": joint["name"],
        "parent": parent,
        "child": child,
        "pivot_m": [index * LINK_M[0], 0.0, 0.0],
        "axis": VECTORS[_axis(joint["name"], index)],
        "limits_rad": [-3.1416, 3.1416],
        "friction_nm": 0.005,
        "damping_nms_rad": 0.005,
    }


def _axis(name: str, index: int) -> str:
    """Return the axis about which a joint turns, by its name or else by its place."""
    for axis, words in AXES.items():
        if any(word in name for word in words):
            return axis
    return "zy"[index % 2]


def _camera(camera: Any, which: int, link: str, middle_m: tuple[float, float, float]) -> Any:
    if not isinstance(camera, dict) or "link" in camera:
        return camera
    side, rpy = MOUNTS[which % len(MOUNTS)]
    # A millimetre off the face, so that the camera does not see the link's own inside.
    xyz = [
        round(middle + share * (0.5 * edge + 0.001), 4)
        for middle, share, edge in zip(middle_m, side, LINK_M, strict=True)
    ]
    return {"link": link, "pose": {"xyz": xyz, "rpy": list(rpy)}, **camera}
