"""Hypergraphs for node classification: generated ones, archives and what is refused of them, the published files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moiety.data import hypergraph_names, load_hypergraph
from moiety.data.hypergraph_data import HypergraphData
from moiety.graph import Graph, Hypergraph

PUBLISHED = {  # nodes, hyperedges, incidences, classes, nodes trained on
    "coauthorship-dblp": (41302, 22363, 99561, 6, 1740),
    "coauthorship-cora": (2708, 1072, 4585, 7, 140),
    "cocitation-pubmed": (19717, 7963, 34629, 3, 78),
    "cocitation-cora": (2708, 1579, 4786, 7, 140),
    "cocitation-citeseer": (3312, 1079, 3453, 6, 138),
}
FEATURES = {"coauthorship-cora": 1433, "cocitation-cora": 1433, "cocitation-citeseer": 3703}


def dense(x: Graph) -> torch.Tensor:
    columns, rows = x.edge_index
    return torch.zeros(x.num_rows, x.num_cols).index_put_((rows, columns), x.weight, accumulate=True)


def arrays(**changed: Any) -> dict[str, Any]:
    made = {
        "n_nodes": np.int32(5),
        "he_indptr": np.array([0, 2, 5]),
        "he_indices": np.array([0, 4, 3, 1, 2]),
        "labels": np.array([0, 1, 0, 1, 2]),
        "train_1": np.array([0, 1, 4]),
        "train_2": np.array([2, 3, 4]),
        "feat_indptr": np.array([0, 1, 1, 3, 4, 5]),
        "feat_indices": np.array([2, 0, 1, 2, 0]),
        "feat_data": np.ones(1, np.float32),
        "feat_shape": np.array([5, 3]),
    }
    made.update(changed)
    return {key: value for key, value in made.items() if value is not None}


def written(path: Path, **changed: Any) -> Path:
    np.savez(path / "mine.npz", **arrays(**changed))
    return path / "mine.npz"


def test_an_archive(tmp_path: Path) -> None:
    data = load_hypergraph("npz", written(tmp_path))
    assert (data.name, data.num_nodes, data.num_features, data.num_classes, data.num_splits) == ("mine", 5, 3, 3, 2)
    assert data.hypergraph.indices.tolist() == [0, 4, 3, 1, 2]  # in the order given, which decides ties
    assert isinstance(data.x, Graph)
    expected = torch.tensor([[0, 0, 1], [0, 0, 0], [0.5, 0.5, 0], [0, 0, 1], [1, 0, 0]])
    assert torch.equal(dense(data.x), expected)
    train, test = data.split(2)
    assert (train.tolist(), test.tolist()) == ([2, 3, 4], [0, 1])
    whole = load_hypergraph("npz", written(tmp_path), sparse=False, normalize=False)
    assert torch.equal(whole.x, (expected > 0).float())
    with pytest.raises(ValueError, match="no split 3: expected 1 to 2"):
        data.split(3)


def test_features_that_are_not_there(tmp_path: Path) -> None:
    none = {"feat_indptr": None, "feat_indices": None, "feat_data": None, "feat_shape": None}
    path = written(tmp_path, **none)
    with pytest.raises(ValueError, match="features='incidence'"):
        load_hypergraph("npz", path)
    data = load_hypergraph("npz", path, features="incidence", normalize=False)
    expected = torch.tensor([[1.0, 0], [0, 1], [0, 1], [0, 1], [1, 0]])
    assert torch.equal(dense(data.x), expected)
    assert "not comparable" in data.notes[0]
    drawn = load_hypergraph("npz", path, features="drawn")
    assert drawn.num_features == 1425
    assert drawn.x.in_degrees().tolist() == [20] * 5
    assert len(set(drawn.x.indices[:20].tolist())) == 20
    assert torch.allclose(dense(drawn.x).sum(1), torch.ones(5))
    assert "mean nothing" in drawn.notes[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": None}, "expected the array 'labels'"),
        ({"he_indices": np.array([0, 4, 3, 1, 5])}, r"expected he_indices in \[0, 5\)"),
        ({"he_indptr": np.array([0, 3, 2])}, "holds no hypergraph"),
        ({"he_indptr": np.array([0, 2, 2, 5])}, "holds no hypergraph"),  # an empty hyperedge
        ({"he_indices": np.array([0, 0, 3, 1, 2])}, "holds no hypergraph"),  # a node twice
        ({"labels": np.array([0, 1, 0, 1, -1])}, "expected labels in"),
        ({"labels": np.array([0, 1, 0, 1])}, "int64 labels of 5 nodes"),
        ({"train_2": np.array([7])}, "train_2 positions in"),
        ({"train_2": None, "train_3": np.array([1])}, "expected train_1 to train_2"),
        ({"train_2": np.array([], np.int64)}, "nodes to train on and nodes to test with in every split"),
        ({"train_2": np.arange(5)}, "nodes to train on and nodes to test with in every split"),
        ({"feat_shape": np.array([4, 3])}, "features of 5 nodes, found 4"),
        ({"labels": np.array([None] * 5)}, "pickled objects"),
    ],
)
def test_damaged_archives(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_hypergraph("npz", written(tmp_path, **changed))


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "hypergraph.pickle"
    path.write_bytes(pickle.dumps({"author": [0, 1]}))
    with pytest.raises(ValueError, match=r"no whole \.npz archive"):
        load_hypergraph("npz", path)
    with pytest.raises(FileNotFoundError):
        load_hypergraph("npz", tmp_path / "none.npz")
    with pytest.raises(ValueError, match="did you mean 'cocitation-cora'"):
        load_hypergraph("cocitation-core")
    with pytest.raises(ValueError, match="has no option colour"):
        load_hypergraph("planted", colour=3)


def test_planted() -> None:
    data = load_hypergraph("planted", nodes=300, classes=3, hyperedges=500, size=5.0, purity=0.9, splits=4, seed=3)
    graph = data.hypergraph
    assert (data.num_nodes, graph.num_hyperedges, data.num_classes, data.num_splits) == (300, 500, 3, 4)
    assert float(graph.sizes().float().mean()) == pytest.approx(5.0, rel=0.06)
    assert int(graph.sizes().min()) >= 2
    labels = data.y[graph.indices.long()]
    rows = torch.repeat_interleave(torch.arange(500), graph.sizes())
    counts = torch.zeros(500, 3).index_put_((rows, labels), torch.ones(len(rows)), accumulate=True)
    assert float(counts.amax(1).sum() / counts.sum()) == pytest.approx(0.93, abs=0.03)  # nine of ten, and by chance
    assert data.train.sum(1).tolist() == [15] * 4
    assert not torch.equal(data.train[0], data.train[1])
    again = load_hypergraph("planted", nodes=300, classes=3, hyperedges=500, size=5.0, purity=0.9, splits=4, seed=3)
    assert torch.equal(again.hypergraph.indices, graph.indices)
    assert torch.equal(again.x.indices, data.x.indices)
    for wrong in ({"classes": 1}, {"purity": 1.2}, {"size": 1.0}, {"length": 0}, {"nodes": 5}):
        with pytest.raises(ValueError, match="expected"):
            load_hypergraph("planted", **wrong)


def test_data_refuses_what_does_not_fit() -> None:
    graph = Hypergraph.from_lists(3, [[0, 1]])
    y, train = torch.tensor([0, 1, 0]), torch.tensor([[True, False, False]])
    HypergraphData("fine", graph, torch.zeros(3, 2), y, train, ("a", "b"))
    with pytest.raises(ValueError, match="labels of 3 nodes"):
        HypergraphData("mine", graph, torch.zeros(4, 2), y, train, ("a", "b"))
    with pytest.raises(ValueError, match=r"train as bool \(splits, 3\)"):
        HypergraphData("mine", graph, torch.zeros(3, 2), y, train[0], ("a", "b"))
    with pytest.raises(ValueError, match="labels in"):
        HypergraphData("mine", graph, torch.zeros(3, 2), y, train, ("a",))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published(name: str, data: Path) -> None:
    features = "published" if name in FEATURES else "incidence"
    found = load_hypergraph(name, data, features=features)
    graph = found.hypergraph
    counts = (found.num_nodes, graph.num_hyperedges, graph.num_incidences, found.num_classes, int(found.train[0].sum()))
    assert counts == PUBLISHED[name]
    assert found.num_features == FEATURES.get(name, graph.num_hyperedges)
    assert found.num_splits == 10
    assert found.train.sum(1).tolist() == [counts[-1]] * 10
    assert isinstance(found.x, Graph)
    sums = torch.zeros(found.num_nodes).index_add(0, found.x.edge_index[1], found.x.weight)
    assert torch.allclose(sums[sums > 0], torch.ones(int((sums > 0).sum())))


def test_names() -> None:
    assert hypergraph_names() == ["planted", *PUBLISHED, "npz"]
