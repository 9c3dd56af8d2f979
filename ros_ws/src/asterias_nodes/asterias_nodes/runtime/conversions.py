"""Between numpy images and ROS 2 messages, without a copy per element."""

from __future__ import annotations

import array

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Pose
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from asterias.arrays import FloatArray, ImageArray
from asterias.images.decode import ImageError, decode_image
from hardware.description.limb import CameraDescription
from sim.physics.rotations import quaternion_from_rotation

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
NANOSECONDS = 1_000_000_000


def to_time_msg(time_s: float) -> Time:
    """Return seconds as a stamp, rounded to the nearest nanosecond."""
    seconds, nanoseconds = divmod(round(time_s * NANOSECONDS), NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


def to_seconds(stamp: Time) -> float:
    """Return a stamp as seconds."""
    return float(stamp.sec) + float(stamp.nanosec) / NANOSECONDS


def to_duration_msg(seconds: float) -> Duration:
    """Return a span of time as a message, rounded to the nearest nanosecond."""
    whole, nanoseconds = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Duration(sec=whole, nanosec=nanoseconds)


def duration_s(message: Duration) -> float:
    """Return a span of time in seconds."""
    return float(message.sec) + float(message.nanosec) / NANOSECONDS


def to_image_msg(image: ImageArray, stamp: Time, frame_id: str) -> Image:
    """Return a picture as a message.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint8 grey.
        stamp: when the picture was taken.
        frame_id: the camera's optical frame.

    Passes on ``ValueError``: the array has another shape or type.
    """
    encoding = _encoding_of(image)
    message = Image(height=image.shape[0], width=image.shape[1], encoding=encoding)
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.step = image.shape[1] * CHANNELS[encoding]
    message.data = _byte_array(image)
    return message


def from_image_msg(message: Image) -> ImageArray:
    """Return a message as a picture: ``(H, W, 3)`` RGB or ``(H, W)`` grey, uint8.

    Raises:
        ValueError: encoding unknown, or sizes that do not fit together.
    """
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        raise ValueError(
            f"Images of encoding '{message.encoding}' cannot be read; send {', '.join(CHANNELS)}."
        )
    height, width, step = message.height, message.width, message.step
    if step < width * channels or len(message.data) != height * step or height * width == 0:
        raise ValueError(
            f"An image of {width}x{height} {message.encoding} with step {step} cannot have "
            f"{len(message.data)} bytes."
        )
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(height, step)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    if channels == 1:
        return pixels[:, :, 0]
    red, blue = (2, 0) if message.encoding.startswith("bgr") else (0, 2)
    return pixels[:, :, :3] if red == 0 else pixels[:, :, [red, 1, blue]]


def grey_picture(message: Image) -> ImageArray:
    """Return a message's grey values ``(H, W)``, uint8.

    Passes on ``ValueError``: the message cannot be read.
    """
    picture = from_image_msg(message)
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return grey.astype(np.uint8)


def to_compressed_msg(
    image: ImageArray, stamp: Time, frame_id: str, *, quality: int = 85
) -> CompressedImage:
    """Return a picture as JPEG; arguments as in :func:`to_image_msg`, ``quality`` from 1 to 100.

    Passes on ``ValueError``: the array has another shape or type.
    """
    is_grey = _encoding_of(image) == "mono8"
    pixels = image if is_grey else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    message = CompressedImage(format="jpeg")
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.data = _byte_array(jpeg)
    return message


def from_compressed_msg(message: CompressedImage) -> ImageArray:
    """Return a JPEG or PNG message as an ``(H, W, 3)`` uint8 RGB picture.

    Raises:
        ValueError: the data is no picture.
    """
    try:
        return decode_image(bytes(message.data))
    except ImageError as error:
        raise ValueError(
            f"A compressed image of format '{message.format}' cannot be decoded: it is {error}."
        ) from error


def to_camera_info_msg(camera: CameraDescription, stamp: Time, frame_id: str) -> CameraInfo:
    """Return a pinhole model: square pixels, principal point in the middle, no distortion.

    Pixel coordinates are OpenCV's: (0, 0) is the centre of the top-left pixel.
    """
    focal_px = camera.focal_px
    center_x_px = (camera.width_px - 1) / 2
    center_y_px = (camera.height_px - 1) / 2
    message = CameraInfo(height=camera.height_px, width=camera.width_px)
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.distortion_model = "plumb_bob"
    message.d = [0.0] * 5
    message.k = [focal_px, 0.0, center_x_px, 0.0, focal_px, center_y_px, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [*message.k[:3], 0.0, *message.k[3:6], 0.0, *message.k[6:9], 0.0]
    return message


def to_odometry_msg(
    rotation: FloatArray,
    position_m: FloatArray,
    velocity_m_s: FloatArray,
    spin_rad_s: FloatArray,
    stamp: Time,
    frame_id: str,
    child: str,
) -> Odometry:
    """Return where ``child`` is in ``frame_id`` and how it moves, in its own frame.

    Args:
        rotation: ``(3, 3)``.
        position_m: ``(3,)``.
        velocity_m_s: ``(3,)``.
        spin_rad_s: ``(3,)``.
        stamp: of the pose.
        frame_id: in which the pose is.
        child: the frame that moves.
    """
    message = Odometry(child_frame_id=child)
    message.header.stamp, message.header.frame_id = stamp, frame_id
    place, turn = message.pose.pose.position, message.pose.pose.orientation
    place.x, place.y, place.z = position_m.tolist()
    turn.x, turn.y, turn.z, turn.w = quaternion_from_rotation(rotation).tolist()
    linear, angular = message.twist.twist.linear, message.twist.twist.angular
    linear.x, linear.y, linear.z = velocity_m_s.tolist()
    angular.x, angular.y, angular.z = spin_rad_s.tolist()
    return message


def from_pose_msg(pose: Pose) -> tuple[FloatArray, FloatArray]:
    """Return rotation ``(3, 3)`` and position ``(3,)`` of a pose.

    Raises:
        ValueError: it holds no finite numbers, or a quaternion of zeros.
    """
    at, turn = pose.position, pose.orientation
    quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
    position, length = np.array([at.x, at.y, at.z]), float(np.linalg.norm(quaternion))
    if not np.isfinite(position).all() or not 1e-6 < length < np.inf:
        raise ValueError("A pose holds no finite numbers.")
    return _rotation_from_quaternion(quaternion / length), position


def _rotation_from_quaternion(quaternion: FloatArray) -> FloatArray:
    """Return the rotation matrix of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _byte_array(values: ImageArray) -> array.array[int]:
    """Return the bytes of an array, as the only type that a message takes over as it is.

    Anything else would be checked and copied value by value: up to a thousand times slower.
    """
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return data


def _encoding_of(image: ImageArray) -> str:
    if image.dtype == np.uint8 and image.size > 0:
        if image.ndim == 2:
            return "mono8"
        if image.ndim == 3 and image.shape[2] == 3:
            return "rgb8"
    raise ValueError(
        f"An image must be (H, W, 3) or (H, W) of uint8, not {image.shape} of {image.dtype}."
    )
