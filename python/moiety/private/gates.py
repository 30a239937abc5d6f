"""Sigmoid and tanh as two parties compute them: piecewise linear, or an odd polynomial on the certified range.

Both are tanh: sigmoid(x) = 1/2 + tanh(x/2)/2. Every design states its largest error over the whole certified range,
found by running its integer arithmetic on every input that the parties can hold; rounding of the input included.

Piecewise: offset + sum_i slopes_i relu(x - thresholds_i) on x of few bits. tanh is odd, and concave for x > 0, so for
given slopes a_0 > a_1 > ... > a_h = 0 the best lines a_j x + b_j touch tanh from above, less the error e (the first one
goes through 0, the last is 1 - e), and the thresholds are where they meet. The result must leave its scale's bits free,
so slopes have few bits: they are whole multiples of 2^-p, and going up from 0 each is taken as steep as an error of e
where it meets the one before allows, which gives the fewest pieces for e. Then e is lowered for that number.

Polynomial: of degree 3 or 5 in w = x / 2^j with |w| <= 1, through tanh at the Chebyshev nodes of [-W, W]. W is the
bound rounded up to an eighth of its power of two, since the client sees the coefficients.

Costs for n elements in a ring of l bits, W(n) = 8 ceil(n/64) bytes (docs/engine.md, 3.10):

    piecewise, m pieces of k bits    the comparison of m n elements of k bits, then extend: 1 round, W(n) from each
    degree 3                         4 rounds; n l/8 + 2 n l/8 + 2 W(n) from each
    degree 5                         6 rounds; 2 n l/8 + 2 n l/8 + 3 W(n) from each
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from moiety.private.ranges import bits_for

__all__ = ["FUNCTIONS", "LEAST_ERROR", "LEAST_FRACTION", "Function", "Piecewise", "Polynomial", "designs"]

Integers = npt.NDArray[Any]

# Compared widths that are tried: up to 17 bits take two levels of a circuit, up to 16 two bytes of an operand.
WIDTHS = (10, 11, 12, 13, 14, 15, 16, 17, 20, 24)
SLOPE_BITS = range(2, 9)
LEAST_FRACTION = 4  # of a compared input
DEGREES = (3, 5)
POLYNOMIAL_BITS = 14  # of w, of w^2 and of coefficients, where the ring has room
LEAST_SHIFT = -2  # below it a coefficient of x^5 would have no fraction bits
LEAST_ERROR = 2.0**-10


@dataclass(frozen=True)
class Function:
    """centre + gain * tanh(x / stretch)."""

    name: str
    centre: float
    gain: float
    stretch: float

    @property
    def steepest(self) -> float:
        return self.gain / self.stretch

    @property
    def signed(self) -> bool:
        return self.centre < self.gain

    def __call__(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(self.centre + self.gain * np.tanh(x / self.stretch))


FUNCTIONS = {"sigmoid": Function("sigmoid", 0.5, 0.5, 2.0), "tanh": Function("tanh", 0.0, 1.0, 1.0)}


@dataclass(frozen=True)
class Piecewise:
    """offset + sum slopes relu(x - thresholds) of x at scale 2^fraction in `bits` bits: a result at scale 2^(fraction +
    slope_fraction) in as many bits, between `low` and `high`. `error` is its largest distance from the function."""

    function: str
    bits: int
    fraction: int
    slope_fraction: int
    thresholds: tuple[int, ...]
    slopes: tuple[int, ...]
    offset: int
    low: float
    high: float
    error: float

    @property
    def scale(self) -> int:
        return self.fraction + self.slope_fraction

    def apply(self, x: Integers) -> Integers:
        """On integers at the input's scale."""
        y = np.full_like(x, self.offset)
        for threshold, slope in zip(self.thresholds, self.slopes, strict=True):
            y += slope * np.maximum(x - threshold, 0)
        return y


