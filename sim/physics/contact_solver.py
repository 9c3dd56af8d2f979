"""Contact with Coulomb friction: the impulses of one step.

Moreau's time stepping (1988; Jean 1999): contacts are found at mid-step, and impulses decide the
speeds at its end. With u the relative velocity of the two bodies at the end of the step, normal n
and tangential t, and impulses l = dt times force:

    0 <= l_n   complementary to   u_n + give l_n + bias >= 0
    |l_t| <= mu l_n, and l_t = -mu l_n u_t / |u_t| where u_t is not zero

Pressed together, bodies are an implicit spring and damper, taken at the end of the step:
``force = -k gap_end - c u_n`` with ``gap_end = gap_mid + dt u_n / 2``, which is the first line with

    give = 1 / (dt (k dt / 2 + c)),    bias = k gap_mid / (k dt / 2 + c)

(the form of Catto 2005 and of MuJoCo's and ODE's softness). With k dt^2 far above the mass that is
the rigid law: no gap is closed beyond its end. A spring taken at the end of a step returns at most
what it stored, so it needs no clamp on speed or depth. Bodies that come in faster than gravity
makes them in two steps, and touch in this step, bounce: ``u_n >= restitution * closing speed``
(Newton's law), one step early where they would otherwise be pressed in.

The impulses are found contact by contact (nonlinear block Gauss-Seidel; Jourdan, Alart, Jean 1998),
from those of the last step. They act through ``H^-1 = L^-1 L^-T`` of the implicit inertia, so soft
parts and servos give way as they do in the step itself.
"""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.contact_model import Contact
from sim.physics.linear_algebra import dot, get_vector, solve_below
from sim.physics.numba_options import compiled

# The sweeps end once none changes a contact's velocity by more (m/s): over ten seconds that is a
# micrometre.
SETTLED_M_S = 1e-7
# A bound on the sweeps of one solve; what is missing then is made up from the next step's start.
SWEEPS = 200
# Steps of gravity that are rest, not an impact.
RESTING_STEPS = 2.0


@compiled
def solve_contacts(
    contact: Contact, factor: FloatArray, v: FloatArray, a: FloatArray, g: float, dt: float
) -> None:
    """Add to the acceleration ``a`` what the contacts found do; ``factor`` is L of ``H``.

    ``v`` is the first speed of the step, ``g`` the size of gravity's acceleration.
    """
    pull = np.zeros(v.size)
    for c in range(contact.found[0]):
        _prepare(contact, c, factor, v, a, dt)
        _set_law(contact, c, g, dt)
        for k in range(3):
            start = dot(
                get_vector(contact.frame[c], k), get_vector(contact.force_n, contact.slot[c])
            )
            contact.impulse[c, k] = 0.0
            _change(contact, c, k, dt * start, pull)
    for _ in range(SWEEPS):
        largest = 0.0
        for c in range(contact.found[0]):
            largest = max(largest, _solve_one(contact, c, pull))
        if largest < SETTLED_M_S:
            break
    _keep_forces(contact, dt)
    solve_below(contact.above, factor, pull)
    for i in range(a.size):
        a[i] += pull[i] / dt


@compiled
def _prepare(
    contact: Contact, c: int, factor: FloatArray, v: FloatArray, a: FloatArray, dt: float
) -> None:
    """Compute velocity without impulses, L^-T J and the block of one contact."""
    count = contact.length[c]
    for k in range(3):
        free = 0.0
        for m in range(count):
            i = contact.path[c, m]
            contact.reduced[c, k, i] = contact.jacobian[c, k, i]
            free += contact.jacobian[c, k, i] * (v[i] + dt * a[i])
        contact.free[c, k] = free
        for m in range(count):
            i = contact.path[c, m]
            contact.reduced[c, k, i] /= factor[i, i]
            x, j = contact.reduced[c, k, i], contact.above[i]
            while j >= 0:
                contact.reduced[c, k, j] -= factor[i, j] * x
                j = contact.above[j]
    for r in range(3):
        for k in range(3):
            total = 0.0
            for m in range(count):
                i = contact.path[c, m]
                total += contact.reduced[c, r, i] * contact.reduced[c, k, i]
            contact.block[c, r, k] = total


