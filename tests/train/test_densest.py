"""The densest part of a hypergraph: greedy methods against their definitions, the loss, learning, and whole runs."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.drive.config import load_task
from moiety.drive.densest.config import DensestConfig, DensestDataConfig, DensestModelConfig
from moiety.drive.densest.running import run
from moiety.drive.report import load_run, page, tables
from moiety.drive.running import Where
from moiety.drive.settings import SettingsError, build
from moiety.graph import Hypergraph
from moiety.models import create_model
from moiety.train.hypergraph import (
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

LISTS = [[0, 1], [1, 2, 3], [0, 3], [4, 1], [5, 4, 2], [0, 1, 3]]


def lists_of(hypergraph: Hypergraph) -> list[list[int]]:
    bounds = hypergraph.indptr.tolist()
    return [hypergraph.indices[a:b].tolist() for a, b in itertools.pairwise(bounds)]


def mask_of(nodes: int, chosen: set[int]) -> Tensor:
    mask = torch.zeros(nodes, dtype=torch.bool)
    mask[list(chosen)] = True
    return mask


def peeled(nodes: int, lists: list[list[int]], k: int, among: set[int]) -> set[int]:
    """RemoveMinDegree as it is said, with no queue."""
    left, edges = set(among), [set(e) for e in lists if set(e) <= among]
    while len(left) > k:
        node = min(left, key=lambda v: (sum(v in e for e in edges), v))
        left.remove(node)
        edges = [e for e in edges if node not in e]
    return left


hypergraphs = st.integers(3, 9).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True), min_size=1, max_size=12),
    )
)


@settings(max_examples=60, deadline=None)
@given(hypergraphs, st.data())
def test_greedy_methods_are_what_they_say(made: tuple[int, list[list[int]]], draw: st.DataObject) -> None:
    nodes, lists = made
    hypergraph = Hypergraph.from_lists(nodes, lists)
    k = draw.draw(st.integers(1, nodes))
    among = set(draw.draw(st.permutations(range(nodes)))[: draw.draw(st.integers(k, nodes))])
    degrees = [sum(v in e for e in lists) for v in range(nodes)]
    first = sorted(range(nodes), key=lambda v: -degrees[v])[:k]
    assert torch.equal(max_degree(hypergraph, k), mask_of(nodes, set(first)))
    assert torch.equal(remove_min_degree(hypergraph, k), mask_of(nodes, peeled(nodes, lists, k, set(range(nodes)))))
    found = remove_min_degree(hypergraph, k, mask_of(nodes, among))
    assert torch.equal(found, mask_of(nodes, peeled(nodes, lists, k, among)))
    assert inside(hypergraph, found) == sum(set(e) <= set(found.nonzero().flatten().tolist()) for e in lists)


def test_refusals() -> None:
    hypergraph = Hypergraph.from_lists(6, LISTS)
    for k in (0, 7):
        with pytest.raises(ValueError, match=r"k in \[1, 6\]"):
            max_degree(hypergraph, k)
    with pytest.raises(ValueError, match="at least k = 3 nodes to choose among, got 2"):
        remove_min_degree(hypergraph, 3, mask_of(6, {1, 2}))
    with pytest.raises(ValueError, match="a bool mask"):
        inside(hypergraph, torch.ones(6))
    with pytest.raises(ValueError, match="candidates of at least 1"):
        choose(nn.Identity(), hypergraph, torch.zeros(6, 5), 2, 0.5)
    for wrong in ({"share": 1.0}, {"within": 1.5}, {"size": 1.0}, {"skew": -1.0}):
        with pytest.raises(ValueError, match="expected 2 nodes or more"):
            planted_dense(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected epochs"):
        DensestFit(epochs=0)


def test_features_by_hand() -> None:
    hypergraph = Hypergraph.from_lists(6, LISTS)
    degree = torch.tensor([float(sum(v in e for e in LISTS)) for v in range(6)]).log1p()
    rows = []
    for v in range(6):
        own = [e for e in LISTS if v in e]
        rows.append([degree[v], *(sum(values) / len(own) for values in (
            [float(len(e)) for e in own], [float(degree[e].mean()) for e in own], [float(degree[e].min()) for e in own]
        ))])  # fmt: skip
    x = torch.tensor(rows)
    x = (x - x.mean(0)) / x.std(0, unbiased=False)
    torch.testing.assert_close(node_features(hypergraph), torch.cat([torch.ones(6, 1), x], 1))


def test_the_planted_part_is_dense_and_repeats() -> None:
    one, again = planted_dense(seed=3), planted_dense(seed=3)
    assert torch.equal(one.hypergraph.indices, again.hypergraph.indices)
    assert one.k == 50
    assert one.held >= 0.2 * one.hypergraph.num_hyperedges
    by_chance = [inside(one.hypergraph, torch.randperm(200) < 50) for _ in range(20)]
    assert one.held > 3 * max(by_chance)


def test_the_nearest_map_answers() -> None:
    core = torch.tensor([True, False, True, False])
    logits = torch.tensor([[2.0, -3.0], [-1.0, 3.0], [2.0, -3.0], [-2.0, 3.0]], requires_grad=True)
    loss = hindsight(logits, core)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(logits[:, 0], core.float()))
    loss.backward()
    assert logits.grad is not None
    assert torch.count_nonzero(logits.grad[:, 1]) == 0


def test_learning_finds_the_part_of_a_hypergraph_not_seen() -> None:
    train, test = [planted_dense(seed=i) for i in range(6)], planted_dense(seed=99)

    def right(epochs: int) -> float:
        torch.manual_seed(0)
        model = create_model("hgnn", in_features=5, num_classes=4, hidden=16, dropout=0.0)
        if epochs:
            fit_densest(model, train, DensestFit(epochs=epochs))
        chosen = choose(model, test.hypergraph, test.x, test.k)
        return int((chosen & test.core).sum()) / test.k

    before, after = right(0), right(15)
    assert after > before
    assert after > 0.8


def test_candidates_are_peeled() -> None:
    one = planted_dense(seed=5)

    class Known(nn.Module):
        def forward(self, x: Tensor, hypergraph: Hypergraph) -> Tensor:
            return torch.stack([one.core.float() * 2, -torch.arange(200.0)], 1)

    assert torch.equal(choose(Known(), one.hypergraph, one.x, one.k), one.core)
    found = choose(Known(), one.hypergraph, one.x, one.k, 4.0)  # all nodes are candidates
    assert torch.equal(found, remove_min_degree(one.hypergraph, one.k))


def test_a_run(tmp_path: Path) -> None:
    config = DensestConfig(
        seeds=(0, 1),
        maps=3,
        data=DensestDataConfig(2, 2, {"nodes": 60, "hyperedges": 80}),
        models=(DensestModelConfig("hgnn", "HGNN"),),
        fit=DensestFit(epochs=2),
    )
    results = run(config, tmp_path / "run", where=Where(jobs=1), quiet=True)
    assert results.methods() == ["MaxDegree", "RemoveMinDegree", "HGNN", "HGNN + RemoveMinDegree"]
    graphs = [planted_dense(nodes=60, hyperedges=80, seed=seed) for seed in (2, 3)]
    expected = [inside(g.hypergraph, remove_min_degree(g.hypergraph, g.k)) / g.held for g in graphs]
    assert results.found[1].ratios == pytest.approx(expected)
    mean, _ = results.ratio("RemoveMinDegree")
    assert mean == pytest.approx(sum(expected) / 2)
    assert load_task(str(tmp_path / "run" / "config.toml")) == config
    assert run(config, tmp_path / "run", quiet=True) == results
    shown = load_run(tmp_path / "run")
    assert f"| RemoveMinDegree | {mean:.3f} ±" in tables(shown)
    assert "<svg" in page([shown])
    assert isinstance(load_task("densest"), DensestConfig)
    with pytest.raises(SettingsError, match="hypergraphs to train on"):
        build(DensestConfig, {"data": {"train": 0}})
