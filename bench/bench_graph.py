"""Operators on graphs on one thread, each beside its peers in the same run.

    pytest bench/bench_graph.py --benchmark-group-by=group

``extra_info`` holds the edges a second; bench/graphs.py has the large graphs and the table of what must be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import graph_cases as cases
from moiety.graph import Graph

SMALL = 13  # 2^13 nodes


@cache
def graph(name: str) -> Graph:
    return cases.cora() if name == "cora" else cases.power_law(SMALL)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


ROWS = {
    "sum": lambda g: cases.product(g, 64),
    "sum and gradient": lambda g: cases.product_backward(g, 64),
    "attention": lambda g: cases.attention(g, 64, False),
    "attention and gradient": lambda g: cases.attention(g, 64, True),
    "max": lambda g: cases.reductions(g, 64, "max"),
    "mean": lambda g: cases.reductions(g, 64, "mean"),
    "sddmm": lambda g: cases.sampled(g, 64),
    "ring": lambda g: cases.ring(g, 64),
}


def kinds() -> list[tuple[str, str]]:
    """Every operator with every implementation that is installed."""
    return [(what, kind) for what, make in ROWS.items() for kind in make(graph("cora"))]


@pytest.mark.parametrize("name", ["cora", "rmat"])
@pytest.mark.parametrize(("what", "kind"), kinds())
@pytest.mark.filterwarnings("ignore")
def bench_graph(benchmark: BenchmarkFixture, what: str, kind: str, name: str) -> None:
    benchmark.group = f"{what}, {name}"
    benchmark(ROWS[what](graph(name))[kind])
    benchmark.extra_info["edges a second"] = round(graph(name).num_edges / benchmark.stats.stats.min)
