"""Ring kernels on one thread beside torch's int64 and fp32 kernels of the same size, in the same run.

    pytest bench/bench_ring.py --benchmark-group-by=group

``extra_info`` holds the operations (multiply-adds, or elements where nothing is multiplied), the bytes that must move,
the rate and its fraction of the roofline: the lower of the multiplier's measured peak and what the bandwidth of a copy
of as many bytes allows. Products that halve their multiplications may come out above the multiplier's peak.
"""

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from moiety import _core, ring

RINGS = {"u32": np.uint32, "u64": np.uint64}
PEERS = {"torch-int64": torch.int64, "torch-fp32": torch.float32}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def multiplier_peak(bits: int) -> float:
    return _core.ring.measure_multiplier_peak(bits)


@cache
def copy_bandwidth(log_bytes: int) -> float:
    """Bytes a second, reads and writes together, of copies that touch 2^log_bytes bytes."""
    source = np.ones(max(1, (1 << log_bytes) // 16), np.uint64)
    target = np.zeros_like(source)
    repeats = max(1, (1 << 22) >> log_bytes)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(repeats):
            np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return 2 * source.nbytes * repeats / best


def elements(kind: str, *shape: int) -> Any:
    """Random operands: a NumPy array of a ring or a torch tensor of a peer's dtype."""
    x = np.random.default_rng(0).integers(0, 1 << 32, shape, dtype=np.uint64)
    if kind in RINGS:
        return (x * np.uint64(0x9E3779B97F4A7C15)).astype(RINGS[kind])
    return torch.from_numpy(x.view(np.int64)).to(PEERS[kind])


def measure(benchmark: Any, kind: str, call: Callable[[], object], operations: int, moved: int, products: bool) -> None:
    benchmark.group = f"{benchmark.name.split('[')[0].removeprefix('test_')} {benchmark.params['shape']}"
    benchmark(call)
    seconds = benchmark.stats.stats.min
    info = {"kind": kind, "operations": operations, "bytes": moved, "gops": operations / seconds / 1e9}
    if kind in RINGS:
        limit = operations / moved * copy_bandwidth(min(moved, 1 << 29).bit_length())
        if products:
            limit = min(limit, multiplier_peak(8 * np.dtype(RINGS[kind]).itemsize))
        info["roofline_fraction"] = operations / seconds / limit
    benchmark.extra_info.update({k: round(v, 3) if isinstance(v, float) else v for k, v in info.items()})


def item_size(kind: str) -> int:
    return 8 if kind in ("u64", "torch-int64") else 4


@pytest.mark.parametrize("shape", [(512, 512, 512), (1, 4096, 1000), (4096, 1000, 1), (64, 576, 3136)], ids=str)
@pytest.mark.parametrize("kind", [*RINGS, *PEERS])
def test_gemm(benchmark, kind, shape):
    m, k, n = shape
    a, b = elements(kind, m, k), elements(kind, k, n)
    call = (lambda: ring.matmul(a, b, threads=1)) if kind in RINGS else (lambda: a @ b)
    measure(benchmark, kind, call, m * k * n, item_size(kind) * (m * k + k * n + m * n), True)


# Channels in and out, extent, kernel, stride, groups.
CONVOLUTIONS = [
    (64, 64, 56, 3, 1, 1),
    (3, 64, 224, 7, 2, 1),
    (64, 64, 32, 3, 1, 1),
    (512, 512, 4, 3, 1, 1),
    (128, 256, 14, 1, 1, 1),
    (128, 128, 56, 3, 1, 128),
]


@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("kind", [*RINGS, *PEERS])
def test_conv(benchmark, kind, shape):
    ins, outs, extent, kernel, stride, groups = shape
    padding = kernel // 2
    x, w = elements(kind, 1, ins, extent, extent), elements(kind, outs, ins // groups, kernel, kernel)
    if kind in RINGS:
        call = lambda: ring.conv(x, w, stride, padding, 1, groups, threads=1)  # noqa: E731
    else:
        call = lambda: torch.nn.functional.conv2d(x, w, None, stride, padding, 1, groups)  # noqa: E731
    out = (extent + 2 * padding - kernel) // stride + 1
    operations = outs * out * out * (ins // groups) * kernel * kernel
    moved = item_size(kind) * (ins * extent**2 + outs * (ins // groups) * kernel**2 + outs * out**2)
    measure(benchmark, kind, call, operations, moved, True)


# Function, number of array operands, whether it multiplies, the same in torch.
ELEMENTWISE: dict[str, tuple[Callable[..., Any], int, bool, Callable[..., Any]]] = {
    "add": (lambda a, b: ring.add(a, b, 1), 2, False, torch.add),
    "multiply": (lambda a, b: ring.multiply(a, b, 1), 2, True, torch.mul),
    "multiply_add": (lambda a, b, c: ring.multiply_add(a, b, c, 1), 3, True, lambda a, b, c: torch.addcmul(c, a, b)),
    "shift_right": (lambda a: ring.shift_right_arithmetic(a, 16, 1), 1, False, lambda a: a >> 16),
}


@pytest.mark.parametrize("shape", [f"{name} {n}" for name in ELEMENTWISE for n in (1 << 14, 1 << 22)])
@pytest.mark.parametrize("kind", [*RINGS, "torch-int64"])
def test_elementwise(benchmark, kind, shape):
    name, n = shape.split()
    ours, operands, products, theirs = ELEMENTWISE[name]
    arrays = [elements(kind, int(n)) for _ in range(operands)]
    function = ours if kind in RINGS else theirs
    measure(benchmark, kind, lambda: function(*arrays), int(n), item_size(kind) * int(n) * (operands + 1), products)


@pytest.mark.parametrize("shape", ["encode", "decode"])
@pytest.mark.parametrize("kind", RINGS)
def test_fixed_point(benchmark, kind, shape):
    n, bits = 1 << 22, 8 * item_size(kind)
    x = np.random.default_rng(0).normal(0, 10, n)
    encoded = ring.encode(x, 16, bits)
    if shape == "encode":
        call = lambda: ring.encode(x, 16, bits, threads=1)  # noqa: E731
    else:
        call = lambda: ring.decode(encoded, 16, threads=1)  # noqa: E731
    measure(benchmark, kind, call, n, (8 + item_size(kind)) * n, False)


@pytest.mark.parametrize("shape", [(64, 56, 2), (64, 56, 3)], ids=str)
@pytest.mark.parametrize("kind", [*RINGS, "torch-fp32"])
def test_pool_sum(benchmark, kind, shape):
    channels, extent, window = shape
    x = elements(kind, 1, channels, extent, extent)
    if kind in RINGS:
        call = lambda: ring.pool_sum(x, window, threads=1)  # noqa: E731
    else:
        call = lambda: torch.nn.functional.avg_pool2d(x, window)  # noqa: E731
    inputs, outputs = channels * extent**2, channels * (extent // window) ** 2
    measure(benchmark, kind, call, inputs, item_size(kind) * (inputs + outputs), False)


@pytest.mark.parametrize("shape", [(20_000, 16, 64)], ids=str)
@pytest.mark.parametrize("kind", [*RINGS, "torch-fp32"])
def test_csr(benchmark, kind, shape):
    nodes, degree, width = shape
    rng = np.random.default_rng(0)
    start = np.arange(0, nodes * degree + 1, degree)
    column = rng.integers(0, nodes, nodes * degree)
    x = elements(kind, nodes, width)
    values = elements(kind, nodes * degree)
    if kind in RINGS:
        call = lambda: ring.csr_matmul(start, column, values, x, threads=1)  # noqa: E731
    else:
        graph = torch.sparse_csr_tensor(
            torch.from_numpy(start), torch.from_numpy(column), values, (nodes, nodes), check_invariants=True
        )
        call = lambda: graph @ x  # noqa: E731
    moved = item_size(kind) * (nodes * degree * (width + 1) + nodes * width) + 8 * nodes * degree
    measure(benchmark, kind, call, nodes * degree * width, moved, True)