@dataclass(frozen=True)
class Polynomial:
    """centre + w (c1 + c3 w^2 + c5 w^4) of w = x / 2^shift, held at scale 2^bits; `coefficients` are integers at that
    scale too. w^2 is truncated to it for degree 5 only. The result's scale is 2^(4 bits), its `error` as above."""

    function: str
    shift: int
    bits: int
    coefficients: tuple[int, ...]
    low: float
    high: float
    error: float

    @property
    def degree(self) -> int:
        return 2 * len(self.coefficients) - 1

    @property
    def fraction(self) -> int:
        """Scale of x."""
        return self.bits - self.shift

    def apply(self, x: Integers, up: int = 0) -> Integers:
        """On integers at the input's scale; `up`: by how many units the truncation of w^2 is above its floor."""
        c, b = self.coefficients, self.bits
        u = x * x
        if len(c) == 2:
            return (c[1] * u + (c[0] << 2 * b)) * x + round(FUNCTIONS[self.function].centre * 2.0 ** (4 * b))
        u = (u >> b) + up
        inner: Integers = c[2] * u * u + (c[1] << b) * u + (c[0] << 2 * b)
        return inner * x + round(FUNCTIONS[self.function].centre * 2.0 ** (4 * b))


# ---- piecewise ------------------------------------------------------------------------------------------------------


def touching(slope: float) -> float:
    """Where tanh has this slope, in (0, 1)."""
    return math.atanh(math.sqrt(1 - slope))


def chain(error: float, slope_bits: int) -> list[tuple[float, float]] | None:
    """(slope, intercept) of the lines for x >= 0, steepest first, with the fewest pieces that keep `error`; slopes are
    multiples of 2^-slope_bits. None where there are too few slopes for that."""
    steps = 1 << slope_bits

    def intercept(slope: float) -> float:
        """Of the line of this slope that touches tanh, or through 0 where it is as steep."""
        return math.tanh(touching(slope)) - slope * touching(slope) if slope < 1 else 0.0

    # The line through 0: the flattest that stays within the error.
    first = least(lambda number: intercept(number / steps) <= error, 1, steps)
    lines, number = [(0.0, 1 - error)], 0

    def meets(slope: float, intercept: float) -> bool:
        """Is this line, where it meets the last one, close enough to tanh?"""
        x = (lines[-1][1] - intercept) / (slope - lines[-1][0])
        return x > 0 and slope * x + intercept - math.tanh(x) <= error

    while not (first > number and meets(first / steps, 0.0)):
        # The steeper a line, the farther from tanh it meets the last one.
        too_steep = least(lambda n: not meets(n / steps, intercept(n / steps) - error), number + 1, first)
        if too_steep == number + 1:
            return None
        number = too_steep - 1
        lines.append((number / steps, intercept(number / steps) - error))
    return [(first / steps, 0.0), *lines[::-1]]


