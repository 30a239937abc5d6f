"""Random graphs, d-regular graphs, models by name, and explicit graphs of operations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from moiety.cost.concurrency.kernels import Pattern
from moiety.cost.concurrency.zoo import ZOO, build
from moiety.models import create_model
from moiety.models.registry import find_model

__all__ = ["GRAPH_MODELS", "Operations", "model_of", "patterns", "random_pattern", "regular_edges"]

GRAPH_MODELS = ("gcn", "graphsage", "gat", "gin", "sgc", "appnp")


def model_of(name: str, in_features: int, num_classes: int, hidden: int, layers: int, powers: int = 2):
    """Of the registry, or of the analyser's own."""
    if name in ZOO:
        return build(name, in_features, num_classes, hidden, layers, powers)
    given = {"in_features": in_features, "num_classes": num_classes, "hidden": hidden, "layers": layers, "heads": 1}
    known = find_model(name).options()
    return create_model(name, **{key: value for key, value in given.items() if key in known})


def random_pattern(rows: int, columns: int, density: float, seed: int) -> Pattern:
    random = np.random.default_rng(seed)
    dense = random.random((rows, columns)) < density
    indptr = np.concatenate([[0], np.cumsum(dense.sum(1))]).astype(np.int64)
    return Pattern(indptr, np.nonzero(dense)[1].astype(np.int64), columns)


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    """Up to 12 rows with any number of edges, duplicates and empty rows included."""
    columns = draw(st.integers(1, 9))
    rows = draw(st.lists(st.lists(st.integers(0, columns - 1), max_size=9), min_size=1, max_size=12))
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    return Pattern(indptr, np.array([j for r in rows for j in r], np.int64), columns, draw(st.sampled_from((4, 8))))


def regular_edges(nodes: int, degree: int) -> np.ndarray:
    """Sources and targets (2, nodes * degree): node i is entered from its next `degree` nodes around a ring."""
    target = np.repeat(np.arange(nodes), degree)
    return np.stack([(target + np.tile(np.arange(1, degree + 1), nodes)) % nodes, target])


class Operations:
    """An explicit graph of scalar operations: every node lists those that it waits for; inputs wait for none."""

    def __init__(self) -> None:
        self.waits: list[tuple[int, ...]] = []

    def input(self) -> int:
        return self(*())

    def __call__(self, *waits: int) -> int:
        """An operation on earlier nodes."""
        self.waits.append(waits)
        return len(self.waits) - 1

    def tree(self, leaves: Sequence[int]) -> int:
        """A balanced reduction."""
        half = len(leaves) // 2
        return leaves[0] if not half else self(self.tree(leaves[:half]), self.tree(leaves[half:]))

    @property
    def work(self) -> int:
        return sum(bool(w) for w in self.waits)

    @property
    def depth(self) -> int:
        """The most operations one after another."""
        depth: list[int] = []
        for before in self.waits:
            depth.append(1 + max(depth[i] for i in before) if before else 0)
        return max(depth, default=0)
