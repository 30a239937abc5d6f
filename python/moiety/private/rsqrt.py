"""1 / sqrt(d) of shared numbers, each in an interval of its own that is public: a polynomial, then Newton's steps.

For d in [lo, hi], t = (2 d - lo - hi) / (hi - lo) lies in [-1, 1]. A polynomial of degree 3, or of degree 7 by its two
halves (Paterson and Stockmeyer, 1973), through the Chebyshev points is within e of 1 / sqrt(d), relatively; a step
y <- y (3 - d y^2) / 2 leaves 3/2 e^2 + 1/2 e^3 of it. Coefficients differ from number to number and are public, so
they cost nothing; what is shared is multiplied level by level:

    degree 3    t^2, t^3                             4 rounds with truncations
    degree 7    t^2, then t^3 and t^4, then t^4 (..)     6 rounds
    a step      y^2, d y^2, y (..)                   6 rounds
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moiety.private.graph import Floats

__all__ = ["Start", "choose_start"]

GRID = 257  # points of each interval at which errors are looked up


@dataclass(frozen=True)
class Start:
    """coefficients (degree + 1, numbers) of t^0, t^1, ..; steps of Newton's that follow; error: what then is left of
    1 / sqrt(d), relatively, before rounding; first: the least and the largest value of the polynomial; halves: those
    of d y^2 / 2 before every step."""

    coefficients: Floats
    steps: int
    error: float
    first: tuple[float, float]
    halves: tuple[tuple[float, float], ...]


def after_step(error: float) -> float:
    return 1.5 * error**2 + 0.5 * error**3


def interpolate(lo: Floats, hi: Floats, degree: int) -> Floats:
    """Coefficients (degree + 1, numbers) in t of the polynomials through the Chebyshev points."""
    points = np.cos((np.arange(degree + 1) + 0.5) * np.pi / (degree + 1))
    values = 1 / np.sqrt((lo + hi) / 2 + np.outer(points, hi - lo) / 2)
    return np.asarray(np.linalg.solve(np.vander(points, increasing=True), values), np.float64)


def choose_start(lo: Floats, hi: Floats, error: float) -> Start:
    """The way of the fewest rounds to a relative error of at most `error` in every [lo, hi], 0 < lo <= hi."""
    (lo, hi), index = np.unique(np.stack([lo, hi]), axis=1, return_inverse=True)
    grid = np.linspace(-1, 1, GRID)
    d = (lo + hi) / 2 + np.outer(grid, hi - lo) / 2
    found: list[tuple[int, Start]] = []
    for degree, rounds in ((3, 4), (7, 6)):
        coefficients = interpolate(lo, hi, degree)
        y = np.polynomial.polynomial.polyval(grid, coefficients).T
        first = float(y.min()), float(y.max())
        left, steps, halves = float(np.abs(y * np.sqrt(d) - 1).max()), 0, []
        while left > error and left < 0.7:
            half = d * y * y / 2
            halves.append((float(half.min()), float(half.max())))
            y = y * (1.5 - half)
            left, steps = after_step(left), steps + 1
        if left <= error:
            spread = coefficients[:, np.asarray(index).reshape(-1)]
            found.append((rounds + 6 * steps, Start(spread, steps, left, first, tuple(halves))))
    if not found:
        raise ValueError(
            "expected intervals whose ends are at most some hundred times apart, found some "
            f"{float((hi / lo).max()):.3g} times apart"
        )
    return min(found, key=lambda option: option[0])[1]
