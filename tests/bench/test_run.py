"""The driver of the benches on tiny sizes: every row of the report is there. No figure is looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TARGETS = [
    "u64 GEMM 512^3, one thread",
    "u64 conv 64->64 3x3 56x56, one thread",
    "x^2 activation forward and backward, 2^22 elements, one thread",
    "ReLU 2^20 online, circuit at k = 64",
    "ReLU 2^20 online, circuit at k = 24",
    "ReLU 2^20 online, DCF at k = 32",
    "conv 64->64 3x3 56x56 online",
    "max pooling 2x2, 64x56x56 online, k = 24",
    "ResNet-18 CIFAR online",
    "ResNet-18 CIFAR, offline and online together, after the once-per-model mask",
    "ResNet-18 at ImageNet shape, all x^2, average-pool stem, online wall time on loopback, one core a party",
    "peak memory of a party, ResNet-18 at ImageNet shape",
    "cold `make test` on 2 cores",
]
OPERATIONS = [
    "ReLU 2^16, circuit, k = 64",
    "ReLU 2^20, circuit, k = 64",
    "ReLU 2^20, DCF, k = 32",
    "multiply 2^20, exact truncation",
    "matmul 512^3",
    "matmul 1x4096x1000",
    "conv 64->64 3x3, 56x56",
    "max pooling 2x2, 64x56x56, circuit, k = 24",
]
NETWORKS = [
    "ResNet-18, CIFAR shape, circuit",
    "ResNet-18, CIFAR shape, dcf",
    "ResNet-18, ImageNet shape, all x^2, average-pool stem 2x2",
    "ResNet-18, ImageNet shape, all ReLU, circuit",
]


def rows(report: str, heading: str) -> dict[str, str]:
    """First cell to line, of the table under a heading."""
    section = report.split(f"\n## {heading}")[1].split("\n## ")[0]
    return {line.split(" | ")[0].removeprefix("| "): line for line in section.splitlines() if line.startswith("| ")}


@pytest.mark.skipif(sys.platform != "linux", reason="the report describes Linux machines")
def test_quick_run_fills_every_row(tmp_path: Path) -> None:
    out = tmp_path / "RESULTS.md"
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--skip-peers", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    report = out.read_text()
    assert "not measured" in rows(report, "What must be reached")["cold `make test` on 2 cores"]
    assert set(TARGETS) <= rows(report, "What must be reached").keys()
    assert set(OPERATIONS) <= rows(report, "Protocols").keys()
    assert set(OPERATIONS) <= rows(report, "Beside the peers").keys()
    assert set(NETWORKS) <= rows(report, "Networks").keys()
    assert {"GEMM 512^3", "conv 64->64 3x3, 56x56"} <= rows(report, "Kernels").keys()
    results = json.loads((tmp_path / "results.json").read_text())
    missing = {
        key: row["missing"]
        for part in ("kernels", "protocols", "networks")
        for key, row in results[part].items()
        if "missing" in row
    }
    assert not missing
    for name in ("CPU", "commit", "torch", "compiler of the core"):
        assert f"- {name}: " in report
