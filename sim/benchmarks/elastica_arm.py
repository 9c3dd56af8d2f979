"""A soft arm simulated by PyElastica, the field's Cosserat-rod engine, to measure ours beside it.

An arm of the size and material of the limb's soft part, clamped at its base, under gravity, bent by
torques about its two cross axes that change every control period, as the muscles of PyElastica's
own learning cases do. It has no cameras, as those have none.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError

INSTALL = "pip install -c constraints.txt 'pyelastica==1.0.0'"


@dataclass(frozen=True)
class ArmOptions:
    """The arm; lengths of the paper's limb from its pitch pivot to its tip, TPU as its links.

    Attributes:
        elements: of the rod.
        length_m, radius_m: of the rod.
        youngs_modulus_pa, density_kg_m3: of its material.
        torque_nm: largest torque on an element.
        safety: time step as a share of the longest stable one, ``dl sqrt(rho / E)`` (PyElastica's
            maintainers, issue 246).
    """

    elements: int = 20
    length_m: float = 0.27
    radius_m: float = 0.01
    youngs_modulus_pa: float = 26.0e6
    density_kg_m3: float = 1210.0
    torque_nm: float = 0.02
    safety: float = 0.5

    @property
    def step_s(self) -> float:
        """Time step of the integration."""
        element_m = self.length_m / self.elements
        wave_m_s = math.sqrt(self.youngs_modulus_pa / self.density_kg_m3)
        return self.safety * element_m / wave_m_s


class ElasticaArm:
    """The arm, driven directly.

    Args:
        options: the arm.

    Raises:
        UserError: PyElastica is not installed.
    """

    def __init__(self, options: ArmOptions) -> None:
        try:
            # By name: it is an extra, which type checkers need not find.
            elastica: Any = importlib.import_module("elastica")
        except ImportError as error:
            raise UserError(f"PyElastica is not installed: {INSTALL}") from error
        self.options = options
        self.time_s = 0.0
        self._torque = np.zeros((3, 1))
        self._rod = elastica.CosseratRod.straight_rod(
            options.elements,
            start=np.zeros(3),
            direction=np.array([1.0, 0.0, 0.0]),
            normal=np.array([0.0, 0.0, 1.0]),
            base_length=options.length_m,
            base_radius=options.radius_m,
            density=options.density_kg_m3,
            youngs_modulus=options.youngs_modulus_pa,
            shear_modulus=options.youngs_modulus_pa / 3.0,
        )
        self._system = self._assemble(elastica)
        self._stepper = elastica.PositionVerlet()

    def _assemble(self, elastica: Any) -> Any:
        parts = ("BaseSystemCollection", "Constraints", "Forcing", "Damping")
        system = type("Arm", tuple(getattr(elastica, part) for part in parts), {})()
        rod, torque = self._rod, self._torque

        def apply_torques(self: Any, system: Any, time: float = 0.0) -> None:
            system.external_torques += torque

        muscles = type("Muscles", (elastica.NoForces,), {"apply_torques": apply_torques})
        system.append(rod)
        system.constrain(rod).using(
            elastica.OneEndFixedBC, constrained_position_idx=(0,), constrained_director_idx=(0,)
        )
        system.add_forcing_to(rod).using(
            elastica.GravityForces, acc_gravity=np.array([0.0, 0.0, -9.81])
        )
        system.add_forcing_to(rod).using(muscles)
        system.dampen(rod).using(
            elastica.AnalyticalLinearDamper,
            damping_constant=2.0,
            time_step=self.options.step_s,
        )
        system.finalize()
        return system

    def set_torque(self, share: FloatArray) -> None:
        """``(2,)`` shares, -1 to 1, of the largest torque about the two cross axes."""
        self._torque[:2, 0] = self.options.torque_nm * share / self.options.elements

    def advance(self, duration_s: float) -> None:
        """Let time pass, rounded to whole steps."""
        for _ in range(round(duration_s / self.options.step_s)):
            self.time_s = self._stepper.step(self._system, self.time_s, self.options.step_s)

    @property
    def tip_m(self) -> FloatArray:
        """``(3,)`` where its tip is."""
        tip: FloatArray = np.array(self._rod.position_collection[:, -1])
        return tip
