"""A fault word of an installed package is injected into limbs, cameras and emulated servos."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGIN = """
from hardware.faults.models import FaultModel

class Dim(FaultModel):
    word = "dim"
    def image(self, image, rng):
        return image // 2
    def jpeg(self, jpeg, rng):
        return b""
    def encoder_rad(self, position_rad, value, rng):
        return position_rad + 1.0
    def reading(self, reading, value, joint, rng):
        return reading._replace(position_rad=0.25)

broken = 3
"""
USE = """
import logging
logging.basicConfig()
from hardware.emulated.motor import FailingMotor, IdealMotor
from hardware.faults.camera import FaultyCamera
from hardware.faults.limb import FaultyLimb
from hardware.faults.models import FAULT_MODELS
from hardware.description.robot import load_robot
from sim.world import SimWorld
print(*FAULT_MODELS.names())
motor = FailingMotor(IdealMotor())
motor.inject("dim")
print(motor.motion().position_rad)
with SimWorld(load_robot("limb_p1")) as world:
    limb = FaultyLimb(world.limbs[0])
    limb.inject(limb.name, "dim")
    limb.connect()
    print(limb.read().position_rad[0])
    camera = FaultyCamera(world.cameras[0][0])
    camera.connect()
    before = camera.read().image.max()
    camera.inject(camera.name, "dim")
    print(int(camera.read().image.max()) < int(before))
"""


def test_a_fault_of_an_installed_package_is_used_and_a_broken_one_skipped(tmp_path: Path) -> None:
    (tmp_path / "acme_faults.py").write_text(PLUGIN)
    about = tmp_path / "acme_faults-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-faults\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[asterias.fault_models]\ndim = acme_faults:Dim\nbad = acme_faults:broken\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    words = "ok off stuck garbage wrong slow delayed intermittent dim"
    assert done.stdout.splitlines() == [words, "1.0", "0.25", "True"], done.stderr
    assert done.stderr.count("'bad' of the package acme-faults is left out") == 1
    assert "Traceback" not in done.stderr
