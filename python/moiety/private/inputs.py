"""The inputs of a program: checked against its shapes and its certificate, and joined where there are several.

Several inputs go around as one array (batch, elements): the elements of the first of a sample, then of the second, ...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .program import Program

__all__ = ["check_input", "check_magnitudes", "split"]


def check_input(program: Program, x: Any, max_batch: int | None = None) -> NDArray[np.float32]:
    """`x` as a contiguous float32 batch, or ValueError: wrong type, dtype, shape, batch, non-finite or out of range.

    For a program with several inputs a tuple or list of as many arrays (or what this returned for one): joined.
    """
    shapes = program.input_shapes
    if len(shapes) > 1 and isinstance(x, (tuple, list)):
        if len(x) != len(shapes):
            raise ValueError(f"expected {len(shapes)} inputs of shapes {list(shapes)}, got {len(x)}")
        arrays = [as_batch(value, shape, f"input {i}") for i, (value, shape) in enumerate(zip(x, shapes, strict=True))]
        if len({len(array) for array in arrays}) > 1:
            raise ValueError(f"inputs have batches of {[len(array) for array in arrays]}: expected one size for all")
        batch = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
    else:
        batch = as_batch(x, program.input_shape, "input")
    if max_batch is not None and batch.shape[0] > max_batch:
        raise ValueError(
            f"input has a batch of {batch.shape[0]}: expected at most {max_batch}, what the plan was made for"
        )
    finite = np.isfinite(batch)
    if not finite.all():
        raise ValueError(f"input has {batch.size - int(finite.sum())} values that are not finite: expected finite ones")
    check_magnitudes(program, batch)
    return np.ascontiguousarray(batch)


def as_batch(x: Any, shape: Sequence[int], name: str) -> NDArray[np.float32]:
    if not isinstance(x, np.ndarray):
        if not hasattr(x, "__array__"):
            raise ValueError(f"{name} is a {type(x).__name__}: expected an array")
        x = np.asarray(x)
    array: NDArray[np.float32] = x
    if array.dtype != np.float32:
        raise ValueError(f"{name} has dtype {array.dtype}: expected float32")
    if array.ndim != len(shape) + 1 or array.shape[1:] != tuple(shape) or array.shape[0] < 1:
        raise ValueError(f"{name} has shape {array.shape}: expected (batch, {', '.join(map(str, shape))})")
    return array


def check_magnitudes(program: Program, batch: NDArray[Any]) -> None:
    """Refuses what exceeds the certificate."""
    values = split(program, batch)
    for i, (value, bound) in enumerate(zip(values, program.input_bounds, strict=True)):
        largest = float(np.abs(value).max())
        if largest > bound:
            name = "input" if len(values) == 1 else f"input {i}"
            raise ValueError(
                f"{name} reaches {largest:.6g}: expected magnitudes up to {bound:.6g}, what the range certificate "
                "covers; normalise it as at calibration, or compile with a larger input_bound"
            )


def split(program: Program, batch: NDArray[Any]) -> list[NDArray[Any]]:
    """Each input (batch, *its shape) of what `check_input` returned."""
    shapes = program.input_shapes
    if len(shapes) == 1:
        return [batch]
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    parts = np.split(batch, ends, axis=1)
    return [part.reshape(len(batch), *shape) for part, shape in zip(parts, shapes, strict=True)]
