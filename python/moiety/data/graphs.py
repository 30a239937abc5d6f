"""Graphs for node classification by name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from moiety.data.named import load_named

if TYPE_CHECKING:
    from moiety.data.graph_data import GraphData

__all__ = ["graph_names", "load_graph"]

# Z. Yang, W. Cohen and R. Salakhutdinov, Revisiting Semi-Supervised Learning with Graph Embeddings, ICML 2016.
PLANETOID = ("cora", "citeseer", "pubmed")
# O. Shchur et al., Pitfalls of Graph Neural Network Evaluation, 2018; X. Huang, J. Li and X. Hu, SDM 2017. Their files:
WITHOUT_SPLIT = {
    "coauthor-cs": "coauthor_cs.npz",
    "coauthor-physics": "coauthor_phy.npz",
    "amazon-computers": "amazon_cs.npz",
    "amazon-photo": "amazon_photo.npz",
    "flickr": "flickr.npz",
    "blogcatalog": "blogcatalog.npz",
}


def load_graph(name: str, **options: object) -> GraphData:
    """The graph `name` (see `graph_names`) with features, labels and masks; options are its loader's."""
    return load_named(LOADERS, name, options)


def graph_names() -> list[str]:
    """What `load_graph` takes."""
    return list(LOADERS)


def karate() -> GraphData:
    """Zachary's karate club, embedded."""
    from moiety.data import small_graphs

    return small_graphs.karate()


def sbm(
    *,
    nodes: int = 1000,
    classes: int = 4,
    inside: float = 8.0,
    outside: float = 2.0,
    features: int = 16,
    signal: float = 0.5,
    train: int = 20,
    valid: int = 30,
    seed: int = 0,
) -> GraphData:
    """Drawn from a stochastic block model (`moiety.data.small_graphs.stochastic_blocks`)."""
    from moiety.data import small_graphs

    return small_graphs.stochastic_blocks(nodes, classes, inside, outside, features, signal, train, valid, seed)


def planetoid(name: str) -> Callable[..., GraphData]:
    def load(*, data: str | os.PathLike[str] | None = None, sparse: bool = True, normalize: bool = True) -> GraphData:
        """A citation graph with its public split (`moiety.data.graph_files`)."""
        from moiety.data import graph_files

        return graph_files.load_planetoid(name, data, sparse, normalize)

    return load


def without_split(name: str) -> Callable[..., GraphData]:
    def load(
        *,
        data: str | os.PathLike[str] | None = None,
        sparse: bool = True,
        normalize: bool = False,
        train: int = 20,
        valid: int = 30,
        seed: int = 0,
    ) -> GraphData:
        """A published graph without a split: `train` and `valid` nodes of each class are drawn by the seed."""
        from moiety.data.places import find_folder

        file = WITHOUT_SPLIT[name]
        path = find_folder(name, "graphs", (file,), data) / file
        found = npz(data=path, sparse=sparse, normalize=normalize, train=train, valid=valid, seed=seed)
        return dataclasses.replace(found, name=name)

    return load


def npz(
    *,
    data: str | os.PathLike[str],
    sparse: bool = True,
    normalize: bool = False,
    train: int = 20,
    valid: int = 30,
    seed: int = 0,
) -> GraphData:
    """Your own archive: `data` is the file (`moiety.data.graph_files` says what is in it)."""
    from moiety.data import graph_files

    return graph_files.read_graph_file(data, sparse=sparse, normalize=normalize, train=train, valid=valid, seed=seed)


LOADERS: dict[str, Callable[..., GraphData]] = {
    "karate": karate,
    "sbm": sbm,
    **{name: planetoid(name) for name in PLANETOID},
    **{name: without_split(name) for name in WITHOUT_SPLIT},
    "npz": npz,
}
