"""From filtrations and snapshots to barcodes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from moiety._core import topology as _topology
from moiety.topology.barcode import Barcode
from moiety.topology.filtration import Filtration
from moiety.topology.snapshots import Mode, Snapshots, as_snapshots, mode_number, window_instants

__all__ = ["WindowBarcodes", "representatives", "snapshots_barcode", "zigzag", "zigzag_windows"]

BLOCK_CELLS, BLOCK_ALIVE = 512, 2.0  # csrc/topology/coned.hpp
CHUNK_STEPS = 16  # csrc/topology/series.hpp
GROUP = 64  # windows whose bars are looked for at once
SHARE = 4  # windows' lengths that a part has at the least: it begins with the steps that the part before ends with


def zigzag(filtration: Filtration, max_dimension: int = 1) -> Barcode:
    """The barcode over Z2, of dimensions 0, ..., max_dimension, of any sequence of insertions and deletions.

    Exact, one thread; cells above dimension max_dimension + 1 are not looked at. After T. K. Dey and T. Hou, Fast
    computation of zigzag persistence (ESA 2022); csrc/topology says how.
    """
    bars, _ = _topology.barcode(filtration.cells, max_dimension, True, BLOCK_CELLS, BLOCK_ALIVE)
    return Barcode(*bars, filtration.instants)


def representatives(filtration: Filtration, max_dimension: int = 1) -> tuple[Barcode, list[list[tuple[int, ...]]]]:
    """The barcode, and for every bar a cycle: the simplices (sorted vertices) of a chain of its dimension.

    The cycle lies in the last complex of the bar, bounds nothing there, comes from a cycle of the first, and spans the
    bar's summand there in one decomposition of the module. A walk through the sequence after G. Carlsson, V. de Silva
    and D. Morozov (2009): linear in its length and cubic in the size of a complex, for looking at bars rather than for
    many of them. Raises ValueError for a filtration whose cells have no names: that of snapshots, or of `builders`.
    """
    if len(filtration.simplices) != len(filtration):
        raise ValueError("representatives: expected a Filtration of events or simplices' lifetimes, got nameless cells")
    bars, start, cell = _topology.bars_with_cycles(filtration.cells, max_dimension)
    names = [tuple(sorted(int(v) for v in simplex)) for simplex in filtration.simplices]
    order = np.lexsort((bars[3], bars[2], bars[1], bars[0]))
    cycles = [[names[c] for c in cell[start[k] : start[k + 1]]] for k in order]
    dimension, first, last, code = (a[order] for a in bars)
    return Barcode(dimension, first, last, code, filtration.instants), cycles


def snapshots_barcode(
    snapshots: Snapshots | ArrayLike, alpha: float | None = None, mode: Mode = "paper", max_dimension: int = 1
) -> Barcode:
    """The barcode of a whole sequence of snapshots, of however many steps: see `snapshots_filtration`.

    Time and memory grow with the number of steps, not its square.
    """
    graphs = as_snapshots(snapshots, alpha)
    return _barcodes(graphs, mode, max_dimension, [(0, len(graphs))], 1)[0]


def _barcodes(
    graphs: Snapshots, mode: Mode, max_dimension: int, parts: Sequence[tuple[int, int]], threads: int
) -> list[Barcode]:
    """Of the steps first, ..., until - 1 of every part."""
    first, until = np.array(parts, np.int32).T.copy()
    found = _topology.series_barcodes(
        graphs.num_nodes,
        graphs.start,
        graphs.tail,
        graphs.head,
        mode_number(mode),
        max_dimension,
        CHUNK_STEPS,
        BLOCK_CELLS,
        BLOCK_ALIVE,
        first,
        until,
        threads,
    )
    return [Barcode(*bars, window_instants(int(n))) for bars, n in zip(found, until - first, strict=True)]


class WindowBarcodes(Sequence[Barcode]):
    """The barcodes of all windows of W consecutive snapshots, cut from that of the whole, or of a few parts each of
    which holds as many windows as it is long, when they are asked for.

    A zigzag module restricted to part of its sequence has the restricted bars, so nothing is computed twice. Window k
    holds snapshots k `stride`, ..., k `stride` + W - 1; its instants are counted from its first snapshot.
    """

    def __init__(self, parts: Sequence[Barcode], window: int, stride: int = 1) -> None:
        self.parts, self.window, self.stride = tuple(parts), window, stride
        counts = [((part.positions + 1) // 2 - window) // stride + 1 for part in parts]
        self._ends = list(accumulate(counts))  # one past the last window of each part
        self._group, self._near = (
            (-1, -1),
            parts[0],
        )  # the last windows that were asked for, and the bars that meet them

    def _span(self, index: int) -> tuple[int, int]:
        """The positions of a window's first and last snapshot, of one numbered within its part."""
        first = 2 * self.stride * index
        return first, first + 2 * self.window - 2

    def _bars_near(self, part: int, index: int) -> Barcode:
        """Few bars among which are all that meet the window: neighbours are mostly asked for one after another."""
        group = index // GROUP
        if (part, group) != self._group:
            first, last = self._span(group * GROUP)[0], self._span(group * GROUP + GROUP - 1)[1]
            whole = self.parts[part]
            self._near = whole.select((whole.first <= last) & (whole.last >= first))
            self._group = (part, group)
        return self._near

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> Barcode: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Barcode]: ...
    def __getitem__(self, index: int | slice) -> Barcode | Sequence[Barcode]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"window: expected one of {len(self)}, got {index}")
        index %= len(self)
        part = bisect_right(self._ends, index)
        index -= self._ends[part - 1] if part else 0
        near, (first, last) = self._bars_near(part, index), self._span(index)
        meets = (near.first <= last) & (near.last >= first)
        dimension, begins, ends, code = (a[meets] for a in (near.dimension, near.first, near.last, near.code))
        code[begins <= first] &= 2
        code[ends >= last] &= 1
        begins, ends = np.maximum(begins, first) - first, np.minimum(ends, last) - first
        order = np.lexsort((code, ends, begins, dimension))
        return Barcode(dimension[order], begins[order], ends[order], code[order], window_instants(self.window))

    def __iter__(self) -> Iterator[Barcode]:
        return (self[k] for k in range(len(self)))


