"""Binary glTF 2.0 files: nodes, surfaces with colours, skins.

A file is a chunk of JSON and one of numbers
(https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html).
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from sim.rendering.raster.meshes import Mesh

_FLOAT, _UNSIGNED, _UNSIGNED_SHORT, _VERTICES, _INDICES = 5126, 5125, 5123, 34962, 34963
# glTF's y is up and its -z ahead: a quarter turn about x takes our z there.
UPRIGHT = (-(0.5**0.5), 0.0, 0.0, 0.5**0.5)


class GltfDocument:
    """A glTF document that grows."""

    def __init__(self) -> None:
        self._nodes: list[dict[str, Any]] = []
        self._skins: list[dict[str, Any]] = []
        self._meshes: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._views: list[dict[str, Any]] = []
        self._numbers = bytearray()

    def node(self, node: dict[str, Any]) -> int:
        """Add a node.

        Returns:
            Its number.
        """
        self._nodes.append(node)
        return len(self._nodes) - 1

    def mesh(self, name: str, mesh: Mesh, bones: npt.NDArray[np.int64] | None = None) -> int:
        """Add a surface with its colours; ``bones`` ``(n,)`` are the joints that carry vertices.

        Returns:
            Its number.
        """
        attributes = {
            "POSITION": self._vectors(mesh.points),
            "NORMAL": self._vectors(mesh.normals),
            # What is seen as a colour is about the square of the light.
            "COLOR_0": self._vectors(mesh.colors**2.2),
        }
        if bones is not None:
            first = np.array([1.0, 0.0, 0.0, 0.0])
            weights = np.tile(first, (len(bones), 1)).astype("<f4")
            joints = np.outer(bones, first).astype("<u2")
            count = len(bones)
            attributes["JOINTS_0"] = self._accessor(
                joints.tobytes(), _VERTICES, _UNSIGNED_SHORT, "VEC4", count
            )
            attributes["WEIGHTS_0"] = self._accessor(
                weights.tobytes(), _VERTICES, _FLOAT, "VEC4", count
            )
        indices = mesh.triangles.astype("<u4").ravel()
        corners = self._accessor(indices.tobytes(), _INDICES, _UNSIGNED, "SCALAR", indices.size)
        part = {"attributes": attributes, "indices": corners, "material": 0}
        self._meshes.append({"name": name, "primitives": [part]})
        return len(self._meshes) - 1

    def skin(self, joints: list[int]) -> int:
        """Add a skin: the nodes that carry vertices, all where they are at rest.

        Returns:
            Its number.
        """
        self._skins.append({"joints": joints})
        return len(self._skins) - 1

    def file(self, root: int) -> bytes:
        """Return the document whose only root is a node."""
        document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "asterias"},
            "scene": 0,
            "scenes": [{"nodes": [root]}],
            "nodes": self._nodes,
            "meshes": self._meshes,
            "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.7}}],
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._numbers)}],
        }
        if self._skins:
            document["skins"] = self._skins
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self._numbers), b"BIN\0") + bytes(self._numbers)
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def _vectors(self, values: FloatArray) -> int:
        rows = values.astype("<f4")
        number = self._accessor(rows.tobytes(), _VERTICES, _FLOAT, "VEC3", len(rows))
        self._accessors[number] |= {
            "min": rows.min(axis=0).tolist(),
            "max": rows.max(axis=0).tolist(),
        }
        return number

    def _accessor(self, data: bytes, target: int, component: int, kind: str, count: int) -> int:
        # All are of four bytes or of four times two, so that each begins where it may.
        at = {"buffer": 0, "byteOffset": len(self._numbers), "byteLength": len(data)}
        self._views.append({**at, "target": target})
        self._numbers += data
        about = {"bufferView": len(self._views) - 1, "componentType": component}
        self._accessors.append({**about, "count": count, "type": kind})
        return len(self._accessors) - 1
