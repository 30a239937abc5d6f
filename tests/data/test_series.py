"""Series on graphs: readers of published files and of one's own, generated traffic, edges and their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from moiety.data import (
    generated_traffic,
    load_dynamic_graph,
    load_series,
    load_token_network,
    load_traffic,
    series_names,
)
from moiety.data.generated_traffic import roads
from moiety.data.networks import DYNAMIC, TOKENS
from moiety.data.series import EdgeSeries, SeriesData, edge_weights, undirected
from moiety.data.series_names import DYNAMIC as NAMED
from moiety.data.traffic import gaussian_weights, read_distances, read_pems, read_road_graph, read_speeds
from moiety.topology import Snapshots


def test_undirected() -> None:
    pairs, weight = undirected(np.array([[2, 0, 1, 3, 0], [0, 1, 0, 3, 2]]), np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert pairs.tolist() == [[0, 0], [1, 2]]
    assert weight.tolist() == [3.0, 5.0]  # the last of each pair; no loop
    assert undirected(np.zeros((2, 0), np.int64))[0].shape == (2, 0)


def test_edge_weights() -> None:
    values = np.array([[[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [6.0, 8.0]]])
    pairs = np.array([[0, 0, 0], [1, 2, 3]])
    assert edge_weights(values, pairs)[0].tolist() == pytest.approx([0.5, 1e-6, 1.0])
    assert edge_weights(values, pairs, "rbf", 50.0)[0].tolist() == pytest.approx([np.exp(-0.5), 1.0, np.exp(-2)])
    long = np.random.default_rng(0).random((2500, 4, 2))
    whole = edge_weights(long, pairs)
    assert np.array_equal(whole[1500:1503], edge_weights(long[1500:1503], pairs))
    assert whole.max(1).tolist() == [1.0] * 2500
    with pytest.raises(ValueError, match="'distance' or 'rbf' and gamma > 0, got 'cosine'"):
        edge_weights(values, pairs, "cosine")  # type: ignore[arg-type]


def test_edges_by_step() -> None:
    pairs = np.array([[0, 1], [1, 2]])
    edges = EdgeSeries.fixed(3, pairs, np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]))
    assert len(edges) == 3
    assert edges.step(1)[1].tolist() == [0.3, 0.4]
    later = edges.between(1, 3)
    assert len(later) == 2
    assert later.step(1)[0].tolist() == pairs.tolist()
    assert later.step(1)[1].tolist() == [0.5, 0.6]
    thin = edges.snapshots(0.35)
    assert thin.start.tolist() == [0, 2, 3, 3]
    assert thin.head.tolist() == [1, 2, 1]
    from_matrices = Snapshots.from_weights(3, pairs.T, np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]), 0.35)
    assert np.array_equal(from_matrices.tail, thin.tail)


@pytest.mark.parametrize(
    ("indptr", "pairs", "weight", "said"),
    [
        ([0, 1], [[0], [1]], [0.5, 0.5], "expected pairs"),
        ([0, 1], [[1], [0]], [0.5], "nodes u < v"),
        ([0, 1], [[0], [3]], [0.5], "nodes below 3, got 3"),
        ([0, 1], [[0], [1]], [-0.5], "weights of at least 0"),
        ([0, 1], [[0], [1]], [np.nan], "finite weights"),
    ],
)
def test_impossible_edges(indptr: list[int], pairs: list[list[int]], weight: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EdgeSeries(3, np.array(indptr), np.array(pairs), np.array(weight))


def test_impossible_series() -> None:
    values, adjacency = torch.zeros(4, 3, 1), torch.zeros(3, 3)
    edges = torch.tensor([[0], [1]])
    networks = EdgeSeries.fixed(3, edges.numpy(), np.ones((5, 1)))
    with pytest.raises(ValueError, match="values"):
        SeriesData("x", values.double(), ("a",), "u", 5.0, adjacency, edges)
    with pytest.raises(ValueError, match="expected finite values"):
        SeriesData("x", values / 0, ("a",), "u", 5.0, adjacency, edges)
    with pytest.raises(ValueError, match="either the edges"):
        SeriesData("x", values, ("a",), "u", 5.0, adjacency)
    with pytest.raises(ValueError, match="networks of 4 steps and 3 nodes, got 5 and 3"):
        SeriesData("x", values, ("a",), "u", 5.0, adjacency, networks=networks)
    with pytest.raises(ValueError, match="adjacency"):
        SeriesData("x", values, ("a",), "u", 5.0, adjacency - 1, edges)
    with pytest.raises(ValueError, match=r"in \(0, 1\), got 1.0"):
        SeriesData("x", values, ("a",), "u", 5.0, adjacency, edges, test=1.0)


def test_generated_traffic() -> None:
    made, again = generated_traffic(nodes=20, steps=600), generated_traffic(nodes=20, steps=600)
    assert torch.equal(made.values, again.values)
    assert not torch.equal(made.values, generated_traffic(nodes=20, steps=600, seed=1).values)
    assert made.values.shape == (600, 20, 3)
    flow, occupancy, speed = made.values.unbind(-1)
    assert float(flow.min()) >= 0
    assert float(occupancy.max()) <= 1
    assert 40 < float(speed.mean()) < 70
    night, rush = flow[24:48].mean(), flow[8 * 12 - 6 : 8 * 12 + 6].mean()  # 2 to 4 and 7:30 to 8:30 in the morning
    assert rush > 2.5 * night
    pairs, lengths = roads(20)
    assert np.array_equal(pairs, made.edges.numpy())
    assert (lengths > 0).all()
    reached = {0}
    for _ in range(20):
        reached |= {int(v) for u, v in [*pairs.T, *pairs[::-1].T] if int(u) in reached}
    assert len(reached) == 20
    with pytest.raises(ValueError, match="got one of the two"):
        generated_traffic(pairs=pairs)
    with pytest.raises(ValueError, match="at least 3 nodes"):
        roads(2)


def test_congestion_spreads_along_roads() -> None:
    """Neighbours' speeds go together more than those of nodes apart."""
    made = generated_traffic(nodes=60, steps=2000)
    speed = made.values[..., 2].numpy()
    rest = speed[12:] - speed[:-12]
    together = np.corrcoef(rest.T)
    pairs = made.edges.numpy()
    joined = together[pairs[0], pairs[1]].mean()
    assert joined > 2 * np.abs(together).mean()


