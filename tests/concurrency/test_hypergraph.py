"""The analyser's hypergraph operators: closed forms equal counters, results equal the operators', sizes are as said."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hypergraph_reference import Lists, hypergraphs, random_lists
from moiety.cost.concurrency.kernels import Count
from moiety.cost.concurrency.watch import Trace, trace
from moiety.graph import Hypergraph

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
