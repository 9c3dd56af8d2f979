"""Shapes as files: what others read of them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import run_here

from hardware.description.limb import CameraDescription
from hardware.description.robot import load_robot
from sim.rendering.bullet import BulletClient
from sim.rendering.raster.export import export_robot
from sim.rendering.raster.limb_shapes import CAMERA
from sim.rendering.raster.scene import RasterScene
from sim.rendering.raster.skin_file import skinned_glb

ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("end", "<u2")])


@pytest.fixture(scope="module", params=["limb_p1", "starfish"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp(request.param)
    export_robot(load_robot(request.param), made, CAMERA)
    return made


def test_stl_files_hold_the_triangles_that_they_say(folder: Path) -> None:
    files = sorted((folder / "meshes").glob("*.stl"))
    assert files
    for file in files:
        data = file.read_bytes()
        (count,) = struct.unpack_from("<I", data, 80)
        assert len(data) == 84 + 50 * count
        rows = np.frombuffer(data, ROW, offset=84)
        assert 0.005 < np.ptp(rows["corners"].reshape(-1, 3), axis=0).max() < 0.3, "metres"
        lengths = np.linalg.norm(rows["normal"], axis=1)
        assert ((np.abs(lengths - 1.0) < 1e-3) | (lengths < 1e-3)).all()


def test_the_gltf_file_is_whole_and_nested_as_the_hinges_are(folder: Path) -> None:
    (file,) = (one for one in folder.glob("*.glb") if "skinned" not in one.name)
    data = file.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    document = json.loads(data[20 : 20 + size])
    (buffer,) = document["buffers"]
    assert len(data) == 28 + size + buffer["byteLength"]
    for mesh in document["meshes"]:
        (part,) = mesh["primitives"]
        corners = document["accessors"][part["indices"]]
        view = document["bufferViews"][corners["bufferView"]]
        numbers = np.frombuffer(
            data, "<u4", corners["count"], offset=28 + size + view["byteOffset"]
        )
        assert numbers.max() < document["accessors"][part["attributes"]["POSITION"]]["count"]
    robot = load_robot(file.stem)
    depth = {len(limb.body.hinges) for limb in robot.limbs}.pop()
    (root,) = document["scenes"][0]["nodes"]
    nodes = document["nodes"]

    def levels(node: int) -> int:
        return 1 + max((levels(child) for child in nodes[node].get("children", ())), default=0)

    assert levels(root) == depth + 3  # robot, limb, root link


def test_the_urdf_names_the_files_and_pybullet_loads_it(folder: Path) -> None:
    (file,) = folder.glob("*.urdf")
    named = {mesh.get("filename") for mesh in ElementTree.parse(file).getroot().iter("mesh")}
    assert named == {f"meshes/{one.name}" for one in (folder / "meshes").iterdir()}
    client = BulletClient()
    body = client.loadURDF(str(file))
    shapes = client.getVisualShapeData(body)
    assert sum(shape[4].endswith(b".stl") for shape in shapes) == len(named)
    client.close()


def test_the_command_writes_them(tmp_path: Path) -> None:
    done = run_here("sim", "export", "--robot", "limb_p1", "--out", str(tmp_path / "shapes"))
    assert done.returncode == 0 and "Wrote 10 files" in done.stdout
    (tmp_path / "file").touch()
    done = run_here("sim", "export", "--out", str(tmp_path / "file"))
    assert done.returncode == 2 and "is a file" in done.stderr


@pytest.mark.parametrize("name", ["limb_p1", "starfish"])
def test_the_skinned_file_bends_as_the_renderer_does(name: str) -> None:
    robot = load_robot(name)
    data = skinned_glb(robot, CAMERA, is_upright=False)
    (size,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + size])
    nodes = document["nodes"]

    def numbers(accessor: int, kind: str, width: int) -> np.ndarray:
        about = document["accessors"][accessor]
        at = 28 + size + document["bufferViews"][about["bufferView"]]["byteOffset"]
        values = np.frombuffer(data, kind, about["count"] * width, offset=at)
        return values.reshape(-1, width)

    limb = len(robot.limbs) - 1
    scene = RasterScene(robot)
    angles = np.linspace(-0.5, 0.7, len(robot.limbs[limb].body.hinges))
    scene.place_limb(limb, angles)
    scene.render(CameraDescription(name="probe", link="world"), np.eye(3), np.zeros(3))
    (shown,) = (node for node in nodes if node["name"] == f"skin_{limb}")
    attributes = document["meshes"][shown["mesh"]]["primitives"][0]["attributes"]
    points = numbers(attributes["POSITION"], "<f4", 3)
    joints = numbers(attributes["JOINTS_0"], "<u2", 4)[:, 0]
    assert (numbers(attributes["WEIGHTS_0"], "<f4", 4) == (1, 0, 0, 0)).all()
    bones = scene.geometry.limbs[limb]
    drawn = scene.stage.vertices[
        (scene.geometry.bone >= bones.first)
        & (scene.geometry.bone < bones.first + len(bones.hinges))
    ]
    # The joints' own description moves the points to where the renderer has them.
    extras = [nodes[joint]["extras"] for joint in document["skins"][shown["skin"]]["joints"]]
    for number, about in enumerate(extras):
        assert about["limb"] == limb
        assert (about["hinge"], about["share"]) == (bones.hinges[number], bones.shares[number])
        placed = scene.stage.placed[bones.first + number]
        mine = joints == number
        np.testing.assert_allclose(points[mine] @ placed[:3].T + placed[3], drawn[mine], atol=1e-5)
