"""Six soft limbs with 48 motors and 48 cameras: wave, and look at it from outside.

    python examples/starfish.py runs/starfish.png

Limbs are driven through the same contract as real ones; nothing here is simulation only but the
clock that is advanced.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hardware.perception.images import save_png
from sim.rendering.outside_view import outside_view
from sim.world import SimWorld

SECONDS, STEP_S = 1.0, 0.02


def main() -> None:
    """Let a wave run round the body, and write a picture."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/starfish.png")
    out.parent.mkdir(parents=True, exist_ok=True)
    with SimWorld("starfish") as world:
        for limb in world.limbs:
            limb.connect()
            limb.activate()
        for step in range(round(SECONDS / STEP_S)):
            for number, limb in enumerate(world.limbs):
                phase = 2 * np.pi * (step * STEP_S - number / len(world.limbs))
                limb.send(0.3 * np.sin(phase + 0.5 * np.arange(len(limb.joint_names))))
            world.advance(STEP_S)
        bent = [float(np.abs(limb.read().position_rad).max()) for limb in world.limbs]
        save_png(str(out), outside_view(world, 640, 480))
    print(f"Bent by up to {max(bent):.2f} rad; {out}.")


if __name__ == "__main__":
    main()