@compiled
def _set_law(contact: Contact, c: int, g: float, dt: float) -> None:
    """Set give and bias of one contact: a bounce, or an implicit spring and damper."""
    stiffness, damping, restitution = contact.law[0], contact.law[1], contact.law[3]
    gap, closing = contact.gap_m[c], contact.closing[c]
    begin = gap - 0.5 * dt * closing
    # In time for the bounce itself, which takes half a step at each speed, not to press in.
    near = begin < -0.5 * (3.0 - restitution) * dt * closing
    if restitution > 0.0 and closing < -RESTING_STEPS * g * dt and near:
        contact.give[c], contact.bias[c] = 0.0, restitution * closing
        return
    # Damping acts on bodies that touch.
    weight = 0.5 * dt * stiffness + (damping if gap <= 0.0 else 0.0)
    contact.give[c], contact.bias[c] = 1.0 / (dt * weight), stiffness * gap / weight


@compiled
def _change(contact: Contact, c: int, k: int, by: float, pull: FloatArray) -> None:
    """Change one component of an impulse."""
    contact.impulse[c, k] += by
    for m in range(contact.length[c]):
        i = contact.path[c, m]
        pull[i] += contact.reduced[c, k, i] * by


@compiled
def _velocity(contact: Contact, c: int, k: int, pull: FloatArray) -> float:
    """Return component ``k`` of the contact's velocity at the end of the step."""
    total = float(contact.free[c, k])
    for m in range(contact.length[c]):
        i = contact.path[c, m]
        total += contact.reduced[c, k, i] * pull[i]
    return float(total)


@compiled
def _solve_one(contact: Contact, c: int, pull: FloatArray) -> float:
    """Solve one contact with all others as they are.

    Returns:
        The largest change of its velocity in m/s.
    """
    block, impulse = contact.block[c], contact.impulse[c]
    stiff = float(block[0, 0] + contact.give[c])
    if stiff <= 0.0:
        return 0.0
    rest = _velocity(contact, c, 0, pull) + contact.give[c] * impulse[0] + contact.bias[c]
    by = max(float(impulse[0]) - rest / stiff, 0.0) - float(impulse[0])
    if by != 0.0:
        _change(contact, c, 0, by, pull)
    largest = float(abs(by) * stiff)
    bound, size = contact.law[2] * impulse[0], float(block[1, 1] + block[2, 2])
    if (bound == 0.0 and impulse[1] == 0.0 and impulse[2] == 0.0) or size <= 0.0:
        return largest
    x, y = _velocity(contact, c, 1, pull), _velocity(contact, c, 2, pull)
    x, y = _friction(block, impulse, x, y, bound, size)
    for k, value in ((1, x), (2, y)):
        by = value - impulse[k]
        if by != 0.0:
            _change(contact, c, k, by, pull)
            largest = max(largest, float(abs(by) * size))
    return largest


@compiled
def _friction(
    block: FloatArray, impulse: FloatArray, x: float, y: float, bound: float, size: float
) -> tuple[float, float]:
    """Return the tangential impulse: what stops the slip ``x, y``, or a step towards sliding.

    A point that is unmoved by a projected step along the slip fulfils Coulomb's law exactly.
    """
    determinant = block[1, 1] * block[2, 2] - block[1, 2] * block[2, 1]
    if determinant > 1e-9 * size * size:
        first = impulse[1] - (block[2, 2] * x - block[1, 2] * y) / determinant
        second = impulse[2] - (block[1, 1] * y - block[2, 1] * x) / determinant
        if first * first + second * second <= bound * bound:
            return first, second
    first, second = impulse[1] - x / size, impulse[2] - y / size
    length = np.sqrt(first * first + second * second)
    if length > bound:
        first, second = first * bound / length, second * bound / length
    return first, second


@compiled
def _keep_forces(contact: Contact, dt: float) -> None:
    """Keep the forces in the world's axes; pairs that do not touch have none."""
    contact.force_n[:, :] = 0.0
    for c in range(contact.found[0]):
        for r in range(3):
            total = 0.0
            for k in range(3):
                total += contact.frame[c, k, r] * contact.impulse[c, k]
            contact.force_n[contact.slot[c], r] = total / dt


@compiled
def contact_work(contact: Contact, v_mid: FloatArray) -> float:
    """Return the work in J of all contacts in a step with the mean speed ``v_mid``."""
    total = 0.0
    for c in range(contact.found[0]):
        for k in range(3):
            if contact.impulse[c, k] == 0.0:
                continue
            along = 0.0
            for m in range(contact.length[c]):
                i = contact.path[c, m]
                along += contact.jacobian[c, k, i] * v_mid[i]
            total += contact.impulse[c, k] * along
    return float(total)


@compiled
def unsettled_energy(contact: Contact) -> float:
    """Return the energy in J that the pressing forces do over the motion left by the sweeps."""
    total = 0.0
    for c in range(contact.found[0]):
        total += contact.impulse[c, 0]
    return float(SETTLED_M_S * total)
