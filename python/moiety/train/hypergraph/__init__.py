"""Learning on hypergraphs beyond labels: the densest part of given size."""

from moiety.train.hypergraph.densest import (
    Dense,
    DensestFit,
    choose,
    fit_densest,
    hindsight,
    inside,
    max_degree,
    node_features,
    planted_dense,
    remove_min_degree,
)

__all__ = [
    "Dense",
    "DensestFit",
    "choose",
    "fit_densest",
    "hindsight",
    "inside",
    "max_degree",
    "node_features",
    "planted_dense",
    "remove_min_degree",
]