def write_pems(folder: Path) -> tuple[Path, Path]:
    data, distances = folder / "PEMS99.npz", folder / "distance.csv"
    np.savez(data, data=np.arange(24, dtype=np.float64).reshape(4, 2, 3))
    distances.write_text("from,to,cost\n0,1,120.5\n1,0,99\n")
    return data, distances


def test_pems_archives(tmp_path: Path) -> None:
    data, distances = write_pems(tmp_path)
    found = read_pems(data, distances)
    assert found.name == "pems99"
    assert found.channels == ("flow", "occupancy", "speed")
    assert found.values[1, 1].tolist() == [9.0, 10.0, 11.0]
    assert found.edges.tolist() == [[0], [1]]
    assert float(found.adjacency[0, 1]) == float(found.adjacency[1, 0]) > 0
    assert torch.equal(load_series("pems", data=data, distances=distances).values, found.values)
    np.savez(tmp_path / "other.npz", flows=np.zeros(3))
    with pytest.raises(ValueError, match="expected an array 'data', found flows"):
        read_pems(tmp_path / "other.npz", distances)
    with pytest.raises(ValueError, match="2 channels"):
        read_pems(data, distances, channels=("flow", "speed"))
    distances.write_text("from,to,cost\n0,1,far\n")
    with pytest.raises(ValueError, match=r"distance.csv, line 2: expected a cost of at least 0, found 'far'"):
        read_pems(data, distances)
    distances.write_text("from,to,cost\n7,9,3\n")
    with pytest.raises(ValueError, match="pairs of the 2 sensors, found none"):
        read_pems(data, distances)


def test_distances_of_named_sensors(tmp_path: Path) -> None:
    table = tmp_path / "distances.csv"
    table.write_text("from,to,cost\n773869,773869,0\n773869,767541,2.5\n1,2,9\n767541,773869,2.4\n")
    pairs, cost = read_distances(table, ["767541", "773869"])
    assert pairs.tolist() == [[0], [1]]
    assert cost.tolist() == [2.4]
    weights = gaussian_weights(3, np.array([[0, 0], [1, 2]]), np.array([1.0, 9.0]))
    assert weights[0, 1] == weights[1, 0] == pytest.approx(np.exp(-1 / 16))
    assert weights[0, 2] == 0  # below the least


