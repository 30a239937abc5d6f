"""The quadratic activation, forward and backward on one thread, beside torch's composed expression and a copy.

    pytest bench/bench_nn.py --benchmark-group-by=group

``extra_info`` holds the bytes that must move and the rate; a copy moves as many bytes in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from activations import steps, traffic
from cases import ACTIVATIONS, Activation


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["moiety", "torch", "copy"])
@pytest.mark.parametrize("case", ACTIVATIONS, ids=lambda case: case.key)
def bench_activation(benchmark: BenchmarkFixture, case: Activation, kind: str) -> None:
    benchmark.group = case.title
    benchmark(steps(case)[kind])
    moved = traffic(case)
    benchmark.extra_info |= {"bytes": moved, "GB/s": round(moved / benchmark.stats.stats.min / 1e9, 2)}
