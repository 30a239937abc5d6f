"""Hypergraphs in ``.npz`` archives of plain arrays, which can hold no code.

``n_nodes``; ``he_indptr`` (m + 1,) and ``he_indices``: the nodes of each hyperedge. ``labels`` (n,). ``train_1``,
``train_2``, ...: positions of the nodes that each split trains on; it is tested on all others. ``feat_indptr``,
``feat_indices``, ``feat_data`` (of one number where all are the same) and ``feat_shape``: sparse features; or
``features`` (n, f), dense.

The repository of HyperGCN publishes pickles. A pickle can name any function and have it called: they are not read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from moiety.data.graph_data import row_normalized
from moiety.data.graph_files import read_arrays, read_features, read_mask
from moiety.data.hypergraph_data import HypergraphData
from moiety.graph import Graph, Hypergraph

__all__ = ["FeatureKind", "read_hypergraph_file"]

FeatureKind = Literal["published", "incidence", "drawn"]

# Columns and entries a row of the co-authorship DBLP features, which are published nowhere any more.
DRAWN = (1425, 20)


def read_hypergraph_file(
    path: str | os.PathLike[str], *, features: FeatureKind = "published", sparse: bool = True, normalize: bool = True
) -> HypergraphData:
    """The hypergraph in an archive of the layout that this module's docstring states.

    features: "published", those of the archive; "incidence", a column for every hyperedge, which says who is in it;
    "drawn", 20 random entries in 1425 columns, for timings alone. sparse: as a sparse `Graph`, else as a dense tensor.
    normalize: every row divided by its sum.

    Raises ValueError, which names the file, for what is damaged, missing, inconsistent, or pickled.
    """
    file = Path(path)
    arrays = read_arrays(file, "a hypergraph")
    for key in ("n_nodes", "he_indptr", "he_indices", "labels", "train_1"):
        if key not in arrays:
            raise ValueError(f"{file}: expected the array {key!r}, found {', '.join(arrays)}")
    try:
        hypergraph = _structure(arrays)
        nodes = hypergraph.num_nodes
        labels = arrays["labels"].astype(np.int64)
        splits = [read_mask(arrays, f"train_{k}", nodes) for k in _splits(arrays)]
        x, notes = _columns(arrays, hypergraph, features)
        if normalize:
            x = row_normalized(x)
        if not sparse and isinstance(x, Graph):
            x = _dense(x)
        classes = tuple(str(k) for k in range(int(labels.max()) + 1))
        return HypergraphData(file.stem, hypergraph, x, torch.from_numpy(labels), torch.stack(splits), classes, notes)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{file} holds no hypergraph: {error}") from None


def _splits(arrays: dict[str, np.ndarray]) -> range:
    found = sorted(int(key.removeprefix("train_")) for key in arrays if key.startswith("train_"))
    if found != list(range(1, len(found) + 1)):
        raise ValueError(f"expected train_1 to train_{len(found)}, found {found}")
    return range(1, len(found) + 1)


def _structure(arrays: dict[str, np.ndarray]) -> Hypergraph:
    pointers, members = (torch.from_numpy(arrays[key].astype(np.int64)) for key in ("he_indptr", "he_indices"))
    nodes = int(arrays["n_nodes"])
    if bool((members < 0).any()) or bool((members >= nodes).any()):
        raise ValueError(f"expected he_indices in [0, {nodes})")
    return Hypergraph(pointers, members.to(torch.int32), nodes)


def _columns(
    arrays: dict[str, np.ndarray], hypergraph: Hypergraph, features: FeatureKind
) -> tuple[Tensor | Graph, tuple[str, ...]]:
    nodes = hypergraph.num_nodes
    if features == "published":
        if "features" not in arrays and "feat_indptr" not in arrays:
            raise ValueError(
                "it has no features: give features='incidence' for a column a hyperedge, or features='drawn' for "
                "timings alone"
            )
        return read_features(arrays, nodes), ()
    if features == "incidence":
        members = hypergraph.incidence.transpose()
        x = Graph.from_csr(members.indptr, members.indices, torch.ones(members.num_edges), num_cols=members.num_cols)
        return x, ("features are the incidence, a column a hyperedge: not comparable with published figures",)
    if features == "drawn":
        columns, entries = DRAWN
        rng = np.random.default_rng(0)
        order = rng.random((nodes, columns), dtype=np.float32).argpartition(entries, axis=1)[:, :entries]
        pointers = torch.arange(nodes + 1) * entries
        x = Graph.from_csr(pointers, np.sort(order, axis=1).ravel(), torch.ones(nodes * entries), num_cols=columns)
        return x, ("features are random numbers: accuracies mean nothing",)
    raise ValueError(f"features is {features!r}: expected 'published', 'incidence' or 'drawn'")


def _dense(x: Graph) -> Tensor:
    columns, rows = x.edge_index
    values = torch.ones(x.num_edges) if x.weight is None else x.weight
    return torch.zeros(x.num_rows, x.num_cols).index_put_((rows, columns), values, accumulate=True)
