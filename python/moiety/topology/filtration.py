"""Zigzags as the engine takes them: who enters and leaves when, checked once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moiety._core import topology as _topology

__all__ = ["Filtration"]

Reals = NDArray[np.float64]
Event = tuple[bool | str, Iterable[int]]

_WORDS = {"insert": True, "i": True, "+": True, "delete": False, "d": False, "-": False}


def _operation(word: Any, index: int) -> bool:
    if isinstance(word, bool | np.bool_):
        return bool(word)
    if isinstance(word, str) and word in _WORDS:
        return _WORDS[word]
    raise ValueError(f"event {index}: expected one of {', '.join(_WORDS)}, True or False, got {word!r}")


def _pack(simplices: Iterable[Any], what: str) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Offsets and vertices; one number is a vertex."""
    lists = []
    for k, simplex in enumerate(simplices):
        try:
            vertices = np.atleast_1d(np.asarray(list(simplex) if isinstance(simplex, Iterable) else simplex))
        except (TypeError, ValueError) as error:
            raise TypeError(f"{what} {k}: expected a simplex as vertex numbers, got {simplex!r}") from error
        if vertices.size and vertices.dtype.kind not in "iu":
            raise TypeError(f"{what} {k}: expected a simplex as vertex numbers, got {simplex!r}")
        if vertices.size and (vertices.min() < -(2**31) or vertices.max() >= 2**31):
            raise ValueError(f"{what} {k}: expected vertex numbers of 32 bits, got {simplex!r}")
        lists.append(vertices)
    start = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([a.size for a in lists], out=start[1:])
    flat = np.concatenate(lists) if lists else np.zeros(0)
    return start, np.ascontiguousarray(flat, np.int32)


def _rising(values: ArrayLike, count: int, what: str) -> Reals:
    times = np.asarray(values, np.float64)
    if times.shape != (count,):
        raise ValueError(f"{what}: expected {count} of them, got shape {times.shape}")
    bad = np.flatnonzero(np.isnan(times) | (np.diff(times, prepend=-math.inf) < 0))
    if bad.size:
        raise ValueError(f"{what}: expected numbers that never fall, got {times[bad[0]]} at index {bad[0]}")
    return times


