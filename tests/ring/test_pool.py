import numpy as np
import pytest
import torch

from moiety import ring

POOL = {1: torch.nn.functional.avg_pool1d, 2: torch.nn.functional.avg_pool2d, 3: torch.nn.functional.avg_pool3d}
ADAPTIVE = {
    1: torch.nn.functional.adaptive_avg_pool1d,
    2: torch.nn.functional.adaptive_avg_pool2d,
    3: torch.nn.functional.adaptive_avg_pool3d,
}


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [
        ((2, 3, 11), 3, 2, 1),
        ((1, 2, 4, 4), 2, None, 0),
        ((2, 3, 9, 13), (3, 2), (2, 1), (1, 0)),
        ((1, 4, 7, 7), 7, 1, 0),
        ((1, 2, 5, 6, 7), (2, 3, 2), (1, 2, 2), (1, 1, 0)),
        ((1, 200, 40, 40), 3, 1, 1),
    ],
)
def test_pool_sum(dtype, shape, kernel, stride, padding):
    dims = len(shape) - 2
    x = np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)
    y = ring.pool_sum(x, kernel, stride, padding, threads=3)
    volume = np.prod(kernel) if isinstance(kernel, tuple) else kernel**dims
    mean = POOL[dims](torch.from_numpy(x.astype(np.float64)), kernel, stride, padding)
    np.testing.assert_array_equal(y, np.rint(mean.numpy() * volume).astype(dtype))


def test_pool_sum_wraps(dtype):
    x = np.full((1, 1, 4), np.iinfo(dtype).max, dtype)
    np.testing.assert_array_equal(ring.pool_sum(x, 2), np.full((1, 1, 2), np.iinfo(dtype).max - 1, dtype))


@pytest.mark.parametrize(
    ("shape", "output"), [((2, 3, 7), 3), ((1, 5, 7, 10), (1, 1)), ((2, 2, 5, 9), (3, 4)), ((1, 2, 3, 4, 5), (2, 6, 5))]
)
def test_adaptive_pool_sum(dtype, shape, output):
    dims = len(shape) - 2
    x = np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)
    y = ring.adaptive_pool_sum(x, output)
    sizes = output if isinstance(output, tuple) else (output,) * dims
    counts = np.ones((), np.int64)
    for extent, size in zip(shape[2:], sizes, strict=True):
        lengths = [-(-(o + 1) * extent // size) - o * extent // size for o in range(size)]
        counts = np.multiply.outer(counts, np.array(lengths))
    mean = ADAPTIVE[dims](torch.from_numpy(x.astype(np.float64)), output)
    np.testing.assert_array_equal(y, np.rint(mean.numpy() * counts).astype(dtype))


def test_bad_arguments():
    x = np.ones((1, 1, 4, 4), np.uint64)
    with pytest.raises(ValueError, match="at most half the kernel"):
        ring.pool_sum(x, 2, padding=2)
    with pytest.raises(ValueError, match="output would be empty"):
        ring.pool_sum(x, 5)
    with pytest.raises(ValueError, match="positive input, kernel and stride"):
        ring.pool_sum(x, 2, stride=0)
    with pytest.raises(ValueError, match="positive output size"):
        ring.adaptive_pool_sum(x, 0)
    with pytest.raises(ValueError, match="one to three dimensions"):
        ring.pool_sum(x[0, 0], 2)
