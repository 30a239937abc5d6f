"""Every protocol by `moiety.private.protocols.bench`: three processes a call, one thread each.

    pytest bench/bench_protocols.py

pytest-benchmark times the whole session, start of the processes included. What counts is in `extra_info`, the least of
the calls: CPU-seconds of the larger party, bytes of both, rounds, multiply-adds and AES blocks, and the fraction of the
roofline.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cases import PROTOCOLS, Protocol
from machine import peaks
from measure import summary, work
from moiety.private.protocols import measure
from moiety.private.stats import Stats
from report import roofline


@pytest.fixture(scope="session")
def measured_peaks() -> dict[str, float]:
    return peaks()


@pytest.mark.parametrize("case", PROTOCOLS, ids=lambda case: case.key)
def bench_protocol(benchmark: BenchmarkFixture, measured_peaks: dict[str, float], case: Protocol) -> None:
    runs: list[Stats] = []
    benchmark.pedantic(lambda: runs.append(measure(**case.settings)), rounds=3)
    row = {**summary(runs), "work": work(case.settings)}
    benchmark.extra_info |= {
        "operations": {name: count for name, count in row["work"].items() if count},
        "online_cpu_seconds": row["online_cpu_s"],
        "online_bytes": row["online_bytes"],
        "rounds": row["rounds"],
        "offline_and_online_cpu_seconds": row["together_cpu_s"],
        "offline_bytes": row["offline_bytes"],
        "roofline_fraction": round(roofline(row, measured_peaks), 3),
    }
