"""The kernels in C simulation: bit for bit what the engine computed, with our headers and with AMD's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from moiety import ring
from moiety.hls import flow
from moiety.hls.vectorfile import Vectors
from moiety.hls.vectors import KERNELS, demo_program
from moiety.hls.vectors_graph import graph_program

SINGLE = [kernel for kernel in KERNELS if not kernel.startswith("scheduler")]


def compared(text: str) -> int:
    found = re.search(r"(\d+) of (\d+) words equal", text)
    assert found is not None
    assert found[1] == found[2]
    return int(found[1])


@pytest.mark.slow
@pytest.mark.parametrize("kernel", SINGLE)
def test_a_kernel_is_the_engine(kernel: str, hls: Path, vectors_at: Path, build_at: Path) -> None:
    demo = "x2" if kernel in ("square", "x2act", "truncate") else "searched"
    program = graph_program() if kernel == "spmm" else demo_program(demo)
    outcome = flow.csim(hls, [kernel], vectors_at, build_at, program=program.hash)
    assert outcome.passed, outcome.runs[0].text
    # avgpool's 3,840 inputs a party make 240 sums.
    assert compared(outcome.runs[0].text) >= (480 if kernel == "avgpool" else 4096)


SHAPES = [  # channels in and out, groups, then extents (depth, height, width)
    (6, 6, 6, (1, 9, 7), (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1)),  # depthwise
    (4, 6, 2, (1, 11, 10), (1, 3, 5), (1, 2, 3), (0, 4, 4), (1, 2, 2)),  # groups, strides, dilation
    (3, 5, 1, (5, 6, 7), (3, 2, 3), (2, 1, 2), (1, 0, 2), (1, 1, 1)),  # three dimensions
    (37, 21, 1, (1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1)),  # a matrix
]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_any_convolution(shape: Any, hls: Path, build_at: Path, tmp_path: Path) -> None:
    ins, outs, groups, *extents = shape
    keys = ("in", "kernel", "stride", "padding", "dilation")
    conv = dict(zip(keys, extents, strict=True)) | {"groups": groups, "transposed": False, "output_padding": (0, 0, 0)}
    options = {key: conv[key] for key in (*keys[2:], "groups", "transposed", "output_padding")}
    rng = np.random.default_rng(0)

    def uniform(*size: int) -> npt.NDArray[np.uint64]:
        return rng.integers(0, 2**64 - 1, size, np.uint64, endpoint=True)

    arrays = {}
    out: tuple[int, ...] = ()
    bias = uniform(outs)
    for me in ("server", "client"):
        x, w = uniform(1, ins, *extents[0]), uniform(outs, ins // groups, *extents[1])
        y = ring.conv(x, w, **options)
        out = y.shape[2:]
        c = uniform(*y.shape)
        added = bias[:, None, None, None] if me == "server" else np.uint64(0)
        named = {"x": x, "w": w, "c": c, "y": y + c + added}
        arrays |= {f"{me}.{name}": array.reshape(-1) for name, array in named.items()}
    arrays["server.bias"] = bias
    values = {"in_channels": ins, "out_channels": outs, "groups": groups, "bias": 1}
    for key, triple in (*((key, conv[key]) for key in keys), ("out", out)):
        values |= {f"{key}{axis}": n for axis, n in enumerate(triple)}
    Vectors("linear_tile", 64, "", "made up", values, arrays).save(tmp_path / "linear_tile.vec")
    outcome = flow.csim(hls, ["linear_tile"], tmp_path, build_at)
    assert outcome.passed, outcome.runs[0].text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_amds_headers_agree(hls: Path, vectors_at: Path, build_at: Path) -> None:
    try:
        flow.vendor_headers()
    except flow.MissingTool as missing:
        pytest.skip(str(missing))
    outcome = flow.csim(hls, SINGLE, vectors_at, build_at, headers="vendor")
    assert [run.kernel for run in outcome.runs if not run.passed] == []
