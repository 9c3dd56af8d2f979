"""Small dense linear algebra for compiled code.

Plain loops: the compiler takes twice as long for NumPy's array expressions and slices.
"""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.model import IntArray, Vec
from sim.physics.numba_options import compiled, inlined


@compiled
def clear(m: FloatArray) -> None:
    """Set a matrix to zero."""
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            m[i, j] = 0.0


@compiled
def copy_into(out: FloatArray, m: FloatArray) -> None:
    """Copy matrix ``m`` to ``out``."""
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            out[i, j] = m[i, j]


@compiled
def assign(out: FloatArray, x: FloatArray) -> None:
    """Copy vector ``x`` to ``out``."""
    for i in range(out.size):
        out[i] = x[i]


@compiled
def add_scaled(out: FloatArray, x: FloatArray, s: float, y: FloatArray) -> None:
    """Compute ``out = x + s y``; the arrays may be the same."""
    for i in range(out.size):
        out[i] = x[i] + s * y[i]


@compiled
def inner_product(x: FloatArray, y: FloatArray) -> float:
    """Return ``x . y``."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@compiled
def bilinear_form(x: FloatArray, m: FloatArray, y: FloatArray) -> float:
    """Return ``x . M y``."""
    total = 0.0
    for i in range(x.size):
        for j in range(y.size):
            total += x[i] * m[i, j] * y[j]
    return total


@inlined
def get_vector(a: FloatArray, i: int) -> Vec:
    """Return row ``i`` of ``(N, 3)``."""
    return (a[i, 0], a[i, 1], a[i, 2])


@inlined
def set_vector(a: FloatArray, i: int, x: Vec) -> None:
    """Write row ``i`` of ``(N, 3)``."""
    a[i, 0] = x[0]
    a[i, 1] = x[1]
    a[i, 2] = x[2]


@inlined
def add(a: Vec, b: Vec) -> Vec:
    """Return ``a + b``."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


@inlined
def subtract(a: Vec, b: Vec) -> Vec:
    """Return ``a - b``."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


@inlined
def scale(s: float, a: Vec) -> Vec:
    """Return ``s a``."""
    return (s * a[0], s * a[1], s * a[2])


@inlined
def dot(a: Vec, b: Vec) -> float:
    """Return ``a . b``."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
def cross(a: Vec, b: Vec) -> Vec:
    """Return ``a x b``."""
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@inlined
def transform(m: FloatArray, i: int, x: Vec) -> Vec:
    """Return the 3x3 matrix ``m[i]`` times ``x``."""
    return (
        m[i, 0, 0] * x[0] + m[i, 0, 1] * x[1] + m[i, 0, 2] * x[2],
        m[i, 1, 0] * x[0] + m[i, 1, 1] * x[1] + m[i, 1, 2] * x[2],
        m[i, 2, 0] * x[0] + m[i, 2, 1] * x[1] + m[i, 2, 2] * x[2],
    )


@compiled
def rotate_axis_angle(
    out: FloatArray, i: int, base: FloatArray, p: int, axis: Vec, angle: float
) -> None:
    """Compute ``out[i] = base[p] @ R(axis, angle)`` (Rodrigues); identity base for ``p < 0``."""
    s, c = np.sin(angle), np.cos(angle)
    x, y, z = axis
    k = 1.0 - c
    columns = (
        (c + k * x * x, k * x * y + s * z, k * x * z - s * y),
        (k * x * y - s * z, c + k * y * y, k * y * z + s * x),
        (k * x * z + s * y, k * y * z - s * x, c + k * z * z),
    )
    for j in range(3):
        col = columns[j] if p < 0 else transform(base, p, columns[j])
        out[i, 0, j] = col[0]
        out[i, 1, j] = col[1]
        out[i, 2, j] = col[2]


@compiled
def solve_cholesky(a: FloatArray, x: FloatArray) -> None:
    """Solve ``a x = x`` in place for a symmetric positive definite ``a`` (Cholesky)."""
    n = x.size
    for j in range(n):
        for k in range(j):
            for i in range(j, n):
                a[i, j] -= a[i, k] * a[j, k]
        pivot = np.sqrt(a[j, j])
        for i in range(j, n):
            a[i, j] /= pivot
    for i in range(n):
        for k in range(i):
            x[i] -= a[i, k] * x[k]
        x[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= a[k, i] * x[k]
        x[i] /= a[i, i]


# -- matrices of a tree ---------------------------------------------------------------------------
#
# H[i, j] of a tree is zero unless one of i, j lies above the other, and so is L in H = L^T L, if it
# is made from the leaves to the root (Featherstone, Rigid Body Dynamics Algorithms, 2008, sections
# 6.4 and 6.5). ``above[i] < i`` is the coordinate next above i, -1 at a root.


@compiled
def factor_tree(above: IntArray, a: FloatArray) -> None:
    """Factor ``a = L^T L`` in place, for a symmetric positive definite ``a`` of a tree."""
    for k in range(above.size - 1, -1, -1):
        a[k, k] = np.sqrt(a[k, k])
        i = above[k]
        while i >= 0:
            a[k, i] /= a[k, k]
            i = above[i]
        i = above[k]
        while i >= 0:
            j = i
            while j >= 0:
                a[i, j] -= a[k, i] * a[k, j]
                j = above[j]
            i = above[i]


@compiled
def solve_above(above: IntArray, factor: FloatArray, x: FloatArray) -> None:
    """Compute ``x = L^-T x`` in place."""
    for i in range(x.size - 1, -1, -1):
        x[i] /= factor[i, i]
        j = above[i]
        while j >= 0:
            x[j] -= factor[i, j] * x[i]
            j = above[j]


@compiled
def solve_below(above: IntArray, factor: FloatArray, x: FloatArray) -> None:
    """Compute ``x = L^-1 x`` in place."""
    for i in range(x.size):
        j = above[i]
        while j >= 0:
            x[i] -= factor[i, j] * x[j]
            j = above[j]
        x[i] /= factor[i, i]
