"""ResNet-18 run privately on this machine: CIFAR shape with both comparisons, ImageNet shape with x^2 and with ReLU.

    pytest bench/bench_models.py

pytest-benchmark times whole sessions, setup included. `extra_info` holds the counters of the inferences after the
first, of the larger party.
"""

from __future__ import annotations

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cases import NETWORKS, Network
from measure import network

CASES = [pytest.param(case, how, id=f"{case.key}-{how}") for case in NETWORKS for how in case.comparisons]
FIGURES = (
    "online_cpu_s",
    "online_wall_median_s",
    "online_bytes",
    "rounds",
    "together_cpu_s",
    "dealer_cpu_s",
    "offline_bytes",
    "setup_cpu_s",
    "setup_bytes",
    "peak_bytes",
)


@pytest.mark.parametrize(("case", "comparison"), CASES)
def bench_network(benchmark: BenchmarkFixture, case: Network, comparison: str) -> None:
    rows: list[dict[str, Any]] = []
    benchmark.pedantic(lambda: rows.append(network(case, comparison, quick=False)), rounds=1)
    benchmark.extra_info |= {name: rows[0][name] for name in FIGURES}