def test_tables_of_speeds(tmp_path: Path) -> None:
    speeds, graph = tmp_path / "speed.csv", tmp_path / "adj.csv"
    speeds.write_text("a,b\n10,20\n0,21\n12,22\n")
    graph.write_text("1,0.5\n0.5,1\n")
    found = read_speeds(speeds, graph)
    assert found.values[:, 0, 0].tolist() == [10, 0, 12]
    assert found.adjacency[0, 1] == 0.5
    assert found.edges.tolist() == [[0], [1]]
    filled = read_speeds(speeds, graph, missing=0.0)
    assert filled.values[:, 0, 0].tolist() == [10, 11, 12]
    timed = tmp_path / "timed.csv"
    timed.write_text(",a,b\n2012-03-01 00:00,10,20\n2012-03-01 00:05,11,21\n")
    graph.write_text("from,to,cost\na,b,3.5\n")
    assert read_speeds(timed, graph).values.shape == (2, 2, 1)
    speeds.write_text("a,b\n10,twenty\n")
    with pytest.raises(ValueError, match=r"speed.csv, line 2: expected 2 finite numbers, found 'twenty'"):
        read_speeds(speeds, graph)
    speeds.write_text("a,b\n10\n")
    with pytest.raises(ValueError, match="expected 2 finite numbers, found 1"):
        read_speeds(speeds, graph)
    speeds.write_text("a,b\n0,1\n0,2\n")
    with pytest.raises(ValueError, match="sensor 0 has no value but 0"):
        read_speeds(speeds, graph, missing=0.0)
    graph.write_text("1,0\n")
    with pytest.raises(ValueError, match="expected 2 rows of weights, found 1"):
        read_speeds(speeds, graph)
    graph.write_text("")
    with pytest.raises(ValueError, match="found an empty file"):
        read_speeds(speeds, graph)


def test_names() -> None:
    assert set(NAMED) == set(DYNAMIC)
    assert {"generated", "los_loop", *TOKENS, *DYNAMIC} <= set(series_names())
    with pytest.raises(ValueError, match="did you mean 'los_loop'"):
        load_series("losloop")
    for load in (load_traffic, load_token_network, load_dynamic_graph, read_road_graph):
        with pytest.raises(ValueError, match=r"there is no .* 'nothing'"):
            load("nothing")


def test_los_loop(data: Path) -> None:
    found = load_traffic("los_loop", data)
    assert found.values.shape == (2016, 207, 1)
    assert found.edges.shape == (2, 1313)
    speed = found.values[..., 0]
    test = speed[int(0.8 * 2016) :]  # T-GCN's split: the last value is the published 3.15 and 5.54 mph of it
    errors = torch.stack([test[12 + h : len(test) - 2 + h] - test[11 : len(test) - 3] for h in range(3)])
    assert float(errors.abs().mean()) == pytest.approx(3.15, abs=0.02)
    assert float((errors**2).mean((1, 2)).sqrt().mean()) == pytest.approx(5.5, abs=0.1)


@pytest.mark.parametrize(("name", "steps", "edges"), [("bytom", 272, 9.98), ("decentraland", 206, 16.94)])
def test_token_networks(name: str, steps: int, edges: float, data: Path) -> None:
    found = load_token_network(name, data)
    assert found.values.shape == (steps, 100, 1)
    networks = found.weighted_edges()
    assert len(networks.weight) / steps == pytest.approx(edges, rel=0.05)  # published: edges of a day
    degrees = np.zeros((steps, 100))
    for t in range(steps):
        pairs, _ = networks.step(t)
        np.add.at(degrees[t], pairs.reshape(-1), 1)
    assert (degrees == found.values[..., 0].numpy()).mean() > 0.999  # the days of degrees and of transfers are the same


@pytest.mark.parametrize("name", sorted(DYNAMIC))
def test_dynamic_graphs(name: str, data: Path) -> None:
    found = load_dynamic_graph(name, data)
    assert len(found.weighted_edges()) == len(found.values)
    assert float(found.values.std()) > 0


@pytest.mark.parametrize(("name", "nodes", "edges"), [("pems04", 307, 340), ("pems08", 170, 274)])
def test_road_graphs(name: str, nodes: int, edges: int, data: Path) -> None:
    found = read_road_graph(name, data)
    assert found[0] == nodes
    assert found[1].shape == (2, edges)
    made = load_series(f"generated-{name}", data=data, steps=50)
    assert made.values.shape == (50, nodes, 3)