def least(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The least number of low <= n < high that it holds for, and for all above; `high` if for none."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


@lru_cache(maxsize=256)
def best_chain(error: float, slope_bits: int) -> tuple[tuple[float, float], ...] | None:
    """The chain for `error`, with the least error that its number of pieces allows."""
    found = chain(error, slope_bits)
    if found is None:
        return None
    good, bad = error, error / 4
    for _ in range(8):
        middle = math.sqrt(good * bad)
        lines = chain(middle, slope_bits)
        if lines is not None and len(lines) <= len(found):
            good, found = middle, lines
        else:
            bad = middle
    return tuple(found)


def assemble(
    function: Function, lines: tuple[tuple[float, float], ...], fraction: int, slope_fraction: int
) -> Piecewise:
    """The integer design of a chain; its `bits` and error are still to be found."""
    rise = [round(a * function.steepest * 2.0**slope_fraction) for a, _ in lines]
    knots = [
        round((later[1] - line[1]) / (line[0] - later[0]) * function.stretch * 2.0**fraction)
        for line, later in pairwise(lines)
    ]
    height = sum(a * (t - s) for a, s, t in zip(rise, [0, *knots], knots, strict=False))
    bends = [later - slope for slope, later in pairwise(rise)]
    scale = fraction + slope_fraction
    centre = round(function.centre * 2.0**scale)
    return Piecewise(
        function.name,
        0,
        fraction,
        slope_fraction,
        tuple([-t for t in reversed(knots)] + knots),
        tuple([-b for b in reversed(bends)] + bends),
        centre - height,
        (centre - height) * 2.0**-scale,
        (centre + height) * 2.0**-scale,
        math.inf,
    )


@lru_cache(maxsize=1024)
def measured(
    function: Function, lines: tuple[tuple[float, float], ...], fraction: int, slope_fraction: int
) -> Piecewise:
    """The design with its error: on every integer up to the last threshold, and in the tail. Half the line will do."""
    made = assemble(function, lines, fraction, slope_fraction)
    x = np.arange(made.thresholds[-1] + 1, dtype=np.int64)
    distance = np.abs(made.apply(x) * 2.0**-made.scale - function(x * 2.0**-fraction)).max()
    tail = abs(function.centre + function.gain - made.high)
    # The parties hold the input to one unit.
    error = max(float(distance), tail) + function.steepest * 2.0**-fraction
    return Piecewise(**{**made.__dict__, "error": error})


def piecewise(function: Function, bound: float, error: float, fraction_bits: int) -> Iterator[Piecewise]:
    """For every compared width the design with the fewest pieces that keeps `error` on |x| <= bound, where one does."""
    for width in WIDTHS:
        best: Piecewise | None = None
        for slope_bits in SLOPE_BITS:
            found = fitting(function, bound, error, fraction_bits, width, slope_bits)
            if found is not None and (best is None or len(found.slopes) < len(best.slopes)):
                best = found
        if best is not None:
            yield best


def fitting(
    function: Function, bound: float, error: float, fraction_bits: int, width: int, slope_bits: int
) -> Piecewise | None:
    # The result has fraction + slope_bits bits behind the point, and room for its sign where it is extended.
    fraction = min(fraction_bits, width - 1 - slope_bits - function.signed)
    relative = slope_bits + round(math.log2(function.steepest))  # of tanh's own slopes
    while fraction >= LEAST_FRACTION and relative >= 1:
        left = error - function.steepest * 2.0**-fraction
        # Rounded thresholds cost a little, too.
        for share in (0.98, 0.9, 0.75):
            lines = best_chain(round(share * left / function.gain, 9), relative) if left > 0 else None
            if lines is None:
                continue
            made = measured(function, lines, fraction, slope_bits)
            reach = (made.thresholds[-1] + 1) * 2.0**-fraction
            if bits_for(bound + reach, fraction) > width:
                break
            if made.error <= error:
                return Piecewise(**{**made.__dict__, "bits": width})
        fraction -= 1
    return None


# ---- polynomial -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def polynomial(function: Function, bound: float, degree: int, fraction_bits: int, ring: int) -> Polynomial | None:
    """The polynomial for |x| <= bound with its error, None where the ring has no room."""
    shift = max(LEAST_SHIFT, math.ceil(math.log2(bound)) if bound > 0 else LEAST_SHIFT)
    bits = min(POLYNOMIAL_BITS, (ring - 6) // 4, fraction_bits + shift)
    width = math.ceil((bound + 2.0 ** (shift - bits)) * 2.0 ** (3 - shift)) / 8  # W
    if bits < LEAST_FRACTION or bits - shift < 0:
        return None
    count = (degree + 1) // 2
    nodes = width * np.cos((2 * np.arange(1, count + 1) - 1) * np.pi / (2 * (degree + 1)))
    powers = nodes[:, None] ** (2 * np.arange(count) + 1)
    exact = np.linalg.solve(powers, function(nodes * 2.0**shift) - function.centre)
    coefficients = tuple(round(c * 2.0**bits) for c in exact)
    made = Polynomial(function.name, shift, bits, coefficients, -math.inf, math.inf, math.inf)
    x = np.arange(math.floor(width * 2.0**bits) + 1, dtype=np.int64)
    values = [made.apply(x, up) * 2.0 ** -(4 * bits) for up in range(count - 1)]
    distance = max(float(np.abs(y - function(x * 2.0**-made.fraction)).max()) for y in values)
    # One unit of the input and one of the result.
    error = distance + function.steepest * 2.0**-made.fraction + 2.0**-fraction_bits
    reach = max(float(np.abs(y - function.centre).max()) for y in values) + 2.0**-bits
    limits = {"low": function.centre - reach, "high": function.centre + reach, "error": error}
    return Polynomial(**{**made.__dict__, **limits})


# ---- both -----------------------------------------------------------------------------------------------------------


def designs(name: str, bound: float, error: float, fraction_bits: int, ring: int) -> list[Piecewise | Polynomial]:
    """All designs of the function whose error is at most `error` on |x| <= bound; x has `fraction_bits` at most."""
    function = FUNCTIONS[name]
    found: list[Piecewise | Polynomial] = list(piecewise(function, bound, error, fraction_bits))
    for degree in DEGREES:
        made = polynomial(function, bound, degree, fraction_bits, ring)
        if made is not None and made.error <= error:
            found.append(made)
    return found
