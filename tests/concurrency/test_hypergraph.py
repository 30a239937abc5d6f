"""The analyser's hypergraph operators: closed forms equal counters, results equal the operators', sizes are as said."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hypergraph_reference import Lists, hypergraphs, random_lists
from moiety.cost.concurrency.hypergraph_partition import of_hypergraph_partition
from moiety.cost.concurrency.kernels import Count
from moiety.cost.concurrency.watch import Trace, trace
from moiety.graph import Hypergraph
from moiety.ops import hypergraph_smooth

RULES = [(mediators, weighting) for mediators in (True, False) for weighting in ("paper", "code")]


def smoothed(hypergraph: Hypergraph, x: torch.Tensor, rule: tuple[bool, str], backward: bool) -> Trace:
    line = torch.rand(x.shape[1], dtype=torch.float64)
    return trace(
        lambda: hypergraph.smooth(x, mediators=rule[0], weighting=rule[1], projection=line),  # type: ignore[arg-type]
        backward=backward,
        counting=True,
    )


@settings(max_examples=25, deadline=None)
@given(hypergraphs(9, 8), st.sampled_from(RULES), st.booleans())
def test_any_hypergraph(case: tuple[int, Lists, list[float] | None], rule: tuple[bool, str], backward: bool) -> None:
    """`trace` refuses counted kernels that give another result than the operator."""
    nodes, lists, weight = case
    x = torch.randint(-1, 2, (nodes, 3)).float().requires_grad_(backward)
    made = smoothed(Hypergraph.from_lists(nodes, lists, weight), x, rule, backward)
    operators = {step.operator for step in made.steps}
    assert {"moiety::hypergraph_pairs", "moiety::hypergraph_smooth"} <= operators
    for step in made.steps:
        if step.operator.startswith("moiety::"):
            assert step.kernel.name != "other"
            assert step.counted == step.kernel.count, step.operator


@pytest.mark.parametrize("width", [1, 5])
def test_entries_are_those_of_the_table(width: int) -> None:
    lists = random_lists(40, 50, 12)
    entries, hyperedges = sum(map(len, lists)), len(lists)
    made = smoothed(Hypergraph.from_lists(40, lists), torch.randn(40, width), (True, "paper"), False)
    found = [s.kernel.count.edges for s in made.steps if s.kernel.name == "spmm"]
    singles = sum(len(members) == 1 for members in lists)
    ends = 2 * (hyperedges - singles)
    assert found == [entries, entries, entries, ends, entries + 2 * hyperedges, entries]
    # Each message is scaled once an entry, then a node's own row, both sides of it, and the result.
    product = [s for s in made.steps if s.operator == "moiety::hypergraph_smooth"]
    total = sum((s.kernel.count for s in product), Count(barriers=0))
    assert total.multiplies == (entries + 2 * hyperedges) * width + 40 + 2 * 40 * width
    assert total.specials == 2 * 40  # roots and divisions


def test_exact_pairs_have_no_closed_form() -> None:
    hypergraph, x = Hypergraph.from_lists(40, random_lists(40, 50, 12)), torch.randn(40, 3)
    made = trace(lambda: hypergraph.smooth(x, pairs="exact"), counting=True)
    assert [s.kernel.name for s in made.steps if s.operator == "moiety::hypergraph_pairs"] == ["other"]


@settings(max_examples=40, deadline=None)
@given(hypergraphs(9, 8), st.integers(1, 4), st.integers(0, 9))
def test_workers_that_send_so_many_rows_have_the_product(
    case: tuple[int, Lists, list[float] | None], workers: int, seed: int
) -> None:
    """The product once more, by workers that know nothing of each other but the rows that they send, counted."""
    nodes, lists, _ = case
    hypergraph = Hypergraph.from_lists(nodes, lists)
    random = torch.Generator().manual_seed(seed)
    part = torch.randint(0, workers, (nodes,), generator=random)
    x = torch.randn(nodes, 2, generator=random, dtype=torch.float64)
    s, i = hypergraph.pairs(x, "exact")
    scale = torch.ones(nodes, dtype=torch.float64)  # D, which every worker knows
    for members, a, b in zip(lists, s.tolist(), i.tolist(), strict=True):
        if len(members) > 1:
            for v in members:
                scale[v] += (len(members) - 1 if v in (a, b) else 2) / (2 * len(members) - 3)
    z = x / scale.sqrt().unsqueeze(1)
    y, cut, to_hyperedges, to_nodes = z.clone(), 0, 0, 0
    for members, a, b in zip(lists, s.tolist(), i.tolist(), strict=True):
        if len(members) == 1:
            continue
        by_worker = {w: [v for v in members if part[v] == w] for w in range(workers)}
        owner = max(by_worker, key=lambda w: (len(by_worker[w]), -w))
        involved = [w for w, own in by_worker.items() if own]
        cut += len(involved) > 1
        total = ends = torch.zeros(2, dtype=torch.float64)
        for w in involved:
            own_ends = [v for v in by_worker[w] if v in (a, b)]
            total = total + z[by_worker[w]].sum(0)
            ends = ends + z[own_ends].sum(0)
            to_hyperedges += (1 + bool(own_ends)) * (w != owner)
        for w in involved:
            own_ends = [v for v in by_worker[w] if v in (a, b)]
            to_nodes += (bool(own_ends) + (len(own_ends) < len(by_worker[w]))) * (w != owner)
            for v in by_worker[w]:
                y[v] += (total - z[v] if v in own_ends else ends) / (2 * len(members) - 3)
    if bool(((s != i) | (hypergraph.sizes() == 1)).all()):
        torch.testing.assert_close(y / scale.sqrt().unsqueeze(1), hypergraph_smooth(hypergraph, x, s, i))
    found = of_hypergraph_partition(hypergraph, s, i, part)
    assert (found.cut, found.rows_to_hyperedges, found.rows_to_nodes) == (cut, to_hyperedges, to_nodes)
    assert found.bytes(2, 8) == (to_hyperedges + to_nodes) * 16
    assert found.supersteps == (2 if cut else 0)


def test_partitions_that_are_none() -> None:
    hypergraph = Hypergraph.from_lists(3, [[0, 1, 2]])
    s, i = hypergraph.pairs(torch.arange(3.0).unsqueeze(1))
    with pytest.raises(
        ValueError, match=r"expected the worker of every node, integers >= 0 \(3,\), got torch.int64 \(2,\)"
    ):
        of_hypergraph_partition(hypergraph, s, i, torch.zeros(2, dtype=torch.int64))
