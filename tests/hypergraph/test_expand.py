"""Fixed graphs in place of a hypergraph, and the p-Laplacian's energy, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import hypergraph_reference as reference
from hypergraph_reference import Lists, hypergraphs, random_lists, random_signal
from moiety.graph import Hypergraph
from moiety.ops import hypergraph_energy, spmm

Case = tuple[int, Lists, list[float] | None]


def incidence(nodes: int, lists: Lists) -> np.ndarray:
    h = np.zeros((nodes, len(lists)))
    for e, members in enumerate(lists):
        h[members, e] = 1
    return h


def hgnn(nodes: int, lists: Lists, weight: list[float] | None) -> np.ndarray:
    h, w = incidence(nodes, lists), np.ones(len(lists)) if weight is None else np.array(weight)
    degree = h @ w
    scale = np.divide(1, np.sqrt(degree), out=np.zeros(nodes), where=degree > 0)
    return scale[:, None] * (h * (w / np.maximum(h.sum(0), 1)) @ h.T) * scale


@settings(max_examples=100, deadline=None)
@given(hypergraphs())
def test_any_hypergraph(case: Case) -> None:
    nodes, lists, weight = case
    hypergraph = Hypergraph.from_lists(nodes, lists, weight)
    h, w = incidence(nodes, lists), np.ones(len(lists)) if weight is None else np.array(weight)
    clique = (h * w) @ h.T
    np.fill_diagonal(clique, 0)
    found = hypergraph.expand("clique")
    np.testing.assert_allclose(reference.dense(found), clique, rtol=1e-6)
    assert found.num_edges == (clique != 0).sum()
    np.testing.assert_allclose(
        reference.dense(hypergraph.expand("star")),
        np.block([[np.zeros((nodes, nodes)), h * w], [(h * w).T, np.zeros((len(lists), len(lists)))]]),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        reference.dense(hypergraph.expand("hgnn", torch.float64)), hgnn(nodes, lists, weight), atol=1e-14
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_hgnn_as_two_products(dtype: torch.dtype) -> None:
    lists = random_lists(50, 60, 12)
    hypergraph = Hypergraph.from_lists(50, lists, torch.linspace(1, 3, 60))
    x = random_signal(50, 7, dtype=dtype).requires_grad_()
    built = hypergraph.expand("hgnn", dtype)
    y, wanted = hypergraph.propagate(x), spmm(built, x)
    torch.testing.assert_close(y, wanted)
    dy = random_signal(50, 7, 1, dtype)
    torch.testing.assert_close(torch.autograd.grad(y, x, dy), torch.autograd.grad(wanted, x, dy))
    with pytest.raises(TypeError, match=r"expected float32 or float64, got torch\.int64"):
        hypergraph.propagate(x.detach().long())
    with pytest.raises(ValueError, match="expected an expansion 'clique', 'star' or 'hgnn', got 'line'"):
        hypergraph.expand("line")  # type: ignore[arg-type]


def test_equals_pytorch_geometric() -> None:
    """HypergraphConv multiplies by D_v^-1 H D_e^-1 H^T, ours is that between D_v^1/2 and D_v^-1/2.

    Without weights: PyG 2.8 counts them in D_v but does not multiply by W.
    """
    pyg = pytest.importorskip("torch_geometric.nn", reason="PyTorch Geometric is not installed")
    lists = random_lists(50, 60, 12)
    hypergraph = Hypergraph.from_lists(50, lists)
    layer, x = pyg.HypergraphConv(6, 6, bias=False), random_signal(50, 6)
    with torch.no_grad():
        layer.lin.weight.copy_(torch.eye(6))
    node, hyperedge = hypergraph.incidence.edge_index
    root = hypergraph.degrees().sqrt().unsqueeze(1)
    theirs = root * layer(x / root.clamp(min=1e-9) * (root > 0), torch.stack([node, hyperedge]))
    torch.testing.assert_close(hypergraph.propagate(x), theirs.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")  # DHG leaves them as they come
def test_equals_dhg() -> None:
    dhg = pytest.importorskip("dhg", reason="DHG is not installed")
    lists = [members for members in random_lists(50, 60, 12) if len(members) > 1]
    theirs = dhg.Hypergraph(50, lists)
    hypergraph, x = Hypergraph.from_dhg(theirs), random_signal(50, 6)
    assert hypergraph.num_hyperedges == theirs.num_e
    torch.testing.assert_close(hypergraph.propagate(x), theirs.smoothing_with_HGNN(x), rtol=1e-5, atol=1e-6)


# --- energy -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(hypergraphs())
def test_energy_of_any_hypergraph(case: Case) -> None:
    nodes, lists, weight = case
    hypergraph, x = Hypergraph.from_lists(nodes, lists, weight), random_signal(nodes, 3, dtype=torch.float64)
    for p in (1, 2, 2.5):
        wanted = sum(
            w * max(float((x[u] - x[v]).norm()) ** p for u in members for v in members)
            for members, w in zip(lists, [1.0] * len(lists) if weight is None else weight, strict=True)
        )
        assert float(hypergraph_energy(hypergraph, x, p)) == pytest.approx(wanted, abs=1e-12)


def test_energy_of_one_column_is_total_variation() -> None:
    lists, x = random_lists(50, 60, 12), random_signal(50, 1)
    found = float(hypergraph_energy(Hypergraph.from_lists(50, lists), x, 1))
    assert found == pytest.approx(sum(float(x[m].max() - x[m].min()) for m in lists), rel=1e-5)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
def test_energy_gradients(p: float) -> None:
    hypergraph = Hypergraph.from_lists(20, random_lists(20, 15, 8), torch.linspace(1, 2, 15))
    x = random_signal(20, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: hypergraph_energy(hypergraph, v, p), (x,))
    flat = torch.ones(20, 3, requires_grad=True)  # nothing differs: the zero of the subgradients
    assert torch.equal(torch.autograd.grad(hypergraph_energy(hypergraph, flat, p), flat)[0], torch.zeros(20, 3))
    with pytest.raises(ValueError, match=r"expected p >= 1, got 0\.5"):
        hypergraph_energy(hypergraph, x, 0.5)
