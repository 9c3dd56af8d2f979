"""A servo family of an installed package is described, scanned and emulated as our own are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGIN = """
from dataclasses import replace
from hardware.buses.feetech import MODELS
from hardware.buses.registers import ServoFamily

model = replace(MODELS["sts3215"], name="a1", number=99)
family = ServoFamily("acme", {"a1": model}, "a1", (9600,))
broken = "no family at all"
"""
USE = """
import logging
logging.basicConfig()
import numpy as np
from hardware.buses.families import SERVO_FAMILIES
from hardware.description.robot import load_robot
from hardware.emulated.robot import EmulatedRobot
from hardware.factory import make_limb
print(*SERVO_FAMILIES.names())
with EmulatedRobot(load_robot("limb_p1"), "acme", pattern=False) as robot:
    with make_limb(robot.description, 0) as limb:
        print(np.isfinite(limb.read().position_rad).all())
"""


def test_a_family_of_an_installed_package_is_used_and_a_broken_one_skipped(tmp_path: Path) -> None:
    (tmp_path / "acme_servos.py").write_text(PLUGIN)
    about = tmp_path / "acme_servos-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-servos\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[asterias.servo_families]\nacme = acme_servos:family\nbad = acme_servos:broken\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["dynamixel", "feetech", "udp", "acme", "True"], done.stderr
    assert done.stderr.count("'bad' of the package acme-servos is left out") == 1
    assert "Traceback" not in done.stderr