def zigzag_windows(
    snapshots: Snapshots | ArrayLike,
    window: int,
    alpha: float | None = None,
    mode: Mode = "paper",
    max_dimension: int = 1,
    stride: int = 1,
    threads: int = 1,
) -> WindowBarcodes:
    """The barcodes of every window of `window` consecutive snapshots: those at k `stride`, for as many as there are.

    snapshots: `Snapshots`, or symmetric weights (T, N, N) with `alpha`, the largest weight of an edge that is there
    (0 is no edge). Births and deaths are in steps from the window's first snapshot, on the half-integers
    0, 1/2, ..., window - 1: i is snapshot i, i + 1/2 the union of i and i + 1. mode: see `snapshots_filtration`.
    threads: of which each takes the windows of a part of the series; the barcodes are the same for any number of them.

    Raises ValueError for a window of no steps or of more than there are, and what `Snapshots` refuses.
    """
    graphs = as_snapshots(snapshots, alpha)
    if not 1 <= window <= len(graphs):
        raise ValueError(f"window: expected 1 to {len(graphs)} steps, as many as the series has, got {window}")
    if stride < 1:
        raise ValueError(f"stride: expected at least 1, got {stride}")
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, got {threads}")
    count = (len(graphs) - window) // stride + 1
    taken = max(1, min(threads, count * stride // (SHARE * window)))
    bounds = [count * k // taken for k in range(taken + 1)]
    parts = [(a * stride, (b - 1) * stride + window) for a, b in pairwise(bounds)]
    return WindowBarcodes(_barcodes(graphs, mode, max_dimension, parts, taken), window, stride)
