"""Graphs for node classification: the embedded ones, archives and what is refused of them, the published files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moiety.data import graph_names, load_graph
from moiety.data.graph_data import GraphData, random_split, row_normalized
from moiety.data.graph_files import read_graph_file
from moiety.graph import Graph


def test_karate_is_zacharys() -> None:
    data = load_graph("karate")
    edges = data.graph.edge_index
    assert (data.num_nodes, data.graph.num_edges, data.num_classes) == (34, 2 * 78, 2)
    assert bool((edges[0] != edges[1]).all())
    pairs = set(map(tuple, edges.t().tolist()))
    assert len(pairs) == 156
    assert {(b, a) for a, b in pairs} == pairs
    degrees = data.graph.in_degrees()
    assert (int(degrees[0]), int(degrees[33]), int(degrees[11])) == (16, 17, 1)  # as published
    assert int((data.y == 0).sum()) == 17
    assert data.train.nonzero().flatten().tolist() == [0, 33]


def test_karate_against_networkx() -> None:
    networkx = pytest.importorskip("networkx", reason="networkx is not installed")
    club = networkx.karate_club_graph()
    data = load_graph("karate")
    assert {tuple(sorted(e)) for e in data.graph.edge_index.t().tolist()} == {tuple(sorted(e)) for e in club.edges()}
    assert data.y.tolist() == [int(club.nodes[i]["club"] != "Mr. Hi") for i in range(34)]


def test_block_model() -> None:
    data = load_graph("sbm", nodes=600, classes=3, inside=9.0, outside=3.0, train=5, valid=7, seed=2)
    sources, targets = data.graph.edge_index
    same = float((data.y[sources] == data.y[targets]).sum()) / 600
    other = float((data.y[sources] != data.y[targets]).sum()) / 600
    assert same == pytest.approx(9.0, rel=0.1)
    assert other == pytest.approx(3.0, rel=0.15)
    assert (int(data.train.sum()), int(data.valid.sum()), int(data.test.sum())) == (15, 21, 564)
    again = load_graph("sbm", nodes=600, classes=3, inside=9.0, outside=3.0, train=5, valid=7, seed=2)
    assert torch.equal(again.graph.indices, data.graph.indices)
    assert torch.equal(again.dense(), data.dense())
    different = load_graph("sbm", nodes=600, classes=3, inside=9.0, outside=3.0, train=5, valid=7, seed=3)
    assert not torch.equal(different.dense(), data.dense())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": 1}, "expected 2 classes or more"),
        ({"nodes": 20, "inside": 90.0}, "fewer edges a node than there are nodes"),
        ({"nodes": 100, "train": 20, "valid": 10}, "class 0 has 25 nodes: expected more than 20"),
        ({"size": 3}, "no option size"),
    ],
)
def test_impossible_block_models(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_graph("sbm", **options)


def test_names() -> None:
    assert {"karate", "sbm", "cora", "npz"} <= set(graph_names())
    with pytest.raises(ValueError, match=r"no data set 'coraa': did you mean 'cora'\?"):
        load_graph("coraa")
    with pytest.raises(ValueError, match="'npz' wants the option data"):
        load_graph("npz")


@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 4), st.integers(0, 1000))
def test_random_splits(classes: int, train: int, valid: int, seed: int) -> None:
    y = torch.arange(classes * 12) % classes
    y[:3] = -1
    masks = torch.stack(random_split(y, train, valid, seed))
    assert torch.equal(masks.sum(0) == 1, y >= 0)
    for label in range(classes):
        assert int(masks[0, y == label].sum()) == train
        assert int(masks[1, y == label].sum()) == valid
    assert torch.equal(masks, torch.stack(random_split(y, train, valid, seed)))


def arrays() -> dict[str, Any]:
    """A path of five nodes, the last without a label, three features."""
    return {
        "adj_indptr": np.array([0, 1, 3, 5, 7, 8], np.int32),
        "adj_indices": np.array([1, 0, 2, 1, 3, 2, 4, 3], np.int32),
        "labels": np.array([1, 1, 2, 2, -1], np.int16),
        "feat_indptr": np.array([0, 2, 3, 3, 4, 5], np.int32),
        "feat_indices": np.array([0, 2, 1, 2, 0], np.int32),
        "feat_data": np.array([2.0], np.float32),
        "feat_shape": np.array([5, 3], np.int32),
        "train": np.array([0, 2], np.int32),
        "val": np.array([], np.int32),
        "test": np.array([1, 3], np.int32),
    }


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "path.npz"
    kept = {key: value for key, value in {**arrays(), **changed}.items() if value is not None}
    np.savez(path, **kept)
    return path


def test_an_archive(tmp_path: Path) -> None:
    path = written(tmp_path)
    data = load_graph("npz", data=path)
    assert data.name == "path"
    assert (data.num_nodes, data.num_features, data.classes) == (5, 3, ("1", "2"))
    assert data.y.tolist() == [0, 0, 1, 1, -1]
    dense = torch.tensor([[2.0, 0, 2], [0, 2, 0], [0, 0, 0], [0, 0, 2], [2, 0, 0]])
    assert isinstance(data.x, Graph)
    assert torch.equal(data.dense(), dense)
    assert torch.equal(read_graph_file(path, sparse=False).x, dense)
    normalized = read_graph_file(path, sparse=False, normalize=True).x
    assert torch.equal(normalized, dense / dense.sum(1, keepdim=True).clamp(min=1))
    assert torch.equal(row_normalized(dense), normalized)
    assert (data.train.tolist(), data.test.tolist()) == (
        [True, False, True, False, False],
        [False, True, False, True, False],
    )


def test_dense_features_and_no_split(tmp_path: Path) -> None:
    features = np.arange(10.0).reshape(5, 2)
    path = written(tmp_path, features=features, feat_indptr=None, train=None, val=None, test=None)
    data = read_graph_file(path, train=1, valid=0, seed=1)
    assert torch.equal(data.dense(), torch.from_numpy(features).float())
    assert (int(data.train.sum()), int(data.test.sum())) == (2, 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": None}, "expected the array 'labels'"),
        ({"adj_indices": np.array([1, 0, 2, 1, 3, 2, 9, 3], np.int32)}, "holds no graph"),
        ({"adj_indptr": np.array([0, 1, 3, 2, 7, 8], np.int32)}, "holds no graph"),
        ({"feat_shape": np.array([4, 3], np.int32)}, "expected features of 5 nodes, found 4"),
        ({"feat_indptr": None}, "holds no graph: 'feat_indptr"),
        ({"labels": np.array([1, 1], np.int16)}, "int64 labels of 5 nodes"),
        ({"train": np.array([7], np.int32)}, r"train positions in \[0, 5\), found 7"),
        ({"train": np.array([0, 1], np.int32)}, "two of train, valid and test"),
        ({"train": np.array([4], np.int32)}, "a node without a label is in train"),
        ({"train": np.array([], np.int32)}, "expected nodes to train on"),
        ({"labels": np.array([{}] * 5, object)}, "pickled objects, which can run any code"),
    ],
)
def test_refused_archives(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_graph_file(written(tmp_path, **changed))


def test_damaged_archives(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"no whole \.npz archive"):
        read_graph_file(path)
    with pytest.raises(FileNotFoundError, match=r"expected an \.npz archive"):
        read_graph_file(tmp_path / "nothing.npz")


def test_pickles_of_planetoid_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOIETY_DATA", raising=False)
    monkeypatch.setattr("moiety.data.places._roots", lambda data: iter([tmp_path]))
    (tmp_path / "ind.cora.graph").write_bytes(pickle.dumps({0: [1]}))
    with pytest.raises(ValueError, match=r"as pickles \(ind.cora.graph, ...\), which can run any code"):
        load_graph("cora", data=tmp_path)
    with pytest.raises(FileNotFoundError, match="cora"):
        load_graph("cora")


# Published: Yang et al. (2016), table 1, and Shchur et al. (2018), table 1, by PyG's counts of directed edges.
@pytest.mark.parametrize(
    ("name", "nodes", "edges", "features", "classes", "masks"),
    [
        ("cora", 2708, 10556, 1433, 7, (140, 500, 1000)),
        ("citeseer", 3327, 9228, 3703, 6, (120, 500, 1000)),
        ("amazon-photo", 7650, 238162, 745, 8, (160, 240, 7250)),
        ("coauthor-cs", 18333, 163788, 6805, 15, (300, 450, 17583)),
    ],
)
def test_published_graphs(
    data: Path, name: str, nodes: int, edges: int, features: int, classes: int, masks: tuple[int, int, int]
) -> None:
    found = load_graph(name, data=data)
    assert (found.num_nodes, found.graph.num_edges, found.num_features, found.num_classes) == (
        nodes, edges, features, classes,
    )  # fmt: skip
    assert (int(found.train.sum()), int(found.valid.sum()), int(found.test.sum())) == masks
    sources, targets = found.graph.edge_index
    forward = torch.unique(sources * nodes + targets)
    assert torch.equal(forward, torch.unique(targets * nodes + sources))  # undirected
    assert found.notes == ()


def test_pubmed_says_what_is_missing(data: Path) -> None:
    assert load_graph("pubmed", data=data).notes == ("features of 1060 of 19717 nodes only: not the public pubmed",)


def test_from_pyg() -> None:
    tg = pytest.importorskip("torch_geometric.data", reason="PyTorch Geometric is not installed")
    mask = torch.tensor([True, False, False, False])
    edges = torch.tensor([[0, 1, 2], [1, 2, 3]])
    data = tg.Data(
        x=torch.eye(4), y=torch.tensor([0, 1, 1, 2]), edge_index=edges, train_mask=mask, test_mask=mask.flip(0)
    )
    found = GraphData.from_pyg(data, "mine")
    assert (found.name, found.num_classes, int(found.valid.sum())) == ("mine", 3, 0)
    assert torch.equal(found.graph.edge_index, edges)
    del data.train_mask
    with pytest.raises(ValueError, match="found no train_mask"):
        GraphData.from_pyg(data)
