"""Distances of barcodes, through GUDHI (`pip install gudhi`, and `pot` for Wasserstein distances)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moiety.topology.barcode import Barcode

__all__ = ["bottleneck", "wasserstein"]

Reals = NDArray[np.float64]


def _points(barcode: Barcode | Reals, dimension: int, name: str) -> Reals:
    """Bars off the diagonal: those on it are at distance 0 from it."""
    if isinstance(barcode, Barcode):
        return barcode.intervals(dimension, diagonal=False)
    bars: Reals = np.asarray(barcode, np.float64)
    if bars.size and (bars.ndim != 2 or bars.shape[1] != 2 or np.isnan(bars).any()):
        raise ValueError(f"{name}: expected a Barcode or births and deaths (n, 2), got shape {bars.shape}")
    bars = bars.reshape(-1, 2)
    kept: Reals = bars[bars[:, 0] != bars[:, 1]]
    return kept


def _gudhi(module: str, need: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"distances of barcodes need GUDHI: pip install {need} ({error})") from error


def bottleneck(a: Barcode | Reals, b: Barcode | Reals, dimension: int = 1, error: float = 0.0) -> float:
    """The bottleneck distance of two barcodes' bars of one dimension (ends as points, whatever their kinds).

    error: how far off the answer may be; 0 is exact. Infinite where the numbers of unending bars differ.
    """
    gudhi = _gudhi("gudhi", "gudhi")
    first, second = _points(a, dimension, "a"), _points(b, dimension, "b")
    return float(gudhi.bottleneck_distance(first, second, error))


def wasserstein(
    a: Barcode | Reals, b: Barcode | Reals, dimension: int = 1, order: float = 1.0, ground: float = math.inf
) -> float:
    """The `order`-Wasserstein distance of two barcodes' bars of one dimension; points are `ground`-norm apart.

    Bars must end: cut unending ones to the part of the sequence that is compared (`Barcode.restrict`).
    """
    distance = _gudhi("gudhi.wasserstein", "gudhi pot").wasserstein_distance
    first, second = _points(a, dimension, "a"), _points(b, dimension, "b")
    for name, bars in (("a", first), ("b", second)):
        if not np.isfinite(bars).all():
            raise ValueError(f"{name}: expected bars that end, got unending ones; cut them with Barcode.restrict")
    if len(first) == 0 and len(second) == 0:
        return 0.0
    return float(distance(first, second, order=order, internal_p=ground))
