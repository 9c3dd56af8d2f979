"""The text of a message type in a recording is enough to read its messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from asterias_interfaces.msg import TagDetection, TagDetections
from asterias_interfaces.srv import InjectFault
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from mcap.records import Schema
from mcap_ros2.decoder import DecoderFactory
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.runtime.message_definitions import DefinitionNotFoundError, message_definition
from hardware.faults.models import FAULT_MODELS
from hardware.faults.words import Fault

TAG = TagDetection(id=29, corners_px=np.arange(8.0), center_px=[1.5, 2.5], side_px=3.5)
STATUS = DiagnosticStatus(level=DiagnosticStatus.STALE, name="a: b", values=[KeyValue(key="k")])
MESSAGES = [
    Bool(data=True),
    Image(height=1, width=2, encoding="mono8", step=2, data=[7, 8]),
    CameraInfo(height=3, d=[0.5], k=np.arange(9.0)),
    JointState(name=["a", "b"], position=[0.25, -1.0]),
    Float64MultiArray(data=[1.0, 2.0]),
    JointTrajectory(joint_names=["a"], points=[JointTrajectoryPoint(positions=[0.5])]),
    TagDetections(limb="limb_0", camera="camera_1", detections=[TAG]),
    DiagnosticArray(status=[STATUS]),
]
MESSAGES[4].layout.dim.append(MultiArrayDimension(label="joint", size=2, stride=2))


def type_name(message: Any) -> str:
    """Such as ``std_msgs/msg/Bool``."""
    kind = type(message)
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def assert_same(found: Any, sent: Any) -> None:
    """Compares two classes of the same message, field by field."""
    if hasattr(sent, "get_fields_and_field_types"):
        for name in sent.get_fields_and_field_types():
            assert_same(getattr(found, name), getattr(sent, name))
    elif isinstance(sent, (str, bool)):
        assert found == sent
    elif isinstance(sent, bytes):
        assert int(found) == sent[0]
    elif hasattr(sent, "__len__"):
        assert len(found) == len(sent)
        for one, other in zip(found, sent, strict=True):
            assert_same(one, other)
    else:
        assert found == pytest.approx(sent)


@pytest.mark.parametrize("message", MESSAGES, ids=type_name)
def test_mcap_reads_a_message_by_its_text(message: Any) -> None:
    name = type_name(message)
    schema = Schema(id=1, name=name, encoding="ros2msg", data=message_definition(name).encode())
    decode = DecoderFactory().decoder_for("cdr", schema)
    assert decode is not None
    assert_same(decode(serialize_message(message)), message)


def test_each_used_type_is_given_once() -> None:
    text = message_definition("sensor_msgs/msg/CameraInfo")
    assert text.count("MSG: builtin_interfaces/Time\n") == 1
    assert text.count("MSG: std_msgs/Header\n") == 1
    assert text.count("MSG: sensor_msgs/RegionOfInterest\n") == 1
    assert "MSG: sensor_msgs/CameraInfo" not in text


@pytest.mark.parametrize(
    "name", ["no_such_msgs/msg/Thing", "std_msgs/msg/NoSuchThing", "std_msgs/Bool", "nonsense", ""]
)
def test_an_unknown_type_is_named(name: str) -> None:
    with pytest.raises(DefinitionNotFoundError, match=name or "''"):
        message_definition(name)


def test_fault_words_of_the_service_are_those_of_the_registry() -> None:
    request = InjectFault.Request
    values = [getattr(request, name) for name in dir(request) if name.isupper()]
    words = {value for value in values if isinstance(value, str)}
    assert words == set(FAULT_MODELS.names()) == {word.value for word in Fault}
