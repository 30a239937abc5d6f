import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety import ring

# Ragged in every direction: single, below, at and just past a tile, a block and the size that is split.
SHAPES = [
    (1, 1, 1), (1, 7, 9), (1, 1000, 515), (3, 5, 100), (4, 300, 1100), (5, 17, 3), (7, 1, 1), (8, 8, 16), (8, 385, 32),
    (9, 300, 25), (17, 257, 49), (97, 386, 70), (1000, 3, 1), (130, 9, 4), (6, 6, 6), (5, 2, 1100), (385, 391, 387),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_matmul_equals_numpy(isa, draw, shape, threads):
    m, k, n = shape
    a, b = draw(m, k), draw(k, n)
    c = ring.matmul(a, b, threads=threads)
    assert c.dtype == a.dtype
    np.testing.assert_array_equal(c, a @ b)


def test_matmul_equals_torch_int64():
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 2**64, (70, 70), dtype=np.uint64) for _ in range(2))
    expected = torch.from_numpy(a.view(np.int64)) @ torch.from_numpy(b.view(np.int64))
    np.testing.assert_array_equal(ring.matmul(a, b).view(np.int64), expected.numpy())


def test_matmul_shapes_of_numpy(draw, dtype):
    a = draw(2, 3, 5)
    assert ring.matmul(a, draw(5, 7)).shape == (2, 3, 7)
    assert ring.matmul(a, draw(5)).shape == (2, 3)
    assert ring.matmul(draw(5), draw(5)).shape == ()
    transposed, b = draw(9, 5).T, draw(9, 6)
    np.testing.assert_array_equal(ring.matmul(transposed, b), transposed @ b)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)], ids=str)
def test_matmul_of_nothing(isa, dtype, shape):
    m, k, n = shape
    c = ring.matmul(np.ones((m, k), dtype), np.ones((k, n), dtype))
    np.testing.assert_array_equal(c, np.zeros((m, n), dtype))


extent = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(
    m=extent,
    k=extent,
    j=extent,
    n=extent,
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.uint32, np.uint64]),
)
def test_ring_axioms(m, k, j, n, seed, dtype):
    rng = np.random.default_rng(seed)

    def element(*shape):
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)

    a, b, c, d = element(m, k), element(k, j), element(j, n), element(k, j)
    left = ring.matmul(ring.matmul(a, b), c)
    np.testing.assert_array_equal(left, ring.matmul(a, ring.matmul(b, c)))
    both = ring.add(ring.matmul(a, b), ring.matmul(a, d))
    np.testing.assert_array_equal(ring.matmul(a, ring.add(b, d)), both)
    np.testing.assert_array_equal(ring.matmul(ring.negate(a), b), ring.negate(ring.matmul(a, b)))


def test_bad_arguments():
    u64 = np.ones((2, 3), np.uint64)
    with pytest.raises(ValueError, match=r"expected shapes .* got \(2, 3\) and \(2, 3\)"):
        ring.matmul(u64, u64)
    with pytest.raises(TypeError, match="expected a to be a NumPy array of uint32 or uint64, got dtype int64"):
        ring.matmul(u64.astype(np.int64), u64)
    with pytest.raises(TypeError, match="expected one ring, got a uint64, b uint32"):
        ring.matmul(u64, np.ones((3, 2), np.uint32))
    with pytest.raises(TypeError, match="got list"):
        ring.matmul([[1]], u64)
    with pytest.raises(ValueError, match="expected a positive number or None, got 0"):
        ring.matmul(u64, u64.T, threads=0)
