"""What kernels are counted in, and the patterns of graphs that the counts depend on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Count", "Index", "Integers", "Kernel", "Pattern", "lg", "reduction"]

POINTER = 8  # bytes of a row pointer
Integers = NDArray[np.int64]


def lg(x: int) -> int:
    """ceil(log2 x) for x >= 1: the depth of a balanced tree over x values. 0 for x = 0."""
    return max(0, int(x) - 1).bit_length()


@dataclass(frozen=True)
class Count:
    """Operations by kind, bytes, barriers and depth. Sums are of one kernel after another, with a barrier between."""

    edges: int = 0
    multiplies: int = 0
    adds: int = 0
    compares: int = 0
    specials: int = 0  # divisions, exp, log, sqrt, tanh, erf
    loaded: int = 0  # bytes without any reuse
    stored: int = 0
    barriers: int = 1
    depth: int = 0

    @property
    def work(self) -> int:
        """Arithmetic operations of any kind."""
        return self.multiplies + self.adds + self.compares + self.specials

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, eq=False)
class Pattern:
    """Compressed rows, and what the counts need of them. `index_bytes` is what a column index takes."""

    indptr: Integers
    indices: Integers
    num_cols: int
    index_bytes: int = 4

    @property
    def rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def edges(self) -> int:
        return len(self.indices)

    @cached_property
    def degrees(self) -> Integers:
        return np.diff(self.indptr)

    @cached_property
    def occupied(self) -> int:
        """Rows that have edges."""
        return int(np.count_nonzero(self.degrees))

    @cached_property
    def largest(self) -> int:
        return int(self.degrees.max(initial=0))

    @cached_property
    def uses(self) -> Integers:
        """How often each source that is used at all is used, most popular first."""
        counts = np.bincount(self.indices, minlength=1)
        return np.sort(counts[counts > 0])[::-1].astype(np.int64)

    @cached_property
    def transposed(self) -> tuple[Pattern, Integers]:
        """Rows by source, and the position here of every edge there."""
        position = np.argsort(self.indices, kind="stable")
        targets = np.repeat(np.arange(self.rows, dtype=np.int64), self.degrees)[position]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(self.indices, minlength=self.num_cols))]).astype(np.int64)
        return Pattern(indptr, targets, self.rows, self.index_bytes), position

    @property
    def pointer_bytes(self) -> int:
        return POINTER * (self.rows + 1)


@dataclass(frozen=True, eq=False)
class Index:
    """Node numbers of a gather or scatter, in any order."""

    values: Integers
    nodes: int
    index_bytes: int = 8

    @property
    def edges(self) -> int:
        return len(self.values)

    @cached_property
    def uses(self) -> Integers:
        counts = np.bincount(self.values, minlength=1)
        return np.sort(counts[counts > 0])[::-1].astype(np.int64)

    @property
    def touched(self) -> int:
        return len(self.uses)


@dataclass(frozen=True)
class Kernel(ABC):
    """A kernel with its sizes; `word` is the bytes of an element."""

    name: ClassVar[str] = ""

    @property
    @abstractmethod
    def count(self) -> Count:
        """What it does, exactly."""

    @property
    @abstractmethod
    def compulsory(self) -> int:
        """Bytes read and written when everything distinct moves once."""

    @property
    def gathered(self) -> tuple[int, NDArray[np.int64] | None]:
        """Bytes of one row that indices lead to, and how often every distinct row is fetched (None: no such rows)."""
        return 0, None


def reduction(reduce: str, terms: int, groups: int, width: int) -> dict[str, int]:
    """Operations that bring `terms` rows of `width` down to `groups` non-empty ones."""
    kind = "adds" if reduce in ("sum", "mean") else "compares"
    return {kind: (terms - groups) * width, "specials": groups * width if reduce == "mean" else 0}