class Filtration:
    """A sequence of complexes K_0, K_1, ..., each contained in the next or containing it; immutable.

    - ``Filtration(events)``: one simplex enters or leaves at a time, any number of times;
    - `from_lifetimes`: many at a time;
    - `moiety.topology.snapshots_filtration`, `rips`, `power` and `weight_rank` make them of graphs and distances.

    ``positions`` is how many complexes there are, ``len()`` how many cells: a simplex counts each time it returns.
    """

    def __init__(self, events: Iterable[Event] = (), times: ArrayLike | None = None) -> None:
        """Events are pairs: "insert" or "delete" (also "i", "d", "+", "-", True, False), and the simplex's vertices.

        K_0 is empty and K_k is what event k - 1 leaves. `times` has a number for every event, never falling; the
        default is 1, 2, ... Bars that nothing ends have an infinite death.

        Raises ValueError with the index of the event where a simplex enters while it is there or before a face, leaves
        while it is absent or under a coface, is empty or names a vertex twice; TypeError for what is no simplex.
        """
        pairs = []
        for k, event in enumerate(events):
            try:
                word, simplex = event
            except (TypeError, ValueError) as error:
                raise ValueError(f"event {k}: expected an operation and a simplex, got {event!r}") from error
            pairs.append((_operation(word, k), simplex))
        start, vertex = _pack((simplex for _, simplex in pairs), "event")
        count = len(pairs)
        moments = np.arange(1.0, count + 1) if times is None else _rising(times, count, "times")
        insertion = np.array([word for word, _ in pairs], np.uint8)
        self._set(_topology.cells_of_events(start, vertex, insertion), [-math.inf, *moments, math.inf])
        # Nothing lives in K_0, so the first instant is never a birth.
        self.simplices = [vertex[start[k] : start[k + 1]] for k in np.flatnonzero(insertion)]

    def _set(self, cells: _topology.Cells, instants: ArrayLike) -> None:
        self.cells = cells
        self.instants: Reals = np.asarray(instants, np.float64)

    @classmethod
    def of_cells(
        cls, cells: _topology.Cells, instants: ArrayLike, simplices: Sequence[NDArray[np.int32]] | None = None
    ) -> Filtration:
        """Of the core's cells; instants (positions + 1,) as `Barcode` has them."""
        made = cls.__new__(cls)
        made._set(cells, instants)
        if made.instants.shape != (cells.positions + 1,):
            raise ValueError(
                f"instants: expected {cells.positions + 1}, one an arrow and the end, got shape {made.instants.shape}"
            )
        made.simplices = list(simplices) if simplices is not None else []
        return made

    @classmethod
    def from_lifetimes(
        cls,
        simplices: Iterable[Iterable[int]],
        first: ArrayLike,
        last: ArrayLike,
        positions: int | None = None,
        instants: ArrayLike | None = None,
    ) -> Filtration:
        """Simplex k is in K_first[k], ..., K_last[k]; list it again for other lifetimes.

        `positions` defaults to one more than the largest `last`; `instants` (positions + 1,) to 0, 1, ..., positions.
        Raises ValueError with the index of the simplex for lifetimes that overlap those of the same simplex, that
        exceed a face's, or where one step would both insert and delete.
        """
        start, vertex = _pack(simplices, "simplex")
        begin, end = np.asarray(first), np.asarray(last)
        for name, array in (("first", begin), ("last", end)):
            if array.shape != (start.size - 1,) or (array.size and array.dtype.kind not in "iu"):
                raise ValueError(
                    f"{name}: expected {start.size - 1} integers, got {array.dtype} of shape {array.shape}"
                )
        count = int(end.max(initial=-1)) + 1 if positions is None else positions
        cells, order = _topology.cells_of_intervals(
            start, vertex, np.ascontiguousarray(begin, np.int32), np.ascontiguousarray(end, np.int32), count
        )
        at = np.arange(count + 1.0) if instants is None else _rising(instants, count + 1, "instants")
        return cls.of_cells(cells, at, [vertex[start[k] : start[k + 1]] for k in order])

    @classmethod
    def standard(cls, simplices: Iterable[Iterable[int]], values: ArrayLike) -> Filtration:
        """The sublevel sets of `values`, one a simplex and none above a coface's: ordinary persistence.

        Simplices of one value enter together. Bars that never end have an infinite death.
        """
        lists = [list(s) for s in simplices]
        heights = np.asarray(values, np.float64)
        if heights.shape != (len(lists),) or not np.all(np.isfinite(heights)):
            raise ValueError(f"values: expected {len(lists)} finite numbers, got shape {heights.shape}")
        levels, first = np.unique(heights, return_inverse=True)
        last = np.full(first.size, levels.size - 1)
        return cls.from_lifetimes(lists, first, last, levels.size, [*levels, math.inf])

    @classmethod
    def extended(cls, simplices: Iterable[Iterable[int]], values: ArrayLike) -> Filtration:
        """Extended persistence as an up-down zigzag: sublevel sets of a function on the vertices, then superlevel sets.

        `values` has one number a vertex that occurs, by increasing vertex number. A simplex enters with its highest
        vertex, and leaves when the superlevel sets have risen above its lowest. Instants are values v on the way to the
        whole complex, and max + (v - min) from there on. In the words of D. Cohen-Steiner, H. Edelsbrunner and
        J. Harer (2009), ordinary pairs are bars of kind "co", relative ones "oc" and extended ones "cc" and "oo".
        """
        lists = [[int(v) for v in s] for s in simplices]
        vertices = sorted({v for s in lists for v in s})
        heights = np.asarray(values, np.float64)
        if heights.shape != (len(vertices),) or not np.all(np.isfinite(heights)):
            raise ValueError(f"values: expected {len(vertices)} finite numbers, got shape {heights.shape}")
        if not lists:
            return cls()
        levels, rank = np.unique(heights, return_inverse=True)
        of = dict(zip(vertices, rank.tolist(), strict=True))
        top = levels.size - 1
        first = [max((of[v] for v in s), default=0) for s in lists]
        last = [top + min((of[v] for v in s), default=0) for s in lists]
        instants = [*levels, *(levels[-1] + levels - levels[0])]
        return cls.from_lifetimes(lists, first, last, 2 * top + 1, instants)

    @property
    def positions(self) -> int:
        """How many complexes there are."""
        return self.cells.positions

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return f"Filtration({len(self)} cells, {self.positions} complexes)"
