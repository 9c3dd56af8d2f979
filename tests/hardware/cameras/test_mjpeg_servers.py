"""MJPEG servers as they are sold: odd boundaries, bytes too many, passwords, damaged pictures."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from asterias.errors import DescriptionError, DeviceError
from asterias.images.decode import ImageError
from hardware.cameras.driver import Camera
from hardware.cameras.jpeg import decode_jpeg
from hardware.cameras.mjpeg import MjpegSettings, MjpegSource
from hardware.cameras.stream import FrameSource, Grab, StreamCamera
from hardware.description.limb import CameraDescription
from hardware.description.robot import load_robot, parse_robot
from hardware.emulated.pictures import encode_jpeg, pattern

ABOUT = CameraDescription(name="tip", link="tip", width_px=64, height_px=48, rate_hz=20.0)
JPEG = encode_jpeg(pattern(64, 48, 3))
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that answer each request with these bytes; requests are noted."""
    servers: list[socket.socket] = []

    def start(
        body: bytes,
        content_type: str | None = "multipart/x-mixed-replace; boundary=frame",
        status: str = "200 OK",
        requests: list[bytes] | None = None,
    ) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        head = f"HTTP/1.1 {status}\r\n"
        head += f"Content-Type: {content_type}\r\n" if content_type is not None else ""

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        request = peer.recv(4096)
                        if requests is not None:
                            requests.append(request)
                        peer.sendall(head.encode() + b"\r\n" + body)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/stream"

    yield start
    for server in servers:
        server.close()


def pictures(url: str) -> list[Grab | str]:
    """What a source takes out of a stream until it ends: pictures, and why others were dropped."""
    source, found = MjpegSource(ABOUT, url), list[Grab | str]()
    source.open()
    try:
        while True:
            try:
                grab = source.grab(0.2)
            except ImageError as error:
                found.append(str(error))
                continue
            if grab is not None:
                found.append(grab)
    except DeviceError as error:
        if "ended the stream" not in str(error):
            raise
    finally:
        source.close()
    return found


def stream(mark: bytes, jpeg: bytes = JPEG, count: int = 3, with_length: bool = False) -> bytes:
    """Parts between marks."""
    length = b"Content-Length: %d\r\n" % len(jpeg) if with_length else b""
    part = mark + b"\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + jpeg + b"\r\n"
    return count * part + mark + b"\r\n"


@pytest.mark.parametrize(
    ("declared", "mark"),
    [
        ("multipart/x-mixed-replace; boundary=--frame", b"----frame"),
        ("multipart/x-mixed-replace; boundary=frame", b"frame"),
        ("multipart/x-mixed-replace; boundary=frame", b"--other"),
        ("multipart/x-mixed-replace; boundary=frame", b"other"),
        ('multipart/x-mixed-replace;boundary="--frame"', b"--frame"),
        ("multipart/x-mixed-replace", b"--frame"),
        ("", b"--frame"),
        (None, b"--frame"),
    ],
)
@pytest.mark.parametrize("with_length", [False, True])
def test_the_boundary_in_the_stream_counts_not_the_declared_one(
    serve: Serve, declared: str | None, mark: bytes, with_length: bool
) -> None:
    found = pictures(serve(stream(mark, with_length=with_length), declared))
    assert len(found) == 3 and all(isinstance(one, Grab) for one in found), found


def test_a_stream_without_its_boundary_says_so(serve: Serve) -> None:
    noise = np.random.default_rng(0).integers(11, 256, 3 << 20, dtype=np.uint8).tobytes()
    with pytest.raises(DeviceError, match="boundary 'frame' is not in the stream"):
        pictures(serve(noise))


def test_a_page_is_no_stream(serve: Serve) -> None:
    with pytest.raises(DeviceError, match="serves text/html; charset=utf-8, no MJPEG stream"):
        pictures(serve(b"<html>", "text/html; charset=utf-8"))


@pytest.mark.parametrize(
    "jpeg",
    [JPEG + b"\xff\xff\xff", JPEG + b"tail", JPEG[:-2] + 9 * b"\xff" + b"\xd9", b"\r\n" + JPEG],
    ids=["FF behind", "text behind", "FF before the end", "line end before"],
)
def test_bytes_around_a_picture_do_no_harm(serve: Serve, jpeg: bytes) -> None:
    found = pictures(serve(stream(b"--frame", jpeg, with_length=True)))
    assert len(found) == 3 and all(isinstance(one, Grab) for one in found), found


