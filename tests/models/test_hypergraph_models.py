"""Networks for hypergraphs: registered, of the published size, equal on sparse features, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from moiety.graph import Graph, Hypergraph
from moiety.models import create_model, list_models, load_network, save_network
from moiety.models.hypergcn import FastHyperGCN
from moiety.models.hypergraph_parts import Regularised
from moiety.models.registry import HYPERGRAPH_FILES
from moiety.nn.hypergraph.structure import looped

NODES, IN, CLASSES = 30, 12, 4
NAMES = sorted(name for names in HYPERGRAPH_FILES.values() for name in names)


def hypergraph(seed: int = 0) -> Hypergraph:
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 7, (25,), generator=generator).tolist()
    lists = [torch.randperm(NODES - 2, generator=generator)[:size].tolist() for size in sizes]  # two nodes are in none
    return Hypergraph.from_lists(NODES, lists)


def features(seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(NODES, IN, generator=generator)
    return x * (torch.rand(NODES, IN, generator=generator) > 0.6)


def sparse(x: Tensor) -> Graph:
    rows, columns = x.nonzero(as_tuple=True)
    return Graph.from_edge_index(torch.stack([columns, rows]), len(x), x[rows, columns], num_sources=x.shape[1])


def network(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, in_features=IN, num_classes=CLASSES, **options)


def test_names() -> None:
    assert list_models(inputs="hypergraphs") == NAMES
    for other in ("images", "graphs", "series"):
        assert not set(list_models(inputs=other)) & set(NAMES)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_sparse_features_are_dense_ones(name: str) -> None:
    model, x, graph = network(name), features(), hypergraph()
    assert model(sparse(x), graph).shape == (NODES, CLASSES)  # in training mode
    model.eval()
    torch.testing.assert_close(model(sparse(x), graph), model(x, graph), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    model = network(name)
    logits = model(features(), hypergraph())
    nn.functional.cross_entropy(logits, torch.arange(NODES) % CLASSES).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert bool(torch.isfinite(parameter.grad).all()), path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layers", [1, 3])
def test_depth(name: str, layers: int) -> None:
    assert network(name, layers=layers).eval()(features(), hypergraph()).shape == (NODES, CLASSES)
    with pytest.raises(ValueError, match="must be positive"):
        create_model(name, in_features=0, num_classes=CLASSES)


# On Cora (1,433 features, 7 classes), counted by hand from the papers' layer sizes.
@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("hypergcn", {"hidden": 16}, 1433 * 16 + 16 + 16 * 7 + 7),
        ("hgnn", {}, 1433 * 16 + 16 + 16 * 7 + 7),
        ("unisage", {}, 1433 * 64 + 64 * 7),
        ("edhnn", {}, 1433 * 256 + 256 + 256 * 256 + 256 + 256 * 7 + 7),
        ("hyper_mlp", {}, 1433 * 32 + 32 + 32 * 7 + 7),
    ],
)
def test_sizes(name: str, options: dict[str, Any], parameters: int) -> None:
    model = create_model(name, in_features=1433, num_classes=7, **options)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_network_predicts_the_same(name: str, tmp_path: Path) -> None:
    """HyperGCN's as well: the line that it projects on is in the file."""
    model = network(name).eval()
    metadata = {"model": {"name": name, "kwargs": {"in_features": IN, "num_classes": CLASSES}}, "features": IN}
    save_network(tmp_path / "weights.safetensors", model, metadata, half=False)
    again, _ = load_network(tmp_path / "weights.safetensors")
    assert torch.equal(again.eval()(features(), hypergraph()), model(features(), hypergraph()))


@pytest.mark.parametrize("pairs", ["projection", "exact"])
@pytest.mark.parametrize("mediators", [True, False])
def test_fast_hypergcn_has_the_laplacian_of_its_features(pairs: str, mediators: bool) -> None:
    model = network("fast_hypergcn", pairs=pairs, mediators=mediators).eval()
    assert isinstance(model, FastHyperGCN)
    x, graph = features(), hypergraph()
    line = model.projection if pairs == "projection" else None
    made = graph.laplacian(x, mediators=mediators, pairs=pairs, projection=line)  # type: ignore[arg-type]
    torch.testing.assert_close(model(x, graph), model(x, made))
    torch.testing.assert_close(model(sparse(x), graph), model(x, made))


