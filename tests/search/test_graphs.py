"""Networks over hypergraphs in the search: polynomial or ReLU for every layer, under the latency of their programs."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F

from moiety import cost, private
from moiety.data import load_hypergraph
from moiety.models import create_model
from moiety.nn import X2Act
from moiety.ops import spmm
from moiety.private import reference
from moiety.search import Latency, WholeGraph, freeze, gates, greedy, relax, uniform


@pytest.mark.parametrize(("name", "options"), [("hgnn", {}), ("hypergcn", {"pairs": "projection"})])
def test_polynomial_or_relu_for_every_layer(name: str, options: dict[str, str]) -> None:
    """Of a trained network with three layers: costs are those of the programs, and what is chosen computes the same in
    private as in the clear."""
    data = load_hypergraph("planted", nodes=60, hyperedges=40, words=12, classes=3, splits=1)
    x = data.x if isinstance(data.x, torch.Tensor) else spmm(data.x, torch.eye(data.x.num_cols))
    torch.manual_seed(0)
    model = create_model(
        name, in_features=x.shape[1], num_classes=3, hidden=6, layers=3, dropout=0.0, activation="relu", **options
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(model(x, data.hypergraph)[data.train[0]], data.y[data.train[0]]).backward()
        optimizer.step()
    whole = WholeGraph(model.eval(), data.hypergraph)
    assert torch.equal(whole(x[None])[0], model(x, data.hypergraph))
    supernet = relax(whole, x[None], activations=("relu", "x2"))
    assert list(gates(supernet)) == ["model.activations.0", "model.activations.1"]
    latency = Latency(supernet, x[None], cost.backend("analytic:1:1000"))
    everything = {
        choice: latency.exact(latency.base.but(dict(zip(gates(supernet), choice, strict=True)))).seconds
        for choice in itertools.product(("relu", "x2"), repeat=2)
    }
    assert everything["x2", "x2"] < min(everything["relu", "x2"], everything["x2", "relu"]) < everything["relu", "relu"]
    target = (everything["relu", "relu"] + everything["x2", "x2"]) / 2
    for find in (greedy, uniform):
        found = find(latency, target)
        assert latency.exact(found).seconds <= target
    frozen = freeze(supernet, greedy(latency, target)).model.eval()
    assert sum(isinstance(module, X2Act) for module in frozen.modules()) >= 1  # type: ignore[union-attr]
    program = private.compile(frozen, x, calibration=x, graph=data.hypergraph)  # type: ignore[arg-type]
    with torch.no_grad():
        expected = frozen(x, data.hypergraph)  # type: ignore[operator]
    found_logits = torch.from_numpy(reference.run(program, x[None].numpy())[0])  # type: ignore[index]
    assert torch.allclose(found_logits.float(), expected, atol=2e-3 * max(1.0, float(expected.abs().max())))
