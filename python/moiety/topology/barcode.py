"""Barcodes of zigzags: which homology lives where.

Complexes K_0, ..., K_{P-1} have positions, and the arrow into K_p an instant; a bar lives in the complexes
``first, ..., last`` and has the instants of the arrows at its two ends as `birth` and `death`. An end is closed where
the bar's own complex is the larger one (born by an insertion, ended by a deletion), else open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["KINDS", "Barcode"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

KINDS = ("cc", "oc", "co", "oo")  # by code: bit 0 is an open birth, bit 1 an open death


class Barcode:
    """Bars as arrays of one length, in order of dimension, first and last position; immutable.

    - ``dimension`` int64, ``birth`` and ``death`` float64 (inf where nothing ends the bar), ``kind`` of "cc", "co",
      "oc", "oo" (closed or open at birth and death);
    - ``first``, ``last`` int64: the complexes it lives in; ``code`` uint8: `KINDS` by number;
    - ``instants`` float64 (positions + 1,): of the arrow into every complex, and of what ends the last one.

    Bars whose birth is their death (they live in unions only, as ``cc``) are kept: `intervals` can leave them out.
    """

    def __init__(
        self,
        dimension: ArrayLike,
        first: ArrayLike,
        last: ArrayLike,
        code: ArrayLike,
        instants: ArrayLike,
    ) -> None:
        """Raises ValueError for arrays of different lengths, positions outside the sequence and unknown kinds."""
        self.instants: Reals = np.asarray(instants, np.float64)
        if self.instants.ndim != 1 or self.instants.size < 1 or np.any(np.diff(self.instants) < 0):
            raise ValueError("barcode: expected instants that never fall, one an arrow and one for the end")
        arrays: list[NDArray[Any]] = [np.asarray(a, np.int64) for a in (dimension, first, last)]
        kinds = np.asarray(code, np.uint8)
        shapes = [a.shape for a in arrays] + [kinds.shape]
        if set(shapes) != {(arrays[0].size,)}:
            raise ValueError(f"barcode: expected four vectors of one length, got shapes {shapes}")
        self.dimension, self.first, self.last = arrays
        self.code: NDArray[np.uint8] = kinds
        if self.first.size and not (
            self.first.min() >= 0 and np.all(self.first <= self.last) and self.last.max() < self.positions
        ):
            raise ValueError(f"barcode: expected 0 <= first <= last < {self.positions}")
        if kinds.size and kinds.max() > 3:
            raise ValueError(f"barcode: expected kinds 0 to 3, got {kinds.max()}")
        self.birth: Reals = self.instants[self.first]
        self.death: Reals = self.instants[self.last + 1]

    @property
    def positions(self) -> int:
        """How many complexes the sequence has."""
        return self.instants.size - 1

    @property
    def kind(self) -> NDArray[np.str_]:
        """``"cc"``, ``"oc"``, ``"co"`` or ``"oo"`` for every bar (n,): its birth, then its death."""
        return np.array(KINDS)[self.code]

    def __len__(self) -> int:
        return self.dimension.size

    def __repr__(self) -> str:
        counts = ", ".join(f"{np.count_nonzero(self.dimension == d)} in H{d}" for d in np.unique(self.dimension))
        return f"Barcode({counts or 'no bars'}; {self.positions} complexes)"

    def __eq__(self, other: object) -> bool:
        """Whether both have the same bars, however ordered, at the same positions and instants."""
        if not isinstance(other, Barcode):
            return NotImplemented
        return np.array_equal(self.instants, other.instants) and bool(
            np.array_equal(self._sorted_rows(), other._sorted_rows())
        )

    __hash__ = None  # type: ignore[assignment]

    def _sorted_rows(self) -> Integers:
        rows = np.stack([self.dimension, self.first, self.last, self.code.astype(np.int64)], 1)
        return rows[np.lexsort(rows.T[::-1])]

    def select(self, chosen: Any) -> Barcode:
        """The bars at an index, mask or slice of the arrays."""
        return Barcode(self.dimension[chosen], self.first[chosen], self.last[chosen], self.code[chosen], self.instants)

    def of_dimension(self, dimension: int) -> Barcode:
        return self.select(self.dimension == dimension)

    # --- views --------------------------------------------------------------------------------------------------------

    def intervals(self, dimension: int, kinds: Sequence[str] = KINDS, *, diagonal: bool = True) -> Reals:
        """Births and deaths (n, 2) of one dimension, as GUDHI gives them; gudhi.representations takes them.

        `kinds` keeps those kinds only; `diagonal=False` leaves bars out whose birth is their death.
        """
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise ValueError(f"kinds: expected some of {', '.join(KINDS)}, got {', '.join(unknown)}")
        chosen = (self.dimension == dimension) & np.isin(self.code, [KINDS.index(k) for k in kinds])
        if not diagonal:
            chosen &= self.birth != self.death
        return np.stack([self.birth[chosen], self.death[chosen]], 1)

    def lifetimes(self, dimension: int) -> Integers:
        """First and last positions (n, 2) of one dimension, both included: FZZ's closed intervals."""
        chosen = self.dimension == dimension
        return np.stack([self.first[chosen], self.last[chosen]], 1)

    def betti(self, dimension: int) -> Integers:
        """The Betti number of every complex (positions,): how many bars of the dimension live there."""
        chosen = self.dimension == dimension
        steps = np.bincount(self.first[chosen], minlength=self.positions + 1).astype(np.int64)
        steps -= np.bincount(self.last[chosen] + 1, minlength=self.positions + 1)
        return np.cumsum(steps)[: self.positions]

    def to_gudhi(self) -> list[tuple[int, tuple[float, float]]]:
        """(dimension, (birth, death)) of every bar, as `SimplexTree.persistence` has it."""
        return [(int(d), (float(b), float(e))) for d, b, e in zip(self.dimension, self.birth, self.death, strict=True)]

    # --- the module restricted and turned round -----------------------------------------------------------------------

    def restrict(self, first: int, last: int) -> Barcode:
        """The bars of K_first, ..., K_last alone, which are these bars cut: ends that were cut off are closed.

        The instants of the cut ends are those of the arrows into K_first and out of K_last.
        """
        if not 0 <= first <= last < self.positions:
            raise ValueError(f"restrict: expected 0 <= first <= last < {self.positions}, got {first} and {last}")
        meets = (self.first <= last) & (self.last >= first)
        begin, end, code = self.first[meets], self.last[meets], self.code[meets].copy()
        code[begin <= first] &= 2
        code[end >= last] &= 1
        return Barcode(
            self.dimension[meets],
            np.maximum(begin, first) - first,
            np.minimum(end, last) - first,
            code,
            self.instants[first : last + 2],
        )

    def reversed(self) -> Barcode:
        """The barcode of the sequence read backwards, at the negatives of the instants: ends change places."""
        final = self.positions - 1
        code = (self.code >> 1) | ((self.code & 1) << 1)
        return Barcode(self.dimension, final - self.last, final - self.first, code, -self.instants[::-1])