def test_fast_hypergcn_makes_its_laplacian_once() -> None:
    model = network("fast_hypergcn")
    assert isinstance(model, FastHyperGCN)
    x, graph = features(), hypergraph()
    made = model.laplacian(x, graph)
    assert model.laplacian(x, graph) is made
    assert model.laplacian(x.clone(), graph) is not made
    x.mul_(-1.0)  # as its version says, other features
    assert model.laplacian(x, graph) is not made
    with torch.no_grad():
        model.projection.neg_()
    assert model.laplacian(x, graph) is not made


def test_one_hypergcn_has_no_mediators() -> None:
    one, plain = network("one_hypergcn"), network("hypergcn", mediators=False)
    torch.testing.assert_close(one.eval()(features(), hypergraph()), plain.eval()(features(), hypergraph()))


@pytest.mark.parametrize("name", ["hypergcn", "fast_hypergcn", "one_hypergcn"])
def test_the_programs_initial_weights(name: str) -> None:
    model = network(name, initial="code", hidden=16)
    for conv, out in zip(model.convs, (16, CLASSES), strict=True):
        for value in map(torch.Tensor.detach, conv.parameters()):
            assert float(value.abs().max()) <= out**-0.5
            assert float(value.std()) > 0.2 * out**-0.5  # 0.58 of a uniform distribution's bound
    with pytest.raises(ValueError, match="expected initial 'glorot' or 'code', got 'normal'"):
        network(name, initial="normal")


def test_the_last_relu_is_an_option() -> None:
    x, graph = features(), hypergraph()
    without, with_it = network("hypergcn").eval(), network("hypergcn", last_relu=True).eval()
    logits = without(x, graph)
    assert bool((logits < 0).any())
    torch.testing.assert_close(with_it(x, graph), logits.relu())


def test_a_class_that_the_last_relu_has_shut_off_never_comes_back() -> None:
    """Why it is off: a class whose logits are all negative gets no gradient from any of its nodes."""
    model = network("hypergcn", last_relu=True)
    with torch.no_grad():
        model.convs[-1].bias.fill_(1.0)
        model.convs[-1].bias[2] = -100.0
    nn.functional.cross_entropy(model(features(), hypergraph()), torch.full((NODES,), 2)).backward()
    weight, bias = model.convs[-1].lin.weight.grad, model.convs[-1].bias.grad
    assert torch.count_nonzero(weight[2]) == torch.count_nonzero(bias[2]) == 0
    assert torch.count_nonzero(weight) > 0


def test_hlr_is_the_energy_of_the_probabilities() -> None:
    model = network("hyper_mlp", hlr=0.3)
    assert isinstance(model, Regularised)
    logits, graph = torch.randn(NODES, CLASSES, dtype=torch.float64), hypergraph()
    z = logits.softmax(1)
    made = graph.laplacian(z, pairs="exact")
    dense = torch.zeros(NODES, NODES, dtype=torch.float64)
    dense.index_put_((made.edge_index[1], made.edge_index[0]), made.weight.double(), accumulate=True)
    expected = 0.3 * torch.trace(z.t() @ (torch.eye(NODES, dtype=torch.float64) - dense) @ z)
    torch.testing.assert_close(model.penalty(logits, graph), expected)
    assert float(expected) > 0
    assert float(network("hyper_mlp").penalty(logits, graph)) == 0.0
    with pytest.raises(ValueError, match="hlr must not be negative"):
        network("hyper_mlp", hlr=-1.0)


def test_hgnn_and_unigcn_give_nodes_without_hyperedges_their_own_features() -> None:
    x = features()
    for name in ("hgnn", "unigcn"):
        logits = network(name, self_loops=True).eval()(x, hypergraph())
        assert bool((logits[-2:] != 0).any())
        torch.testing.assert_close(network(name, self_loops=False).eval()(x, looped(hypergraph())), logits)
