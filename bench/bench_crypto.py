"""Speed of the symmetric kernels, one thread: `pytest bench/bench_crypto.py`.

extra_info: bytes read and written, operations (AES blocks, or elements), and the fraction of the roofline: the larger
of the times that memory and the AES units would need for them, both measured here, over the time taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from moiety._core import crypto

ELEMENTS = 1 << 20
PLANES = [(32, 1), (32, 24), (32, 32), (64, 1), (64, 22), (64, 24), (64, 32), (64, 64)]


def best_seconds(call: Callable[[], object], repeats: int = 20) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


@dataclass(frozen=True)
class Roofline:
    bytes_per_second: float
    blocks_per_second: float

    def seconds(self, size: int, blocks: int) -> float:
        return max(size / self.bytes_per_second, blocks / self.blocks_per_second)


@pytest.fixture(scope="session")
def roofline() -> Roofline:
    source, target = np.ones(1 << 25, np.uint8), np.ones(1 << 25, np.uint8)
    copy = best_seconds(lambda: np.copyto(target, source))
    held = np.ones((1 << 10, 16), np.uint8)  # in the first-level cache
    encrypt = best_seconds(lambda: crypto.aes_encrypt(bytes(16), held, held), repeats=2000)
    return Roofline(2 * source.size / copy, len(held) / encrypt)


def measure(
    benchmark: BenchmarkFixture,
    roofline: Roofline,
    call: Callable[[], object],
    *,
    size: int,
    blocks: int = 0,
    elements: int = 0,
) -> None:
    call()  # touches every page
    benchmark(call)
    benchmark.extra_info |= {"bytes": size, "operations": blocks or elements}
    if benchmark.stats is not None:
        benchmark.extra_info["roofline"] = round(roofline.seconds(size, blocks) / benchmark.stats.stats.min, 3)


def random(shape: int | tuple[int, ...], dtype: type[np.unsignedinteger], top: int | None = None) -> np.ndarray:
    return np.random.default_rng(1).integers(0, top or np.iinfo(dtype).max, shape, dtype)


@pytest.mark.parametrize("size", [1 << 14, 1 << 20, 1 << 26])
def bench_prg_fill(benchmark: BenchmarkFixture, roofline: Roofline, size: int) -> None:
    out = np.zeros(size, np.uint8)
    measure(benchmark, roofline, lambda: crypto.prg_fill(bytes(16), 0, 0, out), size=size, blocks=size // 16)


def bench_hash(benchmark: BenchmarkFixture, roofline: Roofline) -> None:
    x = random((1 << 16, 16), np.uint8)
    out = np.zeros_like(x)
    measure(benchmark, roofline, lambda: crypto.hash(x, 0, out), size=2 * x.size, blocks=2 * len(x))


@pytest.mark.parametrize(("ring", "bits"), PLANES)
def bench_to_planes(benchmark: BenchmarkFixture, roofline: Roofline, ring: int, bits: int) -> None:
    x = random(ELEMENTS, np.uint64 if ring == 64 else np.uint32)
    planes = np.zeros((bits, ELEMENTS // 64), np.uint64)
    size = x.nbytes + planes.nbytes
    measure(benchmark, roofline, lambda: crypto.to_planes(x, 0, planes), size=size, elements=ELEMENTS)


@pytest.mark.parametrize(("ring", "bits"), PLANES)
def bench_from_planes(benchmark: BenchmarkFixture, roofline: Roofline, ring: int, bits: int) -> None:
    planes = random((bits, ELEMENTS // 64), np.uint64)
    x = np.zeros(ELEMENTS, np.uint64 if ring == 64 else np.uint32)
    size = x.nbytes + planes.nbytes
    measure(benchmark, roofline, lambda: crypto.from_planes(planes, x), size=size, elements=ELEMENTS)


@pytest.mark.parametrize("width", [1, 3, 4, 5])
def bench_pack(benchmark: BenchmarkFixture, roofline: Roofline, width: int) -> None:
    x, packed = random(ELEMENTS, np.uint64), np.zeros(ELEMENTS * width, np.uint8)
    size = x.nbytes + packed.nbytes
    measure(benchmark, roofline, lambda: crypto.pack(x, width, packed), size=size, elements=ELEMENTS)


@pytest.mark.parametrize("width", [1, 3, 4, 5])
def bench_unpack(benchmark: BenchmarkFixture, roofline: Roofline, width: int) -> None:
    x, packed = np.zeros(ELEMENTS, np.uint64), random(ELEMENTS * width, np.uint8)
    size = x.nbytes + packed.nbytes
    measure(benchmark, roofline, lambda: crypto.unpack(packed, width, x), size=size, elements=ELEMENTS)


@pytest.mark.parametrize("bits", [7, 23, 31, 63])
def bench_dcf_generate(benchmark: BenchmarkFixture, roofline: Roofline, bits: int) -> None:
    count = ELEMENTS if bits < 63 else ELEMENTS // 4
    alpha, root0 = random(count, np.uint64, 2**bits), random((count, 16), np.uint8)
    root1 = root0 ^ np.uint8(0x5A)
    corrections = np.zeros(count * crypto.dcf_correction_bytes(bits), np.uint8)
    # Three blocks a level for each party, one each at the end.
    blocks = 2 * count * (3 * max(0, bits - 7) + 1)
    size = alpha.nbytes + 2 * root0.nbytes + corrections.nbytes
    call = partial(crypto.dcf_generate, bits, alpha, root0, root1, corrections, 1)
    measure(benchmark, roofline, call, size=size, blocks=blocks)


@pytest.mark.parametrize("bits", [7, 23, 31, 63])
def bench_dcf_evaluate(benchmark: BenchmarkFixture, roofline: Roofline, bits: int) -> None:
    count = ELEMENTS if bits < 63 else ELEMENTS // 4
    x, roots = random(count, np.uint64, 2**bits), random((count, 16), np.uint8)
    corrections = random(count * crypto.dcf_correction_bytes(bits), np.uint8)
    share = np.zeros(count // 64, np.uint64)
    # Two blocks a level, the child and its control bits, and the last one.
    blocks = count * (2 * max(0, bits - 7) + 1)
    size = x.nbytes + roots.nbytes + corrections.nbytes + share.nbytes
    call = partial(crypto.dcf_evaluate, 0, bits, x, roots, corrections, share, 1)
    measure(benchmark, roofline, call, size=size, blocks=blocks)
