"""Random zigzags and graphs that change, for hypothesis; what the tests know of homology on their own."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Event = tuple[bool, tuple[int, ...]]
Simplex = tuple[int, ...]


@st.composite
def zigzags(draw: st.DrawFn, vertices: int = 5, length: int = 40, dimension: int = 3) -> list[Event]:
    """Insertions and deletions that are always possible; simplices return."""
    simplices = [s for k in range(1, dimension + 2) for s in itertools.combinations(range(vertices), k)]
    present: set[Simplex] = set()
    events: list[Event] = []
    for choice in draw(st.lists(st.integers(0, 2**16), max_size=length)):
        may = [s for s in simplices if s not in present and all(f in present for f in faces(s))]
        may += [s for s in present if not any(set(s) < set(t) for t in present)]
        simplex = sorted(may)[choice % len(may)]
        events.append((simplex not in present, simplex))
        present ^= {simplex}
    return events


def faces(simplex: Simplex) -> list[Simplex]:
    return [simplex[:k] + simplex[k + 1 :] for k in range(len(simplex))] if len(simplex) > 1 else []


def complexes(events: list[Event]) -> list[set[Simplex]]:
    sequence: list[set[Simplex]] = [set()]
    for _, simplex in events:
        sequence.append(sequence[-1] ^ {simplex})
    return sequence


def betti(complex_: set[Simplex], dimension: int) -> int:
    """dim ker - dim im over Z2, by elimination on whole matrices."""

    def rank(d: int) -> int:
        columns = sorted(s for s in complex_ if len(s) == d + 1)
        rows = {s: i for i, s in enumerate(sorted(s for s in complex_ if len(s) == d))}
        pivots: dict[int, int] = {}
        for s in columns:
            column = sum(1 << rows[f] for f in faces(s))
            while column and (top := column.bit_length()) in pivots:
                column ^= pivots[top]
            if column:
                pivots[column.bit_length()] = column
        return len(pivots)

    return sum(len(s) == dimension + 1 for s in complex_) - rank(dimension) - rank(dimension + 1)


def changing_graph(seed: int, steps: int, nodes: int, change: float = 0.2) -> NDArray[np.float64]:
    """Weights (steps, nodes, nodes) of which some change at every step."""
    random = np.random.default_rng(seed)
    weights = random.random((nodes, nodes))
    made = []
    for _ in range(steps):
        weights = np.where(random.random((nodes, nodes)) < change, random.random((nodes, nodes)), weights)
        upper = np.triu(weights, 1)
        made.append(upper + upper.T)
    return np.stack(made)