@pytest.mark.parametrize(
    "jpeg",
    [
        JPEG[: len(JPEG) * 2 // 3] + b"\xff\xd9",
        JPEG[: len(JPEG) * 2 // 3] + bytes(120) + JPEG[len(JPEG) * 2 // 3 + 120 :],
    ],
    ids=["cut but ended", "zeros inside"],
)
def test_a_picture_that_is_damaged_inside_is_counted_as_such(serve: Serve, jpeg: bytes) -> None:
    assert pictures(serve(stream(b"--frame", jpeg, with_length=True))) == 3 * ["a damaged JPEG"]


def test_the_orientation_that_a_phone_writes_turns_nothing() -> None:
    # TIFF, big-endian, one entry: orientation (0x112), a short, one, of value 6.
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    exif = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + bytes(4)
    turned = JPEG[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + JPEG[2:]
    np.testing.assert_array_equal(decode_jpeg(turned, 64, 48), decode_jpeg(JPEG, 64, 48))


def test_a_password_is_sent_and_never_printed(serve: Serve) -> None:
    requests: list[bytes] = []
    url = serve(stream(b"--frame"), requests=requests).replace("//", "//anna:s%40cret@")
    assert len(pictures(url)) == 3
    assert b"Authorization: Basic YW5uYTpzQGNyZXQ=\r\n" in requests[0]  # anna:s@cret
    refused = serve(b"", status="401 Unauthorized").replace("//", "//anna:s%40cret@")
    for broken in (refused, "http://anna:s%40cret@127.0.0.1:1/stream"):
        with pytest.raises(DeviceError) as caught:
            pictures(broken)
        assert "s%40cret" not in str(caught.value) and "anna@" in str(caught.value)
    with pytest.raises(DeviceError, match="wants a user and a password"):
        pictures(refused)


def test_a_description_with_a_wrong_address_does_not_print_the_password() -> None:
    data = load_robot("limb_p1").model_dump(mode="json", exclude_none=True)
    joints = [joint["name"] for joint in data["limbs"][0]["joints"]]
    data["backend"] = {
        "type": "devices",
        "limbs": {
            "limb_0": {
                "bus": {"type": "dynamixel", "port": "/dev/null"},
                "servos": {name: {"id": i, "model": "xl430_w250"} for i, name in enumerate(joints)},
                "cameras": {"tip_down": {"type": "mjpeg", "url": "https://anna:secret@host/"}},
            }
        },
    }
    with pytest.raises(DescriptionError) as caught:
        parse_robot(data)
    assert "secret" not in str(caught.value)
    assert MjpegSettings(url="http://anna:secret@host/").url.endswith("host/")


class BrokenSource(FrameSource):
    """Fails in a way that nobody thought of, then works."""

    def __init__(self) -> None:
        self.count = 0

    def open(self) -> None:
        """Nothing to open."""

    def grab(self, timeout_s: float) -> Grab:
        """The third picture is sound."""
        self.count += 1
        if self.count < 3:
            raise RecursionError("too deep")
        return Grab(decode_jpeg(JPEG, 64, 48))

    def close(self) -> None:
        """Fails, too."""
        raise KeyError("close")


def test_a_camera_survives_whatever_its_source_raises_and_says_why() -> None:
    source = BrokenSource()
    camera: Camera = StreamCamera(ABOUT, source)
    with camera:
        assert camera.read_next(3.0).image.shape == (48, 64, 3)
    assert source.count >= 3


def test_one_picture_that_lies_about_its_size_costs_that_picture_only(serve: Serve) -> None:
    frame = b"\xff\xc0\x00\x0b\x08" + (65_500).to_bytes(2, "big") * 2 + b"\x01\x01\x11\x00"
    liar = JPEG[:2] + b"\xff\x01" + frame + JPEG[2:]
    body = stream(b"--frame", liar, 1, True) + stream(b"--frame", JPEG, 2, True)
    found = pictures(serve(body))
    assert [one for one in found if isinstance(one, str)] == [
        "a picture of 65500 x 65500 instead of 64 x 48 pixels; "
        "correct width_px and height_px in the robot description"
    ]
    assert sum(isinstance(one, Grab) for one in found) == 2
