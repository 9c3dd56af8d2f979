"""Pictures against the published pinhole model, and the flaws that a camera can be given."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from asterias.errors import DeviceError
from hardware.description.limb import CameraDescription, Pose
from hardware.description.robot import load_robot
from hardware.perception.apriltag import detect_tags, tag_image
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.backdrop import COLORS, TILING, WINDOW, paint_backdrop
from sim.rendering.scene import Appearance, camera_matrix, look_at
from sim.world import SimWorld

TAG = 29


@pytest.fixture(scope="module", params=["raster", "raster_2x2", "pybullet"])
def world(request: pytest.FixtureRequest) -> Iterator[SimWorld]:
    with SimWorld("limb_p1", renderer=request.param) as made:
        yield made


def projected_tag(
    world: SimWorld, camera: CameraDescription, rotation: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """``(4, 2)`` pixels of the target's corners by K alone, clockwise from the tag's top left."""
    half = 0.5 * world.robot.target.size_m
    # Seen from the front of the sheet, its own +y is to the right.
    corners = np.array([[0, -half, half], [0, half, half], [0, half, -half], [0, -half, -half]])
    pose = world.target_pose
    points = corners @ rotation_from_rpy(pose.rpy).T + np.asarray(pose.xyz)
    local = (points - position) @ rotation
    optical = np.stack([-local[:, 1], -local[:, 2], local[:, 0]])
    pixels = camera_matrix(camera) @ optical
    projected: np.ndarray = (pixels[:2] / pixels[2]).T
    return projected


@pytest.mark.parametrize("eye", [(0.1, 0.0, 0.2), (0.15, 0.15, 0.3), (0.1, -0.1, 0.1)])
@pytest.mark.parametrize(("width", "height", "fov"), [(96, 96, 1.0472), (160, 120, 1.2)])
def test_the_tag_appears_where_the_camera_model_says(
    world: SimWorld, eye: tuple[float, float, float], width: int, height: int, fov: float
) -> None:
    assert world.scene is not None
    camera = CameraDescription(
        name="probe", link="tower", width_px=width, height_px=height, fov_rad=fov
    )
    rotation, position = look_at(eye, world.target_pose.xyz)
    picture = world.scene.render(camera, rotation, position)
    (found,) = detect_tags(picture, [TAG])
    expected = projected_tag(world, camera, rotation, position)
    # Corners are found to about a pixel at this size; the mean of four is better than that.
    assert np.abs(found.corners_px - expected).max() < 2.0
    assert np.abs(found.center_px - expected.mean(axis=0)).max() < 0.7


def test_a_camera_moves_with_its_link(world: SimWorld) -> None:
    assert world.scene is not None
    camera = world.robot.limbs[0].live_cameras[3]
    world.reset()
    rest, at_rest = world.scene.camera_pose(0, camera, world.bodies[0])
    world.reset(positions_rad=[[0.5, 0.0, 0.0, 0.0]])
    turned, at_turned = world.scene.camera_pose(0, camera, world.bodies[0])
    np.testing.assert_allclose(turned, rotation_from_rpy((0, 0, 0.5)) @ rest, atol=1e-12)
    pivot = np.array([-0.165, 0.010, 0.30])
    moved = rotation_from_rpy((0, 0, 0.5)) @ (at_rest - pivot) + pivot
    np.testing.assert_allclose(at_turned, moved, atol=1e-12)
    world.reset()


def test_the_side_towards_the_window_is_brighter(world: SimWorld) -> None:
    assert world.scene is not None
    camera = CameraDescription(name="probe", link="tower", width_px=64, height_px=64)
    mean = []
    for y in (0.9, -0.9):
        down, above = look_at((0.6, y, 1.0), (0.6001, y, 0.0))
        mean.append(world.scene.render(camera, down, above).mean())
    assert mean[0] > 1.2 * mean[1]


def test_floor_below_and_sky_above_the_horizon(
    world: SimWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.scene is not None
    monkeypatch.setattr(world.scene, "appearance", Appearance(window=np.zeros(3)))
    camera = CameraDescription(name="probe", link="tower", width_px=64, height_px=64)
    rotation, position = look_at((-3.0, 3.0, 1.0), (-6.0, 6.0, 1.0))
    picture = world.scene.render(camera, rotation, position)
    # Level and away from everything: blue above, haze at the horizon.
    assert picture[0, 32, 2] > picture[0, 32, 0] + 15
    assert np.ptp(picture[32, :].astype(int), axis=0).max() < 8
    down, above = look_at((0.5, 0.9, 1.0), (0.5001, 0.9, 0.0))
    floor = world.scene.render(camera, down, above)
    assert len(np.unique(floor.reshape(-1, 3), axis=0)) < 400
    assert floor.std() > 5


def test_same_seed_same_noise_and_one_camera_does_not_move_another() -> None:
    robot = load_robot("limb_p1")
    limb = robot.limbs[0]
    cameras = tuple(camera.model_copy(update={"noise_std": 5.0}) for camera in limb.cameras)
    noisy = robot.model_copy(update={"limbs": (limb.model_copy(update={"cameras": cameras}),)})

    def pictures(seed: int, order: list[int]) -> dict[int, np.ndarray]:
        with SimWorld(noisy, seed=seed) as world:
            row = world.cameras[0]
            for camera in row:
                camera.connect()
            return {j: row[j].read().image for j in order}

    first, again, other = pictures(1, [0, 1]), pictures(1, [1]), pictures(2, [1])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1] != other[1]).any()


@pytest.mark.parametrize(
    ("flaw", "value"), [("noise_std", 6.0), ("vignetting", 0.6), ("jpeg_quality", 20)]
)
def test_a_flaw_does_what_it_says(flaw: str, value: float) -> None:
    robot = load_robot("limb_p1")
    limb = robot.limbs[0]
    cameras = tuple(camera.model_copy(update={flaw: value}) for camera in limb.cameras)
    flawed = robot.model_copy(update={"limbs": (limb.model_copy(update={"cameras": cameras}),)})
    with SimWorld(flawed) as world:
        camera = world.cameras[0][0]
        camera.connect()
        clean = world.draw(0, camera.description).astype(float)
        picture = camera.read().image.astype(float)
    difference = picture - clean
    if flaw == "noise_std":
        assert difference.std() == pytest.approx(value, rel=0.1)
        assert abs(difference.mean()) < 0.3
    elif flaw == "vignetting":
        assert picture[0, 0].mean() == pytest.approx(0.4 * clean[0, 0].mean(), abs=2)
        assert np.abs(difference[47:49, 47:49]).max() <= 1
    else:
        assert 0.2 < np.abs(difference).mean() < 20


@pytest.mark.parametrize("edge_px", [15, 20, 30, 60])
def test_a_tag_is_read_from_fifteen_pixels_on(edge_px: int) -> None:
    sheet = cv2.resize(
        tag_image(TAG), (edge_px * 8 // 6, edge_px * 8 // 6), interpolation=cv2.INTER_AREA
    )
    picture = np.full((96, 96), 200, np.uint8)
    picture[10 : 10 + sheet.shape[0], 8 : 8 + sheet.shape[1]] = sheet
    (found,) = detect_tags(picture)
    assert found.id == TAG
    top_left, top_right, bottom_right, bottom_left = found.corners_px
    assert top_left[0] < top_right[0] and bottom_left[0] < bottom_right[0]
    assert top_left[1] < bottom_left[1] and top_right[1] < bottom_right[1]
    assert found.side_px == pytest.approx(edge_px, abs=2)


def test_tags_that_are_not_asked_for_are_ignored() -> None:
    picture = np.pad(tag_image(7, 6), 20, constant_values=255)
    assert [found.id for found in detect_tags(picture)] == [7]
    assert detect_tags(picture, [TAG]) == []
    assert detect_tags(np.zeros((96, 96, 3), np.uint8)) == []


def test_moving_the_target_moves_it_in_the_pictures(world: SimWorld) -> None:
    world.reset()
    world.advance(1.5)
    camera = world.robot.limbs[0].live_cameras[3]
    assert detect_tags(world.draw(0, camera), [TAG])
    home = world.target_pose
    world.move_target(Pose(xyz=(0.0, 2.0, 0.2)))
    assert not detect_tags(world.draw(0, camera), [TAG])
    world.move_target(home)
    assert detect_tags(world.draw(0, camera), [TAG])


def test_a_gpu_renderer_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(DeviceError, match=r"set backend\.renderer to raster"):
        SimWorld("limb_p1", renderer="egl").close()


def test_auto_takes_what_works() -> None:
    with SimWorld("limb_p1", renderer="auto") as world:
        assert world.scene is not None
        assert world.scene.renderer in {"pybullet", "egl"}


def test_an_empty_picture_is_refused(world: SimWorld) -> None:
    far = Pose(xyz=(100.0, 0.0, 0.0))
    robot = world.robot
    limb = robot.limbs[0].model_copy(update={"base": far})
    target = robot.target.model_copy(update={"pose": far})
    empty = robot.model_copy(update={"limbs": (limb,), "target": target, "scenery": ()})
    assert world.scene is not None
    with pytest.raises(DeviceError, match="empty picture"):
        SimWorld(empty, renderer=world.scene.renderer)


@pytest.mark.parametrize("seed", range(5))
def test_quaternions_and_matrices_agree(seed: int) -> None:
    rpy = np.random.default_rng(seed).uniform(-3, 3, 3)
    rotation = rotation_from_rpy(rpy.tolist())
    x, y, z, w = quaternion_from_rotation(rotation)
    axis = np.array([x, y, z])
    vector = np.array([0.3, -0.7, 0.2])
    turned = vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)
    np.testing.assert_allclose(turned, rotation @ vector, atol=1e-12)


def test_time_in_a_camera_is_simulated_time(world: SimWorld) -> None:
    world.reset()
    camera = world.cameras[0][0]
    camera.connect()
    first = camera.read_next(timeout_s=1.0)
    second = camera.read_next(timeout_s=1.0)
    assert second.time_s - first.time_s == pytest.approx(0.1)
    assert world.time_s == pytest.approx(second.time_s)
    assert camera.poll() is None
    world.advance(0.1)
    third = camera.poll()
    assert third is not None and third.sequence == second.sequence + 1
    camera.disconnect()


def test_pictures_are_not_shifted_against_the_camera_model(world: SimWorld) -> None:
    # Corners are whole pixels, but over many views their errors must cancel.
    assert world.scene is not None
    camera = CameraDescription(name="probe", link="tower")
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        eye = rng.uniform((0.0, -0.2, 0.1), (0.25, 0.2, 0.4))
        rotation, position = look_at(eye.tolist(), world.target_pose.xyz)
        for found in detect_tags(world.scene.render(camera, rotation, position), [TAG]):
            expected = projected_tag(world, camera, rotation, position)
            errors.append((found.corners_px - expected).mean(axis=0))
    assert len(errors) > 50
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1


def test_the_sky_has_no_dimple_overhead() -> None:
    up = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    size = 65
    image, depth = np.zeros((size, size, 3), np.uint8), np.ones((size, size), np.float32)
    out = np.empty_like(image)
    paint_backdrop(image, depth, up, np.zeros(3), 60.0, COLORS, TILING, WINDOW, out)
    brightness = out.astype(int)
    steps = [np.abs(np.diff(brightness, axis=axis)).max() for axis in (0, 1)]
    assert max(steps) <= 2, "neighbours differ by no more than a gradient does"
    assert out.std() > 1, "the side of the window is brighter still"
