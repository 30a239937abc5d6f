"""HyperGCN on the Cora hypergraphs with pairs that nobody learns: the answers, and the price by its formula."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety import private
from moiety.data import load_hypergraph
from moiety.graph import Hypergraph
from moiety.models import create_model


def ties_to_the_first(model: nn.Module, x: Tensor, hypergraph: Hypergraph) -> Tensor:
    """The network in float64 where places that are equal but for rounding count as equal, as they do in private: two
    nodes that a hypergraph makes equal are then the same two for everybody."""
    h = x.double()
    for i, layer in enumerate(model.double().convs):  # type: ignore[arg-type]
        s = (h.relu() if i else h) @ layer.lin.weight.T
        places = (s @ layer.projection).round(decimals=9)
        h = hypergraph.smooth(s, signal=places.view(-1, 1), projection=torch.ones(1)) + layer.bias
    model.float()
    return h


@pytest.mark.parametrize("name", ["cocitation-cora", "coauthorship-cora"])
def test_hypergcn_on_cora(name: str, data: Path) -> None:
    if not (data / "hypergcn" / f"{name.replace('-', '_')}.npz").is_file():
        pytest.skip("data not found under --data, MOIETY_DATA or ../shared/data")
    cora = load_hypergraph(name, data, sparse=False)
    assert isinstance(cora.x, Tensor)
    torch.manual_seed(0)
    model = create_model("hypergcn", in_features=cora.x.shape[1], num_classes=len(cora.classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    for _ in range(20):
        optimizer.zero_grad()
        logits = model(cora.x, cora.hypergraph)[cora.train[0]]
        F.cross_entropy(logits, cora.y[cora.train[0]]).backward()
        optimizer.step()
    graph = cora.hypergraph
    program = private.compile(model.eval(), cora.x, calibration=cora.x, graph=graph, fraction_bits=20)
    result = private.run_local(program, cora.x[None], comparison="circuit", timeout=300)
    with torch.no_grad():
        expected = ties_to_the_first(model, cora.x, graph)
    assert (result.output[0].argmax(1) == expected.argmax(1)).double().mean() >= 0.999
    cost = private.estimate(program, comparison="circuit")
    client, server = result.stats.client["online"], result.stats.server["online"]
    assert (client.rounds, server.bytes_sent, client.bytes_sent) == (cost.rounds, cost.bytes_server, cost.bytes_client)
    opened = 8 * cora.x.numel()
    assert client.bytes_sent < 1.25 * opened  # the features, opened once, and what the pairs take
