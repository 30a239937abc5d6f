"""Graphs in ``.npz`` archives of plain arrays, which can hold no code.

``adj_indptr`` (n + 1,) and ``adj_indices``: for each node the nodes that its edges come from (of an undirected graph
both directions). ``labels`` (n,), -1 for none. ``feat_indptr``, ``feat_indices``, ``feat_data`` (of one number where
all are the same) and ``feat_shape``: sparse features; or ``features`` (n, f), dense. Where the data set has a published
split, ``train``, ``val`` and ``test``: positions of nodes.

The Planetoid repository itself publishes pickles (``ind.cora.graph``, ...). A pickle can name any function and have it
called: they are refused, with how to convert them.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from moiety.data.graph_data import GraphData, random_split, row_normalized
from moiety.data.places import find_folder
from moiety.graph import Graph

__all__ = ["load_planetoid", "read_arrays", "read_features", "read_graph_file", "read_mask"]

LARGEST = 1 << 33  # bytes of the arrays of one archive, uncompressed


def load_planetoid(name: str, data: str | os.PathLike[str] | None, sparse: bool, normalize: bool) -> GraphData:
    """Cora, CiteSeer or PubMed with the public split: 20 nodes of each class to train on, 500, 1000."""
    try:
        folder = find_folder(name, "planetoid", (f"{name}.npz",), data)
    except FileNotFoundError as error:
        if data is not None and (pickles := sorted(Path(data).glob(f"**/ind.{name}.*"))):
            raise ValueError(
                f"{pickles[0].parent} holds {name} as pickles ({pickles[0].name}, ...), which can run any code and are "
                f"not read: expected {name}.npz of plain arrays; torch_geometric.datasets.Planetoid and "
                "GraphData.from_pyg read them if you trust them"
            ) from None
        raise error
    found = read_graph_file(folder / f"{name}.npz", sparse=sparse, normalize=normalize)
    empty = _empty_rows(found.x)
    if empty < found.num_nodes // 2:
        return found
    note = f"features of {found.num_nodes - empty} of {found.num_nodes} nodes only: not the public {name}"
    return dataclasses.replace(found, notes=(note,))


def read_graph_file(
    path: str | os.PathLike[str],
    *,
    sparse: bool = True,
    normalize: bool = False,
    train: int = 20,
    valid: int = 30,
    seed: int = 0,
) -> GraphData:
    """The graph in an archive of the layout that this module's docstring states.

    sparse: features as a sparse `Graph`, else as a dense tensor. normalize: every row of them divided by its sum.
    train, valid, seed: nodes of each class that are drawn where the archive has no split.

    Raises ValueError, which names the file, for what is damaged, missing, inconsistent, or pickled.
    """
    file = Path(path)
    arrays = read_arrays(file, "a graph")
    for key in ("adj_indptr", "adj_indices", "labels"):
        if key not in arrays:
            raise ValueError(f"{file}: expected the array {key!r}, found {', '.join(arrays)}")
    try:
        graph = Graph.from_csr(arrays["adj_indptr"], arrays["adj_indices"])
        x = read_features(arrays, graph.num_nodes)
        labels = arrays["labels"].astype(np.int64)
        known = np.unique(labels[labels >= 0])  # some archives count from 1
        y = torch.from_numpy(np.where(labels >= 0, np.searchsorted(known, labels), -1))
        if "train" in arrays:
            fit, held_out, tested = (read_mask(arrays, key, graph.num_nodes) for key in ("train", "val", "test"))
        else:
            fit, held_out, tested = random_split(y, train, valid, seed)
        if normalize:
            x = row_normalized(x)
        classes = tuple(str(label) for label in known)
        data = GraphData(file.stem, graph, x, y, fit, held_out, tested, classes)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{file} holds no graph: {error}") from None
    return data if sparse else dataclasses.replace(data, x=data.dense())


def read_arrays(file: Path, what: str) -> dict[str, np.ndarray]:
    """The plain arrays of an ``.npz`` archive that should hold `what`; raises ValueError for what is damaged or
    pickled, FileNotFoundError where there is none."""
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: expected an .npz archive of {what}")
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise ValueError(f"{file}: expected arrays of at most {LARGEST} bytes, found {size}")
        with np.load(file, allow_pickle=False) as loaded:
            return {key: loaded[key] for key in loaded.files}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ValueError(f"{file} is no whole .npz archive: {error}") from None
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise ValueError(f"{file}: holds pickled objects, which can run any code: expected plain arrays") from None
        raise


def read_features(arrays: dict[str, np.ndarray], nodes: int) -> Tensor | Graph:
    """`features` dense, or `feat_...` as the sparse matrix that they are."""
    if "features" in arrays:
        return torch.from_numpy(np.asarray(arrays["features"], np.float32))
    rows, columns = (int(size) for size in arrays["feat_shape"])
    if rows != nodes:
        raise ValueError(f"expected features of {nodes} nodes, found {rows}")
    indices = arrays["feat_indices"]
    values = np.broadcast_to(arrays["feat_data"].astype(np.float32), indices.shape)
    return Graph.from_csr(arrays["feat_indptr"], indices, np.ascontiguousarray(values), num_cols=columns)


def read_mask(arrays: dict[str, np.ndarray], key: str, nodes: int) -> Tensor:
    """Positions of nodes as a mask (nodes,)."""
    positions = arrays[key].astype(np.int64)
    if positions.size and not 0 <= positions.min() <= positions.max() < nodes:
        raise ValueError(f"expected {key} positions in [0, {nodes}), found {positions.min()} to {positions.max()}")
    mask = torch.zeros(nodes, dtype=torch.bool)
    mask[torch.from_numpy(positions)] = True
    return mask


def _empty_rows(x: Tensor | Graph) -> int:
    filled = x.in_degrees() if isinstance(x, Graph) else x.abs().sum(1)
    return int((filled == 0).sum())
