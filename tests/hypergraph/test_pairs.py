"""`Hypergraph.pairs`: projections and the exact search, their ties and their refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import hypergraph_reference as reference
from hypergraph_reference import random_lists, random_signal
from moiety.graph import Hypergraph


def as_list(pairs: tuple[torch.Tensor, torch.Tensor]) -> list[tuple[int, int]]:
    s, i = pairs
    assert s.dtype is i.dtype is torch.int32
    return list(zip(s.tolist(), i.tolist(), strict=True))


@pytest.mark.parametrize("width", [0, 1, 7, 8, 16, 33])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_both_searches(isa: str, dtype: torch.dtype, width: int) -> None:
    lists = random_lists(150, 120, 70)
    hypergraph, signal = Hypergraph.from_lists(150, lists), random_signal(150, width, dtype=dtype)
    direction = torch.rand(width, dtype=torch.float64)
    wanted = reference.projected_pairs(lists, signal.numpy(), direction.numpy())
    assert as_list(hypergraph.pairs(signal, projection=direction)) == wanted
    assert as_list(hypergraph.pairs(signal, "exact")) == reference.exact_pairs(lists, signal.numpy())


@pytest.mark.parametrize("name", ["coauthorship_cora", "cocitation_pubmed"])
def test_exact_pairs_of_real_hyperedges(data: Path, name: str) -> None:
    hypergraph, lists = reference.load_lists(data, name)
    signal = random_signal(hypergraph.num_nodes, 3)
    assert as_list(hypergraph.pairs(signal, "exact")) == reference.exact_pairs(lists, signal.numpy())


def test_ties(isa: str) -> None:
    """The corners of a square, many times over: whole numbers, so that distances that are equal are equal in floats."""
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [0, 4], [4, 0], [4, 4]], np.float32)
    lists = [list(map(int, rng.permutation(40)[:size])) for size in (2, 5, 9, 20, 40, 40, 12)]
    signal = torch.from_numpy(corners[rng.integers(0, 4, 40)])
    hypergraph = Hypergraph.from_lists(40, lists)
    assert as_list(hypergraph.pairs(signal, "exact")) == reference.exact_pairs(lists, signal.numpy())
    one = torch.ones(2)
    assert as_list(hypergraph.pairs(signal, projection=one)) == reference.projected_pairs(
        lists, signal.numpy(), one.numpy()
    )
    same = torch.full((40, 3), 0.1)
    firsts = [(members[0], members[0]) for members in lists]
    assert as_list(hypergraph.pairs(same)) == as_list(hypergraph.pairs(same, "exact")) == firsts


def test_far_from_the_origin() -> None:
    """Bounds are sums of rounded roots: rows that differ in their last bits must not be left out."""
    lists = random_lists(120, 30, 100, seed=4)
    signal = 1e6 + torch.randint(0, 3, (120, 4), generator=torch.Generator().manual_seed(0)) * 2.0**-3
    assert as_list(Hypergraph.from_lists(120, lists).pairs(signal, "exact")) == reference.exact_pairs(
        lists, signal.numpy()
    )


def test_seeds_and_chance() -> None:
    hypergraph, signal = Hypergraph.from_lists(150, random_lists(150, 120, 70)), random_signal(150, 6)
    assert as_list(hypergraph.pairs(signal, projection=5)) == as_list(hypergraph.pairs(signal, projection=5))
    assert as_list(hypergraph.pairs(signal, projection=5)) != as_list(hypergraph.pairs(signal, projection=6))
    torch.manual_seed(1)
    first = as_list(hypergraph.pairs(signal))
    assert first != as_list(hypergraph.pairs(signal))
    torch.manual_seed(1)
    assert first == as_list(hypergraph.pairs(signal))


def test_signals_of_other_kinds() -> None:
    hypergraph, signal = Hypergraph.from_lists(30, random_lists(30, 20, 9)), random_signal(30, 4)
    wanted = as_list(hypergraph.pairs(signal.bfloat16().float(), "exact"))
    assert as_list(hypergraph.pairs(signal.bfloat16(), "exact")) == wanted
    spread = torch.stack([signal, signal], dim=2)[:, :, 0].requires_grad_()  # not contiguous, under autograd
    assert as_list(hypergraph.pairs(spread, "exact")) == as_list(hypergraph.pairs(signal, "exact"))


def test_names_what_is_wrong() -> None:
    hypergraph, signal = Hypergraph.from_lists(30, random_lists(30, 20, 9)), random_signal(30, 4)
    with pytest.raises(ValueError, match=r"expected a signal of floats \(30, h\), a row a node, got .* \(29, 4\)"):
        hypergraph.pairs(signal[1:])
    with pytest.raises(ValueError, match=r"expected a signal of floats .* got torch.int64"):
        hypergraph.pairs(signal.long())
    with pytest.raises(ValueError, match="expected pairs 'projection' or 'exact', got 'all'"):
        hypergraph.pairs(signal, "all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected a projection of floats \(4,\).* got torch.float32 \(5,\)"):
        hypergraph.pairs(signal, projection=torch.ones(5))
    with pytest.raises(ValueError, match="exact pairs need no projection"):
        hypergraph.pairs(signal, "exact", projection=3)
    with pytest.raises(ValueError, match="expected the signal on the CPU, got meta"):
        hypergraph.pairs(signal.to("meta"))
    for bad in (torch.nan, torch.inf):
        wrong = signal.clone()
        wrong[7, 2] = bad
        with pytest.raises(ValueError, match=r"expected a finite signal, got -?(nan|inf) of node 7"):
            hypergraph.pairs(wrong)
        with pytest.raises(ValueError, match=r"expected a finite signal"):
            hypergraph.pairs(wrong, "exact")
