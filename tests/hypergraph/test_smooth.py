"""The product without a matrix against the matrix, in floats and in the ring, its gradients and its memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import hypergraph_reference as reference
from hypergraph_reference import Lists, hypergraphs, random_lists, random_signal
from moiety.graph import Hypergraph
from moiety.ops import CudaModuleMissing, hypergraph_smooth, spmm

RULES = [(mediators, weighting) for mediators in (True, False) for weighting in ("paper", "code")]
HYPERGRAPH = Hypergraph.from_lists(37, random_lists(37, 40, 15), torch.linspace(0.5, 2, 40))


def some_pairs(hypergraph: Hypergraph = HYPERGRAPH) -> tuple[Tensor, Tensor]:
    return hypergraph.pairs(random_signal(hypergraph.num_nodes, 3), projection=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_widths(isa: str, rule: tuple[bool, str], dtype: torch.dtype) -> None:
    s, i = some_pairs()
    matrix = reference.dense(HYPERGRAPH.laplacian_from_pairs(s, i, *rule, dtype=torch.float64))  # type: ignore[arg-type]
    for width in (0, 1, 3, 8, 16, 17, 33, 64, 65, 100, 130):
        x = random_signal(37, width, width, dtype)
        y = hypergraph_smooth(HYPERGRAPH, x, s, i, *rule)  # type: ignore[arg-type]
        assert y.dtype is dtype
        assert y.shape == x.shape
        np.testing.assert_allclose(y, matrix @ x.double().numpy(), atol=3e-6 if dtype is torch.float32 else 1e-14)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hypergraphs(), st.sampled_from(RULES), st.integers(0, 9))
def test_any_hypergraph(
    isa: str, case: tuple[int, Lists, list[float] | None], rule: tuple[bool, str], seed: int
) -> None:
    nodes, lists, weight = case
    hypergraph = Hypergraph.from_lists(nodes, lists, weight)
    signal = torch.randint(-1, 2, (nodes, 2), generator=torch.Generator().manual_seed(seed)).double()
    pairs = hypergraph.pairs(signal, "exact")
    entries = reference.laplacian(nodes, lists, list(zip(*(v.tolist() for v in pairs), strict=True)), *rule, own=weight)
    x = random_signal(nodes, 5, seed, torch.float64)
    y = hypergraph.smooth(x, pairs=pairs, mediators=rule[0], weighting=rule[1])  # type: ignore[arg-type]
    np.testing.assert_allclose(y, reference.matrix(nodes, entries) @ x.numpy(), atol=1e-13)


def test_of_its_own_signal_and_of_another() -> None:
    x, signal = random_signal(37, 2 * 5).view(37, 2, 5), random_signal(37, 4, 1)
    own = HYPERGRAPH.smooth(x, projection=4)
    torch.testing.assert_close(own, spmm(HYPERGRAPH.laplacian(x.flatten(1), projection=4), x))
    other = HYPERGRAPH.smooth(x, signal, "exact", mediators=False, weighting="code")
    torch.testing.assert_close(other, spmm(HYPERGRAPH.laplacian(signal, False, "code", "exact"), x))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_ring_is_exact_modulo_its_size(isa: str, rule: tuple[bool, str]) -> None:
    s, i = some_pairs()
    bits, loops = 9, [(m, m) for m in range(37)]
    floats = HYPERGRAPH.laplacian_from_pairs(s, i, *rule, dtype=torch.float64)  # type: ignore[arg-type]
    matrix = reference.dense(floats)
    # What the kernel rounds, from the matrix: D_v is one over the entry of a loop that no hyperedge adds to.
    assert all(int(a) != int(b) for a, b, size in zip(s, i, HYPERGRAPH.sizes(), strict=True) if size > 1)
    degree = 1 / matrix.diagonal()
    scale = [round(2**bits / d**0.5) for d in degree]
    a: dict[tuple[int, int], int] = dict.fromkeys(loops, 1 << bits)
    indptr, indices = HYPERGRAPH.indptr.tolist(), HYPERGRAPH.indices.tolist()
    assert HYPERGRAPH.weight is not None
    for e in range(HYPERGRAPH.num_hyperedges):
        members, own = indices[indptr[e] : indptr[e + 1]], float(HYPERGRAPH.weight[e])
        if len(members) == 1:
            continue
        w = own / (2 * len(members) - 3) if rule[0] else own / len(members) if rule[1] == "code" else own
        ends = {int(s[e]), int(i[e])}
        for u in members:
            for v in members:
                if u != v and (ends == {u, v} or (rule[0] and (u in ends) != (v in ends))):
                    a[u, v] = a.get((u, v), 0) + round(w * 2**bits)
    for width in (1, 7, 8, 20, 33):
        x = np.random.default_rng(width).integers(-(2**63), 2**63 - 1, (37, width), dtype=np.int64)
        wanted = np.zeros((37, width), object)
        for (u, v), weight in a.items():
            wanted[u] += scale[u] * weight * scale[v] * x[v].astype(object)
        wanted = ((wanted + 2**63) % 2**64 - 2**63).astype(np.int64)
        y = hypergraph_smooth(HYPERGRAPH, torch.from_numpy(x), s, i, *rule, fraction_bits=bits)  # type: ignore[arg-type]
        np.testing.assert_array_equal(y, wanted)


def test_shares_add_up_in_the_ring() -> None:
    """The map is linear modulo 2^64: applied to both shares of a value it is applied to the value."""
    x = (random_signal(37, 6, dtype=torch.float64) * 2**16).round().long()
    mask = torch.randint(-(2**62), 2**62, x.shape)
    pairs = some_pairs()
    y = hypergraph_smooth(HYPERGRAPH, x, *pairs)
    assert torch.equal(y, hypergraph_smooth(HYPERGRAPH, x - mask, *pairs) + hypergraph_smooth(HYPERGRAPH, mask, *pairs))
    exact = hypergraph_smooth(HYPERGRAPH, x.double() / 2**16, *pairs)
    assert (y.double() / 2 ** (16 + 30) - exact).abs().max() < 0.02  # D^-1/2 and w are rounded to 10 bits


def test_signals_beyond_the_caches_are_those_of_their_columns(isa: str, threads: None) -> None:
    """Their scaled rows lie packed."""
    nodes, hyperedges = 60_000, 30_000
    random = torch.Generator().manual_seed(1)
    indices = torch.randperm(nodes, generator=random).repeat(2)[: 3 * hyperedges].int()
    hypergraph = Hypergraph(torch.arange(hyperedges + 1) * 3, indices, nodes)
    pairs = some_pairs(hypergraph)
    x = random_signal(nodes, 70)  # panels of 64 and of 6 columns
    integers = (x * 2**20).long()
    for count in (1, 2):
        torch.set_num_threads(count)
        for mediators in (True, False):
            y, ring = (hypergraph_smooth(hypergraph, v, *pairs, mediators) for v in (x, integers))
            for first in (0, 62):
                part = slice(first, first + 4)
                few, exact = (hypergraph_smooth(hypergraph, v[:, part], *pairs, mediators) for v in (x, integers))
                torch.testing.assert_close(y[:, part], few, rtol=1e-6, atol=1e-6)
                assert torch.equal(ring[:, part], exact)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_gradients(rule: tuple[bool, str]) -> None:
    pairs = some_pairs()
    x = random_signal(37, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: hypergraph_smooth(HYPERGRAPH, v, *pairs, *rule), (x,))  # type: ignore[arg-type]
    assert torch.autograd.gradgradcheck(lambda v: hypergraph_smooth(HYPERGRAPH, v, *pairs, *rule).sin(), (x,))  # type: ignore[arg-type]
    y = HYPERGRAPH.smooth(x, projection=3)
    y.sum().backward()  # an expanded gradient
    s, i = HYPERGRAPH.pairs(x, projection=3)
    wanted = HYPERGRAPH.laplacian_from_pairs(s, i, dtype=torch.float64)
    torch.testing.assert_close(x.grad, spmm(wanted, torch.ones(37, 2, dtype=torch.float64)))


def test_results_do_not_depend_on_the_number_of_threads(isa: str, threads: None) -> None:
    hypergraph = Hypergraph.from_lists(3000, random_lists(3000, 9000, 60))
    x, pairs, found = random_signal(3000, 33), some_pairs(hypergraph), []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        found.append((hypergraph_smooth(hypergraph, x, *pairs), hypergraph_smooth(hypergraph, x, *pairs, False)))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("weighted", [True, False])
def test_operator(weighted: bool) -> None:
    hypergraph = HYPERGRAPH if weighted else Hypergraph(HYPERGRAPH.indptr, HYPERGRAPH.indices, 37)
    other = hypergraph.incidence.transpose()
    s, i = some_pairs(hypergraph)
    place = other.structure.transposed[1]
    sides = hypergraph.indptr, hypergraph.indices, other.indptr, other.indices
    arguments = (
        random_signal(37, 5).requires_grad_(),
        s,
        i,
        *sides,
        hypergraph.weight,
        weighted,
        not weighted,
        10,
        place,
    )
    torch.library.opcheck(torch.ops.moiety.hypergraph_smooth.default, arguments)


def test_compiles_whole_and_exports() -> None:
    pairs = some_pairs()

    class Layer(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return hypergraph_smooth(HYPERGRAPH, x, *pairs).relu()

    layer, x, dy = Layer(), random_signal(37, 5).requires_grad_(), random_signal(37, 5, 1)
    torch.compiler.reset()
    y, wanted = torch.compile(layer, backend="aot_eager", fullgraph=True)(x), layer(x)
    torch.testing.assert_close(y, wanted)
    torch.testing.assert_close(torch.autograd.grad(y, x, dy), torch.autograd.grad(wanted, x, dy))
    program = torch.export.export(layer, (x.detach(),))
    assert "moiety.hypergraph_smooth" in program.graph_module.code
    torch.testing.assert_close(program.module()(x.detach()), wanted.detach())
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        assert layer(torch.empty(37, 9)).shape == (37, 9)


def test_names_what_is_wrong() -> None:
    s, i = some_pairs()
    x = random_signal(37, 4)
    with pytest.raises(ValueError, match=r"expected x \(37, ...\), a row a node, got \(36, 4\)"):
        hypergraph_smooth(HYPERGRAPH, x[1:], s, i)
    with pytest.raises(TypeError, match=r"expected x of float32, float64 or int64, got torch\.bfloat16"):
        hypergraph_smooth(HYPERGRAPH, x.bfloat16(), s, i)
    with pytest.raises(ValueError, match=r"expected i int32 \(40,\), a node a hyperedge, got torch.int32 \(39,\)"):
        hypergraph_smooth(HYPERGRAPH, x, s, i[1:])
    with pytest.raises(ValueError, match="expected 1 to 20 fraction bits, got 21"):
        hypergraph_smooth(HYPERGRAPH, x.long(), s, i, fraction_bits=21)
    with pytest.raises(ValueError, match="which does not hold both"):
        hypergraph_smooth(HYPERGRAPH, x, torch.full_like(s, 36), i)  # in no hyperedge
    with pytest.raises(ValueError, match="expected a signal of floats"):
        HYPERGRAPH.smooth(x.long())  # a ring's elements have no order: pairs must come from elsewhere
    with torch._subclasses.FakeTensorMode():
        on_a_gpu = torch.empty(37, 4, device="cuda")
    with pytest.raises(CudaModuleMissing):
        hypergraph_smooth(HYPERGRAPH, on_a_gpu, s, i)
