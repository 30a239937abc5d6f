"""Hypergraphs for node classification by name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from moiety.data.named import load_named

if TYPE_CHECKING:
    from moiety.data.hypergraph_data import HypergraphData
    from moiety.data.hypergraph_files import FeatureKind

__all__ = ["hypergraph_names", "load_hypergraph"]

# N. Yadati et al., HyperGCN, NeurIPS 2019: by the authors of papers, or by who cites them.
PUBLISHED = (
    "coauthorship-dblp",
    "coauthorship-cora",
    "cocitation-pubmed",
    "cocitation-cora",
    "cocitation-citeseer",
)


def load_hypergraph(name: str, path: str | os.PathLike[str] | None = None, **options: object) -> HypergraphData:
    """The hypergraph `name` (see `hypergraph_names`) with features, labels and splits.

    path: its loader's `data`, the folder of the published ones or the file of your own. options: its loader's others.
    """
    return load_named(LOADERS, name, options if path is None else {"data": path, **options})


def hypergraph_names() -> list[str]:
    """What `load_hypergraph` takes."""
    return list(LOADERS)


def planted(
    *,
    nodes: int = 400,
    classes: int = 4,
    hyperedges: int = 400,
    size: float = 4.0,
    purity: float = 0.85,
    words: int = 200,
    length: int = 8,
    signal: float = 0.4,
    train: int = 5,
    splits: int = 10,
    seed: int = 0,
) -> HypergraphData:
    """Drawn from a planted partition (`moiety.data.small_hypergraphs.planted_hypergraph`)."""
    from moiety.data.small_hypergraphs import planted_hypergraph

    return planted_hypergraph(nodes, classes, hyperedges, size, purity, words, length, signal, train, splits, seed)


def published(name: str) -> Callable[..., HypergraphData]:
    def load(
        *,
        data: str | os.PathLike[str] | None = None,
        features: FeatureKind = "published",
        sparse: bool = True,
        normalize: bool = True,
    ) -> HypergraphData:
        """One of HyperGCN's hypergraphs with its ten published splits (`moiety.data.hypergraph_files`)."""
        from moiety.data.places import find_folder

        file = f"{name.replace('-', '_')}.npz"
        path = find_folder(name, "hypergcn", (file,), data) / file
        return dataclasses.replace(npz(data=path, features=features, sparse=sparse, normalize=normalize), name=name)

    return load


def npz(
    *,
    data: str | os.PathLike[str],
    features: FeatureKind = "published",
    sparse: bool = True,
    normalize: bool = True,
) -> HypergraphData:
    """Your own archive: `data` is the file (`moiety.data.hypergraph_files` says what is in it)."""
    from moiety.data.hypergraph_files import read_hypergraph_file

    return read_hypergraph_file(data, features=features, sparse=sparse, normalize=normalize)


LOADERS: dict[str, Callable[..., HypergraphData]] = {
    "planted": planted,
    **{name: published(name) for name in PUBLISHED},
    "npz": npz,
}
