"""Seconds as a sum of terms that cannot be negative: least relative misses, outliers discounted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit", "misses"]

Vector = NDArray[np.float64]


def fit(features: Sequence[Sequence[float]], seconds: Sequence[float], rounds: int = 12) -> Vector:
    """The x >= 0 with the least sum of relative misses |features @ x - seconds| / seconds.

    Sums of absolute values by least squares with weights that are set anew `rounds` times; least squares under x >= 0
    by looking at every subset of the (few) columns, which is exact: the optimum is the plain solution of the columns
    in which it is positive.
    """
    a = np.asarray(features, np.float64) / np.asarray(seconds, np.float64)[:, None]
    scale = np.where(np.abs(a).max(axis=0) > 0, np.abs(a).max(axis=0), 1.0)
    a = a / scale
    weights = np.ones(len(a))
    x = np.zeros(a.shape[1])
    for _ in range(rounds):
        x = _least_squares(a * weights[:, None], weights)
        weights = 1.0 / np.sqrt(np.maximum(np.abs(a @ x - 1.0), 0.01))
    result: Vector = x / scale
    return result


def _least_squares(a: Vector, b: Vector) -> Vector:
    best, least = np.zeros(a.shape[1]), float(b @ b)
    for count in range(1, a.shape[1] + 1):
        for columns in combinations(range(a.shape[1]), count):
            part, *_ = np.linalg.lstsq(a[:, columns], b, rcond=None)
            if (part < 0).any():
                continue
            left = a[:, columns] @ part - b
            if float(left @ left) < least * (1 - 1e-12):
                least = float(left @ left)
                best = np.zeros(a.shape[1])
                best[list(columns)] = part
    return best


def misses(features: Sequence[Sequence[float]], seconds: Sequence[float], x: Vector) -> Vector:
    """Relative misses, one a sample."""
    predicted = np.asarray(features, np.float64) @ x
    result: Vector = np.abs(predicted / np.asarray(seconds, np.float64) - 1.0)
    return result
