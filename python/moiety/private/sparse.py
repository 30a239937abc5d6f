"""The public sparse matrices of graph models: what the compiler computes with them, and how they lie in a program.

A matrix S (rows, columns) in compressed rows, entries real numbers that are public: the adjacency of a graph,
normalised or not, the choice of every edge's end (one entry a row), the sum over the edges of every node. It acts on
the last axis of a tensor, x (..., columns) -> (..., rows), y_i = sum_j S_ij x_j: the nodes come last, so that features
are channels as everywhere in the compiler.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moiety.private.graph import Floats

if TYPE_CHECKING:
    import torch

__all__ = ["Sparse", "check_pattern", "identity"]

Integers = npt.NDArray[np.int64]


def check_pattern(indptr: npt.NDArray[Any], indices: npt.NDArray[Any], columns: int) -> None:
    """Raises ValueError unless `indptr` rises from 0 to the number of `indices`, which lie in [0, columns)."""
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError(f"expected {name} to be a vector of integers, found {array.dtype} of shape {array.shape}")
    if indptr.size < 2 or indptr[0] != 0 or indptr[-1] != indices.size:
        ends = f"{indptr[0]} to {indptr[-1]}" if indptr.size else "none"
        raise ValueError(f"expected at least two pointers, from 0 to {indices.size}, found {indptr.size}, {ends}")
    if np.any(indptr[1:] < indptr[:-1]):
        row = int(np.argmax(indptr[1:] < indptr[:-1]))
        raise ValueError(f"expected pointers that rise, found {indptr[row]} then {indptr[row + 1]} at row {row}")
    if indices.size and (indices.min() < 0 or indices.max() >= columns):
        raise ValueError(f"expected indices in [0, {columns}), found {indices.min()} to {indices.max()}")


@dataclass(frozen=True, eq=False)
class Sparse:
    """`values` None stands for ones. Duplicate entries add up; rows may be empty."""

    indptr: Integers
    indices: Integers
    values: Floats | None
    columns: int

    def __post_init__(self) -> None:
        check_pattern(self.indptr, self.indices, self.columns)
        if self.values is not None:
            if self.values.shape != self.indices.shape:
                raise ValueError(f"expected {self.indices.size} values, one an entry, found {self.values.shape}")
            if not np.isfinite(self.values).all():
                raise ValueError("expected finite values, found NaN or infinity")

    @property
    def rows(self) -> int:
        return self.indptr.size - 1

    @property
    def entries(self) -> int:
        return self.indices.size

    @cached_property
    def row(self) -> Integers:
        """The row of every entry."""
        return np.repeat(np.arange(self.rows), np.diff(self.indptr))

    @property
    def floats(self) -> Floats:
        return np.ones(self.entries) if self.values is None else self.values

    def fraction(self, most: int) -> int:
        """The fraction bits that the values need, at most so many: 0 for whole numbers."""
        values = self.floats
        exact = (n for n in range(most) if np.array_equal(np.rint(values * 2.0**n), values * 2.0**n))
        return next(exact, most)

    def quantised(self, fraction: int) -> Sparse:
        """With the values that a program holds."""
        if self.values is None:
            return self
        return replace(self, values=np.rint(self.values * 2.0**fraction) / 2.0**fraction)

    def sums(self) -> tuple[Floats, Floats]:
        """Of the positive and of the negative entries of every row."""
        parts = (np.maximum(self.floats, 0), np.minimum(self.floats, 0))
        positive, negative = (np.bincount(self.row, part, self.rows) for part in parts)
        return np.asarray(positive, np.float64), np.asarray(negative, np.float64)

    @cached_property
    def reach(self) -> float:
        """The largest sum of a row's magnitudes: a result is at most that times the largest input."""
        positive, negative = self.sums()
        return float((positive - negative).max())

    def scaled(self, factor: float) -> Sparse:
        return replace(self, values=self.floats * factor)

    def plus(self, other: Sparse) -> Sparse:
        """The sum, entries of one place apart."""
        row = np.concatenate([self.row, other.row])
        order = np.argsort(row, kind="stable")
        ones = self.values is None and other.values is None
        values = None if ones else np.concatenate([self.floats, other.floats])[order]
        indices = np.concatenate([self.indices, other.indices])[order]
        return Sparse(self.indptr + other.indptr, indices, values, self.columns)

    def after(self, other: Sparse) -> Sparse:
        """The product: this matrix applied to what the other gives. Entries of one place apart."""
        lengths = np.diff(other.indptr)[self.indices]
        begins = np.repeat(other.indptr[self.indices] - np.cumsum(lengths) + lengths, lengths)
        taken = begins + np.arange(lengths.sum())
        row = np.repeat(self.row, lengths)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=self.rows))]).astype(np.int64)
        values = np.repeat(self.floats, lengths) * other.floats[taken]
        return Sparse(indptr, other.indices[taken], values, other.columns)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., columns) -> (..., rows), in floating point."""
        import torch

        place = torch.from_numpy(np.stack([self.row, self.indices]))
        values = torch.from_numpy(np.array(self.floats)).to(x.dtype)
        matrix = torch.sparse_coo_tensor(place, values, (self.rows, self.columns), check_invariants=False)
        flat = x.reshape(-1, self.columns)
        product: torch.Tensor = torch.sparse.mm(matrix, flat.T)
        return product.T.reshape(*x.shape[:-1], self.rows)


def identity(size: int, factor: float = 1.0) -> Sparse:
    """A multiple of the identity."""
    return Sparse(np.arange(size + 1), np.arange(size), None if factor == 1.0 else np.full(size, factor), size)
