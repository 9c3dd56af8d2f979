"""The renderer of our own: against PyBullet's, and what its shapes and loops promise."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from asterias.errors import UserError
from hardware.description.devices import RendererName, SimBackend
from hardware.description.limb import CameraDescription
from hardware.description.robot import load_robot
from hardware.perception.apriltag import detect_tags
from sim.rendering.outside_view import outside_view
from sim.rendering.raster.geometry import geometry_of
from sim.rendering.raster.limb_shapes import CAMERA, PEOPLE, limb_pieces
from sim.rendering.raster.meshes import Mesh, ball, box, rod, rounded_box, tube
from sim.rendering.raster.scene import RasterScene
from sim.rendering.renderers import RENDERERS, make_scene
from sim.rendering.scene import look_at
from sim.world import SimWorld

CENTERS = np.column_stack([np.linspace(0.0, 0.1, 7), np.zeros(7), np.zeros(7)])
SOLIDS = {
    "box": box((0.4, 0.2, 0.1)),
    "rounded box": rounded_box((0.4, 0.2, 0.1), 0.03, 8),
    "rod": rod(0.2, 0.03, 24),
    "rounded rod": rod(0.2, 0.03, 24, 0.01),
    "ball": ball(0.05, 32),
    "tube": tube(CENTERS, np.sin(np.linspace(0.0, np.pi, 7)) * 0.02 + 1e-9, np.full(7, 0.02), 24),
}


def volume(mesh: Mesh) -> float:
    """What a closed surface holds, by the divergence theorem; negative when inside out."""
    a, b, c = (mesh.points[mesh.triangles[:, k]] for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6.0)


@pytest.mark.parametrize("name", SOLIDS)
def test_surfaces_face_outwards(name: str) -> None:
    mesh = SOLIDS[name]
    a, b, c = (mesh.points[mesh.triangles[:, k]] for k in range(3))
    facing = np.cross(b - a, c - a)
    normals = mesh.normals[mesh.triangles].mean(axis=1)
    assert (np.einsum("ij,ij->i", facing, normals) >= -1e-12).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-6)
    assert volume(mesh) > 0.0


def test_solids_have_the_size_they_are_asked_for() -> None:
    assert volume(SOLIDS["box"]) == pytest.approx(0.4 * 0.2 * 0.1)
    np.testing.assert_allclose(np.ptp(SOLIDS["rounded box"].points, axis=0), (0.4, 0.2, 0.1))
    assert volume(SOLIDS["rod"]) == pytest.approx(np.pi * 0.03**2 * 0.2, rel=0.02)
    assert volume(SOLIDS["ball"]) == pytest.approx(4 / 3 * np.pi * 0.05**3, rel=0.03)


def test_every_name_of_a_renderer_has_one() -> None:
    assert set(get_args(RendererName)) == set(RENDERERS)


def test_an_old_name_still_works_and_an_unknown_one_is_told() -> None:
    assert SimBackend(renderer="tiny").renderer == "pybullet"  # type: ignore[arg-type]
    robot = load_robot("limb_p1")
    assert isinstance(make_scene(robot, "tiny"), type(make_scene(robot, "pybullet")))
    with pytest.raises(UserError, match=r"no renderer 'rasta'.*raster_2x2"):
        SimWorld(robot, renderer="rasta")


def test_the_skin_bends_with_its_links_and_keeps_its_width() -> None:
    with SimWorld("limb_p1", renderer="raster") as world:
        scene = world.scene
        assert isinstance(scene, RasterScene)
        camera = CameraDescription(name="probe", link="tower")
        pose = look_at((0.05, -0.4, 0.35), (0.05, 0.0, 0.32))
        scene.render(camera, *pose)
        straight = scene.stage.vertices.copy()
        bent = np.array([0.0, 0.0, 0.0, 0.9, 0.9, 0.9])
        scene.place_limb(0, bent)
        scene.render(camera, *pose)
        shapes = scene.geometry
        skin = [i for i, name in enumerate(shapes.names) if "skin" in name]
        assert len(skin) == 3
        last = slice(*shapes.parts[skin[-1], :2])
        # The tip's last ring turned by the sum of the angles, as a rigid ring.
        tip, before = scene.stage.vertices[last][-8:], straight[last][-8:]
        size = [np.linalg.norm(p - p.mean(axis=0), axis=1) for p in (tip, before)]
        np.testing.assert_allclose(size[0], size[1], atol=1e-6)
        assert tip[:, 2].mean() < before[:, 2].mean() - 0.06
        # Rings that two pieces share lie on each other however the limb is bent.
        for one, two in pairwise(skin):
            end = scene.stage.vertices[shapes.parts[one, 1] - 8 : shapes.parts[one, 1]]
            begin = scene.stage.vertices[shapes.parts[two, 0] : shapes.parts[two, 0] + 8]
            np.testing.assert_allclose(end, begin, atol=1e-6)


def test_many_cameras_in_one_call_see_what_each_sees_alone() -> None:
    with SimWorld("starfish", renderer="raster", seed=4) as world:
        for row in world.cameras:
            for camera in row:
                camera.connect()
        world.advance(0.3)
        world.draw_due()
        for i, row in enumerate(world.cameras):
            for camera in row:
                alone = world.draw(i, camera.description)
                frame = camera.poll()
                assert frame is not None
                np.testing.assert_array_equal(frame.image, alone)
                assert camera.poll() is None


def test_a_picture_drawn_ahead_is_not_used_after_the_world_moved() -> None:
    with SimWorld("limb_p1", renderer="raster") as world:
        camera = world.cameras[0][3]
        camera.connect()
        world.draw_due()
        world.bodies[0].set_goal([0.5, 0.3, 0.0, 0.0])
        world.advance(0.5)
        np.testing.assert_array_equal(camera.read().image, world.draw(0, camera.description))


def test_the_same_state_gives_the_same_picture_whatever_was_drawn_before() -> None:
    pictures = []
    for angles in ([0.9, -0.4, 0.5, 0.7], [0.0, 0.0, 0.0, 0.0]):
        with SimWorld("limb_p1", renderer="raster") as world:
            world.reset(positions_rad=[angles])
            world.draw(0, world.robot.limbs[0].live_cameras[0])
            world.reset(positions_rad=[[0.2, 0.1, 0.0, 0.3]])
            pictures.append(world.draw(0, world.robot.limbs[0].live_cameras[0]))
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize("eye", [(0.30, 0.00, 0.22), (0.38, 0.12, 0.10), (0.44, -0.05, 0.26)])
def test_a_tag_nearer_than_the_near_plane_allows_is_cut_and_not_bent(
    eye: tuple[float, float, float],
) -> None:
    camera = CameraDescription(name="probe", link="tower", near_m=0.12)
    with SimWorld("limb_p1", renderer="raster") as world:
        assert world.scene is not None
        rotation, position = look_at(eye, world.target_pose.xyz)
        cut = world.scene.render(camera, rotation, position).astype(int)
        whole = world.scene.render(
            camera.model_copy(update={"near_m": 0.02}), rotation, position
        ).astype(int)
        room = world.scene.empty_room(camera, rotation, position)
    same = np.abs(cut - whole).max(axis=2) <= 2
    gone = ~same
    assert same.mean() > 0.2
    # What is cut away shows the room behind it, darker at most by a shadow.
    assert (cut[gone] <= room[gone].astype(int) + 2).all()


@pytest.mark.parametrize("name", ["limb_p1", "starfish"])
def test_both_renderers_show_the_same_room_and_the_same_tag(name: str) -> None:
    camera = CameraDescription(name="probe", link="tower")
    with SimWorld(name, renderer="raster") as ours, SimWorld(name, renderer="pybullet") as theirs:
        assert ours.scene is not None and theirs.scene is not None
        target = np.asarray(ours.target_pose.xyz)
        rotation, position = look_at(
            (target + np.array([-0.3, 0.1, 0.05])).tolist(), target.tolist()
        )
        pictures = [w.scene.render(camera, rotation, position).astype(int) for w in (ours, theirs)]  # type: ignore[union-attr]
        for picture in pictures:
            assert detect_tags(picture.astype(np.uint8), [29])
    assert np.median(np.abs(pictures[0] - pictures[1])) <= 1


def test_shadows_lie_under_the_robot_and_nowhere_else() -> None:
    camera = CameraDescription(name="probe", link="tower", width_px=128, height_px=128, fov_rad=1.2)
    with SimWorld("starfish", renderer="raster") as world:
        assert world.scene is not None
        down, above = look_at((0.0, 0.0, 1.6), (0.0001, 0.0, 0.0))
        drawn = world.scene.render(camera, down, above).astype(int)
        room = world.scene.empty_room(camera, down, above).astype(int)
    darker = (room - drawn).min(axis=2) > 6
    assert 0.03 < darker.mean() < 0.6
    assert not darker[:6].any() and not darker[:, :6].any()


def test_four_samples_a_pixel_smooth_the_edges() -> None:
    camera = CameraDescription(name="probe", link="tower", width_px=64, height_px=64)
    pose = look_at((0.6, -0.6, 0.5), (-0.1, 0.0, 0.2))
    with (
        SimWorld("limb_p1", renderer="raster") as one,
        SimWorld("limb_p1", renderer="raster_2x2") as four,
    ):
        assert one.scene is not None and four.scene is not None
        rough, smooth = (w.scene.render(camera, *pose).astype(int) for w in (one, four))  # type: ignore[union-attr]
    assert rough.shape == smooth.shape
    assert np.abs(rough.mean() - smooth.mean()) < 2.0
    assert (np.diff(smooth, axis=1) ** 2).mean() < (np.diff(rough, axis=1) ** 2).mean()


@pytest.mark.parametrize("name", ["limb_p1", "starfish"])
def test_pictures_for_people_show_rods_cords_and_lenses(name: str) -> None:
    limb = load_robot(name).limbs[0]
    fine = {piece.name.split()[0] for piece in limb_pieces(limb, PEOPLE)}
    assert {"skin", "camera"} <= fine
    assert fine & {"cord", "rod"}
    coarse, many = (geometry_of(load_robot(name), detail) for detail in (CAMERA, PEOPLE))
    assert len(coarse.triangles) * 10 < len(many.triangles)
    with SimWorld(name, renderer="raster") as world:
        assert outside_view(world, 160, 120).std() > 15
