"""The kernels in C simulation: bit for bit what the engine computed, with our headers and with AMD's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moiety.hls import flow
from moiety.hls.vectors import KERNELS, demo_program, write

SINGLE = [kernel for kernel in KERNELS if not kernel.startswith("scheduler")]


def compared(text: str) -> int:
    found = re.search(r"(\d+) of (\d+) words equal", text)
    assert found is not None
    assert found[1] == found[2]
    return int(found[1])


@pytest.mark.slow
@pytest.mark.parametrize("kernel", SINGLE)
def test_a_kernel_is_the_engine(kernel: str, hls: Path, vectors_at: Path, build_at: Path) -> None:
    program = demo_program("x2" if kernel in ("square", "x2act", "truncate") else "searched")
    outcome = flow.csim(hls, [kernel], vectors_at, build_at, program=program.hash)
    assert outcome.passed, outcome.runs[0].text
    # avgpool's 4,096 inputs a party make 256 sums.
    assert compared(outcome.runs[0].text) >= (512 if kernel == "avgpool" else 4096)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_amds_headers_agree(hls: Path, vectors_at: Path, build_at: Path) -> None:
    try:
        flow.vendor_headers()
    except flow.MissingTool as missing:
        pytest.skip(str(missing))
    outcome = flow.csim(hls, SINGLE, vectors_at, build_at, headers="vendor")
    assert [run.kernel for run in outcome.runs if not run.passed] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_networks_run_on_two_boards(hls: Path, tmp_path: Path, build_at: Path) -> None:
    networks = [kernel for kernel in KERNELS if kernel.startswith("scheduler")]
    write(tmp_path, networks)
    outcome = flow.csim(hls, networks, tmp_path, build_at)
    assert [run.text for run in outcome.runs if not run.passed] == []
    assert all(compared(run.text) > 300_000 for run in outcome.runs)
